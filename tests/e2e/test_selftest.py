"""The topology of the kernel's own IPVS selftest, with torii as the director, driven by ipvsadm alone.

    client 198.51.100.2 --- outside --- director --- inside --- server 10.0.0.11
                               |                                  |
                               +------- 198.51.100.11 (dr, tunnel: straight back) 

NAT, direct routing and every tunnel; IPv4 and IPv6; TCP both ways, UDP datagrams and an SCTP download, byte for byte.
The server's kernel needs no tunnel modules and neither end SCTP: see decapsulate.py and sctp_peer.py.
"""
import pathlib

import pytest

import lab as _lab
from lab import Torii, eventually
from recipes import Sniffer, nat

HERE = pathlib.Path(__file__).resolve().parent
PYTHON = "/usr/bin/python3"
ECHO, STREAM, GUE = 7007, 2905, 6080
VIP4, VIP6 = "198.51.100.10", "2001:db8:1::10"
REAL4, REAL6 = "10.0.0.11", "2001:db8:2::11"
OPTIONS = {"tcp": "-t", "udp": "-u", "sctp": "--sctp-service"}
PORTS = {"tcp": ECHO, "udp": ECHO, "sctp": STREAM}

TUNNELS = {
    "ipip": ["--tun-type", "ipip"],
    "gue": ["--tun-type", "gue", "--tun-port", str(GUE), "--tun-nocsum"],
    "gue-csum": ["--tun-type", "gue", "--tun-port", str(GUE), "--tun-csum"],
    "gue-remcsum": ["--tun-type", "gue", "--tun-port", str(GUE), "--tun-remcsum"],
    "gre": ["--tun-type", "gre", "--tun-nocsum"],
    "gre-csum": ["--tun-type", "gre", "--tun-csum"],
}


