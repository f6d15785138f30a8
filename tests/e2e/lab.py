"""A lab of network namespaces: segments (bridges), hosts, and a balancer that runs torii.

Everything a Lab made is gone after close(): processes by their pid, namespaces, shared memory,
directories. Nothing outside its own namespaces is touched.
"""
import itertools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import yaml

BIN = pathlib.Path(os.environ.get("TORII_BIN", pathlib.Path(__file__).resolve().parents[2] / "build" / "bin"))
_counter = itertools.count()


def run(*command, check=True, timeout=60, **options):
    """Runs a command and returns its CompletedProcess; an unexpected exit status shows what it printed."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=timeout, **options)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def eventually(condition, seconds=10, what=None):
    """Waits until condition() is true and returns its value; fails after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what or condition}")
        time.sleep(0.02)


class Process:
    """A background process with its output in a file."""

    def __init__(self, lab, name, command, env=None):
        self.name, self.log = name, lab.directory / f"{name}.{next(_counter)}.log"
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=open(self.log, "wb"),
                                        stderr=subprocess.STDOUT, env={**os.environ, **(env or {})})

    def running(self):
        return self.process.poll() is None

    def output(self):
        return self.log.read_text(errors="replace")

    def wait(self, seconds=60):
        return self.process.wait(seconds)

    def stop(self, sig=signal.SIGTERM, seconds=10):
        if self.running():
            self.process.send_signal(sig)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.name} did not end within {seconds} s of signal {sig}")


