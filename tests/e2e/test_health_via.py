"""Probes of the virtual address on one certain server (via: service), while the balancer has that address itself."""
import pathlib
import signal

import pytest
from lab import BIN, Torii, eventually
from recipes import dr, dr_backends, service, spread
from test_health import QUICK, check, down_within, health, members, up_within

HERE = pathlib.Path(__file__).resolve().parent


def kernel_state(host):
    """What a careless way would leave behind."""
    return [host.ip(what).stdout for what in ("-br link", "rule", "-6 rule", "route show table all", "-6 route show table all type unicast", "-br addr")] + [
        host.run("sysctl", "net.ipv4.conf.all.accept_local", "net.ipv4.ip_local_port_range").stdout]


def via(type, **more):
    return {**QUICK, "type": type, "via": "service", **more}


def test_a_server_that_lost_the_virtual_address_is_found(one_armed):
    lab = one_armed
    for server in lab.servers:
        server.nginx(80)
    pages = {"path": "/name", "body_regex": "web"}
    torii = Torii(lab.lb, dr([service("four", lab.vip4, 80, dr_backends(), forward="dr")]))
    before = kernel_state(lab.lb)
    torii.reload(dr([
        service("four", lab.vip4, 80, dr_backends(), forward="dr", checks=[via("tcp"), via("http", http=pages)]),
        service("six", lab.vip6, 80, dr_backends(v6=True), forward="dr", health=via("http", http=pages))]))
    eventually(lambda: all(c["proven"] and c["up"] for c in health(torii)["checks"]), 10, "every server is up")
    assert {(c["type"], c["via"]) for c in health(torii)["checks"]} == {("tcp", "10.0.0.100:80"), ("http", "10.0.0.100:80"), ("http", "[2001:db8::100]:80")}
    assert dict(spread(lab.client, lab.vip4, 6)) == {"web1": 2, "web2": 2, "web3": 2}

    lab.servers[1].ip("addr del 10.0.0.100/32 dev lo")  # it still answers on its own address
    assert lab.client.get("http://10.0.0.12/name") == "web2"
    down_within(torii, "10.0.0.12:80", "timeout")
    eventually(lambda: members(torii) == {"10.0.0.11", "10.0.0.13"}, 2, "it has left the table")
    assert check(torii, "[2001:db8::12]:80")["up"], "its IPv6 address is untouched"
    lab.servers[1].ip("addr add 10.0.0.100/32 dev lo")
    up_within(torii, "10.0.0.12:80")

    lab.servers[2].signal_nginx(signal.SIGKILL)
    down_within(torii, "10.0.0.13:80", "refused")
    down_within(torii, "[2001:db8::13]:80", "refused")
    lab.servers[2].nginx(80)
    up_within(torii, "[2001:db8::13]:80")

    torii.daemon.stop(signal.SIGKILL)
    assert kernel_state(lab.lb) == before, "nothing is left"
    torii.start_daemon()
    torii.wait()
    eventually(lambda: all(c["proven"] and c["up"] for c in health(torii)["checks"]), 10, "every server is up")
    assert dict(spread(lab.client, lab.vip4, 6)) == {"web1": 2, "web2": 2, "web3": 2}
    torii.assert_balanced()


TUNNELS = {
    "ipip": {"type": "ipip"}, "gue": {"type": "gue", "port": 6080}, "gue-csum": {"type": "gue", "port": 6080, "checksum": "csum"},
    "gre": {"type": "gre"}, "gre-csum": {"type": "gre", "checksum": "csum"},
}


def test_tunnels_are_probed_from_end_to_end(one_armed):
    lab, server = one_armed, one_armed.servers[0]
    server.nginx(80)
    server.start("/usr/bin/python3", HERE / "echo_peer.py", "serve", 7, name="echo")
    eventually(lambda: server.listening(7, "udp"), what="the echo server listens")
    far = None

    def start_far_end():
        process = server.start("/usr/bin/python3", HERE / "decapsulate.py", "tun0", 6080, name="decapsulate")
        eventually(lambda: "ready" in process.output(), what="the far end of the tunnels")
        server.ip("link set tun0 up")
        return process

    def services(tunnel):
        common = {"forward": "tunnel", "tunnel": tunnel}
        web, echo = via("http", http={"path": "/name", "body_regex": "web1"}), via("udp", udp={"payload": "hello", "reply": "hello"})
        listed = []
        for name, vip, inner in (("4in4", lab.vip4, {}), ("6in6", lab.vip6, {}), ("4in6", lab.vip4, {"bind": "10.0.0.1"}), ("6in4", lab.vip6, {"bind": "2001:db8::1"})):
            real = "2001:db8::11" if name.endswith("6") else "10.0.0.11"
            port = 80 if name in ("4in4", "6in6") else 8080  # two services cannot have one virtual
            listed.append(service(f"web-{name}", vip, port, [real], health={**web, **inner, "port": 80}, **common))
            listed.append(service(f"echo-{name}", vip, port, [real], health={**echo, **inner, "port": 7}, protocol="udp", **common))
        return dr(listed)
    torii = Torii(lab.lb, services(TUNNELS["ipip"]), start=False)
    torii.start_daemon()
    for name, tunnel in TUNNELS.items():
        torii.daemon.stop()
        far = start_far_end()
        torii.write(services(tunnel))
        torii.start_daemon()
        eventually(lambda: torii.torii("status", check=False).returncode == 0, what="toriid answers")
        try:
            eventually(lambda: len(health(torii)["checks"]) == 8 and all(c["proven"] and c["up"] for c in health(torii)["checks"]), 10)
        except AssertionError:
            raise AssertionError(f"{name}: {health(torii)['checks']} {far.output()}") from None
        assert far.output() == "ready\n", name
        far.stop(signal.SIGKILL)  # it answers on its own address as before
        eventually(lambda: not any(c["up"] for c in health(torii)["checks"]), 10, f"{name}: the end of the tunnel is gone")


@pytest.mark.parametrize("change, sentence", [
    ({"forward": "nat"}, "'via: service' is for dr and tunnel"),
    ({"health": via("icmp")}, "a service carries tcp and udp"),
    ({"health": via("script", script={"command": "/bin/true"})}, "a service carries tcp and udp"),
    ({"health": via("tcp", address="10.0.0.12")}, "leave 'address', 'interface' and 'fwmark' out"),
    ({"virtual": ["mark:7"], "health": via("tcp", port=80)}, "needs a virtual address, and mark:7 has none"),
    ({"forward": "tunnel", "backends": [{"address": "2001:db8::11"}]}, "name an address of this machine by 'bind'"),
    ({"backends": [{"address": "10.0.0.1"}]}, "'via: service' needs a server elsewhere"),
])
def test_what_cannot_be_probed_so_is_refused(one_armed, change, sentence):
    lab = one_armed
    configuration = dr([{**service("s", lab.vip4, 80, ["10.0.0.11"], forward="dr", health=via("tcp")), **change}])
    torii = Torii(lab.lb, configuration, start=False)
    done = lab.lb.run(BIN / "torii", "config", "check", torii.file, check=False)
    assert done.returncode == 1 and sentence in done.stderr, done.stderr
