"""Routers that share addresses by VRRP on one Ethernet, and a client that asks for them every 2 ms."""
import json
import pathlib
import subprocess

from lab import Torii, eventually

HERE = pathlib.Path(__file__).resolve().parent
PORT = 7007
VIP = "10.0.0.100"
GROUP_MAC = "01:00:5e:00:00:12"


def instance(priority, **more):
    return {"name": "edge", "interface": "eth0", "router_id": 51, "priority": priority, "interval": "100ms",
            "addresses": [f"{VIP}/24"], **more}


class Router:
    """A host on the segment with an answering server; toriid alone unless told otherwise."""

    def __init__(self, lab, segment, name, number, priority=100, vip=VIP, start=True, configuration=None, **more):
        self.name, self.number = name, number
        self.host = lab.host(name).connect(segment, f"10.0.0.{number}/24", f"2001:db8::{number}/64")
        # Its own frames keep one MAC, so that the client's caches can be told apart.
        self.port = json.loads(segment.run("ip", "-j", "link", "show", "master", "br0").stdout)[-1]["ifname"]
        self.segment, self.vip = segment, vip
        self.mac = json.loads(self.host.run("ip", "-j", "link", "show", "eth0").stdout)[0]["address"]
        self.host.start("/usr/bin/python3", HERE / "vrrp_probe.py", "--answer", name, vip, PORT)
        self.torii = Torii(self.host, configuration or {"vrrp": {"instances": [instance(priority, **more)]}}, start=False)
        if start:
            self.start()

    def start(self):
        if "dataplane" in self.torii.configuration and not (self.torii.dataplane and self.torii.dataplane.running()):
            self.torii.start_dataplane()
        if self.torii.daemon and self.torii.daemon.running():
            return self
        self.torii.start_daemon()
        eventually(lambda: self.torii.torii("vrrp", check=False).returncode == 0 or not self.torii.daemon.running(), 20,
                   "toriid serves")
        assert self.torii.daemon.running(), self.torii.daemon.output()
        return self

    def pid(self):
        return self.torii.daemon.process.pid

    def vrrp(self, name="edge"):
        return next(i for i in json.loads(self.torii.torii("vrrp", "--json").stdout)["instances"] if i["name"] == name)

    def state(self, name="edge"):
        return self.vrrp(name)["state"]

    def becomes(self, state, seconds=10, name="edge"):
        eventually(lambda: self.state(name) == state, seconds, f"{self.name} becomes {state}: {self.vrrp(name)}")
        return self

    def addresses(self, device="eth0"):
        shown = json.loads(self.host.run("ip", "-j", "addr", "show", *(["dev", device] if device else [])).stdout)
        return {a["local"] for link in shown for a in link.get("addr_info", [])}

    def isolate(self, on):
        """Routers whose ports are isolated do not hear each other; the client hears both."""
        self.segment.ip(f"link set {self.port} type bridge_slave isolated {'on' if on else 'off'}")

    def holds(self, address=None):
        return (address or self.vip) in self.addresses(None)


class Pair:
    def __init__(self, lab, vip=VIP, **more):
        self.lab, self.vip, self.more = lab, vip, more
        self.lan = lab.segment("lan")
        self.client = lab.host("client").connect(self.lan, "10.0.0.2/24", "2001:db8::2/64")
        self.routers = []

    def add(self, name, priority, **more):
        self.routers.append(Router(self.lab, self.lan, name, 11 + len(self.routers), priority, self.vip, **{**self.more, **more}))
        return self.routers[-1]

    def settled(self, active, seconds=10):
        """One is active, and only there is the address; the client's cache says so too."""
        active.becomes("active", seconds)
        for other in self.routers:
            if other is not active and other.torii.daemon and other.torii.daemon.running():
                other.becomes("backup", seconds)
        eventually(lambda: [r for r in self.routers if r.holds()] == [active], seconds,
                   f"only {active.name} has the address: {[(r.name, r.addresses()) for r in self.routers]}")
        # Counters are told twice a second; what comes after can be compared with them.
        eventually(lambda: all(r.vrrp()["transitions"][r.state()] for r in self.routers if r.torii.daemon and r.torii.daemon.running()), 5)
        return active

    def client_knows(self, router, seconds=5):
        eventually(lambda: self.neighbour() == router.mac, seconds, f"the client's cache: {self.neighbour()} != {router.mac}")

    def neighbour(self):
        shown = json.loads(self.client.run("ip", "-j", "neigh", "show", self.vip).stdout or "[]")
        return shown[0].get("lladdr") if shown else None

    def announced(self):
        """The address is in the client's cache, as it is when somebody talks."""
        self.client.run("ping", "-c", 1, "-W", 2, self.vip)

    def probe(self):
        return Probe(self)


class Balancers(Pair):
    """Whole balancers over af_xdp that send by direct routing to two servers, which answer for the address."""

    def __init__(self, lab, **more):
        super().__init__(lab, **more)
        self.servers = []
        for n in (50, 51):
            server = lab.host(f"server{n}").connect(self.lan, f"10.0.0.{n}/24").hold_vip(self.vip)
            server.start("/usr/bin/python3", HERE / "vrrp_probe.py", "--answer", "server", self.vip, PORT)
            self.servers.append(server)

    def add(self, name, priority, health=None, start=True, **more):
        servers = [{"address": "10.0.0.50"}, {"address": "10.0.0.51"}]
        service = {"name": "echo", "virtual": [f"{self.vip}:{PORT}/udp"], "scheduler": "rr", "forward": "dr", "backends": servers}
        if health:
            service["health"] = health
        www = {"name": "www", "virtual": [f"{self.vip}:80/tcp"], "scheduler": "sh", "forward": "dr", "backends": servers}
        return super().add(name, priority, start=start, configuration={
            "dataplane": {"connections": "64k", "backends": 64, "ports": [{"name": "lan", "driver": "af_xdp", "interface": "eth0"}]},
            "behaviour": {"sloppy_tcp": 1}, "services": [service, www],
            "vrrp": {"instances": [instance(priority, **{**self.more, **more})]}})

    def settled(self, active, seconds=20):
        super().settled(active, seconds)
        for r in self.routers:
            if r.torii.forwards():
                r.torii.wait()
        return active


class Probe:
    def __init__(self, pair):
        self.process = subprocess.Popen(["ip", "netns", "exec", pair.client.namespace, "/usr/bin/python3", HERE / "vrrp_probe.py", pair.vip,
                                         str(PORT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        if self.process:
            self.process.stdin.close()
            result = json.loads(self.process.stdout.readline())
            self.process.wait()
            self.process = None
            self.sent, self.answered = result["sent"], result["answered"]
        return self

    def outages(self):
        """Lengths in seconds of the times without an answer, in which something was answered before and after."""
        lengths, last = [], None
        for n, (when, name) in enumerate(zip(self.sent, self.answered)):
            if not name:
                continue
            if last is not None and n - last > 1:
                lengths.append(when - self.sent[last + 1])
            last = n
        return lengths

    def longest(self):
        return max(self.outages(), default=0.0)

    def lost(self):
        return sum(not name for name in self.answered)

    def who(self):
        """Those who answered, in order."""
        order = []
        for name in self.answered:
            if name and (not order or order[-1] != name):
                order.append(name)
        return order
