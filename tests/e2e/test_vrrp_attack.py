"""What somebody on the same Ethernet sends: counted by what is wrong with it, and of no consequence."""
import time

import pytest
from scapy.all import IP, Ether, rdpcap
from scapy.layers.vrrp import VRRPv3

from lab import BIN, eventually
from vrrp_lab import GROUP_MAC, Pair, VIP

ATTACKER = "10.0.0.66"


@pytest.fixture
def attacked(lab):
    lab.pair = Pair(lab)
    lab.a, lab.b = lab.pair.add("a", 150), lab.pair.add("b", 100)
    lab.attacker = lab.host("attacker").connect(lab.pair.lan, f"{ATTACKER}/24")
    lab.pair.settled(lab.a)
    return lab


def advert(priority=254, source=ATTACKER, ttl=255, damage=None, addresses=(VIP,), router_id=51, interval=10):
    vrrp = VRRPv3(vrid=router_id, priority=priority, addrlist=list(addresses), adv=interval)
    packet = Ether(src="02:00:00:00:00:66", dst=GROUP_MAC) / IP(src=source, dst="224.0.0.18", ttl=ttl, proto=112) / vrrp
    frame = bytearray(bytes(packet))
    if damage:
        damage(frame)
    return frame.hex()


def poke(offset, value):
    def damage(frame):
        frame[offset] = value
    return damage


VRRP = 34  # where the message begins in the frame


def shoot(lab, frames, rate=1000, seconds=0.2):
    done = lab.attacker.run(BIN / "frame_cannon", "eth0", rate, seconds, input="\n".join(frames))
    return int(done.stdout)


def refused(router):
    return {name: count for name, count in router.vrrp()["refused"].items() if count}


def cut(size):
    def damage(frame):
        del frame[VRRP + size:]
        frame[16:18] = (20 + size).to_bytes(2, "big")
        frame[24:26] = b"\0\0"
        total = sum(int.from_bytes(frame[i:i + 2], "big") for i in range(14, 34, 2))
        while total >> 16:
            total = (total & 0xffff) + (total >> 16)
        frame[24:26] = (~total & 0xffff).to_bytes(2, "big")
    return damage


# Its own source address is none of them: the kernel drops such packets before anybody sees them.
WRONG = {
    "ttl": advert(ttl=254),
    "truncated": advert(damage=cut(6)),
    "version": advert(damage=poke(VRRP, 0x41)),
    "type": advert(damage=poke(VRRP, 0x32)),
    "length": advert(damage=poke(VRRP + 3, 2)),
    "checksum": advert(damage=poke(VRRP + 6, 0xee)),
}


def test_what_is_wrong_is_counted_by_its_name(attacked):
    before, told = attacked.a.vrrp(), {}
    for reason, frame in WRONG.items():
        told[reason] = shoot(attacked, [frame])
        eventually(lambda: refused(attacked.a) == told, 5, f"{told}: {refused(attacked.a)}")
    after = attacked.a.vrrp()
    assert after["transitions"] == before["transitions"] and after["state"] == "active"
    assert attacked.b.state() == "backup"


def test_a_flood_of_bad_adverts_changes_nothing(attacked):
    frames = [advert(ttl=1), advert(damage=poke(VRRP + 6, 0xee)), advert(damage=poke(VRRP, 0x41)), advert(damage=cut(4)),
              advert(source="10.0.0.11"), advert(router_id=99)]
    a, b = attacked.a.vrrp(), attacked.b.vrrp()
    shot = shoot(attacked, frames, rate=100000, seconds=3)
    time.sleep(0.6)  # the counters are looked at twice a second
    after_a, after_b = attacked.a.vrrp(), attacked.b.vrrp()
    assert shot > 30000, "that was no flood"
    assert after_a["transitions"] == a["transitions"] and after_b["transitions"] == b["transitions"]
    assert after_a["late"] == a["late"], after_a["lateness"]
    assert after_a["sent"] - a["sent"] >= 25
    assert sum(refused(attacked.a).values()) > 0 and "router_id" not in refused(attacked.a), "dropped by the kernel"


