"""What the kernel still gets while torii's XDP program, its tc guard, both or neither are attached.

    client 10.0.0.2 --- lan --- lb 10.0.0.1, VIP 10.0.0.100 (services on TCP port 80)

Nothing listens on the balancer: a TCP connection that reaches its kernel is refused with a reset,
and the kernel counts the resets that it sends.
"""
import json
import time

import pytest

from lab import BIN, eventually

PROBE = """
import json, socket, sys
def tcp(address, port):
    s = socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET)
    s.settimeout(0.4)
    try:
        s.connect((address, port))
        return 'open'
    except ConnectionRefusedError:
        return 'refused'
    except TimeoutError:
        return 'dropped'
def ping(address, _):
    v6 = ':' in address
    s = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM, 58 if v6 else 1)
    s.settimeout(2)
    s.sendto(bytes([128 if v6 else 8, 0, 0, 0, 0, 1, 0, 1]) + b'torii', (address, 0))
    try:
        s.recv(100)
        return 'answered'
    except TimeoutError:
        return 'dropped'
print(json.dumps([{'tcp': tcp, 'ping': ping}[k](a, p) for k, a, p in json.loads(sys.argv[1])]))
"""

# Connection attempts without end to port 80 of the VIP.
SYNS = """
import socket, time
while True:
    some = [socket.socket() for _ in range(50)]
    for s in some:
        s.setblocking(False)
        s.connect_ex(('10.0.0.100', 80))
    time.sleep(0.01)
    for s in some:
        s.close()
"""

SET = ["service=tcp,10.0.0.100:80", "vip=10.0.0.100", "service=tcp,[2001:db8::100]:80", "vip=2001:db8::100",
       "local=10.0.0.1", "local=2001:db8::1"]


class Balancer:
    def __init__(self, lab):
        self.lab = lab

    def tool(self, verb, *words, interface="lan0", check=True):
        return self.lab.lb.run(BIN / "xdp_tool", verb, interface, *words, check=check)

    def attached(self):
        return self.tool("attached").stdout.strip()

    def ask(self, *questions):
        return json.loads(self.lab.client.run("/usr/bin/python3", "-c", PROBE, json.dumps(questions)).stdout)

    def service(self):
        """What becomes of a connection to the service, over IPv4 and IPv6."""
        return self.ask(("tcp", "10.0.0.100", 80), ("tcp", "2001:db8::100", 80))

    def resets(self):
        names, values = [line.split() for line in self.lab.lb.run("cat", "/proc/net/snmp").stdout.splitlines()
                         if line.startswith("Tcp:")]
        return int(values[names.index("OutRsts")])

    def received(self):
        return int(self.lab.lb.run("cat", "/sys/class/net/lan0/statistics/rx_packets").stdout)


@pytest.fixture
def lb(lab):
    lan = lab.segment("lan")
    lab.client = lab.host("client").connect(lan, "10.0.0.2/24", "2001:db8::2/64")
    lab.lb = lab.host("lb").connect(lan, "10.0.0.1/24", "2001:db8::1/64", "10.0.0.100/32", "2001:db8::100/128",
                                    interface="lan0")
    return Balancer(lab)


EVERYTHING_ELSE = [("ping", "10.0.0.100", 0), ("ping", "2001:db8::100", 0), ("tcp", "10.0.0.1", 22),
                   ("tcp", "10.0.0.100", 22), ("tcp", "2001:db8::1", 80), ("tcp", "10.0.0.1", 80)]
PASSES = ["answered", "answered", "refused", "refused", "refused", "refused"]


def test_without_a_socket_only_the_services_packets_are_dropped(lb):
    assert lb.service() == ["refused", "refused"]
    lb.tool("attach", *SET)
    assert lb.attached() == "xdp=ours mode=native guard=none"
    before = lb.resets()
    assert lb.service() == ["dropped", "dropped"]
    assert lb.resets() == before
    assert lb.ask(*EVERYTHING_ELSE) == PASSES
    assert lb.resets() == before + 4


def test_the_guard_alone_drops_the_same(lb):
    lb.tool("attach", *SET)
    lb.tool("guard", *SET)
    assert lb.attached() == "xdp=ours mode=native guard=ours"
    lb.tool("detach")
    assert lb.attached() == "xdp=none mode=none guard=ours"
    before = lb.resets()
    assert lb.service() == ["dropped", "dropped"]
    assert lb.resets() == before
    assert lb.ask(*EVERYTHING_ELSE) == PASSES


