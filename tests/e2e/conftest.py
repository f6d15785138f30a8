"""Fixtures: a lab for each test, and the two topologies that most tests use."""
import pytest

import lab as _lab


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    item.failed = getattr(item, "failed", False) or outcome.get_result().failed


@pytest.fixture
def lab(request):
    made = _lab.Lab()
    try:
        yield made
        if not getattr(request.node, "failed", False):
            for balancer in made.balancers:
                if balancer.forwards():
                    balancer.assert_balanced()
    finally:
        if getattr(request.node, "failed", False):
            made.report()
        made.close()


@pytest.fixture
def two_armed(lab):
    """client --- outside --- lb --- inside --- web1..3; servers' gateway is the balancer (NAT)."""
    outside, inside = lab.segment("outside"), lab.segment("inside")
    lab.client = lab.host("client").connect(outside, "198.51.100.2/24", "2001:db8:1::2/64")
    lab.lb = lab.host("lb").forward()
    lab.lb.connect(outside, "198.51.100.1/24", "2001:db8:1::1/64", "198.51.100.10/32", "2001:db8:1::10/128", interface="out0")
    lab.lb.connect(inside, "10.0.0.1/24", "2001:db8:2::1/64", interface="in0")
    lab.servers = []
    for n in (1, 2, 3):
        server = lab.host(f"web{n}").connect(inside, f"10.0.0.1{n}/24", f"2001:db8:2::1{n}/64")
        server.route("default", "10.0.0.1").route("default", "2001:db8:2::1")
        lab.servers.append(server)
    lab.vip4, lab.vip6 = "198.51.100.10", "2001:db8:1::10"
    return lab


@pytest.fixture
def one_armed(lab):
    """client, lb and web1..3 on one Ethernet; servers answer the client straight (DR)."""
    lan = lab.lan = lab.segment("lan")
    lab.client = lab.host("client").connect(lan, "10.0.0.2/24", "2001:db8::2/64")
    lab.lb = lab.host("lb").forward().connect(lan, "10.0.0.1/24", "2001:db8::1/64", "10.0.0.100/32", "2001:db8::100/128",
                                              interface="lan0")
    lab.servers = [lab.host(f"web{n}").connect(lan, f"10.0.0.1{n}/24", f"2001:db8::1{n}/64") for n in (1, 2, 3)]
    lab.vip4, lab.vip6 = "10.0.0.100", "2001:db8::100"
    for server in lab.servers:
        server.hold_vip(lab.vip4, lab.vip6)
    return lab
