"""Two and three whole balancers that share an address, and a client that goes through them all the time: whatever of
one dies, the other forwards. What must be true on a busy machine; scripts/bench measures how fast it is."""
import datetime
import os
import signal
import time

import pytest

from lab import eventually
from vrrp_lab import VIP, Balancers

TAKEOVER = 2.5


@pytest.fixture
def pair(lab):
    lab.pair = Balancers(lab)
    lab.a, lab.b = lab.pair.add("a", 150), lab.pair.add("b", 100)
    lab.pair.settled(lab.a)
    lab.pair.announced()
    return lab


class Asked:
    """A client that asks from before to after what happens inside."""

    def __init__(self, pair, outage=TAKEOVER):
        self.pair, self.outage = pair, outage

    def __enter__(self):
        self.probe = self.pair.probe()
        time.sleep(0.2)

    def __exit__(self, kind, *_):
        time.sleep(0.2)
        self.probe.end()
        if kind is None:
            assert self.probe.longest() < self.outage, self.probe.outages()
            assert self.probe.who() == ["server"], "only servers answer, never a balancer's own kernel"
            assert self.probe.answered[-50:].count("server") > 40, "and they do at the end"


def moved(lab, to):
    to.becomes("active", 20)
    eventually(to.holds, 5)
    lab.pair.client_knows(to)


def back(lab, outage=0.5):
    """The stronger one returns, and takes the address without anybody noticing."""
    with Asked(lab.pair, outage):
        lab.a.start()
        lab.pair.settled(lab.a)
    lab.pair.client_knows(lab.a)


def test_a_planned_stop_and_every_way_to_be_killed(pair):
    def stop():
        assert pair.a.torii.daemon.stop(signal.SIGTERM) == 0

    def kill_toriid():
        pair.a.torii.daemon.stop(signal.SIGKILL)

    def kill_dataplane():
        pair.a.torii.dataplane.stop(signal.SIGKILL)

    def kill_both():
        kill_toriid()
        kill_dataplane()
    for end in (stop, kill_toriid, kill_dataplane, kill_both):
        with Asked(pair.pair):
            end()
            moved(pair, pair.b)
        if end is kill_dataplane:
            assert pair.a.state() == "fault" and not pair.a.holds()
            assert any("torii-dataplane: fault" in i for i in pair.a.vrrp()["influences"])
        back(pair)


def test_an_interface_down_a_frozen_process_and_a_busy_machine(pair):
    with Asked(pair.pair):
        pair.a.host.ip("link set eth0 down")
        moved(pair, pair.b)
    pair.a.host.ip("link set eth0 up")
    pair.pair.settled(pair.a)
    pair.pair.client_knows(pair.a)
    with Asked(pair.pair):
        os.kill(pair.a.pid(), signal.SIGSTOP)
        moved(pair, pair.b)
    with Asked(pair.pair):
        os.kill(pair.a.pid(), signal.SIGCONT)
        pair.pair.settled(pair.a)
        pair.pair.client_knows(pair.a)
    before = [r.vrrp()["transitions"] for r in (pair.a, pair.b)]
    hogs = [pair.a.host.start("/bin/sh", "-c", "while :; do :; done", name=f"hog{n}") for n in range(3 * (os.cpu_count() or 1))]
    time.sleep(1.5)
    for hog in hogs:
        hog.stop(signal.SIGKILL)
    assert [r.vrrp()["transitions"] for r in (pair.a, pair.b)] == before


def test_without_preemption_the_returning_one_waits(lab):
    lab.pair = Balancers(lab, preempt={"enabled": False})
    lab.a = lab.pair.add("a", 150)
    lab.a.becomes("active", 20)
    lab.b = lab.pair.add("b", 100)
    lab.pair.settled(lab.a)
    lab.pair.announced()
    with Asked(lab.pair):
        lab.a.torii.daemon.stop(signal.SIGKILL)
        moved(lab, lab.b)
    with Asked(lab.pair, 0.2):
        lab.a.start().becomes("backup", 20)
    assert lab.b.state() == "active" and lab.b.vrrp()["transitions"]["active"] == 1


def test_a_virtual_mac_in_front_of_a_dataplane(lab):
    lab.pair = Balancers(lab, virtual_mac=True)
    lab.a, lab.b = lab.pair.add("a", 150), lab.pair.add("b", 100)
    lab.pair.settled(lab.a)
    lab.pair.announced()
    with Asked(lab.pair):
        lab.a.torii.daemon.stop(signal.SIGTERM)
        lab.b.becomes("active", 20)
    assert lab.pair.neighbour() == "00:00:5e:00:01:33"


def test_three_have_one_active(lab):
    lab.pair = Balancers(lab)
    a, b, c = (lab.pair.add(name, priority) for name, priority in (("a", 150), ("b", 120), ("c", 100)))
    lab.pair.settled(a)
    lab.pair.announced()
    with Asked(lab.pair):
        a.torii.dataplane.stop(signal.SIGKILL)
        moved(lab, b)
    assert c.state() == "backup"
    with Asked(lab.pair):
        b.torii.daemon.stop(signal.SIGTERM)
        moved(lab, c)


def test_a_download_goes_on_over_a_takeover(pair):
    """Direct routing with sh and sloppy_tcp: the other balancer finds the same server, and takes the connection as it is."""
    large = pair.directory / "large"
    large.write_bytes(os.urandom(6 << 20))
    for server in pair.pair.servers:
        server.nginx(files={"slow": large})
    out = pair.directory / "got"
    curl = pair.pair.client.start("curl", "-sS", "--max-time", 30, "-o", out, f"http://{VIP}/slow")
    eventually(lambda: out.exists() and out.stat().st_size > 100000, 10)
    assert pair.a.torii.daemon.stop(signal.SIGTERM) == 0
    moved(pair, pair.b)
    assert curl.running(), curl.output()
    assert curl.wait(30) == 0, curl.output()
    assert out.read_bytes() == large.read_bytes()


def first(router, text):
    """When it first said that, in seconds."""
    line = next(line for line in router.torii.daemon.output().splitlines() if text in line)
    return datetime.datetime.fromisoformat(line.split()[0].removeprefix("time=")).timestamp()


def test_a_service_without_quorum_moves_the_address_and_first_checks_are_waited_for(lab):
    lab.pair = Balancers(lab, track={"services": [{"name": "echo", "weight": -60}]})
    routers = []
    for name, priority in (("a", 150), ("b", 100)):
        check = lab.directory / f"check-{name}"
        check.write_text(f"#!/bin/sh\nsleep 0.7\ntest ! -e {check}-fails\n")
        check.chmod(0o755)
        routers.append(lab.pair.add(name, priority, health={"type": "script", "script": {"command": [str(check)]}, "interval": "1s",
                                                            "timeout": "5s", "fall": 1, "rise": 1, "warm_up": "1ms"}))
    a, b = routers
    lab.pair.settled(a)
    waited = first(a, "event=vrrp ") - first(a, "event=started")
    assert waited > 0.7, f"it began after {waited} s, before a check could be done"
    (lab.directory / "check-a-fails").touch()
    b.becomes("active", 20)
    assert a.vrrp()["priority"] == 90 and any("echo" in i for i in a.vrrp()["influences"])
    (lab.directory / "check-a-fails").unlink()
    lab.pair.settled(a)
