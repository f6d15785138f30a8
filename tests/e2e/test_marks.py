"""Firewall marks without a firewall, and a server that is the balancer itself."""
from lab import Torii, eventually
from recipes import nat, service, url

BLOCK4, BLOCK6 = "203.0.113.0/24", "2001:db8:7::/48"


def marked(lab, services, **more):
    """The client reaches blocks of addresses that nobody has by way of the balancer."""
    lab.client.route(BLOCK4, "198.51.100.1").route(BLOCK6, "2001:db8:1::1")
    for server in lab.servers:
        server.nginx(80)
    return Torii(lab.lb, nat(services, **more))


def test_a_mark_makes_services_of_blocks_and_port_ranges(two_armed):
    backends = [{"address": a} for a in ("10.0.0.11", "10.0.0.12")]
    backends6 = [{"address": a} for a in ("2001:db8:2::13",)]
    rules = [{"mark": 7, "destination": BLOCK4, "protocol": "tcp", "ports": ["80-90"]},
             {"mark": 9, "destination": "203.0.113.8/29", "protocol": "tcp", "ports": [80]},
             {"mark": 7, "destination": BLOCK6}]
    services = [{"name": "web", "virtual": ["mark:7"], "scheduler": "rr", "forward": "nat", "backends": backends},
                {"name": "web6", "virtual": ["mark:7/ipv6"], "scheduler": "rr", "forward": "nat", "backends": backends6}]
    torii = marked(two_armed, services, marks=rules)
    client = two_armed.client
    assert {client.get(url("203.0.113.1")), client.get(url("203.0.113.200"))} == {"web1", "web2"}
    assert client.get(url("2001:db8:7:5::1")) == "web3"
    # Mark 9 has no service: its packets are the kernel's, like those to other ports, and torii sees neither.
    received = torii.status()["received"]
    for address, port in (("203.0.113.9", 80), ("203.0.113.1", 79)):
        assert client.curl(url(address, port=port), seconds=1, check=False).returncode != 0
    assert torii.status()["received"] == received
    # A service for it by ipvsadm, without touching the file.
    torii.ipvsadm("-A", "-f", "9", "-s", "rr")
    torii.ipvsadm("-a", "-f", "9", "-r", "10.0.0.13", "-m")
    torii.wait()
    eventually(lambda: client.curl(url("203.0.113.9"), seconds=1, check=False).stdout.strip() == "web3", what="mark 9")
    assert client.get(url("203.0.113.1")) in ("web1", "web2")
    assert "FWM  9 rr" in torii.ipvsadm("-Ln")


def test_a_server_that_is_the_balancer_itself(two_armed):
    """LVS's Local: the balancer's own kernel answers, and the connection is counted."""
    lb = two_armed.lb
    lb.nginx(80)
    torii = Torii(lb, nat([service("own", two_armed.vip4, 80, ["10.0.0.1"], forward="dr"),
                           service("own6", two_armed.vip6, 80, ["2001:db8:2::1"], forward="dr")]))
    for vip in (two_armed.vip4, two_armed.vip6):
        assert two_armed.client.get(url(vip)) == "lb"
    assert torii.verdicts()["kernel_local"] >= 8, torii.verdicts()
    assert "10.0.0.1:80" in torii.ipvsadm("-Lnc")
    refused = torii.reload(nat([service("own", two_armed.vip4, 80, ["10.0.0.1"])]), check=False)
    assert refused.returncode != 0 and "the backend 10.0.0.1 is this machine itself" in refused.stdout + refused.stderr
    assert two_armed.client.get(url(two_armed.vip4)) == "lb"


def test_what_no_cache_can_take_goes_on_to_where_it_was_going(two_armed):
    """LVS's transparent cache cluster: without a cache the origin answers, by way of the balancer's kernel."""
    lab, origin = two_armed, two_armed.servers[2]
    origin.ip("addr add 203.0.113.50/32 dev lo")
    origin.ip("addr add 2001:db8:7::50/128 dev lo nodad")
    lab.lb.route(BLOCK4, "10.0.0.13").route(BLOCK6, "2001:db8:2::13")
    caches = [{"name": f"cache{six}", "virtual": [f"mark:7{six}"], "scheduler": "rr", "forward": "nat",
               "backends": [{"address": address, "weight": 0}]} for six, address in (("", "10.0.0.11"), ("/ipv6", "2001:db8:2::11"))]
    caches[1]["name"] = "cache6"
    rules = [{"mark": 7, "destination": BLOCK4}, {"mark": 7, "destination": BLOCK6}]
    torii = marked(lab, caches, marks=rules)
    for address in ("203.0.113.50", "2001:db8:7::50"):
        assert lab.client.curl(url(address), seconds=2, check=False).returncode != 0
    torii.reload(nat(caches, marks=rules, behaviour={"cache_bypass": 1}))
    torii.wait()
    for address in ("203.0.113.50", "2001:db8:7::50"):
        assert lab.client.get(url(address)) == "web3"
    assert torii.verdicts()["kernel_bypass"] >= 2, torii.verdicts()
    torii.ipvsadm("-e", "-f", "7", "-r", "10.0.0.11", "-m", "-w", "1")
    torii.wait()
    assert lab.client.get(url("203.0.113.50")) == "web1"
