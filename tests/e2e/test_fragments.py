"""Datagrams larger than a link: fragments from real kernels through the balancer, and what is told to those who send too much."""
import pytest
from lab import Torii, eventually
from recipes import downloads, dr, nat, nat_backends, random_file, service

# Sends datagrams of the sizes given to ADDRESS PORT and checks that each comes back whole.
ECHO = """
import os, socket, sys
address, port, discover = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
six = ':' in address
for size in map(int, sys.argv[4:]):
    s = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(5)
    if not six: s.setsockopt(socket.IPPROTO_IP, 10, discover)
    s.connect((address, port))
    sent = os.urandom(size)
    s.send(sent)
    assert s.recv(65535).endswith(b' ' + sent), size
    s.close()
print('whole')
"""

# The same with fragments made here: forwards, backwards, shuffled, some of them twice; then some that nobody may put together.
SCRAMBLED = """
import os, random, socket, sys
from scapy.all import IP, IPv6, IPv6ExtHdrFragment, UDP, Raw, fragment, fragment6, conf, send
address, source, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
conf.verb = 0
six = ':' in address
def pieces(sport, data, ident):
    udp = UDP(sport=sport, dport=port) / Raw(data)
    if six:
        return fragment6(IPv6(src=source, dst=address) / IPv6ExtHdrFragment(id=ident) / udp, 1280)
    return fragment(IP(src=source, dst=address, id=ident) / udp, 1200)
random.seed(1)
orders = [lambda p: p, lambda p: p[::-1], lambda p: random.sample(p, len(p)), lambda p: random.sample(p, len(p)),
          lambda p: [*p[:2], *p[:2], *p[2:]]]
def emit(packets):
    if not six: return send(packets)
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW) as s:
        for p in packets: s.sendto(bytes(p), (address, 0))
for n, order in enumerate(orders):
    s = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((source, 20000 + n))
    s.settimeout(5)
    data = os.urandom(9000)
    emit(order(pieces(20000 + n, data, 4000 + n)))
    assert s.recv(65535).endswith(b' ' + data), n
    s.close()
whole = pieces(21000, os.urandom(4000), 5000)
forged = pieces(21000, os.urandom(4000), 5000)[1]
if six: forged[IPv6ExtHdrFragment].offset -= 1
else: forged.frag -= 1
emit([whole[0], forged, *whole[1:]])
print('whole')
"""


# Answers from the address it was asked at, as a server of direct routing has to.
ECHO_SERVER = """
import socket, sys
s = socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 5353))
print('bound', flush=True)
while True:
    data, peer = s.recvfrom(65535)
    s.sendto(b'to ' + data, peer)
"""

# Takes what a client sends until it has no more, and says how much that was.
SINK = """
import socket
s = socket.create_server(('::', 5201), family=socket.AF_INET6, dualstack_ipv6=True)
print('bound', flush=True)
while True:
    peer, _ = s.accept()
    total = 0
    while data := peer.recv(1 << 16): total += len(data)
    peer.sendall(b'%d' % total)
    peer.close()
"""
UPLOAD = """
import socket, sys
s = socket.create_connection((sys.argv[1], 5201), 10)
s.settimeout(30)
s.sendall(bytes(4 << 20))
s.shutdown(socket.SHUT_WR)
print(s.recv(99).decode())
"""


def serve(host, script, *arguments):
    process = host.start("/usr/bin/python3", "-c", script, *arguments, name=f"{host.name}-server")
    eventually(lambda: "bound" in process.output() or not process.running(), what=f"a server on {host.name}")
    assert process.running(), process.output()


def echo(lab, address, port, *sizes, discover=0):
    assert lab.client.run("/usr/bin/python3", "-c", ECHO, address, port, discover, *sizes).stdout.strip() == "whole"


def with_queues(lab, forward):
    """Client, balancer and three servers, two queues an interface; two-armed for NAT, one Ethernet for DR."""
    outside = lab.segment("outside")
    inside = lab.segment("inside") if forward == "nat" else outside
    lab.client = lab.host("client").connect(outside, "198.51.100.2/24", "2001:db8:1::2/64", queues=2)
    lab.lb = lab.host("lb").forward()
    lab.vip4, lab.vip6 = "198.51.100.10", "2001:db8:1::10"
    lab.lb.connect(outside, "198.51.100.1/24", "2001:db8:1::1/64", f"{lab.vip4}/32", f"{lab.vip6}/128", interface="out0", queues=2)
    if forward == "nat":
        lab.lb.connect(inside, "10.0.0.1/24", "2001:db8:2::1/64", interface="in0", queues=2)
    lab.servers = []
    for n in (1, 2, 3):
        if forward == "nat":
            server = lab.host(f"web{n}").connect(inside, f"10.0.0.1{n}/24", f"2001:db8:2::1{n}/64", queues=2)
            server.route("default", "10.0.0.1").route("default", "2001:db8:2::1")
        else:
            server = lab.host(f"web{n}").connect(inside, f"198.51.100.1{n}/24", f"2001:db8:1::1{n}/64", queues=2)
            server.hold_vip(lab.vip4, lab.vip6)
        for own, vip in ((f"10.0.0.1{n}", lab.vip4), (f"2001:db8:2::1{n}", lab.vip6)):
            serve(server, ECHO_SERVER, own if forward == "nat" else vip)
        lab.servers.append(server)


