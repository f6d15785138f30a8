"""Notification, tracking, groups, virtual MAC, IPv6, version 2: one router or two on one Ethernet."""
import json
import os
import signal
import subprocess
import time

import pytest

from lab import BIN, eventually
from vrrp_lab import Pair, VIP, instance


def script(lab, name, text):
    path = lab.directory / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


def test_notify_programs_run_in_order_once_for_each_transition(lab):
    log = lab.directory / "log"
    note = script(lab, "note", f'sleep 0.3; echo "$TORII_VRRP_STATE $*" >> {log}')
    fifo = lab.directory / "fifo"
    p = Pair(lab)
    notify = {"active": [note, "up"], "backup": [note], "stop": [note], "any": [note, "any"]}
    a = p.add("a", 100, configuration={"vrrp": {"fifo": str(fifo), "instances": [instance(100, notify=notify)]}})
    events = subprocess.Popen(["ip", "netns", "exec", a.host.namespace, BIN / "torii", "-i", a.torii.instance, "events"],
                              stdout=subprocess.PIPE, text=True)
    try:
        a.becomes("active")
        eventually(lambda: len(lines(log)) == 4, 10, f"four notes: {lines(log)}")
        with open(fifo) as pipe:
            assert pipe.readline() == 'INSTANCE "edge" BACKUP 100\n'
            assert pipe.readline() == 'INSTANCE "edge" MASTER 100\n'
            assert a.torii.daemon.stop(signal.SIGTERM) == 0
            assert pipe.readline() == 'INSTANCE "edge" STOP 100\n'
        assert lines(log) == ["backup ", "backup any INSTANCE edge BACKUP 100", "active up", "active any INSTANCE edge MASTER 100",
                              "stop ", "stop any INSTANCE edge STOP 100"], "in order, and none is left out at the end"
        told = [json.loads(line) for line in events.stdout.read().splitlines() if line]
        assert ("active", "transition") in [(e["state"], e["event"]) for e in told], told
    finally:
        events.kill()
        events.wait()


def test_a_notify_program_that_hangs_is_killed_and_does_not_hold_up_adverts(lab):
    log = lab.directory / "log"
    hang = script(lab, "hang", f"echo begun >> {log}; sleep 1000")
    note = script(lab, "note", f"echo active >> {log}")
    p = Pair(lab)
    a = p.add("a", 100, notify={"backup": [hang], "active": [note], "timeout": "1s"})
    a.becomes("active")
    eventually(lambda: lines(log) == ["begun", "active"], 10, "the next one runs when the first was killed")
    eventually(lambda: a.vrrp()["sent"] > 10, 5)


def test_a_tracked_script_moves_the_priority_and_the_peer_takes_over(lab):
    good = lab.directory / "good"
    good.touch()
    check = script(lab, "check", f"test -e {good}")
    p = Pair(lab)
    scripts = [{"command": [check], "interval": "200ms", "fall": 2, "weight": -60}]
    a, b = p.add("a", 150, track={"scripts": scripts}), p.add("b", 100)
    p.settled(a)
    good.unlink()
    p.settled(b)
    assert a.vrrp()["priority"] == 90 and any("check" in i for i in a.vrrp()["influences"])
    good.touch()
    p.settled(a)


def test_a_tracked_script_of_no_weight_is_a_fault_and_is_waited_for(lab):
    good = lab.directory / "good"
    check = script(lab, "check", f"test -e {good}")
    p = Pair(lab)
    a = p.add("a", 150, track={"scripts": [{"command": [check], "interval": "200ms"}]})
    a.becomes("fault")
    good.touch()
    a.becomes("active")
    good.unlink()
    a.becomes("fault")
    assert not a.holds()


def test_files_processes_and_interfaces_are_tracked(lab):
    number = lab.directory / "number"
    number.write_text("0\n")
    p = Pair(lab)
    track = {"files": [{"path": str(number), "weight": 1}], "processes": [{"name": "torii-tracked", "weight": 10}],
             "interfaces": [{"name": "watched", "weight": -30}]}
    a = p.add("a", 150, track=track, start=False)
    a.host.ip("link add watched type veth peer name other")
    a.host.ip("link set other up")
    a.start().becomes("active")
    eventually(lambda: a.vrrp()["priority"] == 120, 5, "it is down")
    a.host.ip("link set watched up")
    eventually(lambda: a.vrrp()["priority"] == 150, 5, "it is up")
    number.write_text("-20")
    eventually(lambda: a.vrrp()["priority"] == 130, 5, "the file says -20")
    (lab.directory / "torii-tracked").symlink_to("/bin/sleep")
    process = a.host.start(lab.directory / "torii-tracked", "100")
    eventually(lambda: a.vrrp()["priority"] == 140, 5, "the process runs")
    process.stop(signal.SIGKILL)
    eventually(lambda: a.vrrp()["priority"] == 130, 5, "the process is gone")
    assert a.state() == "active" and a.vrrp()["transitions"]["active"] == 1


