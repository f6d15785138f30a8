"""torii beside Debian's keepalived and FRR's vrrpd on one wire, in either role; a client's cache follows each time."""
import json

import pytest
from scapy.all import IP, IPv6, Ether, rdpcap
from scapy.layers.vrrp import VRRP, VRRPv3
from scapy.utils import checksum

from lab import eventually
from vrrp_lab import Pair, VIP, instance
from vrrp_peers import Frr, Keepalived

V4, V6, VIP6 = [f"{VIP}/24"], ["fe80::100/64", "2001:db8::100/64"], "2001:db8::100"

V2 = {"version": 2, "interval": "1s", "missed_adverts": 2}  # or the tests would take minutes

# name: (what torii says besides name, interface, router_id and priority, what the peer says)
WIRES = {
    "v3": ({"interval": "100ms"}, {"interval": 0.1}),
    "v3-unicast": ({"interval": "100ms", "peers": ["10.0.0.12"]}, {"interval": 0.1, "peers": ["10.0.0.11"]}),
    "v3-ipv6": ({"interval": "100ms", "addresses": V6}, {"interval": 0.1}),
    "v3-ipv6-unicast": ({"interval": "100ms", "addresses": V6, "peers": ["2001:db8::12"], "source": "2001:db8::11"},
                        {"interval": 0.1, "peers": ["2001:db8::11"]}),
    "v2": (V2, {"version": 2, "interval": 1}),
    "v2-unicast": ({**V2, "peers": ["10.0.0.12"]}, {"version": 2, "interval": 1, "peers": ["10.0.0.11"]}),
    "v2-pass": ({**V2, "authentication": {"type": "pass", "secret": "geheim"}},
                {"version": 2, "interval": 1, "password": "geheim"}),
}


class Wire:
    """torii as 10.0.0.11 and somebody else's router as 10.0.0.12, which has priority 100."""

    def __init__(self, lab, kind, ours, theirs, priority=150, peer_priority=100):
        addresses = ours.get("addresses", V4)
        self.pair = Pair(lab, VIP6 if addresses == V6 else VIP)
        self.ours = ours
        self.a = self.pair.add("a", priority, start=False, **ours)
        self.b = kind(self.pair, "b", 12, peer_priority, **{"addresses": addresses, **theirs})

    def reload(self, priority, **more):
        self.a.torii.reload({"vrrp": {"instances": [instance(priority, **{**self.ours, **more})]}})

    def active(self, who, seconds=15):
        """That one has the address, and the other one waits; the client finds it there."""
        other = self.b if who is self.a else self.a
        who.becomes("active", seconds)
        if other is self.b and self.b.process_runs():
            other.becomes("backup", seconds)
        eventually(lambda: who.holds() and not other.holds(), seconds, f"{who.name} alone has the address")
        self.pair.client_knows(who, seconds)


def walk(wire):
    """From one to the other and back: silence, priority 0 of either, and, where that takes no seconds, a stronger router's
    return and a change of priority."""
    wire.a.start().becomes("active", 15)
    wire.pair.announced()
    wire.b.start().becomes("backup")
    if isinstance(wire.b, Frr):  # its link was up, and answered, until its daemons ran
        eventually(lambda: not wire.b.holds(), 5)
        wire.pair.client.ip(f"neigh flush to {wire.pair.vip} dev eth0")
        wire.pair.announced()
    wire.active(wire.a)
    wire.a.torii.daemon.stop()  # priority 0
    wire.active(wire.b)
    if wire.ours.get("version") == 2:
        wire.a.torii.write({"vrrp": {"instances": [instance(220, **wire.ours)]}})
        wire.a.start().becomes("backup")
        eventually(lambda: wire.a.vrrp()["received"] > 1, 5)
    else:
        wire.a.start()
        wire.active(wire.a)
        wire.reload(50)
    wire.active(wire.b)
    assert wire.a.state() == "backup"
    wire.b.stop()  # priority 0
    wire.active(wire.a)
    eventually(lambda: wire.a.vrrp()["resignations_received"] >= 1, 5)
    after = wire.a.vrrp()
    assert after["reason"] == "resigned", after
    assert not {name: n for name, n in after["refused"].items() if n}, "each understood every word of the other"


def priorities(name):
    """High ones in version 2, where they shorten a takeover."""
    return {"priority": 254, "peer_priority": 240} if name.startswith("v2") else {}


@pytest.mark.parametrize("name", [name for name in WIRES if name != "v2"])
def test_keepalived(lab, name):
    walk(Wire(lab, Keepalived, *WIRES[name], **priorities(name)))


@pytest.mark.parametrize("name", ["v3", "v3-ipv6", "v2"])
def test_frr(lab, name):
    walk(Wire(lab, Frr, *WIRES[name], **priorities(name)))