def at(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


class Selftest:
    """The three machines; `content` is what the SCTP download must bring."""

    def __init__(self, lab):
        self.lab = lab
        outside, inside = lab.segment("outside"), lab.segment("inside")
        self.client = lab.host("client").connect(outside, "198.51.100.2/24", "2001:db8:1::2/64")
        self.director = lab.host("director").forward()
        self.director.connect(outside, "198.51.100.1/24", "2001:db8:1::1/64", f"{VIP4}/32", f"{VIP6}/128", interface="out0")
        self.director.connect(inside, "10.0.0.1/24", "2001:db8:2::1/64", interface="in0")
        self.server = lab.host("server").connect(inside, f"{REAL4}/24", f"{REAL6}/64", interface="in0")
        self.server.connect(outside, interface="out0")
        self.server.sysctl("net.ipv4.conf.all.arp_ignore=1", "net.ipv4.conf.all.arp_announce=2")
        self.content = (HERE / "sctp_peer.py").read_bytes() * 8
        (lab.directory / "content").write_bytes(self.content)
        self.torii = Torii(self.director, nat([]))

    def answer_through_the_director(self, **sizes):
        self.server.ip("link set out0 down")
        self.server.route("default", "10.0.0.1").route("default", "2001:db8:2::1")
        self.serve([REAL4, REAL6], **sizes)

    def answer_straight(self):
        for address in ("198.51.100.11/24", "2001:db8:1::11/64"):
            self.server.ip(f"addr add {address} dev out0" + (" nodad" if ":" in address else ""))
        self.server.hold_vip(VIP4, VIP6)
        tunnels = self.server.start(PYTHON, HERE / "decapsulate.py", "tun0", GUE, name="decapsulate")
        eventually(lambda: "ready" in tunnels.output(), what="the far end of the tunnels")
        self.server.ip("link set tun0 up")
        self.serve([VIP4, VIP6])
        return tunnels

    def serve(self, addresses, piece=1200, cookie=8):
        self.server.start(PYTHON, HERE / "echo_peer.py", "serve", ECHO, name="echo")
        stream = self.server.start(PYTHON, HERE / "sctp_peer.py", "serve", STREAM, self.lab.directory / "content", piece, cookie, *addresses,
                                   name="stream")
        eventually(lambda: self.server.listening(ECHO) and self.server.listening(ECHO, "udp"), what="echo")
        eventually(lambda: "ready" in stream.output(), what="the stream server")

    def add(self, protocol, vip, real, *how):
        service = [OPTIONS[protocol], at(vip, PORTS[protocol])]
        self.torii.ipvsadm("-A", *service, "-s", "rr")
        self.torii.ipvsadm("-a", *service, "-r", at(real, PORTS[protocol]), *how)

    def clear(self):
        self.torii.ipvsadm("-C")

    def transfer(self, protocol, vip, size=200_000):
        """Whole files; an exception when one byte differs."""
        if protocol == "sctp":
            self.fetch(vip, STREAM)
        else:
            self.client.run(PYTHON, HERE / "echo_peer.py", "compare", protocol, vip, ECHO, size)

    def fetch(self, vip, port):
        target = self.lab.directory / "fetched"
        local = "2001:db8:1::2" if ":" in vip else "198.51.100.2"
        self.client.run(PYTHON, HERE / "sctp_peer.py", "fetch", local, vip, port, target)
        assert target.read_bytes() == self.content
        target.unlink()

    def ready(self):
        self.torii.wait()


@pytest.fixture
def selftest(lab):
    return Selftest(lab)


def test_nat(selftest):
    selftest.answer_through_the_director()
    for vip, real in ((VIP4, REAL4), (VIP6, REAL6)):
        for protocol in OPTIONS:
            selftest.add(protocol, vip, real, "-m")
    selftest.ready()
    for vip in (VIP4, VIP6):
        for protocol in OPTIONS:
            selftest.transfer(protocol, vip)
    verdicts = selftest.torii.verdicts()
    assert verdicts["nat_request"] > 600 and verdicts["nat_reply"] > 600, verdicts
    states = selftest.torii.ipvsadm("-Lnc")
    assert "SCTP" in states and "UDP" in states, states


def test_sctp_in_fragments_by_nat_to_another_port(selftest):
    """The cookie and the data are larger than the link: both directions, with checksums over the whole."""
    selftest.answer_through_the_director(piece=4000, cookie=5000)
    for vip, real in ((VIP4, REAL4), (VIP6, REAL6)):
        service = [OPTIONS["sctp"], at(vip, STREAM + 1)]
        selftest.torii.ipvsadm("-A", *service, "-s", "rr")
        selftest.torii.ipvsadm("-a", *service, "-r", at(real, STREAM), "-m")
    selftest.ready()
    for vip in (VIP4, VIP6):
        selftest.fetch(vip, STREAM + 1)
    verdicts = selftest.torii.verdicts()
    assert verdicts["nat_request"] > 2 * 4 and verdicts["nat_reply"] > 2 * len(selftest.content) // 1500, verdicts


def test_direct_routing(selftest):
    selftest.answer_straight()
    for vip, real in ((VIP4, REAL4), (VIP6, REAL6)):
        for protocol in OPTIONS:
            selftest.add(protocol, vip, real, "-g")
    selftest.ready()
    for vip in (VIP4, VIP6):
        for protocol in OPTIONS:
            selftest.transfer(protocol, vip)
    verdicts = selftest.torii.verdicts()
    assert verdicts["direct"] > 600 and not {"nat_request", "nat_reply"} & verdicts.keys(), verdicts


@pytest.mark.parametrize("kind", TUNNELS)
def test_tunnel(selftest, kind):
    """Every outer family for every inner one. TCP uploads start with segments that do not fit."""
    far_end = selftest.answer_straight()
    for real in (REAL4, REAL6):
        for vip in (VIP4, VIP6):
            for protocol in OPTIONS:
                selftest.add(protocol, vip, real, "-i", *TUNNELS[kind])
        selftest.ready()
        assert selftest.torii.ipvsadm("-Ln").count("Tunnel") == 6
        for vip in (VIP4, VIP6):
            for protocol in OPTIONS:
                selftest.transfer(protocol, vip, size=100_000)
        listed = selftest.torii.ipvsadm("-Lnc").splitlines()
        for vip in (VIP4, VIP6):
            assert any(f"{vip}" in row and f"{real}" in row for row in listed), (vip, real, listed)
        selftest.clear()
    verdicts = selftest.torii.verdicts()
    assert verdicts["tunnel"] > 600 and verdicts["answered_too_big"] >= 2, verdicts
    assert not {"direct", "nat_request", "nat_reply"} & verdicts.keys(), verdicts
    assert far_end.output().strip() == "ready", far_end.output()  # nothing was wrong with any packet


@pytest.mark.parametrize("kind", ["ipip", "gue", "gre-csum"])
def test_datagrams_in_fragments_go_through_tunnels(selftest, kind):
    """Fragments fill the link, so that with a tunnel's headers they do not fit: of IPv4 ones the tunnel's packet is cut
    up, whoever sends IPv6 ones is told."""
    far_end = selftest.answer_straight()
    for real, vips in ((REAL4, (VIP4, VIP6)), (REAL6, (VIP4, VIP6))):
        for vip in vips:
            selftest.add("udp", vip, real, "-i", *TUNNELS[kind])
        selftest.ready()
        for vip in vips:
            for size in (2000, 9000):
                selftest.client.run(PYTHON, HERE / "echo_peer.py", "compare", "udp", vip, ECHO, size, size)
        selftest.clear()
    verdicts = selftest.torii.verdicts()
    assert verdicts["tunnel"] > 3 * (2000 + 9000) // 1500 and verdicts["answered_too_big"] >= 1, verdicts
    assert far_end.output().strip() == "ready", far_end.output()


def test_an_error_from_a_tunnel_reaches_the_client(selftest):
    """The server has no GUE socket: its port unreachable about the tunnel becomes one about the client's packet.

    With a checksum, because Linux says nothing about IPv6 datagrams that come without."""
    selftest.answer_through_the_director()
    for vip, real in ((VIP4, REAL4), (VIP6, REAL6)):
        selftest.add("udp", vip, real, "-i", "--tun-type", "gue", "--tun-port", "6099", "--tun-csum")
    selftest.ready()
    for vip in (VIP4, VIP6):
        sniffer = Sniffer(selftest.client, "eth0", f"{'icmp6' if ':' in vip else 'icmp'} and src {vip}")
        done = selftest.client.run(PYTHON, HERE / "echo_peer.py", "compare", "udp", vip, ECHO, 100, check=False)
        assert "ConnectionRefusedError" in done.stderr, done.stderr
        assert any("unreachable" in line for line in sniffer.stop())
    assert selftest.torii.verdicts()["icmp_related"] == 2
