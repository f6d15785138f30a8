"""Other people's VRRP routers on the segment of a Pair: Debian's keepalived, and FRR's vrrpd."""
import json
import shutil
import signal
import subprocess

from lab import eventually
from vrrp_lab import HERE, PORT

FRR = "/usr/lib/frr"


class Peer:
    """A host with an answering server, as a Router; what speaks VRRP on it is a subclass's."""

    def __init__(self, pair, name, number, addresses):
        self.pair, self.lab, self.name, self.number, self.addresses = pair, pair.lab, name, number, addresses
        self.vip = pair.vip
        self.host = self.lab.host(name).connect(pair.lan, f"10.0.0.{number}/24", f"2001:db8::{number}/64")
        self.port = json.loads(pair.lan.run("ip", "-j", "link", "show", "master", "br0").stdout)[-1]["ifname"]
        self.segment = pair.lan
        self.mac = json.loads(self.host.run("ip", "-j", "link", "show", "eth0").stdout)[0]["address"]
        self.host.start("/usr/bin/python3", HERE / "vrrp_probe.py", "--answer", name, self.vip, PORT)

    def holds(self):
        shown = json.loads(self.host.run("ip", "-j", "addr").stdout)
        return self.vip in {a["local"] for link in shown for a in link.get("addr_info", []) if "LOWER_UP" in link["flags"]}

    def process_runs(self):
        return any(p.running() for p in self.processes)

    def output(self):
        return "".join(p.output() for p in self.processes)

    def becomes(self, state, seconds=10):
        eventually(lambda: self.says() == state, seconds, f"{self.name} becomes {state}: {self.says()}\n{self.output()}")
        return self


class Keepalived(Peer):
    def __init__(self, pair, name, number, priority, addresses, interval=0.1, version=3, peers=(), password=None, more=""):
        super().__init__(pair, name, number, addresses)
        self.processes = []
        self.file = self.lab.directory / f"{name}.conf"
        self.interval, self.version, self.peers, self.password, self.more = interval, version, peers, password, more
        self.write(priority)

    def write(self, priority):
        lines = ["interface eth0", "state BACKUP", "virtual_router_id 51", f"priority {priority}", f"version {self.version}",
                 f"advert_int {self.interval}", "garp_master_delay 1", self.more]
        if self.peers:
            source = f"2001:db8::{self.number}" if ":" in self.peers[0] else f"10.0.0.{self.number}"
            lines += [f"unicast_src_ip {source}", "unicast_peer {", *self.peers, "}"]
        if self.password:
            lines += ["authentication {", "auth_type PASS", f"auth_pass {self.password}", "}"]
        lines += ["virtual_ipaddress {", *(f"{a} dev eth0" for a in self.addresses), "}"]
        self.file.write_text("vrrp_instance edge {\n" + "\n".join(lines) + "\n}\n")

    def start(self):
        pid = self.lab.directory / f"{self.name}.pid"
        process = self.host.start("keepalived", "-n", "-l", "-D", "-P", "-f", self.file, "-p", pid, "-r", f"{pid}.vrrp")
        self.processes.append(process)
        eventually(lambda: self.says() or not process.running(), 10, "keepalived runs")
        assert process.running(), process.output()
        return self

    def stop(self):
        self.processes.pop().stop(signal.SIGTERM, 15)

    def says(self):
        """Its last word about the instance: backup, master or fault."""
        last = None
        for line in self.output().splitlines():
            for word in ("BACKUP", "MASTER", "FAULT"):
                if f"(edge) Entering {word} STATE" in line:
                    last = {"BACKUP": "backup", "MASTER": "active", "FAULT": "fault"}[word]
        return last


class Frr(Peer):
    """zebra and vrrpd; addresses are on macvlans with the virtual MAC, which zebra puts down while it is backup."""

    def __init__(self, pair, name, number, priority, addresses, interval=0.1, version=3, more=()):
        super().__init__(pair, name, number, addresses)
        self.priority, self.interval, self.version, self.more = priority, interval, version, more
        self.processes = []
        v6 = ":" in addresses[0]
        self.family = "ipv6" if v6 else "ipv4"
        self.mac = f"00:00:5e:00:0{2 if v6 else 1}:33"
        self.host.ip(f"link add vrrp51 link eth0 address {self.mac} type macvlan mode bridge")
        for a in addresses:
            self.host.ip(f"addr add {a} dev vrrp51" + (" nodad" if v6 else ""))
        # As FRR's manual asks: each link answers for its own addresses, in its own name.
        self.host.sysctl("net.ipv4.conf.eth0.arp_ignore=1", "net.ipv4.conf.eth0.arp_announce=2", "net.ipv4.conf.vrrp51.arp_ignore=1")
        self.host.ip("link set vrrp51 up")
        self.directory = self.lab.directory / f"frr-{name}"
        self.directory.mkdir()
        self.lab.directory.chmod(0o755)  # its daemons give up being root
        shutil.chown(self.directory, "frr", "frr")

    def start(self):
        d = self.directory
        (d / "zebra.conf").write_text("log stdout\n")
        word = "ipv6" if self.family == "ipv6" else "ip"
        (d / "vrrpd.conf").write_text("\n".join([
            "log stdout", "debug vrrp protocol", "interface eth0", f" vrrp 51 version {self.version}", f" vrrp 51 priority {self.priority}",
            f" vrrp 51 advertisement-interval {int(self.interval * 1000)}",
            *(f" {line}" for line in self.more), *(f" vrrp 51 {word} {a.split('/')[0]}" for a in self.addresses)]) + "\n")
        for daemon in ("zebra", "vrrpd"):
            process = self.host.start(f"{FRR}/{daemon}", "-f", d / f"{daemon}.conf", "-i", d / f"{daemon}.pid", "-z", d / "zserv.sock",
                                      "--vty_socket", d, "-P", "0", "--log", "stdout", name=f"{self.name}-{daemon}")
            self.processes.append(process)
            eventually(lambda p=process, n=daemon: (d / f"{n}.vty").exists() or not p.running(), 10, f"{daemon} runs")
            assert process.running(), process.output()
        return self

    def stop(self):
        """Its router resigns; who puts the link down after that is nobody's business but the operator's."""
        self.processes.pop().stop(signal.SIGTERM)
        self.host.ip("link set vrrp51 down")
        self.processes.pop().stop(signal.SIGTERM)

    def says(self):
        if not self.processes:
            return None
        done = subprocess.run(["ip", "netns", "exec", self.host.namespace, "vtysh", "--vty_socket", str(self.directory), "-d", "vrrpd", "-c",
                               "show vrrp json"], capture_output=True, text=True)
        try:
            shown = json.loads(done.stdout)[0]
        except (ValueError, IndexError):
            return None
        status = shown["v6" if self.family == "ipv6" else "v4"]["status"]
        return {"Master": "active", "Backup": "backup"}.get(status, status)
