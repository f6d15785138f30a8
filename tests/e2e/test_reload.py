"""Reloads under load: no request to a kept server fails, no packet is lost; a bad file changes nothing."""
import collections
import random

from lab import Torii, eventually
from recipes import Sniffer, downloads, nat, nat_backends, random_file, service, spread, url


def test_two_hundred_reloads_under_load(two_armed):
    lab = two_armed
    for server in lab.servers:
        server.nginx(8080)
    kept = nat_backends(8080, [1])
    dice = random.Random(20)

    def configuration():
        others = [b for n in (2, 3) if dice.random() < 0.6 for b in nat_backends(8080, [n], weight=dice.randint(0, 3))]
        listed = others + [dict(kept[0], weight=dice.randint(1, 3))]
        return nat([service("kept", lab.vip4, 81, kept), service("www", lab.vip4, 80, listed, scheduler=dice.choice(["rr", "wrr", "wlc"])),
                    service("www6", lab.vip6, 80, nat_backends(8080, [1, 2], v6=True)[:dice.randint(1, 2)])])

    torii = Torii(lab.lb, configuration())
    # One client with a new connection for each request, one that keeps its connection, for as long as the reloads last.
    script = ("while [ ! -e $1 ]; do curl -sS --max-time 5 -w ' %{http_code}\\n' -H \"$2\" \"http://$3/name?[1-50]\" | grep -v '^web' || echo failed; done")
    stop = lab.directory / "stop"
    loads = [lab.client.start("bash", "-c", script, "load", stop, header, f"{lab.vip4}:81", name=f"load{n}")
             for n, header in enumerate(["Connection: close", "X-Keep: yes"])]
    before = torii.status()["generation"]["services"]["published"]
    for _ in range(200):
        torii.reload(configuration())
    torii.wait()
    stop.touch()
    for load in loads:
        assert load.wait(30) == 0
        codes = collections.Counter(line.strip() for line in load.output().splitlines() if line)
        assert set(codes) == {"200"} and codes["200"] > 200, codes
    assert torii.status()["generation"]["services"]["published"] >= before + 150
    torii.assert_balanced()
    assert not [name for name in torii.verdicts() if name.startswith("drop_")], torii.verdicts()


def test_a_bad_file_changes_nothing_and_names_every_fault(two_armed):
    lab = two_armed
    for server in lab.servers:
        server.nginx(8080)
    good = nat([service("www", lab.vip4, 80, nat_backends(8080))])
    torii = Torii(lab.lb, good)
    bad = nat([service("www", lab.vip4, 80, nat_backends(8080)), service("again", lab.vip4, 80, nat_backends(8080), schedular="rr")])
    listed = lambda: [line.split()[:4] for line in torii.ipvsadm("-Ln").splitlines()]
    before = listed()
    done = torii.reload(bad, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 1 and "schedular" in said and f"{torii.file}:" in said, said
    assert listed() == before
    assert sum(spread(lab.client, lab.vip4, 6).values()) == 6
    torii.daemon.process.send_signal(1)
    eventually(lambda: "schedular" in torii.daemon.output(), what="SIGHUP names the fault in the log")
    assert listed() == before
    torii.assert_balanced()


def test_a_removed_server_gets_no_new_connection_and_a_removed_service_goes_back_to_the_kernel(two_armed):
    lab = two_armed
    for server in lab.servers:
        server.nginx(8080)
    torii = Torii(lab.lb, nat([service("www", lab.vip4, 80, nat_backends(8080))]))
    assert len(spread(lab.client, lab.vip4, 9)) == 3
    torii.reload(nat([service("www", lab.vip4, 80, nat_backends(8080, [1, 2]))]))
    torii.wait()
    assert dict(spread(lab.client, lab.vip4, 10)) == {"web1": 5, "web2": 5}
    torii.reload(nat([service("www6", lab.vip6, 80, nat_backends(8080, v6=True))]))
    torii.wait()
    assert lab.client.curl(url(lab.vip4), check=False).returncode == 7
    assert len(spread(lab.client, lab.vip6, 9)) == 3
    torii.assert_balanced()


def serving(lab, *numbers):
    return nat([service("www", lab.vip4, 80, nat_backends(80, numbers))])


def test_a_server_that_is_removed_and_comes_back_finds_its_connections_again(two_armed):
    lab = two_armed
    path, digest = random_file(lab, "slow", 8)
    for server in lab.servers:
        server.nginx(80, {"slow": path})
    torii = Torii(lab.lb, serving(lab, 1))
    resets = [Sniffer(host, "eth0", "tcp[tcpflags] & tcp-rst != 0") for host in (lab.client, lab.servers[0])]
    untranslated = Sniffer(lab.client, "eth0", "net 10.0.0.0/24")
    finish = downloads(lab, lab.client, lab.vip4, "/slow", 1, seconds=40)
    size = lambda: finish.targets[0].stat().st_size
    eventually(lambda: finish.targets[0].exists() and size() > 0, what="the download runs")
    torii.reload(serving(lab, 2))
    eventually(lambda: torii.verdicts().get("drop_backend_gone", 0) > 3, what="what the client says is dropped")
    replies = torii.verdicts()["nat_reply"]
    eventually(lambda: torii.verdicts()["nat_reply"] > replies, what="what the server repeats is translated all the same")
    assert dict(spread(lab.client, lab.vip4, 2)) == {"web2": 2}
    assert size() < 8 << 20, "the download was to be interrupted"
    torii.reload(serving(lab, 1, 2))
    assert finish() == [digest]
    assert [sniffer.stop() for sniffer in resets] == [[], []]
    assert untranslated.stop() == []
    torii.assert_balanced()


def test_the_replies_of_a_removed_server_are_the_kernels_once_its_connections_have_ended(two_armed):
    lab = two_armed
    for server in lab.servers:
        server.nginx(80)
    torii = Torii(lab.lb, serving(lab, 1))
    # A reset ends it in ten seconds: the time that a connection is remembered in state CLOSE.
    lab.client.run("/usr/bin/python3", "-c", "import socket,struct,sys\ns=socket.create_connection((sys.argv[1],80),5)\n"
                   "s.setsockopt(socket.SOL_SOCKET,socket.SO_LINGER,struct.pack('ii',1,0))\ns.close()", lab.vip4)
    eventually(lambda: "CLOSE" in torii.ipvsadm("-Lnc"), what="the reset is seen")
    torii.reload(serving(lab, 2))
    torii.wait()
    script = "import sys\nfrom scapy.all import IP,TCP,send\nsend(IP(dst=sys.argv[1])/TCP(sport=80,dport=9,flags='R'),verbose=0)"
    arrived = Sniffer(lab.client, "eth0", "src host 10.0.0.11 and dst port 9")

    def taken():
        """Whether a packet like a reply goes by torii; it reaches the client either way."""
        packets, received = len(arrived.lines()), torii.status()["received"]
        lab.servers[0].run("/usr/bin/python3", "-c", script, "198.51.100.2")
        eventually(lambda: len(arrived.lines()) > packets, what="the packet arrives")
        return torii.status()["received"] > received

    assert taken(), "a connection is still remembered"
    eventually(lambda: not taken(), 20, "the connection has ended")
    torii.assert_balanced()
