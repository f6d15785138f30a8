"""Tens of thousands of servers by ipvsadm: how long an operator waits, and what forwarding notices of it.

The rig forwards UDP as fast as its worker can all the while; the servers lie behind a gateway, as that many do."""
import http.client
import ipaddress
import json
import os
import socket
import statistics
import struct
import subprocess
import time

import lab as _lab
import rig

SERVICES, SERVERS = 2500, 40000
UNITS = {"restore": "s", "list": "s", "add-one": "ms", "flap": "ms", "forwarding/quiet": "ns/packet", "forwarding/restoring": "ns/packet"}
FIRST_SERVICE, FIRST_SERVER = ipaddress.ip_address("10.128.0.1"), ipaddress.ip_address("10.64.0.1")


def table(services=SERVICES, servers=SERVERS):
    """What ipvsadm-save prints of them: NAT and direct routing, sixteen servers a service."""
    each = servers // services
    lines = []
    for n in range(services):
        service, method = f"{FIRST_SERVICE + n}:80", "-m" if n % 2 else "-g"
        lines.append(f"-A -t {service} -s {('rr', 'wrr', 'wlc', 'sh')[n % 4]}")
        lines += [f"-a -t {service} -r {FIRST_SERVER + n * each + m}:80 {method} -w {m % 3 + 1}" for m in range(each)]
    return "".join(line + "\n" for line in lines)


class Api(http.client.HTTPConnection):
    """toriid's, by one connection that stays."""

    def __init__(self, torii):
        super().__init__("torii")
        self.path = f"/run/torii/{torii.instance}/api.sock"

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)

    def ask(self, method, path, body=None):
        self.request(method, path, json.dumps(body) if body else None)
        answer = self.getresponse()
        text = answer.read()
        assert answer.status == 200, text
        return json.loads(text)


def in_force(torii):
    """The numbers of the services generation that is published, and of the one that every worker has passed to: see
    dataplane/shm/control_block.h."""
    with open(f"/dev/shm/torii/{torii.instance}/control", "rb") as file:
        block = file.read(192)
    return struct.unpack_from("=Q", block, 64)[0], struct.unpack_from("=Q", block, 128)[0]


def flap(torii, api, server, state):
    """Seconds from word of one server to the last worker."""
    before, _ = in_force(torii)
    begin = time.monotonic()
    api.ask("POST", "/v1/servers", {"server": server, "service": "", "state": state})
    while (now := in_force(torii)) != (before + 1, before + 1):
        assert time.monotonic() - begin < 60, f"generation {before + 1} does not come into force: {now}"
        time.sleep(0.0005)
    return time.monotonic() - begin


class Commands:
    """ipvsadm on a host where torii runs, timed."""

    def __init__(self, torii):
        self.torii = torii
        self.environment = {**os.environ, "TORII_INSTANCE": torii.instance}

    def __call__(self, *arguments, given=""):
        begin = time.monotonic()
        done = subprocess.run([_lab.BIN / "ipvsadm", *arguments], input=given, capture_output=True, text=True, env=self.environment, timeout=120)
        seconds = time.monotonic() - begin
        assert done.returncode == 0, done.stderr
        self.output = done.stdout
        return seconds

    def settled(self):
        """Until the dataplane works with what was published last."""
        def same():
            generation = self.torii.status()["generation"]["services"]
            return generation["published"] == generation["in_force"]
        _lab.eventually(same, 60, "the generation is in force")


def cost(torii, action):
    """ns of the worker's CPU time a packet while action() runs."""
    def now():
        return torii.status()["received"], rig.thread_ns(torii.dataplane.process.pid, "torii-worker0")
    count, ns = now()
    action()
    later, later_ns = now()
    assert later > count, "nothing was forwarded meanwhile"
    return (later_ns - ns) / (later - count)


def measure(runs, services=SERVICES, servers=SERVERS, quiet_seconds=1.0):
    """name -> figures of the runs"""
    found = {name: [] for name in UNITS}
    text = table(services, servers)
    with rig.torii_running(1000, 65536) as torii:
        torii.host.ip("route add 10.64.0.0/10 via 10.0.0.11 dev rig0")
        ipvsadm, api = Commands(torii), Api(torii)
        one = (f"{FIRST_SERVICE}:80", f"{FIRST_SERVER + servers}:80")
        for _ in range(runs):
            found["forwarding/quiet"].append(cost(torii, lambda: time.sleep(quiet_seconds)))

            def restore():
                found["restore"].append(ipvsadm("-R", given=text))
                ipvsadm.settled()
            found["forwarding/restoring"].append(cost(torii, restore))
            found["list"].append(ipvsadm("-Ln"))
            assert ipvsadm.output.count("  -> ") >= servers
            found["add-one"].append(ipvsadm("-a", "-t", one[0], "-r", one[1]) * 1000)
            ipvsadm.settled()
            found["flap"].append(statistics.median(flap(torii, api, one[1].removesuffix(":80"), state) for state in ("down", "up") * 3) * 1000)
            ipvsadm("-R", given="".join(f"-D -t {FIRST_SERVICE + n}:80\n" for n in range(services)))
            ipvsadm.settled()
    return found
