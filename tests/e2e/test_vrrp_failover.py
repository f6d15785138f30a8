"""Two and three routers on one Ethernet: whatever happens, the address is where it answers, and in one place."""
import os
import signal
import time

import pytest

from lab import eventually
from vrrp_lab import Pair, VIP, instance

# What must be true on a busy machine; scripts/bench measures how fast it is.
TAKEOVER = 2.0


@pytest.fixture
def pair(lab):
    lab.pair = Pair(lab)
    lab.a, lab.b = lab.pair.add("a", 150), lab.pair.add("b", 100)
    lab.pair.settled(lab.a)
    return lab


def test_the_stronger_one_is_active_and_a_client_reaches_it(pair):
    pair.client = pair.pair.client
    with pair.pair.probe() as probe:
        time.sleep(0.3)
    assert probe.end().who() == ["a"] and probe.lost() <= 1
    pair.pair.client_knows(pair.a)
    assert pair.a.vrrp()["reason"] in ("silence", "resigned", "started")
    assert pair.b.vrrp()["active_router"] == "10.0.0.11" and pair.b.vrrp()["active_priority"] == 150
    assert "edge" in pair.a.torii.torii("status").stdout
    assert "active for" in pair.a.torii.torii("vrrp").stdout


def test_a_planned_stop_is_handed_over_and_leaves_nothing(pair):
    pair.pair.client.run("ping", "-c", 1, "-W", 2, VIP)
    with pair.pair.probe() as probe:
        time.sleep(0.2)
        assert pair.a.torii.daemon.stop(signal.SIGTERM) == 0
        pair.b.becomes("active")
        time.sleep(0.2)
    assert probe.end().longest() < TAKEOVER and probe.who() == ["a", "b"]
    assert not pair.a.holds() and pair.b.holds()
    assert pair.b.vrrp()["reason"] == "resigned" and pair.b.vrrp()["resignations_received"] >= 1
    pair.pair.client_knows(pair.b)


def test_a_killed_one_is_replaced_and_cleans_up_when_it_returns(pair):
    pair.pair.client.run("ping", "-c", 1, "-W", 2, VIP)
    with pair.pair.probe() as probe:
        time.sleep(0.2)
        pair.a.torii.daemon.stop(signal.SIGKILL)
        pair.b.becomes("active")
        time.sleep(0.2)
    assert probe.end().longest() < TAKEOVER
    pair.pair.client_knows(pair.b)
    assert pair.a.holds() and pair.b.holds(), "a killed process cannot take its address away"
    pair.a.torii.write({"vrrp": {"instances": [dict(pair.a.torii.configuration["vrrp"]["instances"][0], preempt={"enabled": False})]}})
    pair.a.start().becomes("backup")
    eventually(lambda: not pair.a.holds(), 5, "what the killed run left is gone")
    assert pair.b.state() == "active"


def test_the_old_one_returns_without_losing_a_request(pair):
    pair.a.torii.daemon.stop(signal.SIGTERM)
    pair.b.becomes("active")
    with pair.pair.probe() as probe:
        time.sleep(0.2)
        pair.a.start()
        pair.pair.settled(pair.a)
        time.sleep(0.3)
    assert probe.end().who() == ["b", "a"]
    assert probe.longest() < 0.2
    pair.pair.client_knows(pair.a)


def test_without_preemption_the_returning_one_stays_backup(lab):
    p = Pair(lab, preempt={"enabled": False})
    a, b = p.add("a", 150), p.add("b", 100)
    eventually(lambda: "active" in (a.state(), b.state()), 10)
    first, second = (a, b) if a.state() == "active" else (b, a)
    first.torii.daemon.stop(signal.SIGTERM)
    second.becomes("active")
    with p.probe() as probe:
        first.start().becomes("backup")
        time.sleep(0.5)
    assert probe.end().who() == [second.name] and probe.longest() < 0.1
    assert second.vrrp()["transitions"]["active"] == 1


def test_an_interface_that_goes_down_is_a_fault_at_once(pair):
    with pair.pair.probe() as probe:
        time.sleep(0.2)
        pair.a.host.ip("link set eth0 down")
        pair.a.becomes("fault")
        pair.b.becomes("active")
        time.sleep(0.2)
    assert probe.end().longest() < TAKEOVER
    assert not pair.a.holds()
    assert any("eth0 is down" in i for i in pair.a.vrrp()["influences"])
    pair.a.host.ip("link set eth0 up")
    pair.pair.settled(pair.a)
    pair.pair.client_knows(pair.a)


