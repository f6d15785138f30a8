"""What checking costs: ten thousand servers by TCP and two thousand by HTTP, each once a second, from one thread of toriid."""
import contextlib
import functools
import json
import os
import pathlib
import time

import lab as _lab
from daemons import cpu_ns

WARM_UP = 3  # seconds until every check has found its rhythm


def backends(count):
    return [{"address": f"10.{9 + n // 60000}.{n // 250 % 240}.{n % 250 + 1}", "port": 80} for n in range(count)]


@contextlib.contextmanager
def checking(kind, count, interval=1000):
    """toriid alone, and one host that has every server's address."""
    made = _lab.Lab()
    try:
        wire = made.segment("wire")
        lb = made.host("lb").connect(wire, "10.0.0.1/24", interface="in0").route("10.8.0.0/13", "10.0.0.2")
        servers = made.host("servers").connect(wire, "10.0.0.2/24")
        for host in (lb, servers):
            host.sysctl("net.ipv4.ip_local_port_range=1024 65535", "net.core.somaxconn=65535")
        servers.ip("route add local 10.8.0.0/13 dev lo")
        servers.nginx(80)
        torii = _lab.Torii(lb, {
            "dataplane": {"backends": "64k", "connections": 1024, "ports": [{"name": "p", "driver": "memory"}]},
            "services": [{"name": "many", "virtual": ["203.0.113.1:80/tcp"], "backends": backends(count),
                          "health": {"type": kind, "interval": f"{interval}ms", "timeout": "900ms", "http": {"path": "/name"}}}]}, start=False)
        torii.start_daemon()
        _lab.eventually(lambda: view(torii) and all(c["proven"] for c in view(torii)["checks"]), 60, "every server has been probed")
        time.sleep(WARM_UP)
        yield torii
    except AssertionError:
        made.report()
        raise
    finally:
        made.close()


def view(torii):
    done = torii.host.run("curl", "-sS", "--unix-socket", f"/run/torii/{torii.instance}/api.sock", "http://torii/v1/health", check=False)
    return json.loads(done.stdout) if done.returncode == 0 else None


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def resident(pid):
    """MiB."""
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def measure(kind, count, runs, seconds, interval=1000):
    """Per cent of a core, probes a second, per cent of probes over 50 ms late, and what grew, for each run."""
    found = {"cpu": [], "rate": [], "late": [], "grown": []}
    with checking(kind, count, interval) as torii:
        pid = torii.daemon.process.pid
        memory = resident(pid)
        for _ in range(runs):
            before, used, began = view(torii), cpu_ns(pid), time.monotonic()
            time.sleep(seconds)
            used, took = cpu_ns(pid) - used, time.monotonic() - began
            found["cpu"].append(used / took / 1e7)
            after = view(torii)
            took = time.monotonic() - began  # from one view to the other
            started = after["started"] - before["started"]
            found["rate"].append(started / took)
            found["late"].append(100 * (after["late"] - before["late"]) / started)
            found["grown"].append(resident(pid) - memory)
        down = [c for c in after["checks"] if not c["up"]]
        assert not down, f"{len(down)} servers are taken for down, as {down[0]}"
        assert descriptors(pid) < 300, "sockets are left open"
    return found


def cases(quick, runs):
    """Name, unit, and what measures it; the figures of one kind come from the same runs. Quick ones check fewer servers.

    `hour` is an hour's worth of probes of each server, one in 10 ms instead of one a second: what leaks by the probe shows.
    """
    found = functools.cache(lambda kind, count: measure(kind, count // (50 if quick else 1), 1 if quick else runs, 1 if quick else 10))
    hour = functools.cache(lambda kind, count: measure(kind, count, 1, 1 if quick else 36, 10))
    return [(f"health/{kind}/{count}/{what}", unit, lambda kind=kind, count=count, what=what: found(kind, count)[what])
            for kind, count in (("tcp", 10000), ("http", 2000))
            for what, unit in (("cpu", "%"), ("rate", "1/s"), ("late", "%"), ("grown", "MiB"))] + [
        (f"health/{kind}/hour/{what}", unit, lambda kind=kind, count=count, what=what: hour(kind, count)[what])
        for kind, count in (("tcp", 100), ("http", 20)) for what, unit in (("rate", "1/s"), ("grown", "MiB"))]
