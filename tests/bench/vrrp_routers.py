"""Machines on one bridge with torii, and Debian's keepalived beside it: each kind shares an address of its own with its
like, by a router id of its own, so that both can be measured in turns in the same namespaces."""
import json
import os
import pathlib
import signal
import sys
import types

import vrrp_lab
from lab import eventually

PRIORITIES = (150, 120, 100)
SECONDS = 20  # for whatever must come


class Stage:
    """The machines, the first of which is to be active; whatever was done to them is undone by whole()."""

    def __init__(self, made, pair=vrrp_lab.Pair, number=2, **instance):
        self.made, self.pair = made, pair(made, **instance)
        priorities = PRIORITIES[:number - 1] + PRIORITIES[-1:]
        self.routers = [self.pair.add(name, priority, start=False) for name, priority in zip("abc", priorities)]
        self.hosts = [r.host for r in self.routers]
        self.priorities, self.undo = priorities, []

    def down(self):
        self.hosts[0].ip("link set eth0 down")
        self.undo.append(lambda: self.hosts[0].ip("link set eth0 up"))

    def cut(self):
        """The first two do not hear each other; the client hears both."""
        def isolate(on):
            for r in self.routers[:2]:
                r.isolate(on)
        isolate(True)
        self.undo.append(lambda: isolate(False))

    def deafen(self):
        """The second hears nobody, and is heard."""
        host = self.hosts[1]
        host.run("nft", "add table netdev cut; add chain netdev cut in { type filter hook ingress device eth0 priority 0; };"
                        "add rule netdev cut in ip protocol 112 drop")
        self.undo.append(lambda: host.run("nft", "delete table netdev cut"))

    def whole(self):
        while self.undo:
            self.undo.pop()()

    def introduce(self, address):
        """The client knows where the address is, whatever it thought before."""
        self.pair.client.ip(f"neigh flush to {address} dev eth0", check=False)
        self.pair.client.run("ping", "-c", 1, "-W", 2, address)

    def knows(self, address):
        """The client's idea of who has the address, as a number, or nothing."""
        shown = json.loads(self.pair.client.run("ip", "-j", "neigh", "show", address).stdout or "[]")
        return next((n for n, r in enumerate(self.routers) if shown and shown[0].get("lladdr") == r.mac), None)


class Routers:
    """One kind on all machines of a stage. Of machine n: start(n), end(n, signal), running(n), pids(n)."""

    def __init__(self, stage, address):
        self.stage, self.address = stage, address

    def holders(self):
        return [n for n, host in enumerate(self.stage.hosts) if f" {self.address}/" in host.ip("addr show dev eth0").stdout]

    def held_by(self, n, alone=False):
        eventually(lambda: self.holders() == [n] if alone else n in self.holders(), SECONDS,
                   f"{type(self).__name__}: {n} has the address{' alone' if alone else ''}: {self.holders()}")

    def all_run(self):
        self.stage.whole()
        for n in range(len(self.stage.hosts)):
            if not self.running(n):
                self.start(n)

    def ready(self):
        """All run, the first is active, and the client has it in its cache."""
        self.all_run()
        try:
            self.held_by(0, alone=True)
        except AssertionError as unsettled:  # seen of keepalived after a freeze, with 10 ms adverts
            print(f"begun anew: {unsettled}", file=sys.stderr)
            for n in range(len(self.stage.hosts)):
                self.end(n)
            self.all_run()
            self.held_by(0, alone=True)
        self.stage.introduce(self.address)

    def probe(self):
        return vrrp_lab.Probe(types.SimpleNamespace(client=self.stage.pair.client, vip=self.address))

    def signal(self, n, number):
        for pid in self.pids(n):
            os.kill(pid, number)


class Torii(Routers):
    def __init__(self, stage):
        super().__init__(stage, vrrp_lab.VIP)

    def daemon(self, n):
        return self.stage.routers[n].torii.daemon

    def running(self, n):
        return bool(self.daemon(n) and self.daemon(n).running())

    def start(self, n):
        self.stage.routers[n].start()

    def end(self, n, number=signal.SIGTERM):
        self.daemon(n).stop(number)

    def pids(self, n):
        return [self.daemon(n).process.pid]


class Balancers(Torii):
    """Whole balancers over af_xdp, DR to two servers."""

    def all_run(self):
        super().all_run()
        for router in self.stage.routers:
            router.start()  # its dataplane too
            router.torii.wait()

    def kill_dataplane(self):
        self.stage.routers[0].torii.dataplane.stop(signal.SIGKILL)

    def kill_both(self):
        torii = self.stage.routers[0].torii
        both = (torii.daemon, torii.dataplane)
        for process in both:  # at once: the end of a process takes longer than some takeovers
            process.process.send_signal(signal.SIGKILL)
        for process in both:
            process.wait()


class Keepalived(Routers):
    """With version 3 and real-time priority."""

    def __init__(self, stage, interval, preempt=True):
        super().__init__(stage, "10.0.0.200")
        self.interval, self.preempt = int(interval.removesuffix("ms")) / 1000, preempt
        self.processes = [None] * len(stage.hosts)
        for host in stage.hosts:
            host.start("/usr/bin/python3", vrrp_lab.HERE / "vrrp_probe.py", "--answer", host.name, self.address, vrrp_lab.PORT)
        self.files = [self.written(n) for n in range(len(stage.hosts))]

    def written(self, n):
        file = self.stage.made.directory / f"keepalived{n}.conf"
        file.write_text(
            f"global_defs {{\n vrrp_version 3\n vrrp_rt_priority 50\n}}\nvrrp_instance edge {{\n state BACKUP\n interface eth0\n"
            f" virtual_router_id 52\n priority {self.stage.priorities[n]}\n advert_int {self.interval}\n"
            f"{'' if self.preempt else ' nopreempt'}\n virtual_ipaddress {{\n {self.address}/24 dev eth0\n }}\n}}\n")
        return file

    def running(self, n):
        return bool(self.processes[n] and self.processes[n].running())

    def start(self, n):
        pid = self.stage.made.directory / f"keepalived{n}.pid"
        for left in self.stage.made.directory.glob(f"{pid.name}*"):  # by one that was killed
            left.unlink()
        process = self.stage.hosts[n].start("keepalived", "-n", "-l", "-P", "-f", self.files[n], "-p", pid, "-r", f"{pid}.vrrp")
        self.processes[n] = process
        eventually(lambda: "Entering BACKUP STATE" in process.output() or not process.running(), SECONDS, "keepalived runs")
        assert process.running(), process.output()

    def pids(self, n):
        """The process that speaks VRRP is a child of keepalived, which would start it again."""
        parent = self.processes[n].process.pid
        return [int(p) for p in pathlib.Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]

    def end(self, n, number=signal.SIGTERM):
        if number == signal.SIGKILL:  # the child first, which resigns when it sees that its parent is gone
            self.processes[n].process.send_signal(signal.SIGSTOP)
            self.signal(n, signal.SIGKILL)
        self.processes[n].stop(number, 15)