def isolate(port, segment, on):
    segment.ip(f"link set {port} type bridge_slave isolated {'on' if on else 'off'}")


@pytest.mark.parametrize("kind", [Keepalived, Frr])
def test_of_equals_the_one_that_is_there_stays_and_of_two_that_are_the_higher_address(lab, kind):
    wire = Wire(lab, kind, *WIRES["v3"], priority=100)
    wire.a.start().becomes("active")
    wire.pair.announced()
    wire.b.start().becomes("backup")
    wire.active(wire.a)
    for r in (wire.a, wire.b):
        isolate(r.port, r.segment, True)
    wire.b.becomes("active")
    for r in (wire.a, wire.b):
        isolate(r.port, r.segment, False)
    wire.active(wire.b)
    eventually(lambda: wire.a.vrrp()["active_router"] == "10.0.0.12", 5)
    assert wire.a.state() == "backup"


def test_a_cut_heals_to_the_stronger_one(lab):
    wire = Wire(lab, Keepalived, {"interval": "100ms"}, {"interval": 0.1, "more": "higher_prio_send_advert true"})
    wire.a.start().becomes("active")
    wire.pair.announced()
    wire.b.start().becomes("backup")
    for r in (wire.a, wire.b):
        isolate(r.port, r.segment, True)
    wire.b.becomes("active")
    wire.pair.client_knows(wire.b)
    for r in (wire.a, wire.b):
        isolate(r.port, r.segment, False)
    wire.active(wire.a)


@pytest.mark.parametrize("kind", [Keepalived, Frr])
def test_without_preemption_the_weaker_one_that_is_there_stays(lab, kind):
    wire = Wire(lab, kind, {"interval": "100ms", "preempt": {"enabled": False}}, {"interval": 0.1})
    wire.b.start().becomes("active")
    wire.pair.announced()
    wire.a.start().becomes("backup")
    eventually(lambda: wire.a.vrrp()["received"] > 10, 5)
    wire.active(wire.b)
    assert wire.a.vrrp()["transitions"]["active"] == 0


@pytest.mark.parametrize("kind, more", [(Keepalived, "nopreempt"), (Frr, ["no vrrp 51 preempt"])])
def test_others_without_preemption_leave_a_weaker_torii_alone(lab, kind, more):
    wire = Wire(lab, kind, {"interval": "100ms"}, {"interval": 0.1, "more": more}, priority=100, peer_priority=150)
    wire.a.start().becomes("active")
    wire.pair.announced()
    wire.b.start().becomes("backup")
    before = wire.a.vrrp()["sent"]
    eventually(lambda: wire.a.vrrp()["sent"] > before + 10, 5)
    wire.active(wire.a)
    after = wire.a.vrrp()
    assert after["transitions"]["active"] == 1 and after["received"] == 0, "it never spoke"


def test_another_interval_is_adopted_in_version_3(lab):
    wire = Wire(lab, Keepalived, {"interval": "100ms"}, {"interval": 0.3}, priority=50)
    wire.b.start().becomes("active")
    wire.pair.announced()
    wire.a.start().becomes("backup")
    eventually(lambda: wire.a.vrrp()["active_interval_us"] == 300000, 5)
    wire.active(wire.b)
    wire.reload(150)
    wire.active(wire.a)
    assert not {name: n for name, n in wire.a.vrrp()["refused"].items() if n}


def test_another_interval_is_refused_in_version_2(lab):
    wire = Wire(lab, Keepalived, {"version": 2, "interval": "2s"}, {"version": 2, "interval": 1}, peer_priority=254)
    wire.a.start()
    wire.b.start()
    eventually(lambda: wire.a.vrrp()["refused"]["interval"] > 0, 10)
    assert wire.a.vrrp()["received"] == 0


def test_another_list_of_addresses_counts_in_version_3(lab):
    wire = Wire(lab, Keepalived, {"interval": "100ms", "addresses": [*V4, "10.0.0.101/24"]}, {"addresses": V4, "interval": 0.1}, priority=50)
    wire.b.start().becomes("active")
    wire.pair.announced()
    wire.a.start().becomes("backup")
    eventually(lambda: wire.a.vrrp()["received"] > 10, 5)
    wire.active(wire.b)
    assert wire.a.vrrp()["transitions"]["active"] == 0


@pytest.mark.parametrize("kind", [Keepalived, Frr])
def test_torii_with_another_list_of_addresses_stays_active_in_version_3(lab, kind):
    """keepalived refuses it and takes the address too, without a word that could be heard: refreshing helps the client."""
    wire = Wire(lab, kind, {"interval": "100ms", "addresses": [*V4, "10.0.0.101/24"], "garp": {"refresh": "1s"}},
                {"addresses": V4, "interval": 0.1})
    wire.a.start().becomes("active")
    wire.pair.announced()
    wire.b.start()
    before = wire.a.vrrp()["sent"]
    eventually(lambda: wire.a.vrrp()["sent"] > before + 10, 5)
    wire.pair.client_knows(wire.a)
    after = wire.a.vrrp()
    assert after["state"] == "active" and after["transitions"]["active"] == 1 and wire.a.holds(), after
    if kind is Keepalived:
        assert "unexpected ip number count" in wire.b.output(), wire.b.output()
    else:
        assert wire.b.says() == "backup"


