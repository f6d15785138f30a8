"""Either daemon, or both, killed or stopped under traffic: connections live on and nobody sees a reset."""
import re
import signal

import pytest
from lab import Torii, eventually
from recipes import Sniffer, downloads, nat, nat_backends, random_file, service, spread, url


@pytest.fixture
def balanced(two_armed):
    lab = two_armed
    path, lab.digest = random_file(lab, "slow", 10)
    for server in lab.servers:
        server.nginx(80, {"slow": path})
    lab.torii = Torii(lab.lb, nat([service("www", lab.vip4, 80, nat_backends(80)),
                                   service("www6", lab.vip6, 80, nat_backends(80, v6=True))]))
    return lab


def started(finish):
    """Every download has received something."""
    eventually(lambda: all(t.exists() and t.stat().st_size > 0 for t in finish.targets), 10, "downloads run")


def kill_daemon(torii):
    torii.daemon.stop(signal.SIGKILL)


def kill_dataplane(torii):
    torii.dataplane.stop(signal.SIGKILL)
    torii.start_dataplane()


def restart_dataplane(torii):
    assert torii.dataplane.stop(signal.SIGTERM) == 0
    torii.start_dataplane()


def kill_both(torii):
    torii.dataplane.stop(signal.SIGKILL)
    torii.daemon.stop(signal.SIGKILL)
    torii.start_dataplane()
    torii.start_daemon()


def kill_and_restart_daemon(torii):
    torii.daemon.stop(signal.SIGKILL)
    torii.start_daemon()


@pytest.mark.parametrize("blow", [kill_daemon, kill_and_restart_daemon, kill_dataplane, restart_dataplane, kill_both],
                         ids=lambda f: f.__name__)
def test_downloads_survive(balanced, blow):
    lab, torii = balanced, balanced.torii
    resets = Sniffer(lab.client, "eth0", "(tcp[tcpflags] & tcp-rst != 0) or (ip6 and ip6[6] == 6 and ip6[53] & 4 != 0)")
    four = downloads(lab, lab.client, lab.vip4, "/slow", 14, seconds=60)
    six = downloads(lab, lab.client, lab.vip6, "/slow", 6, seconds=60)
    started(four), started(six)
    blow(torii)
    assert four() + six() == [lab.digest] * 20
    assert resets.stop() == [], "a reset reached the client"
    if blow is not kill_daemon:
        torii.wait()
        assert dict(spread(lab.client, lab.vip4, 9)) == {"web1": 3, "web2": 3, "web3": 3}
    if blow in (kill_dataplane, restart_dataplane, kill_both):
        line = re.search(r"table_attached.*", torii.dataplane.output())
        assert line and int(re.search(r"kept=(\d+)", line[0])[1]) >= 20, torii.dataplane.output()
    if blow is not kill_daemon:
        torii.assert_balanced()


def test_without_toriid_new_connections_go_on(balanced):
    lab, torii = balanced, balanced.torii
    lab.client.get(url(lab.vip4))  # a neighbour that nobody has ever asked for needs toriid once
    kill_daemon(torii)
    assert dict(spread(lab.client, lab.vip4, 30)) == {"web1": 10, "web2": 10, "web3": 10}
    torii.start_daemon()
    torii.wait()
    assert dict(spread(lab.client, lab.vip4, 30)) == {"web1": 10, "web2": 10, "web3": 10}
    torii.assert_balanced()


def test_while_the_dataplane_is_gone_the_kernel_stays_silent_and_gets_its_packets_back_on_detach(balanced):
    lab, torii = balanced, balanced.torii
    torii.dataplane.stop(signal.SIGKILL)
    assert lab.client.curl(url(lab.vip4), seconds=2, check=False).returncode == 28, "dropped, not refused"
    lab.client.run("ping", "-c", 1, "-W", 2, lab.vip4)
    torii.torii("detach")
    assert lab.client.curl(url(lab.vip4), seconds=2, check=False).returncode == 7, "the kernel refuses"


@pytest.mark.parametrize("damage", ["truncated", "foreign", "corrupted"])
def test_a_damaged_table_is_refused_or_replaced_when_told_so(balanced, damage):
    lab, torii = balanced, balanced.torii
    assert sum(spread(lab.client, lab.vip4, 9).values()) == 9
    assert torii.dataplane.stop(signal.SIGTERM) == 0
    table = torii.shm / "connections"
    size = table.stat().st_size
    with open(table, "r+b") as file:
        if damage == "truncated":
            file.truncate(size // 2)
        elif damage == "foreign":
            file.write(b"something else entirely" * 10)
        else:
            for offset in range(4096, size, 4099):
                file.seek(offset)
                file.write(b"\xa5\x5a\xff")
    torii.start_dataplane()
    if damage == "corrupted":
        torii.wait()
    else:
        assert torii.dataplane.wait(20) == 1
        assert str(table) in torii.dataplane.output() and "--fresh-table" in torii.dataplane.output()
        torii.start_dataplane("--fresh-table")
        torii.wait()
    assert sum(spread(lab.client, lab.vip4, 9).values()) == 9
    torii.assert_balanced()


@pytest.mark.parametrize("object_name", ["control", "counters", "services", "routes"])
def test_damaged_objects_never_crash_a_daemon(balanced, object_name):
    lab, torii = balanced, balanced.torii
    torii.dataplane.stop(signal.SIGTERM), torii.daemon.stop(signal.SIGTERM)
    victim = next(p for p in torii.shm.iterdir() if p.name.split(".")[0] == object_name)
    with open(victim, "r+b") as file:
        file.truncate(100)
        file.write(b"not a torii object at all")
    torii.start_daemon(), torii.start_dataplane()
    if object_name == "control":
        assert torii.dataplane.wait(20) == 1 and torii.daemon.wait(20) == 1
        for process in (torii.dataplane, torii.daemon):
            assert str(victim) in process.output(), process.output()
        victim.unlink()
        torii.start_daemon(), torii.start_dataplane()
    torii.wait()
    assert sum(spread(lab.client, lab.vip4, 9).values()) == 9
