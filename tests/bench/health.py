"""What checking costs: ten thousand servers by TCP and two thousand by HTTP, each once a second, by toriid alone on one core."""
import contextlib
import functools
import json
import math
import os
import pathlib
import time

import lab as _lab
import machine
from daemons import cpu_ns

WARM_UP = 3  # seconds until every check has found its rhythm


def backends(count, first=0, port=80):
    return [{"address": f"10.{9 + n // 60000}.{n // 250 % 240}.{n % 250 + 1}", "port": port} for n in range(first, first + count)]


def stage(made, lb):
    """One host that has every server's address, beyond a gateway; checks can have as many ports as there are."""
    wire = made.segment("inside")
    lb.connect(wire, "10.0.0.1/24", interface="in0").route("10.8.0.0/13", "10.0.0.2")
    servers = made.host("servers").connect(wire, "10.0.0.2/24").route("default", "10.0.0.1")
    for host in (lb, servers):
        host.sysctl("net.ipv4.ip_local_port_range=1024 65535", "net.core.somaxconn=65535")
    servers.ip("route add local 10.8.0.0/13 dev lo")
    servers.nginx(80, backlog=65535)  # a busy machine is no dead server
    return servers


@contextlib.contextmanager
def checking(kinds, interval=1000):
    """toriid alone, on one core, and before others there: what is measured is not how busy the machine is. `kinds`: how
    many servers are checked in which way."""
    made = _lab.Lab()
    try:
        lb = made.host("lb")
        stage(made, lb)
        services, first = [], 0
        for n, (kind, count) in enumerate(kinds.items()):
            services.append({"name": kind, "virtual": [f"203.0.113.{n + 1}:80/tcp"], "backends": backends(count, first),
                             "health": {"type": kind, "interval": f"{interval}ms", "timeout": "900ms", "http": {"path": "/name"}}})
            first += count
        torii = _lab.Torii(lb, {
            "dataplane": {"backends": "64k", "connections": 1024, "ports": [{"name": "p", "driver": "memory"}]}, "services": services}, start=False)
        torii.start_daemon()
        _lab.eventually(lambda: view(torii) and all(c["proven"] for c in view(torii)["checks"]), 60, "every server has been probed")
        for task in pathlib.Path(f"/proc/{torii.daemon.process.pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), {machine.last_core()})
            # The thread that probes goes before the one that answers us.
            os.sched_setscheduler(int(task.name), os.SCHED_FIFO, os.sched_param(1 if int(task.name) == torii.daemon.process.pid else 2))
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


def percentile(share, before, after):
    """ms that `share` of the probes between two views were late by at most: the bound of a bucket, or the worst of all."""
    counts = [late["probes"] - early["probes"] for early, late in zip(before["lateness"], after["lateness"])]
    needed = math.ceil(share * sum(counts))
    for bucket, count in zip(after["lateness"], counts):
        needed -= count
        if needed <= 0:
            return (bucket["up_to_us"] or after["worst_delay_us"]) / 1000
    raise AssertionError("no probe began")


def measure(kinds, runs, seconds, interval=1000):
    """Per cent of a core, probes a second, per cent of probes over 50 ms late, the 99th percentile of lateness, and what
    grew, for each run."""
    found = {"cpu": [], "rate": [], "late": [], "p99": [], "grown": []}
    with checking(kinds, interval) as torii:
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
            found["p99"].append(percentile(0.99, before, after))
            found["grown"].append(resident(pid) - memory)
        down = [c for c in after["checks"] if not c["up"]]
        assert not down, f"{len(down)} servers are taken for down, as {down[0]}"
        # Those of probes under way: with 12,000 a second and a busy machine some hundreds.
        _lab.eventually(lambda: descriptors(pid) < 1000, 10, "sockets are closed")
    return found


CROWDS = {"tcp/10000": {"tcp": 10000}, "http/2000": {"http": 2000}, "both/12000": {"tcp": 10000, "http": 2000}}
HOURS = {"tcp/hour": {"tcp": 100}, "http/hour": {"http": 20}}


def cases(quick, runs):
    """Name, unit, and what measures it; the figures of one kind come from the same runs. Quick ones check fewer servers.

    `hour` is an hour's worth of probes of each server, one in 10 ms instead of one a second: what leaks by the probe shows.
    """
    few = {name: {kind: count // (50 if quick else 1) for kind, count in kinds.items()} for name, kinds in CROWDS.items()}
    found = functools.cache(lambda name: measure(few[name], 1 if quick else runs, 1 if quick else 10))
    hour = functools.cache(lambda name: measure(HOURS[name], 1, 1 if quick else 36, 10))
    return [(f"health/{name}/{what}", unit, lambda name=name, what=what: found(name)[what])
            for name in CROWDS for what, unit in (("cpu", "%"), ("rate", "1/s"), ("late", "%"), ("p99", "ms"), ("grown", "MiB"))] + [
        (f"health/{name}/{what}", unit, lambda name=name, what=what: hour(name)[what])
        for name in HOURS for what, unit in (("rate", "1/s"), ("grown", "MiB"))]