class Host:
    """A network namespace."""

    def __init__(self, lab, name):
        self.lab, self.name, self.namespace = lab, name, f"{lab.prefix}{name}"
        self.ports = 0
        run("ip", "netns", "add", self.namespace)
        self.sysctl("net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0",
                    "net.ipv6.conf.default.router_solicitations=0", "net.ipv4.conf.all.rp_filter=0",
                    "net.ipv4.conf.default.rp_filter=0", "net.ipv4.ping_group_range=0 2147483647")
        self.ip("link set lo up")

    def ip(self, arguments, check=True):
        return run("ip", "-n", self.namespace, *arguments.split(), check=check)

    def sysctl(self, *settings):
        self.run("sysctl", "-qw", *settings)

    def run(self, *command, **options):
        return run("ip", "netns", "exec", self.namespace, *command, **options)

    def start(self, *command, name=None, env=None):
        process = Process(self.lab, name or f"{self.name}-{pathlib.Path(str(command[0])).name}",
                          ["ip", "netns", "exec", self.namespace, *command], env)
        self.lab.processes.append(process)
        return process

    def connect(self, segment, *addresses, interface=None, queues=1):
        """A veth into a segment; checksums are computed by the sender, as a wire needs them."""
        interface = interface or f"eth{self.ports}"
        self.ports += 1
        port = f"p{next(segment.numbers)}"
        run("ip", "link", "add", interface, "netns", self.namespace, "numrxqueues", queues, "numtxqueues", queues,
            "type", "veth", "peer", "name", port, "netns", segment.namespace, "numrxqueues", queues, "numtxqueues", queues)
        for namespace, device in ((self.namespace, interface), (segment.namespace, port)):
            run("ip", "netns", "exec", namespace, "ethtool", "-K", device, "tx", "off")
        segment.ip(f"link set {port} master br0 up")
        for address in addresses:
            self.ip(f"addr add {address} dev {interface}" + (" nodad" if ":" in address else ""))
        self.ip(f"link set {interface} up")
        return self

    def route(self, destination, via):
        self.ip(f"{'-6 ' if ':' in via else ''}route add {destination} via {via}")
        return self

    def forward(self):
        self.sysctl("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.conf.all.send_redirects=0",
                    "net.ipv4.conf.default.send_redirects=0")
        return self

    def hold_vip(self, *addresses):
        """What a direct-routing server needs: the virtual address on lo, and silence about it in ARP."""
        self.sysctl("net.ipv4.conf.all.arp_ignore=1", "net.ipv4.conf.all.arp_announce=2")
        for address in addresses:
            self.ip(f"addr add {address}/{128 if ':' in address else 32} dev lo" + (" nodad" if ":" in address else ""))
        return self

    def listening(self, port, protocol="tcp"):
        return bool(self.run("ss", "-Hln", f"--{protocol}", f"sport = :{port}").stdout.strip())

    def nginx(self, port=80, files=None, more="", servers="", backlog=511):
        """A web server that answers every path with its host's name, or a file of `files`."""
        root = self.lab.directory / f"{self.name}-www"
        root.mkdir(exist_ok=True)
        for name, path in (files or {}).items():
            (root / name).symlink_to(path)
        configuration = self.lab.directory / f"{self.name}-nginx-{port}.conf"
        configuration.write_text(f"""
user root; worker_processes 1; pid {self.lab.directory}/{self.name}-nginx-{port}.pid; error_log stderr error; daemon off;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_timeout 60; default_type text/plain; client_body_temp_path {root}/tmp;
  proxy_temp_path {root}/p; fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;
  server {{ listen {port} backlog={backlog}; listen [::]:{port} backlog={backlog}; root {root};
    location = /name {{ return 200 "{self.name}\\n"; }}
    location = /slow {{ limit_rate 2m; }} {more}
    location / {{ try_files $uri @name; }}
    location @name {{ return 200 "{self.name}\\n"; }} }} {servers} }}
""")
        process = self.start("nginx", "-c", configuration, name=f"{self.name}-nginx")
        eventually(lambda: self.listening(port) or not process.running(), what=f"nginx on {self.name}")
        assert process.running(), process.output()
        return process

    def nginx_with_troubles(self, port=80):
        """As nginx(), and /healthz answers "ok" unless the files `broken` or `drip` lie in its folder `www`."""
        self.www = self.lab.directory / f"{self.name}-troubles"
        self.www.mkdir(exist_ok=True)
        (self.www / "ok").write_text("ok\n")
        (self.www / "slowly").write_text("ok" + "." * 600)
        return self.nginx(port, more=f"""
    location = /healthz {{ root {self.www}; if (-e {self.www}/broken) {{ return 503; }}
      if (-e {self.www}/drip) {{ rewrite ^ /slowly last; }} rewrite ^ /ok last; }}
    location = /ok {{ root {self.www}; }}
    location = /slowly {{ root {self.www}; limit_rate 1; }}""")

    def signal_nginx(self, number):
        """To the server's master and workers."""
        for pid in run("ip", "netns", "pids", self.namespace).stdout.split():
            if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "nginx":
                os.kill(int(pid), number)

    def udp_echo(self, port):
        script = ("import socket,sys\ns=socket.socket(socket.AF_INET6,socket.SOCK_DGRAM)\n"
                  "s.setsockopt(41,26,0)\ns.bind(('::',int(sys.argv[1])))\n"
                  "while 1:\n d,a=s.recvfrom(65535); s.sendto(sys.argv[2].encode()+b' '+d,a)")
        process = self.start("/usr/bin/python3", "-c", script, port, self.name, name=f"{self.name}-echo")
        eventually(lambda: self.listening(port, "udp"), what=f"echo on {self.name}")
        return process

    def curl(self, url, *options, seconds=5, check=True):
        """curl's own [1-9] in an URL works, also beside an IPv6 address in brackets."""
        return self.run("curl", "-sS", "--max-time", seconds, *options, url, check=check, timeout=seconds + 5)

    def get(self, url, **options):
        return self.curl(url, **options).stdout.strip()

    def close(self):
        # Whatever still runs in it was started for it, such as the workers of a killed nginx.
        for pid in run("ip", "netns", "pids", self.namespace, check=False).stdout.split():
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                pass
        run("ip", "netns", "del", self.namespace, check=False)


class Segment(Host):
    """An Ethernet: a namespace with one bridge."""

    def __init__(self, lab, name):
        super().__init__(lab, name)
        self.numbers = itertools.count()
        self.ip("link add br0 type bridge mcast_snooping 0 forward_delay 0")
        self.ip("link set br0 up")


