"""Real clients and servers: NAT and direct routing, IPv4 and IPv6, TCP and UDP."""
import json

import pytest
from lab import Torii, eventually
from recipes import (Sniffer, downloads, dr, dr_backends, nat, nat_backends, random_file, service, spread, url)


def web(lab, port=8080, files=None):
    for server in lab.servers:
        server.nginx(port, files)


def test_nat_spreads_tcp_and_udp_over_both_families(two_armed):
    lab = two_armed
    web(lab)
    for server in lab.servers:
        server.udp_echo(5353)
    torii = Torii(lab.lb, nat([
        service("www4", lab.vip4, 80, nat_backends(8080)), service("www6", lab.vip6, 80, nat_backends(8080, v6=True)),
        service("echo4", lab.vip4, 53, nat_backends(5353), protocol="udp"),
        service("echo6", lab.vip6, 53, nat_backends(5353, v6=True), protocol="udp")]))
    for vip in (lab.vip4, lab.vip6):
        assert dict(spread(lab.client, vip, 30)) == {"web1": 10, "web2": 10, "web3": 10}
        script = ("import socket,sys\nn=set()\nfor i in range(30):\n"
                  " s=socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET,socket.SOCK_DGRAM); s.settimeout(3)\n"
                  " s.connect((sys.argv[1],53)); s.send(b'q%d'%i); d=s.recv(2000); assert d.endswith(b'q%d'%i); n.add(d.split()[0]); s.close()\n"
                  "print(len(n))")
        assert lab.client.run("/usr/bin/python3", "-c", script, vip).stdout.strip() == "3"
    listing = torii.ipvsadm("-Ln")
    assert f"TCP  {lab.vip4}:80 rr" in listing and f"UDP  [{lab.vip6}]:53 rr" in listing
    assert f"{lab.vip4}:80" in torii.ipvsadm("-Lnc")
    stats = torii.ipvsadm("-Ln", "--stats", "--exact")
    row = next(line.split() for line in stats.splitlines() if f"TCP  {lab.vip4}:80" in line)
    assert row[2] == "30" and int(row[3]) >= 30 * 4 and int(row[4]) >= 30 * 4
    torii.assert_balanced()


def test_direct_routing_replies_go_straight_to_the_client(one_armed):
    lab = one_armed
    web(lab, 80)
    torii = Torii(lab.lb, dr([service("www4", lab.vip4, 80, dr_backends(), forward="dr"),
                              service("www6", lab.vip6, 80, dr_backends(v6=True), forward="dr")]))
    sniffers = [Sniffer(lab.client, "eth0", "tcp and src port 80"), Sniffer(lab.client, "eth0", "ip6 and tcp and src port 80")]
    for vip in (lab.vip4, lab.vip6):
        assert dict(spread(lab.client, vip, 30)) == {"web1": 10, "web2": 10, "web3": 10}
    macs = {json.loads(server.run("ip", "-j", "link", "show", "eth0").stdout)[0]["address"] for server in lab.servers}
    for sniffer in sniffers:
        senders = {line.split()[1] for line in sniffer.stop()}
        assert senders == macs, "replies came from elsewhere than the servers"
    assert torii.verdicts()["direct"] > 60 and "nat_reply" not in torii.verdicts()
    assert "Route" in torii.ipvsadm("-Ln")
    torii.assert_balanced()


@pytest.mark.parametrize("forward", ["nat", "dr"])
def test_twenty_parallel_downloads_are_intact(request, forward):
    lab = request.getfixturevalue("two_armed" if forward == "nat" else "one_armed")
    path, digest = random_file(lab, "big", 50)
    web(lab, 80, {"big": path})
    make, backends = (nat, nat_backends(80)) if forward == "nat" else (dr, dr_backends())
    torii = Torii(lab.lb, make([service("www", lab.vip4, 80, backends, forward=forward)]))
    assert downloads(lab, lab.client, lab.vip4, "/big", 20, seconds=120)() == [digest] * 20
    torii.assert_balanced()


def test_iperf3_both_ways_through_nat(two_armed):
    lab = two_armed
    server = lab.servers[0]
    server.start("iperf3", "-s", "-p", 5201)
    eventually(lambda: server.listening(5201), what="iperf3 -s")
    torii = Torii(lab.lb, nat([service("iperf", lab.vip4, 5201, nat_backends(5201, [1])),
                               service("iperf-udp", lab.vip4, 5201, nat_backends(5201, [1]), protocol="udp")]))
    for options in (["-n", "40M"], ["-n", "40M", "-R"], ["-u", "-b", "20M", "-n", "4M", "-l", "1200"]):
        done = json.loads(lab.client.run("iperf3", "-J", "-c", lab.vip4, "-p", 5201, *options, timeout=60).stdout)
        assert "error" not in done
        if "-u" in options:
            assert done["end"]["sum"]["lost_percent"] < 1, done["end"]["sum"]
        else:
            assert done["end"]["sum_received"]["bytes"] >= 36_000_000
    torii.assert_balanced()


