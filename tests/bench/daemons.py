"""What an operator waits for and pays for: the start of the dataplane, and both daemons with nothing to do."""
import contextlib
import pathlib
import time

import lab as _lab

# Sends a datagram every millisecond and prints the system's monotonic clock when the first answer comes.
PROBE = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect((sys.argv[1], int(sys.argv[2])))
s.settimeout(0.001)
print("sending", flush=True)
while True:
    try:
        s.send(b"?")
        s.recv(2000)
        break
    except (TimeoutError, ConnectionError):
        pass
print(time.monotonic(), flush=True)
"""


@contextlib.contextmanager
def running():
    """client --- lb: torii --- server, over af_xdp, with a table of a million entries."""
    made = _lab.Lab()
    try:
        outside, inside = made.segment("outside"), made.segment("inside")
        made.client = made.host("client").connect(outside, "198.51.100.2/24")
        lb = made.host("lb").forward()
        lb.connect(outside, "198.51.100.1/24", "198.51.100.10/32", interface="out0").connect(inside, "10.0.0.1/24", interface="in0")
        server = made.host("server").connect(inside, "10.0.0.11/24").route("default", "10.0.0.1")
        server.udp_echo(7)
        ports = [{"name": "outside", "driver": "af_xdp", "interface": "out0"}, {"name": "inside", "driver": "af_xdp", "interface": "in0"}]
        made.torii = _lab.Torii(lb, {
            "dataplane": {"connections": "1M", "backends": 1024, "ports": ports},
            "services": [{"name": "echo", "virtual": ["198.51.100.10:7/udp"], "scheduler": "rr", "backends": [{"address": "10.0.0.11", "port": 7}]}]})
        yield made
    except AssertionError:
        made.report()
        raise
    finally:
        made.close()


def first_packet(runs):
    """Seconds from the start of torii-dataplane to the first answer through it; the table is new each time."""
    found = []
    with running() as lab:
        for _ in range(runs):
            lab.torii.dataplane.stop()
            probe = lab.client.start("/usr/bin/python3", "-c", PROBE, "198.51.100.10", 7, name="probe")
            _lab.eventually(lambda: "sending" in probe.output(), what="the probe sends")
            begin = time.monotonic()
            lab.torii.start_dataplane("--fresh-table")
            _lab.eventually(lambda: not probe.running(), 30, "an answer came")
            found.append(float(probe.output().split()[-1]) - begin)
            lab.torii.wait()
    return found


def cpu_ns(pid):
    """CPU time of every thread of a process and of its children."""
    tasks = list(pathlib.Path(f"/proc/{pid}/task").iterdir())
    total = sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)
    for task in tasks:
        total += sum(cpu_ns(child) for child in (task / "children").read_text().split())
    return total


def idle(runs, seconds):
    """Percent of one core that both daemons use together while nothing happens."""
    found = []
    with running() as lab:
        pids = [lab.torii.daemon.process.pid, lab.torii.dataplane.process.pid]
        time.sleep(1)  # what a start brings with it is not idleness
        for _ in range(runs):
            begin, used = time.monotonic(), sum(map(cpu_ns, pids))
            time.sleep(seconds)
            found.append((sum(map(cpu_ns, pids)) - used) / (time.monotonic() - begin) / 1e7)
    return found