class Torii:
    """Both daemons of one instance on a host, fed from a configuration given as a dictionary."""

    def __init__(self, host, configuration, start=True):
        self.host, self.lab = host, host.lab
        self.instance = f"{self.lab.prefix}{host.name}".replace("-", "")[-24:]
        self.file = self.lab.directory / f"{host.name}.yaml"
        self.shm = pathlib.Path("/dev/shm/torii") / self.instance
        self.dataplane = self.daemon = None
        self.configuration = configuration
        self.lab.balancers.append(self)
        self.write(configuration)
        if start:
            self.start_daemon()
            self.start_dataplane()
            self.wait()

    def write(self, configuration):
        self.configuration = configuration
        text = yaml.safe_dump({"instance": self.instance, **configuration}, sort_keys=False)
        self.file.with_suffix(".new").write_text(text)
        self.file.with_suffix(".new").rename(self.file)

    def start_daemon(self):
        self.daemon = self.host.start(BIN / "toriid", "-c", self.file, name=f"{self.host.name}-toriid")
        return self.daemon

    def start_dataplane(self, *options):
        self.dataplane = self.host.start(BIN / "torii-dataplane", "-c", self.file, *options, name=f"{self.host.name}-dataplane")
        return self.dataplane

    def torii(self, *arguments, check=True, timeout=30):
        return self.host.run(BIN / "torii", "-i", self.instance, *arguments, check=check, timeout=timeout)

    def ipvsadm(self, *arguments, check=True):
        return self.host.run("env", f"TORII_INSTANCE={self.instance}", BIN / "ipvsadm", *arguments, check=check).stdout

    def wait(self, seconds=20):
        done = self.torii("wait", "--timeout", f"{seconds}s", check=False, timeout=seconds + 10)
        assert done.returncode == 0, f"torii wait: {done.stdout}{done.stderr}\n{self.logs()}"
        assert "no port" not in done.stdout + done.stderr, "it was satisfied before it knew the ports"

    def reload(self, configuration, check=True):
        self.write(configuration)
        return self.torii("reload", check=check)

    def status(self):
        return json.loads(self.torii("status", "--json").stdout)

    def verdicts(self):
        return {name: count for name, count in self.status()["verdicts"].items() if count}

    def forwards(self):
        return bool(self.daemon and self.daemon.running() and self.dataplane and self.dataplane.running())

    def assert_balanced(self):
        """The sum of verdicts equals the packets received, once nothing is on its way."""
        def equal():
            status = self.status()
            return status["received"] == sum(status["verdicts"].values())
        eventually(equal, 5, f"received == sum of verdicts: {self.status()['received']} != {self.verdicts()}")
        lost = {name for name in self.verdicts() if name in ("drop_tx_full", "drop_no_memory")}
        assert not lost, self.verdicts()

    def logs(self):
        return "".join(f"--- {p.log.name}\n{p.output()[-4000:]}\n" for p in (self.daemon, self.dataplane) if p)

    def close(self):
        for process in (self.daemon, self.dataplane):
            if process:
                process.stop(signal.SIGTERM)
        self.torii("detach", check=False)
        shutil.rmtree(self.shm, ignore_errors=True)
        shutil.rmtree(f"/run/torii/{self.instance}", ignore_errors=True)


class Lab:
    def __init__(self):
        self.prefix = f"t{os.getpid()}-"
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="torii-lab-"))
        self.hosts, self.processes, self.balancers = [], [], []

    def host(self, name):
        self.hosts.append(Host(self, name))
        return self.hosts[-1]

    def segment(self, name):
        self.hosts.append(Segment(self, name))
        return self.hosts[-1]

    def report(self):
        for balancer in self.balancers:
            print(balancer.logs())
            done = balancer.torii("status", check=False)
            print(done.stdout, done.stderr)

    def close(self):
        errors = []
        for thing in [*self.balancers, *reversed(self.processes), *reversed(self.hosts)]:
            try:
                thing.stop(signal.SIGKILL) if isinstance(thing, Process) else thing.close()
            except (AssertionError, OSError, subprocess.SubprocessError) as error:
                errors.append(error)
        shutil.rmtree(self.directory, ignore_errors=True)
        if errors:
            raise errors[0]