@pytest.mark.parametrize("forward", ["nat", "dr"])
def test_client_behind_a_router_and_client_on_the_same_link(request, forward):
    lab = request.getfixturevalue("two_armed" if forward == "nat" else "one_armed")
    web(lab, 80)
    near = lab.hosts[0] if forward == "nat" else lab.lan
    far_segment = lab.segment("far")
    v4, v6 = ("198.51.100", "2001:db8:1:") if forward == "nat" else ("10.0.0", "2001:db8:")
    router = lab.host("router").connect(near, f"{v4}.254/24", f"{v6}:fe/64").connect(far_segment, "203.0.113.1/24", "2001:db8:9::1/64")
    router.forward()
    far = lab.host("far-client").connect(far_segment, "203.0.113.2/24", "2001:db8:9::2/64")
    far.route("default", "203.0.113.1").route("default", "2001:db8:9::1")
    for host in [lab.lb] + (lab.servers if forward == "dr" else []):
        host.route("203.0.113.0/24", f"{v4}.254").route("2001:db8:9::/64", f"{v6}:fe")
    make = nat if forward == "nat" else dr
    back = (lambda six: nat_backends(80, v6=six)) if forward == "nat" else (lambda six: dr_backends(v6=six))
    torii = Torii(lab.lb, make([service("four", lab.vip4, 80, back(False), forward=forward),
                                service("six", lab.vip6, 80, back(True), forward=forward)]))
    for client in (lab.client, far):
        for vip in (lab.vip4, lab.vip6):
            assert dict(spread(client, vip, 9)) == {"web1": 3, "web2": 3, "web3": 3}, (client.name, vip)
    torii.assert_balanced()


def test_the_kernel_keeps_what_is_not_a_service(two_armed):
    lab = two_armed
    web(lab, 8080)
    lab.lb.nginx(2222)
    torii = Torii(lab.lb, nat([service("www", lab.vip4, 80, nat_backends(8080)), service("www6", lab.vip6, 80, nat_backends(8080, v6=True))]))
    for address in (lab.vip4, lab.vip6, "198.51.100.1", "2001:db8:1::1"):
        lab.client.run("ping", "-c", 3, "-i", 0.1, "-W", 2, address)
        assert lab.client.get(url(address, port=2222)) == "lb", "TCP to the host itself"
    # A connection from the host to a server's service port, while NAT to that server is active.
    assert sum(spread(lab.client, lab.vip4, 6).values()) == 6
    for server in ("10.0.0.11", "2001:db8:2::11"):
        assert lab.lb.get(url(server, port=8080)) == "web1"
    # No service at that port: the kernel refuses at once, as it would without torii.
    assert lab.client.curl(url(lab.vip4, port=81), check=False).returncode == 7
    torii.assert_balanced()


def test_no_usable_server_is_refused_at_once(two_armed):
    lab = two_armed
    torii = Torii(lab.lb, nat([service("www", lab.vip4, 80, nat_backends(8080, weight=0)),
                               service("www6", lab.vip6, 80, nat_backends(8080, v6=True, weight=0))]))
    for vip in (lab.vip4, lab.vip6):
        assert lab.client.curl(url(vip), check=False).returncode == 7, "ICMP port unreachable becomes ECONNREFUSED"
    assert torii.verdicts()["answered_no_backend"] == 2
    torii.assert_balanced()


def test_two_workers_share_one_table_and_all_queues(lab):
    outside, inside = lab.segment("outside"), lab.segment("inside")
    client = lab.host("client").connect(outside, "198.51.100.2/24")
    lb = lab.host("lb").forward()
    lb.connect(outside, "198.51.100.1/24", "198.51.100.10/32", interface="out0", queues=4)
    lb.connect(inside, "10.0.0.1/24", interface="in0", queues=4)
    for n in (1, 2, 3):
        server = lab.host(f"web{n}").connect(inside, f"10.0.0.1{n}/24").route("default", "10.0.0.1")
        server.nginx(8080)
    torii = Torii(lb, nat([service("www", "198.51.100.10", 80, nat_backends(8080), scheduler="wlc")], workers=(0, 1)))
    counts = spread(client, "198.51.100.10", 90)
    assert sum(counts.values()) == 90 and min(counts.values()) >= 20, counts
    assert all(port["queues"] == 4 for port in torii.status()["ports"])
    torii.assert_balanced()


def test_data_connections_of_persistent_ftp_follow_the_control_connection(two_armed):
    lab = two_armed
    for server in lab.servers:
        server.nginx(21)
        server.nginx(30000)
    backends = nat_backends(21)
    torii = Torii(lab.lb, nat([service("ftp", lab.vip4, 21, backends, scheduler="rr", persistence={"timeout": "300s"})]))
    control = lab.client.get(url(lab.vip4, port=21))
    for _ in range(3):
        assert lab.client.get(url(lab.vip4, port=30000)) == control
    assert lab.client.curl(url(lab.vip4, port=80), seconds=1, check=False).returncode != 0, "other ports are the kernel's"
    assert torii.verdicts()["nat_reply"] >= 12, torii.verdicts()
