"""2,284 services with 37,298 servers, all checked, while a client's requests go through: how long a start and a reload
take, what a reload costs the client, and how soon the workers know of a server that dies or comes back."""
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import time

import lab as _lab
from health import backends, stage, view
from recipes import NAT_PORTS
from rules import in_force

SERVICES, SERVERS = 2284, 37298
UNITS = {"start": "s", "reload": "s", "reload/sent": "requests", "reload/lost": "requests", "down": "ms", "up": "ms"}
VIRTUAL, ECHO, FLAPPING = "198.51.100.10", 7, 8081
PROBE = pathlib.Path(_lab.__file__).with_name("vrrp_probe.py")
FLAPS = 5  # in each run

# Listens while it lives. What it has not taken when it dies would be reset, and look like a refusal.
LISTEN = """
import socket, sys
s = socket.create_server((sys.argv[1], int(sys.argv[2])), backlog=64)
print("listening", flush=True)
while True:
    s.accept()[0].close()
"""


def configuration(instance, services, servers, weight):
    """As text, since a library takes longer to write it than torii to read it. `weight`: of one server."""
    first = backends(1)[0]["address"]
    lines = [f"instance: {instance}", f"dataplane: {json.dumps({'backends': '64k', 'connections': '64k', 'ports': NAT_PORTS})}", "services:",
             f"- {{name: echo, virtual: ['{VIRTUAL}:{ECHO}/udp'], backends: [{{address: {first}, port: {ECHO}}}]}}",
             "- name: flapping", f"  virtual: ['{VIRTUAL}:81/tcp']", "  health: {type: tcp, interval: 10s, timeout: 5s}", "  backends:",
             f"  - {{address: {first}, port: {FLAPPING}, health: [{{interval: 100ms, timeout: 900ms, rise: 1, fall: 1}}]}}", f"  - {{address: {first}, port: 80}}"]
    left = servers - 3
    for n in range(services - 2):
        count = left // (services - 2 - n)
        lines += [f"- name: s{n}", f"  virtual: ['198.18.{n // 250}.{n % 250 + 1}:80/tcp']", "  health: {type: tcp, interval: 10s, timeout: 5s}", "  backends:"]
        lines += [f"  - {{address: {b['address']}, port: 80, weight: {weight if left == servers - 3 and not m else 1}}}"
                  for m, b in enumerate(backends(count, servers - left))]
        left -= count
    return "".join(line + "\n" for line in lines)


class Crowd(_lab.Torii):
    """With a configuration that is text."""

    def write(self, weight):
        text = configuration(self.instance, self.services, self.servers, weight)
        self.file.with_suffix(".new").write_text(text)
        self.file.with_suffix(".new").rename(self.file)

    def __init__(self, host, services, servers):
        self.services, self.servers = services, servers
        super().__init__(host, 1, start=False)


@contextlib.contextmanager
def running(services, servers):
    """client --- lb: torii, over af_xdp --- a host that is all servers"""
    made = _lab.Lab()
    try:
        outside = made.segment("outside")
        made.client = made.host("client").connect(outside, "198.51.100.2/24")
        lb = made.host("lb").forward().connect(outside, "198.51.100.1/24", f"{VIRTUAL}/32", interface="out0")
        made.servers = stage(made, lb)
        made.servers.start("/usr/bin/python3", PROBE, "--answer", "a", backends(1)[0]["address"], ECHO, name="answers")
        made.torii = Crowd(lb, services, servers)
        yield made
    except AssertionError:
        made.report()
        raise
    finally:
        made.close()


