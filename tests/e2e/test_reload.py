"""Reloads under load: no request to a kept server fails, no packet is lost; a bad file changes nothing."""
import collections
import random

from lab import Torii, eventually
from recipes import nat, nat_backends, service, spread, url


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
