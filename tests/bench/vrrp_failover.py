"""How long a client of two routers that share an address gets no answer, when one of them fails: torii, and Debian's
keepalived in the same place. The client asks every 2 ms; a run is the longest time without an answer, in milliseconds.

    vrrp_failover.py [--runs N] [--only REGEX]     of torii in $TORII_BIN; scripts/bench runs it as vrrp/...
"""
import argparse
import contextlib
import os
import pathlib
import re
import signal
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import lab as _lab  # noqa: E402
import vrrp_lab  # noqa: E402
from lab import eventually  # noqa: E402

SETTLE = 0.15  # of answers before and after, so that an outage has both ends


class ToriiPair:
    """Two toriid alone."""

    def __init__(self, made, interval, **more):
        self.pair = vrrp_lab.Pair(made, interval=interval, **more)
        self.a, self.b = self.pair.add("a", 150), self.pair.add("b", 100)

    def ready(self):
        for r in (self.a, self.b):
            r.host.ip("link set eth0 up")
            if not r.torii.daemon.running():
                r.start()
        self.pair.settled(self.a, 20)
        self.pair.client.run("ping", "-c", 1, "-W", 2, vrrp_lab.VIP)

    def taken_over(self):
        self.b.becomes("active", 20)

    def pid(self):
        return self.a.pid()

    def stop(self):
        self.a.torii.daemon.stop(signal.SIGTERM)

    def kill(self):
        self.a.torii.daemon.stop(signal.SIGKILL)

    def down(self):
        self.a.host.ip("link set eth0 down")

    def start(self):
        self.a.start()
        self.pair.settled(self.a, 20)

    def freeze(self):
        os.kill(self.pid(), signal.SIGSTOP)
        self.taken_over()
        os.kill(self.pid(), signal.SIGCONT)


class BalancerPair(ToriiPair):
    """Two whole balancers over af_xdp, DR to two servers."""

    def __init__(self, made, interval):
        self.pair = vrrp_lab.Balancers(made, interval=interval)
        self.a, self.b = self.pair.add("a", 150), self.pair.add("b", 100)

    def ready(self):
        for r in (self.a, self.b):
            r.start()
        super().ready()

    def kill_dataplane(self):
        self.a.torii.dataplane.stop(signal.SIGKILL)

    def kill_both(self):
        both = (self.a.torii.daemon, self.a.torii.dataplane)
        for process in both:  # at once: the end of a process takes longer than some takeovers
            process.process.send_signal(signal.SIGKILL)
        for process in both:
            process.wait()