@contextlib.contextmanager
def asking(lab):
    """A request every 2 ms; [sent, lost] when it is over."""
    process = subprocess.Popen(["ip", "netns", "exec", lab.client.namespace, "/usr/bin/python3", PROBE, VIRTUAL, str(ECHO)],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    found = []
    try:
        assert process.stdout.readline().strip() == "ready"
        yield found
        said = json.loads(process.communicate("end\n", timeout=30)[0])
        found.extend((len(said["sent"]), said["answered"].count("")))
    finally:
        process.kill()
        process.wait()


class Word:
    """When the packets that tell a check that the server is up, or down, were sent."""

    def __init__(self, host, what):
        self.process = host.start("tcpdump", "-i", "eth0", "-ttnnl", "--immediate-mode", f"tcp src port {FLAPPING} and {what}", name=f"word-{what[:3]}")
        _lab.eventually(lambda: "listening on" in self.process.output(), what="tcpdump listens")

    def first(self):
        """Seconds since the epoch."""
        def seen():
            return [line for line in self.process.output().splitlines() if " > " in line]
        _lab.eventually(seen, 20, "the probe was answered")
        self.process.stop(2)
        return float(seen()[0].split()[0])


REFUSED = "tcp[4:4] = 0"  # the answer to a SYN; other resets have a number
ACCEPTED = "tcp[tcpflags] & (tcp-syn | tcp-ack) = tcp-syn | tcp-ack"


def into_force(torii, before, word):
    """Seconds from word on the wire until every worker has the next generation, and no other one."""
    wanted = (before + 1, before + 1)
    end = time.monotonic() + 20
    while (now := in_force(torii)) != wanted:
        assert time.monotonic() < end, f"generation {before + 1} does not come into force: {now}"
        time.sleep(0.0005)
    return time.time() - word.first()


def listen(lab):
    process = lab.servers.start("/usr/bin/python3", "-c", LISTEN, backends(1)[0]["address"], FLAPPING, name="flapping")
    _lab.eventually(lambda: "listening" in process.output(), what="it listens")
    return process


def flap(lab, server):
    """ms that it took when the server closed its port, ms when it opened it, and the server."""
    torii = lab.torii
    before, _ = in_force(torii)
    word = Word(lab.servers, REFUSED)
    server.process.kill()
    down = into_force(torii, before, word)
    word = Word(lab.servers, ACCEPTED)
    server = listen(lab)
    up = into_force(torii, before + 1, word)
    return down * 1000, up * 1000, server


def settle(torii):
    """Until the workers work with what was published last."""
    def same():
        published, taken = in_force(torii)
        return published == taken
    _lab.eventually(same, 60, "the generation is in force")


def one_word_more(torii, count):
    """Until toriid has applied `count` times."""
    _lab.eventually(lambda: torii.daemon.output().count("event=applied") >= count, 60, "it is applied")


def measure(runs, quick=False):
    """name -> figures of the runs"""
    found = {name: [] for name in UNITS}
    services, servers = (SERVICES // 50, SERVERS // 50) if quick else (SERVICES, SERVERS)
    with running(services, servers) as lab:
        torii, server = lab.torii, listen(lab)
        begin = time.monotonic()
        torii.start_daemon()
        one_word_more(torii, 1)
        found["start"].append(time.monotonic() - begin)
        torii.start_dataplane()
        torii.wait(60)
        proven(torii)
        before_others(torii)
        for n in range(runs):
            with asking(lab) as requests:
                torii.write(n % 2 + 2)
                begin = time.monotonic()
                torii.torii("reload")
                settle(torii)
                found["reload"].append(time.monotonic() - begin)
                time.sleep(0.5)  # what follows from it
            found["reload/sent"].append(requests[0])
            found["reload/lost"].append(requests[1])
            flaps = []
            for _ in range(FLAPS):
                *took, server = flap(lab, server)
                flaps.append(took)
            found["down"].append(statistics.median(down for down, _ in flaps))
            found["up"].append(statistics.median(up for _, up in flaps))
    return found


def before_others(torii):
    """Lets both daemons run before other work on the machine, which is not what is measured."""
    for process in (torii.daemon, torii.dataplane):
        for task in pathlib.Path(f"/proc/{process.process.pid}/task").iterdir():
            os.sched_setscheduler(int(task.name), os.SCHED_RR, os.sched_param(1))


def proven(torii):
    """Until every check has had its first result, and torii is at rest."""
    _lab.eventually(lambda: all(c["proven"] and c["up"] for c in view(torii)["checks"]), 90, "every server is up")
    settle(torii)
    time.sleep(1)