def test_a_replayed_advert_of_a_weaker_router_costs_the_active_one_nothing(attacked):
    before = attacked.a.vrrp()
    shoot(attacked, [advert(priority=100, source="10.0.0.12")], rate=1000, seconds=1)
    after = attacked.a.vrrp()
    assert after["transitions"] == before["transitions"] and after["weaker"] > before["weaker"]
    assert after["sent"] - before["sent"] < 200, "a weaker one cannot make it speak at will"


@pytest.fixture
def recorded(attacked):
    """What the active router has said so far on this wire, by priority: its adverts, and its resignation."""
    file = attacked.directory / "wire.pcap"
    capture = attacked.attacker.start("tcpdump", "-U", "-i", "eth0", "-w", file, "src host 10.0.0.11 and proto 112")
    eventually(lambda: "listening" in capture.output(), 5)
    attacked.a.torii.daemon.stop()

    def frames():
        # From the attacker's own link address: bridges would take another one for a router that has moved.
        return {bytes(f)[VRRP + 2]: (bytes(f)[:6] + bytes.fromhex("020000000066") + bytes(f)[12:]).hex() for f in rdpcap(str(file))}
    attacked.frames = eventually(lambda: (found := frames()).keys() >= {0} and found, 5, "its resignation was recorded")
    attacked.a.start()
    attacked.frames = eventually(lambda: (found := frames()).keys() >= {0, 150} and found, 10, "its adverts were recorded")
    attacked.pair.settled(attacked.a)
    attacked.pair.announced()
    return attacked


def test_replayed_adverts_of_the_active_router_change_nothing(recorded):
    a, b = recorded.a.vrrp(), recorded.b.vrrp()
    shot = shoot(recorded, [recorded.frames[150]], seconds=0.5)
    eventually(lambda: recorded.b.vrrp()["received"] >= b["received"] + shot, 5, "they are heard as if it had said them")
    after_a, after_b = recorded.a.vrrp(), recorded.b.vrrp()
    assert after_a["transitions"] == a["transitions"] and after_b["transitions"] == b["transitions"]
    assert after_a["late"] == a["late"] and after_a["received"] == a["received"], "nobody hears his own words"


def test_a_replayed_resignation_costs_no_request_and_the_active_router_nothing(recorded):
    """VRRP cannot tell it from a true one: the backup may try, and is told better by the next advert."""
    a, b = recorded.a.vrrp(), recorded.b.vrrp()
    with recorded.pair.probe() as probe:
        time.sleep(0.1)
        shot = shoot(recorded, [recorded.frames[0]], rate=5, seconds=1)
        eventually(lambda: recorded.b.vrrp()["resignations_received"] == b["resignations_received"] + shot, 5, "counted by name")
        recorded.pair.settled(recorded.a)
        recorded.pair.client_knows(recorded.a)
    assert probe.end().longest() < 0.1, "both have the address for that while"
    assert recorded.a.vrrp()["transitions"] == a["transitions"]
    assert recorded.b.vrrp()["transitions"]["active"] - b["transitions"]["active"] <= shot


def test_unicast_peers_are_the_only_ones_heard(lab):
    p = Pair(lab)
    a = p.add("a", 150, peers=["10.0.0.12"])
    b = p.add("b", 100, peers=["10.0.0.11"])
    lab.attacker = lab.host("attacker").connect(p.lan, f"{ATTACKER}/24")
    p.settled(a)
    eventually(lambda: b.vrrp()["active_router"] == "10.0.0.11", 5)
    shot = shoot(lab, [advert()])
    eventually(lambda: refused(b).get("destination", 0) == shot, 5, f"{refused(b)}")
    vrrp = VRRPv3(vrid=51, priority=254, addrlist=[VIP], adv=10)
    frame = bytes(Ether(src="02:00:00:00:00:66", dst=b.mac) / IP(src=ATTACKER, dst="10.0.0.12", ttl=255, proto=112) / vrrp).hex()
    shot = shoot(lab, [frame])
    eventually(lambda: refused(b).get("peer", 0) == shot, 5, f"{refused(b)}")
    assert b.state() == "backup" and a.state() == "active"