def test_a_group_moves_together(lab):
    lan = lab.segment("inside")
    p = Pair(lab)
    routers = []
    for n, (name, priority) in enumerate((("a", 150), ("b", 100))):
        inside = {"name": "inside", "interface": "eth1", "router_id": 52, "priority": priority, "interval": "100ms", "addresses": ["10.1.0.100/24"]}
        r = p.add(name, priority, start=False, configuration={"vrrp": {
            "groups": [{"name": "both", "members": ["edge", "inside"]}], "instances": [instance(priority), inside]}})
        r.host.connect(lan, f"10.1.0.1{n + 1}/24")
        routers.append(r.start())
    a, b = routers
    for name in ("edge", "inside"):
        a.becomes("active", name=name)
        b.becomes("backup", name=name)
    a.host.ip("link set eth1 down")
    for name in ("edge", "inside"):
        a.becomes("fault", name=name)
        b.becomes("active", name=name)
    assert not a.holds() and b.holds() and b.holds("10.1.0.100")
    assert json.loads(b.torii.torii("vrrp", "--json").stdout)["groups"][0]["state"] == "active"
    a.host.ip("link set eth1 up")
    for name in ("edge", "inside"):
        a.becomes("active", name=name)
        b.becomes("backup", name=name)


@pytest.mark.parametrize("unicast", [False, True])
def test_ipv6(lab, unicast):
    vip = "2001:db8::100"
    p = Pair(lab, vip)

    def peers(*numbers):
        if not unicast:
            return {}
        return {"peers": [f"2001:db8::{numbers[1]}"], "source": f"2001:db8::{numbers[0]}"}
    addresses = {"addresses": ["fe80::100/64", f"{vip}/64"]}
    a, b = p.add("a", 150, **addresses, **peers(11, 12)), p.add("b", 100, **addresses, **peers(12, 11))
    p.settled(a)
    p.client.run("ping", "-c", 1, "-W", 2, vip)
    p.client_knows(a)
    a.torii.daemon.stop(signal.SIGTERM)
    b.becomes("active")
    p.client_knows(b)


def test_vrrp_alone_needs_no_dataplane(lab):
    p = Pair(lab)
    a = p.add("a", 150)
    assert a.torii.torii("config", "check", a.torii.file, check=False).returncode == 0
    a.torii.wait(5)
    a.becomes("active")
    shown = a.torii.torii("status").stdout
    assert "VRRP alone" in shown and "missing" not in shown and "active: edge" in shown, shown
    refused = a.host.run(BIN / "torii-dataplane", "-c", a.torii.file, check=False)
    assert refused.returncode == 1 and "dataplane.ports" in refused.stdout + refused.stderr, refused
    server = {"name": "www", "virtual": ["10.0.0.100:80/tcp"], "backends": [{"address": "10.0.0.2"}]}
    refused = a.torii.reload({**a.torii.configuration, "services": [server]}, check=False)
    assert refused.returncode != 0 and "there is no port" in refused.stdout + refused.stderr
    assert a.state() == "active" and a.holds()


@pytest.mark.parametrize("vip, virtual_mac", [(VIP, "00:00:5e:00:01:33"), ("2001:db8::100", "00:00:5e:00:02:33")])
def test_a_virtual_mac_stays_the_same_over_a_takeover(lab, vip, virtual_mac):
    p = Pair(lab, vip, virtual_mac=True)
    more = {"addresses": ["fe80::100/64", f"{vip}/64"]} if ":" in vip else {}
    a, b = p.add("a", 150, **more), p.add("b", 100, **more)
    p.settled(a)
    seen = p.client.start("tcpdump", "-enni", "eth0", "-l", "arp or icmp6 or proto 112", name="tcpdump")
    eventually(lambda: "listening" in seen.output(), 5)
    p.announced()
    assert p.neighbour() == virtual_mac
    p.client.ip("neigh flush all")
    p.announced()
    assert p.neighbour() == virtual_mac, "asked anew, and only one answers"
    with p.probe() as probe:
        time.sleep(0.2)
        a.torii.daemon.stop(signal.SIGTERM)
        b.becomes("active")
        time.sleep(0.2)
    assert probe.end().who() == ["a", "b"] and probe.longest() < 2
    assert p.neighbour() == virtual_mac
    p.client.ip("neigh flush all")
    p.announced()
    assert p.neighbour() == virtual_mac
    assert "vrrp" not in a.host.ip("-br link").stdout, "the link goes with the daemon"
    a.start()
    p.settled(a)
    for r in (a, b):
        r.isolate(True)
    b.becomes("active")
    for r in (a, b):
        r.isolate(False)
    p.settled(a)  # although the kernels of both take frames with this MAC for their own
    claims = [line for line in seen.output().splitlines() if f"tell {vip}" in line or f"tgt is {vip}" in line or f"{vip} is-at" in line]
    assert claims and all(virtual_mac in line for line in claims), claims