def configuration(lab, forward):
    if forward == "nat":
        return nat([service(f"echo{six}", lab.vip6 if six else lab.vip4, 5353, nat_backends(5353, v6=six), protocol="udp")
                    for six in (False, True)], workers=(0, 1))
    made = dr([service(f"echo{six}", lab.vip6 if six else lab.vip4, 5353,
                       [{"address": f"2001:db8:1::1{n}" if six else f"198.51.100.1{n}"} for n in (1, 2, 3)], protocol="udp", forward="dr")
               for six in (False, True)], workers=(0, 1))
    made["dataplane"]["ports"] = [{"name": "lan", "driver": "af_xdp", "interface": "out0"}]
    return made


@pytest.mark.parametrize("forward", ["nat", "dr"])
def test_datagrams_larger_than_the_link_by_two_workers(lab, forward):
    with_queues(lab, forward)
    torii = Torii(lab.lb, configuration(lab, forward))
    sizes = [1473, 3000, 20_000, 20_000, 20_000, 65_000]
    for vip in (lab.vip4, lab.vip6):
        echo(lab, vip, 5353, *sizes)
        source = "2001:db8:1::2" if vip == lab.vip6 else "198.51.100.2"
        done = lab.client.run("/usr/bin/python3", "-c", SCRAMBLED, vip, source, 5353)
        assert done.stdout.strip() == "whole"
    verdicts = torii.verdicts()
    assert verdicts["drop_fragment_overlap"] == 2 and verdicts["drop_fragment_refused"] >= 2, verdicts
    assert verdicts["drop_fragment_duplicate"] == 4, verdicts
    forwarded = ("direct",) if forward == "dr" else ("nat_request", "nat_reply")
    assert all(verdicts[v] > 2 * sum(sizes) // 1480 for v in forwarded), verdicts
    # A datagram counts as one packet, as in LVS: 6 echoed and 5 scrambled ones, and a part of the refused one.
    rows = [line.split() for line in torii.ipvsadm("-Ln", "--stats", "--exact").splitlines() if line.startswith("UDP")]
    assert [row[3] for row in rows] == ["12", "12"], rows
    assert not [v for v in verdicts if v in ("drop_fragment_timeout", "drop_fragment_full")], verdicts


def test_a_smaller_link_to_the_servers(two_armed):
    """TCP learns of it from ICMP, both ways; without "don't fragment" a datagram leaves in pieces."""
    lab = two_armed
    path, digest = random_file(lab, "big", 4)
    lab.lb.ip("link set in0 mtu 1280")
    server = lab.servers[0]
    server.nginx(80, {"big": path})
    serve(server, ECHO_SERVER, "10.0.0.11")
    serve(server, SINK)
    services = []
    for six, vip in enumerate((lab.vip4, lab.vip6)):
        services += [service(f"up{six}", vip, 5201, nat_backends(5201, [1], v6=six)), service(f"down{six}", vip, 80, nat_backends(80, [1], v6=six))]
    services.append(service("echo", lab.vip4, 5353, nat_backends(5353, [1]), protocol="udp"))
    torii = Torii(lab.lb, nat(services))
    for vip in (lab.vip4, lab.vip6):
        assert lab.client.run("/usr/bin/python3", "-c", UPLOAD, vip).stdout.strip() == str(4 << 20)
        assert downloads(lab, lab.client, vip, "/big", 2, seconds=30)() == [digest] * 2
    verdicts = torii.verdicts()
    assert verdicts["answered_too_big"] >= 2, verdicts
    assert "mtu 1280" in lab.client.ip(f"route get {lab.vip4}").stdout + lab.client.ip(f"-6 route get {lab.vip6}").stdout
    before = torii.verdicts().get("answered_too_big")
    lab.client.ip("route flush cache")
    server.ip("link set eth0 mtu 1280")  # what it answers is no larger either
    echo(lab, lab.vip4, 5353, 1400, 1472, 4000)
    assert torii.verdicts().get("answered_too_big") == before


def test_a_client_behind_a_smaller_link(two_armed):
    """The router's ICMP about a server's packet reaches the server through the balancer."""
    lab = two_armed
    path, digest = random_file(lab, "big", 4)
    far_segment = lab.segment("far")
    router = lab.host("router").connect(lab.hosts[0], "198.51.100.254/24", "2001:db8:1::fe/64").connect(far_segment, "203.0.113.1/24", "2001:db8:9::1/64")
    router.forward().ip("link set eth1 mtu 1280")
    far = lab.host("far-client").connect(far_segment, "203.0.113.2/24", "2001:db8:9::2/64")
    far.route("default", "203.0.113.1").route("default", "2001:db8:9::1")
    lab.lb.route("203.0.113.0/24", "198.51.100.254").route("2001:db8:9::/64", "2001:db8:1::fe")
    for server in lab.servers:
        server.nginx(80, {"big": path})
    torii = Torii(lab.lb, nat([service("four", lab.vip4, 80, nat_backends(80)), service("six", lab.vip6, 80, nat_backends(80, v6=True))]))
    for vip in (lab.vip4, lab.vip6):
        assert downloads(lab, far, vip, "/big", 3, seconds=40)() == [digest] * 3
    assert torii.verdicts()["icmp_related"] >= 2, torii.verdicts()