def test_a_link_cut_between_the_routers_alone_heals_to_one(pair):
    pair.pair.announced()
    for r in (pair.a, pair.b):
        r.isolate(True)
    pair.b.becomes("active")
    assert pair.a.state() == "active" and pair.a.holds() and pair.b.holds(), "neither can know"
    pair.pair.client_knows(pair.b)
    with pair.pair.probe() as probe:
        time.sleep(0.2)
        for r in (pair.a, pair.b):
            r.isolate(False)
        pair.pair.settled(pair.a)
        pair.pair.client_knows(pair.a, 2)
        time.sleep(0.2)
    assert probe.end().longest() < TAKEOVER and probe.who()[-1] == "a"
    assert pair.a.vrrp()["transitions"]["active"] == 1, "the stronger one never stopped"


def test_a_link_cut_on_one_side_heals_to_one(pair):
    """The weaker one hears nothing, but is heard: the stronger one tells the network again and again."""
    pair.pair.announced()
    drop = ["nft", "add rule netdev cut in ip protocol 112 drop"]
    pair.b.host.run("nft", "add table netdev cut; add chain netdev cut in { type filter hook ingress device eth0 priority 0; }")
    pair.b.host.run(*drop)
    pair.b.becomes("active")
    eventually(lambda: pair.a.vrrp()["weaker"] > 2, 5)
    pair.pair.client_knows(pair.a, 3)
    pair.b.host.run("nft", "delete table netdev cut")
    pair.pair.settled(pair.a)
    pair.pair.client_knows(pair.a, 3)
    assert pair.a.vrrp()["transitions"]["active"] == 1


def test_a_reload_never_causes_a_transition(pair):
    """What an active instance holds, its priority, timing and tracking change under it."""
    def reload(router, priority, **more):
        router.torii.reload({"vrrp": {"instances": [instance(priority, **more)]}})
    before = [r.vrrp()["transitions"] for r in (pair.a, pair.b)]
    with pair.pair.probe() as probe:
        time.sleep(0.2)
        for n, more in enumerate(({"addresses": [f"{VIP}/24", "10.0.0.101/24"]},
                                  {"addresses": [f"{VIP}/24"], "track": {"interfaces": [{"name": "lo", "weight": 5}]}},
                                  {"garp": {"refresh": "1s"}, "notify": {"any": ["/bin/true"]}}, {"interval": "200ms"}, {})):
            for router, priority in ((pair.a, 150 + n), (pair.b, 100 + n)):
                reload(router, priority, **more)
            eventually(lambda: pair.a.holds("10.0.0.101") == (n == 0), 5, "the addresses are those of the file")
            eventually(lambda: pair.a.vrrp()["priority"] in (150 + n, 155 + n), 5)
        time.sleep(0.7)  # two times as long as a backup waits
    assert [r.vrrp()["transitions"] for r in (pair.a, pair.b)] == before
    assert probe.end().who() == ["a"] and probe.longest() < 0.1
    pair.b.torii.write({"vrrp": {"instances": []}})
    assert pair.b.torii.torii("reload", check=False).returncode == 0, "a file of no instance at all"
    assert pair.a.state() == "active" and pair.a.holds()


def test_a_frozen_one_steps_aside_when_it_wakes(pair):
    with pair.pair.probe() as probe:
        time.sleep(0.2)
        os.kill(pair.a.pid(), signal.SIGSTOP)
        pair.b.becomes("active")
        os.kill(pair.a.pid(), signal.SIGCONT)
        pair.pair.settled(pair.a)
        time.sleep(0.2)
    assert probe.end().longest() < TAKEOVER
    assert pair.a.vrrp()["transitions"]["backup"] >= 2, "it gave way before it took over again"
    pair.pair.client_knows(pair.a)


def test_a_frozen_backup_hears_what_it_missed_before_it_acts(pair):
    os.kill(pair.b.pid(), signal.SIGSTOP)
    time.sleep(1)  # more than its patience
    os.kill(pair.b.pid(), signal.SIGCONT)
    time.sleep(0.5)
    assert pair.b.state() == "backup" and pair.b.vrrp()["transitions"]["active"] == 0
    assert pair.a.vrrp()["transitions"]["active"] == 1


def test_a_cpu_hog_changes_nothing(pair):
    hogs = [pair.a.host.start("/bin/sh", "-c", "while :; do :; done", name=f"hog{n}") for n in range(3 * (os.cpu_count() or 1))]
    before = pair.b.vrrp()["transitions"]
    time.sleep(2)
    for hog in hogs:
        hog.stop(signal.SIGKILL)
    assert pair.b.vrrp()["transitions"] == before and pair.b.state() == "backup"


def test_three_routers_have_one_active(lab):
    p = Pair(lab)
    a, b, c = p.add("a", 150), p.add("b", 120), p.add("c", 100)
    p.settled(a)
    a.torii.daemon.stop(signal.SIGKILL)
    b.becomes("active")
    assert c.state() == "backup"
    b.torii.daemon.stop(signal.SIGTERM)
    c.becomes("active")
    a.start()
    p.settled(a)
    p.client.run("ping", "-c", 1, "-W", 2, VIP)
    p.client_knows(a)