class KeepalivedPair:
    """Two keepalived with the same timers."""

    def __init__(self, made, interval, **_):
        self.made, self.pair = made, vrrp_lab.Pair(made)
        seconds = int(interval.removesuffix("ms")) / 1000
        self.nodes = [self.node(n, name, priority, seconds) for n, (name, priority) in enumerate((("a", 150), ("b", 100)))]
        self.a, self.b = self.nodes

    def node(self, n, name, priority, seconds):
        host = self.made.host(name).connect(self.pair.lan, f"10.0.0.{11 + n}/24")
        host.start("/usr/bin/python3", vrrp_lab.HERE / "vrrp_probe.py", "--answer", name, vrrp_lab.VIP, vrrp_lab.PORT)
        host.file = self.made.directory / f"{name}.conf"
        host.file.write_text(
            f"global_defs {{\n vrrp_version 3\n vrrp_rt_priority 50\n}}\nvrrp_instance edge {{\n state BACKUP\n interface eth0\n"
            f" virtual_router_id 51\n priority {priority}\n advert_int {seconds}\n virtual_ipaddress {{\n {vrrp_lab.VIP}/24 dev eth0\n }}\n}}\n")
        host.keepalived = None
        return host

    def holds(self, host):
        return f" {vrrp_lab.VIP}/" in host.ip("addr show dev eth0").stdout

    def ready(self):
        for host in self.nodes:
            host.ip("link set eth0 up")
            if not (host.keepalived and host.keepalived.running()):
                self.start_on(host)
        eventually(lambda: self.holds(self.a) and not self.holds(self.b), 20, "a is active")
        self.pair.client.run("ping", "-c", 1, "-W", 2, vrrp_lab.VIP)

    def start_on(self, host):
        pid = self.made.directory / f"{host.name}.pid"
        for left in self.made.directory.glob(f"{host.name}.pid*"):  # by one that was killed
            left.unlink()
        host.keepalived = host.start("keepalived", "-n", "-l", "-P", "-f", host.file, "-p", pid, "-r", f"{pid}.vrrp")

    def children(self):
        """The process that speaks VRRP is a child of keepalived, which would start it again."""
        parent = self.a.keepalived.process.pid
        return [int(p) for p in pathlib.Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]

    def taken_over(self):
        eventually(lambda: self.holds(self.b), 20, "b has the address")

    def stop(self):
        self.a.keepalived.stop(signal.SIGTERM, 15)

    def kill(self):
        children = self.children()
        self.a.keepalived.process.kill()
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        self.a.keepalived.process.wait()
        self.gone = True

    def down(self):
        self.a.ip("link set eth0 down")

    def start(self):
        self.start_on(self.a)
        eventually(lambda: self.holds(self.a) and not self.holds(self.b), 20)

    def freeze(self):
        children = self.children()
        for pid in children:
            os.kill(pid, signal.SIGSTOP)
        self.taken_over()
        for pid in children:
            os.kill(pid, signal.SIGCONT)


def one(routers, action, taken_over=True):
    routers.ready()
    time.sleep(0.3)
    with routers.pair.probe() as probe:
        time.sleep(SETTLE)
        action()
        if taken_over:
            routers.taken_over()
        time.sleep(SETTLE)
    probe.end()
    return probe.longest() * 1000


def one_return(routers):
    """The stronger one comes back while the weaker one is active."""
    routers.ready()
    routers.stop()
    routers.taken_over()
    return one_of_running(routers, routers.start)


def one_of_running(routers, action):
    time.sleep(0.3)
    with routers.pair.probe() as probe:
        time.sleep(SETTLE)
        action()
        time.sleep(SETTLE)
    return probe.end().longest() * 1000


ACTIONS = {
    "planned-stop": lambda r: one(r, r.stop),
    "kill": lambda r: one(r, r.kill),
    "interface-down": lambda r: one(r, r.down),
    "freeze": lambda r: one(r, r.freeze, taken_over=False),  # it waits for that itself
    "return": one_return,
}
BALANCER_ACTIONS = {
    "planned-stop": lambda r: one(r, r.stop),
    "kill-toriid": lambda r: one(r, r.kill),
    "kill-dataplane": lambda r: one(r, r.kill_dataplane),
    "kill-both": lambda r: one(r, r.kill_both),
    "return": one_return,
}


@contextlib.contextmanager
def laid_out(kind, interval):
    made = _lab.Lab()
    try:
        yield kind(made, interval)
    except AssertionError:
        made.report()
        raise
    finally:
        made.close()


def cases(intervals=("100ms", "10ms")):
    """Name -> function of the number of runs, which gives the milliseconds of each."""
    found = {}
    for name, kind, actions in (("torii", ToriiPair, ACTIONS), ("keepalived", KeepalivedPair, ACTIONS), ("balancer", BalancerPair, BALANCER_ACTIONS)):
        for interval in intervals:
            for action, function in actions.items():
                def measure(runs, kind=kind, interval=interval, function=function):
                    with laid_out(kind, interval) as routers:
                        return [function(routers) for _ in range(runs)]
                found[f"vrrp/{name}/{interval}/{action}"] = measure
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    for name, measure in cases().items():
        if re.search(options.only, name):
            found = measure(options.runs)
            print(f"{name:<44} {statistics.median(found):>10.1f} ms {min(found):>10.1f} {max(found):>10.1f} {len(found):>4}", flush=True)


if __name__ == "__main__":
    main()