def test_apply_changes_what_is_in_force_in_both(lb):
    assert "neither torii_xdp nor torii_guard is attached" in lb.tool("apply", *SET, check=False).stderr
    lb.tool("guard", *SET)
    lb.tool("attach")
    assert lb.service() == ["dropped", "dropped"]
    lb.tool("apply", *SET[:2], "service=tcp,10.0.0.100:22")
    lb.tool("detach")
    assert lb.service() == ["dropped", "refused"]
    assert lb.ask(("tcp", "10.0.0.100", 22)) == ["dropped"]
    lb.tool("attach")
    lb.tool("apply")
    assert lb.service() == ["refused", "refused"]


def test_release_gives_everything_back_and_touches_nothing_else(lb):
    lb.tool("attach", *SET)
    lb.tool("guard", *SET)
    lb.tool("foreign-filter")
    lb.tool("release")
    assert lb.attached() == "xdp=none mode=none guard=none"
    assert lb.service() == ["refused", "refused"]
    filters = lb.lab.lb.run("tc", "filter", "show", "dev", "lan0", "ingress").stdout
    assert "somebody" in filters and "torii" not in filters
    lb.tool("release")


def test_a_foreign_xdp_program_is_left_alone(lb):
    lb.tool("foreign")
    assert lb.attached() == "xdp=foreign mode=native guard=none"
    refusal = "interface lan0: XDP program 'somebody' (id "
    for verb in ("attach", "detach"):
        done = lb.tool(verb, check=False)
        assert done.returncode == 1 and refusal in done.stderr, done.stderr
    lb.tool("guard", *SET)
    assert refusal in lb.tool("apply", *SET[:2], check=False).stderr
    assert lb.service() == ["dropped", "refused"]
    lb.tool("release")
    assert lb.attached() == "xdp=foreign mode=native guard=none"


def test_no_reset_leaks_while_programs_are_replaced(lb):
    """What a restart of the dataplane does, over and over, under connection attempts."""
    lb.tool("guard", *SET)
    lb.tool("attach", *SET)
    packets, resets = lb.received(), lb.resets()
    lb.lab.client.start("/usr/bin/python3", "-c", SYNS, name="syns")
    eventually(lambda: lb.received() > packets + 200, what="connection attempts")
    end = time.monotonic() + 3
    rounds = 0
    while time.monotonic() < end:
        during = lb.received()
        lb.tool("guard", *SET)
        lb.tool("detach")
        lb.tool("guard", *SET)
        eventually(lambda: lb.received() > during + 50, what="connection attempts")
        lb.tool("attach")
        lb.tool("apply", *SET)
        rounds += 1
    assert rounds >= 5
    assert lb.resets() == resets
    lb.tool("release")
    eventually(lambda: lb.resets() > resets, what="resets after the release")


TAGGED = """
import socket, sys
from scapy.all import Dot1Q, Ether, IP, TCP
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(('eth0', 0))
for port in 80, 80, 80, 22, 22:
    s.send(bytes(Ether(dst=sys.argv[1]) / Dot1Q(vlan=7) / IP(src='10.0.0.2', dst='10.0.0.100') / TCP(dport=port)))
"""


def test_the_guard_sees_behind_a_tag_that_the_kernel_took_off(lb):
    """The kernel takes a frame's tag out of its bytes before tc ingress sees it."""
    def dropped():
        clsact = json.loads(lb.lab.lb.run("tc", "-s", "-j", "qdisc", "show", "dev", "lan0", "clsact").stdout)
        return clsact[0]["drops"]

    lb.tool("guard", *SET)
    before, packets = dropped(), lb.received()
    lb.lab.client.run("/usr/bin/python3", "-c", TAGGED, lb.tool("mac").stdout.strip())
    eventually(lambda: lb.received() >= packets + 5, what="five tagged frames")
    assert dropped() - before == 3
    lb.tool("attach", *SET)
    lb.lab.client.run("/usr/bin/python3", "-c", TAGGED, lb.tool("mac").stdout.strip())
    eventually(lambda: lb.received() >= packets + 10, what="five more tagged frames")
    assert dropped() - before == 3


def test_what_an_interface_tells_of_itself(lb):
    assert lb.tool("queues").stdout == "receive=1 bindable=1\n"
    assert lb.tool("mac").stdout.strip() in lb.lab.lb.ip("link show lan0").stdout
    done = lb.tool("attached", interface="nowhere0", check=False)
    assert done.returncode == 1 and "interface nowhere0 does not exist" in done.stderr