def test_a_virtual_mac_comes_and_goes_under_an_active_instance(lab):
    p = Pair(lab)
    a = p.add("a", 150)
    a.becomes("active")
    p.announced()
    p.client_knows(a)
    for on, mac in ((True, "00:00:5e:00:01:33"), (False, a.mac)):
        a.torii.reload({"vrrp": {"instances": [instance(150, virtual_mac=on)]}})
        eventually(lambda: p.neighbour() == mac, 5, f"{p.neighbour()} becomes {mac}")
        p.client.ip("neigh flush all")
        p.announced()
        assert p.neighbour() == mac and a.state() == "active"
        eventually(lambda: a.vrrp()["sent"] > 2, 5)
        assert a.vrrp()["transitions"]["active"] == 1


def test_packets_that_are_not_accepted_are_dropped_and_yet_it_is_found(lab):
    p = Pair(lab, accept=False)
    a, b = p.add("a", 150), p.add("b", 100)
    p.settled(a)

    def answers(address):
        return p.client.run("ping", "-c", 1, "-W", 1, address, check=False).returncode == 0
    assert answers("10.0.0.11") and not answers(VIP)
    p.client_knows(a)
    a.torii.reload({"vrrp": {"instances": [instance(150, accept=True)]}})
    eventually(lambda: answers(VIP), 5, "accepted, since the file says so")
    a.torii.reload({"vrrp": {"instances": [instance(150, accept=False)]}})
    eventually(lambda: not answers(VIP), 5)
    a.torii.daemon.stop(signal.SIGTERM)
    b.becomes("active")
    p.client_knows(b)
    assert not answers(VIP) and "torii" not in a.host.run("nft", "list", "tables").stdout, "it leaves nothing behind"
    b.torii.daemon.stop(signal.SIGKILL)
    assert "torii_vrrp4_51" in b.host.run("nft", "list", "tables").stdout
    b.start().becomes("active")
    assert not answers(VIP)
    b.torii.daemon.stop(signal.SIGTERM)
    assert "torii" not in b.host.run("nft", "list", "tables").stdout


def test_an_ipv6_address_that_does_not_accept_is_found_by_neighbour_discovery(lab):
    vip = "2001:db8::100"
    p = Pair(lab, vip, accept=False, addresses=["fe80::100/64", f"{vip}/64"])
    a = p.add("a", 150)
    p.settled(a)
    assert p.client.run("ping", "-c", 1, "-W", 1, vip, check=False).returncode != 0
    p.client_knows(a)
    p.client.ip("neigh flush all")
    assert p.client.run("ping", "-c", 1, "-W", 1, vip, check=False).returncode != 0
    p.client_knows(a)


def test_version_2_with_a_password(lab):
    p = Pair(lab, version=2, interval="1s", missed_adverts=2, authentication={"type": "pass", "secret": "geheim"})
    a, b = p.add("a", 150), p.add("b", 100)
    c = p.add("c", 200, authentication={"type": "pass", "secret": "anders"}, start=False)
    p.settled(a, 20)
    c.start()
    eventually(lambda: c.vrrp()["refused"]["authentication"] > 1, 10)
    assert b.vrrp()["refused"]["authentication"] == 0 or c.state() == "active", "another password is another network"
    c.torii.daemon.stop(signal.SIGKILL)


def test_excluded_addresses_and_routes_come_and_go_with_the_state(lab):
    p = Pair(lab)
    a = p.add("a", 150, excluded=["10.0.0.200/32", "2001:db8::200/128"],
              routes=[{"destination": "198.51.100.0/24", "via": "10.0.0.2"}])
    a.becomes("active")
    eventually(lambda: a.holds("10.0.0.200") and a.holds("2001:db8::200"), 5)
    eventually(lambda: "10.0.0.2" in a.host.run("ip", "route", "show", "198.51.100.0/24").stdout, 5)
    assert a.torii.daemon.stop(signal.SIGTERM) == 0
    assert not a.holds("10.0.0.200") and not a.holds("2001:db8::200") and not a.host.run("ip", "route", "show", "198.51.100.0/24").stdout
    capture = p.client.start("tcpdump", "-nnvv", "-c", 5, "-i", "eth0", "vrrp or arp", name="tcpdump")
    eventually(lambda: "listening" in capture.output(), 5)
    a.start().becomes("active")
    capture.wait(20)
    text = capture.output()
    assert "VRRPv3, Advertisement, vrid 51, prio 150" in text and "bad" not in text and "10.0.0.200" not in text.split("ARP")[0], text


def test_metrics_say_what_the_command_says(lab):
    p = Pair(lab)
    a = p.add("a", 150)
    a.becomes("active")
    text = a.host.get("http://127.0.0.1:9105/metrics")
    assert 'torii_vrrp_state{vrrp_instance="edge",state="active"} 1' in text
    assert 'torii_vrrp_priority{vrrp_instance="edge"} 150' in text
    assert 'torii_vrrp_advert_lateness_seconds_bucket{vrrp_instance="edge"' in text
    policy = next(t for t in os.listdir(f"/proc/{a.pid()}/task")
                  if open(f"/proc/{a.pid()}/task/{t}/comm").read() == "torii-vrrp\n")
    assert os.sched_getscheduler(int(policy)) & ~os.SCHED_RESET_ON_FORK == os.SCHED_FIFO