def test_another_list_of_addresses_is_refused_in_version_2(lab):
    wire = Wire(lab, Keepalived, {"version": 2, "interval": "1s", "addresses": [*V4, "10.0.0.101/24"]},
                {"version": 2, "interval": 1, "addresses": V4}, priority=50, peer_priority=254)
    wire.b.start()
    wire.a.start()
    # Once: keepalived begins its second anew with everything that it refuses, and so is silent from then on.
    eventually(lambda: wire.a.vrrp()["refused"]["addresses"] > 0, 10)
    assert wire.a.vrrp()["received"] == 0
    eventually(lambda: "unexpected ip number count" in wire.b.output(), 5, "it does not like ours either")
    assert wire.a.state() == "active", "neither hears the other"


def sound(packet):
    """What scapy finds wrong with a VRRP packet, or nothing."""
    if IPv6 in packet:
        ip, hops, tclass = packet[IPv6], packet[IPv6].hlim, packet[IPv6].tc
    else:
        ip, hops, tclass = packet[IP], packet[IP].ttl, packet[IP].tos
        raw = bytes(ip)[:ip.ihl * 4]
        if checksum(raw) != 0:
            return "IP checksum"
    layer = packet[VRRPv3] if VRRPv3 in packet else packet[VRRP] if VRRP in packet else None
    if layer is None or (hops, tclass) != (255, 0xc0):
        return f"decoded as {packet.summary()}, {hops} {tclass:#x}"
    if layer.type != 1 or layer.vrid != 51 or layer.ipcount != len(layer.addrlist):
        return layer.show(dump=True)
    said = layer.chksum
    again = packet.copy()
    again[layer.__class__].chksum = None
    rebuilt = Ether(bytes(again))
    return "" if rebuilt[layer.__class__].chksum == said else f"checksum {said:#x}, scapy {rebuilt[layer.__class__].chksum:#x}"


@pytest.mark.parametrize("name", ["v3", "v3-ipv6", "v3-unicast", "v3-ipv6-unicast", "v2-pass"])
def test_tcpdump_and_scapy_find_no_fault(lab, name):
    ours = WIRES[name][0]
    p = Pair(lab, VIP6 if ours.get("addresses") == V6 else VIP)
    a = p.add("a", 254, start=False, **ours)
    other = lab.host("other").connect(p.lan, "10.0.0.12/24", "2001:db8::12/64")  # where unicast goes
    file = lab.directory / "wire.pcap"
    capture = other.start("tcpdump", "-U", "-i", "eth0", "-w", file, "proto 112 or arp or (icmp6 and ip6[40] = 136)")
    eventually(lambda: "listening" in capture.output(), 5)
    a.start().becomes("active", 15)
    eventually(lambda: a.vrrp()["sent"] >= 2, 10)
    a.torii.daemon.stop()
    adverts = eventually(lambda: (found := of_vrrp(file)) and priority(found[-1]) == 0 and found, 5, "priority 0 was captured")
    assert len(adverts) >= 3
    for packet in adverts:
        assert sound(packet) == ""
        assert (packet[Ether].src, packet[Ether].dst, addressed(packet)) == where(a, other, ours)
    text = other.run("tcpdump", "-nnvvr", file, "proto 112").stdout
    assert text.count("vrid 51") == len(adverts) and "prio 254" in text and "prio 0" in text, text
    for fault in ("bad", "invalid", "truncated", "[|", "wrong"):
        assert fault not in text.lower(), text
    if "authentication" in ours:
        assert 'authtype simple' in text and '"geheim' in text, text


def addressed(packet):
    return packet[IPv6].dst if IPv6 in packet else packet[IP].dst


def where(a, other, ours):
    """Link source and destination, and destination, of every packet of a's."""
    if "peers" in ours:
        return a.mac, json.loads(other.run("ip", "-j", "link", "show", "eth0").stdout)[0]["address"], ours["peers"][0]
    return (a.mac, "33:33:00:00:00:12", "ff02::12") if ours.get("addresses") == V6 else (a.mac, "01:00:5e:00:00:12", "224.0.0.18")


def of_vrrp(file):
    return [packet for packet in rdpcap(str(file)) if (packet[IP].proto if IP in packet else packet[IPv6].nh if IPv6 in packet else 0) == 112]


def priority(packet):
    return bytes(packet[IPv6].payload if IPv6 in packet else packet[IP].payload)[2]
