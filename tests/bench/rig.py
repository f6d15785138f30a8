"""The rig any DPDK program can be put on: net_pcap plays a file of packets in a loop as fast as they are taken, and
what is sent is dropped. One core receives, works and sends; its CPU time over the packets it took is the cost of one.
"""
import contextlib
import os
import pathlib
import re
import subprocess
import threading
import time

import lab as _lab
import machine
import pcap

VIRTUAL, PORT = "203.0.113.10", 53


def device(file):
    return f"net_pcap0,rx_pcap={file},infinite_rx=1"


def thread_ns(pid, name):
    """CPU time of one thread of a process, which the kernel counts in nanoseconds."""
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        if re.fullmatch(name, (task / "comm").read_text().strip()):
            return int((task / "schedstat").read_text().split()[0])
    raise AssertionError(f"process {pid} has no thread {name}")


def costs(packets, cpu_ns, runs, seconds):
    """ns/packet of each run; `packets` and `cpu_ns` read counters that only grow."""
    found = []
    for _ in range(runs):
        ns, count = cpu_ns(), packets()
        time.sleep(seconds)
        ns, count = cpu_ns() - ns, packets() - count
        assert count > 0, "no packet was taken"
        found.append(ns / count)
    return found


def macswap(directory, flows, runs, seconds, huge):
    """testpmd swapping MAC addresses: what the rig itself costs."""
    file = pcap.write(directory / f"macswap-{flows}.pcap", flows, VIRTUAL, PORT)
    mbufs = flows + 16384  # the file lies in packet memory
    memory = ["--in-memory"] if huge else ["--no-huge", "-m", str(mbufs * 4224 // (1 << 20) + 128)]  # a page each
    core = machine.last_core()
    command = ["stdbuf", "-oL", "dpdk-testpmd", "--no-pci", "--no-telemetry", f"--file-prefix=torii-bench-{os.getpid()}", *memory, "--lcores", f"0@0,1@{core}", f"--vdev={device(file)}", "--",
               "-i", "--forward-mode=macswap", "--nb-cores=1", f"--total-num-mbufs={mbufs}"]
    # stdbuf becomes testpmd, so the process is the one to look at.
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline = threading.Timer(60 + runs * seconds, process.kill)
    deadline.start()
    try:
        def packets():
            process.stdin.write("show port stats 0\n")
            process.stdin.flush()
            said = []
            for line in process.stdout:
                said.append(line)
                match = re.search(r"RX-packets:\s*(\d+)", line)
                if match:
                    return int(match.group(1))
            raise AssertionError("testpmd ended\n" + "".join(said))
        process.stdin.write("start\n")
        packets()
        time.sleep(0.2)
        return costs(packets, lambda: thread_ns(process.pid, r"(lcore|rte)-worker-1"), runs, seconds)
    finally:
        deadline.cancel()
        process.kill()
        process.wait()


def configuration(file, slots):
    backends = [{"address": f"10.0.0.{n}", "port": 5353} for n in range(11, 21)]
    return {"dataplane": {"workers": [machine.last_core()], "idle": "poll", "connections": "1M", "backends": slots,
                          "ports": [{"name": "rig", "driver": "memory", "device": device(file), "kernel_interface": "rig0"}]},
            "services": [{"name": "dns", "virtual": [f"{VIRTUAL}:{PORT}/udp"], "scheduler": "rr", "forward": "nat", "backends": backends}]}


@contextlib.contextmanager
def torii_running(flows, slots=1024):
    """Both daemons on the rig; gives the Torii of the lab once packets are forwarded."""
    made = _lab.Lab()
    try:
        file = pcap.write(made.directory / f"torii-{flows}.pcap", flows, VIRTUAL, PORT)
        host = made.host("rig").forward()
        torii = _lab.Torii(host, configuration(file, slots), start=False)
        torii.start_dataplane()
        _lab.eventually(lambda: host.ip("link show rig0", check=False).returncode == 0, 20, f"rig0\n{torii.dataplane.output()}")
        host.ip("link set rig0 up")
        host.ip("addr add 10.0.0.1/24 dev rig0")
        host.ip(f"addr add {VIRTUAL}/32 dev rig0")
        for n in range(11, 21):
            host.ip(f"neigh add 10.0.0.{n} lladdr 02:00:00:00:01:{n:02x} dev rig0 nud permanent")
        torii.start_daemon()
        torii.wait(30)
        _lab.eventually(lambda: torii.verdicts().get("nat_request", 0) > flows, 20, "packets are forwarded")
        yield torii
    except AssertionError:
        made.report()
        raise
    finally:
        made.close()


def nat(flows, runs, seconds):
    """torii-dataplane over NAT: requests of `flows` established UDP connections."""
    with torii_running(flows) as torii:
        pid = torii.dataplane.process.pid
        before = torii.verdicts()
        found = costs(lambda: torii.status()["received"], lambda: thread_ns(pid, "torii-worker0"), runs, seconds)
        after = torii.verdicts()
        others = {name for name in after if name != "nat_request" and after[name] != before.get(name, 0)}
        assert not others, f"not every packet was forwarded: {others} in {after}"
        return found
