"""Two machines that are balancers and each other's servers: the active one balances between its own server and its peer's,
and the peer leaves to its kernel what it is sent."""
import contextlib
import json
import signal

import pytest

from lab import eventually
from vrrp_lab import PORT, VIP, Pair, instance

FLOWS = 4  # dealt in turn to two servers


class Both(Pair):
    def add(self, name, priority, **behaviour):
        servers = [{"address": "10.0.0.11"}, {"address": "10.0.0.12"}]
        service = {"name": "echo", "virtual": [f"{VIP}:{PORT}/udp"], "scheduler": "rr", "forward": "dr", "backends": servers}
        router = super().add(name, priority, start=False, configuration={
            "dataplane": {"connections": "64k", "backends": 64, "ports": [{"name": "lan", "driver": "af_xdp", "interface": "eth0"}]},
            "behaviour": behaviour, "services": [service], "vrrp": {"instances": [instance(priority)]}})
        router.host.hold_vip(VIP)
        return router.start()


@pytest.fixture
def both(lab):
    lab.pair = Both(lab)
    lab.a, lab.b = lab.pair.add("a", 150, backup_only=1), lab.pair.add("b", 100, backup_only=1)
    settled(lab, lab.a, lab.b)
    return lab


def settled(lab, active, backup):
    active.becomes("active", 20)
    backup.becomes("backup", 20)
    eventually(lambda: VIP in active.addresses() and VIP not in backup.addresses(), 10, "one has the address")
    for router in (active, backup):
        router.torii.wait()
    lab.pair.announced()
    lab.pair.client_knows(active)


@contextlib.contextmanager
def asked(lab):
    probes = [lab.pair.probe() for _ in range(FLOWS)]
    try:
        yield probes
    finally:
        for probe in probes:
            probe.end()


def answered_by(probes):
    assert all(len(p.who()) <= 1 for p in probes), "one flow has one server"
    return sorted(name for p in probes for name in p.who())


def test_each_serves_what_the_active_one_gives_it(both):
    with asked(both) as probes:
        eventually(lambda: both.b.torii.verdicts().get("kernel_backup", 0) > 200, 10)
    assert answered_by(probes) == ["a", "a", "b", "b"]
    assert [p.lost() for p in probes] == [0] * FLOWS
    assert set(both.a.torii.verdicts()) >= {"kernel_local", "direct"}
    assert not {"direct", "kernel_local"} & set(both.b.torii.verdicts())


def test_without_the_switch_packets_go_to_and_fro(both):
    with_it = both.b.torii.configuration
    both.b.torii.reload({**with_it, "behaviour": {}})
    with asked(both) as probes:
        eventually(lambda: both.b.torii.verdicts().get("direct", 0) > 200, 10, "it balances what it is sent")
    assert any(p.lost() for p in probes), "and a flow that each gives to the other is lost"
    both.b.torii.reload(with_it)
    with asked(both) as probes:
        before = both.b.torii.verdicts()["direct"]
        eventually(lambda: both.b.torii.verdicts().get("kernel_backup", 0) > 200, 10)
    assert [p.lost() for p in probes] == [0] * FLOWS
    assert both.b.torii.verdicts()["direct"] == before


def test_a_takeover_balances_at_once_and_the_old_one_serves_on(both):
    with asked(both) as probes:
        eventually(lambda: both.b.torii.verdicts().get("kernel_backup", 0) > 100, 10)
        assert both.a.torii.daemon.stop(signal.SIGTERM) == 0
        both.b.becomes("active", 20)
        both.pair.client_knows(both.b)
        # b balances by its own turns: the flows that it gives to a come to a dataplane whose toriid is gone.
        eventually(lambda: both.b.torii.verdicts().get("direct", 0) > 200, 10)
    assert max(p.longest() for p in probes) < 2.5
    assert all(p.answered[-20:].count("") < 5 for p in probes), "all are answered at the end"
    assert {p.answered[-1] for p in probes} == {"a", "b"}
    both.a.start()
    settled(both, both.a, both.b)
    with asked(both) as probes:
        before = both.b.torii.verdicts()["kernel_backup"]
        eventually(lambda: both.b.torii.verdicts()["kernel_backup"] > before + 200, 10)
    assert answered_by(probes) == ["a", "a", "b", "b"]
    assert [p.lost() for p in probes] == [0] * FLOWS


def test_a_toriid_that_is_killed_and_started_changes_nothing_for_a_balancer_that_is_alone(lab):
    lab.pair = Both(lab)
    a = lab.pair.add("a", 150, backup_only=1)
    a.becomes("active", 20)
    a.torii.wait()
    lab.pair.announced()
    with asked(lab) as probes:
        eventually(lambda: a.torii.verdicts().get("kernel_local", 0) > 100, 10)
        a.torii.daemon.stop(signal.SIGKILL)
        a.start().becomes("active", 20)
    assert "kernel_backup" not in a.torii.verdicts()
    assert json.loads(a.torii.torii("vrrp", "--json").stdout)["instances"][0]["state"] == "active"
    assert any(p.lost() == 0 for p in probes)
