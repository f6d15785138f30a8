"""torii-dataplane alone: its ports, the kernel's share of the packets, and starts that must fail."""
import os
import pathlib
import re
import shutil
import struct

import pytest
import yaml
from scapy.all import IP, UDP, Dot1Q, Ether, wrpcap

from lab import BIN, eventually, run

ROOT = pathlib.Path(__file__).resolve().parents[2]

# WorkerCounters (dataplane/shm/counters.h): 16 numbers, then one for each verdict in the order of verdict.h.
FIRST_BLOCK, BEFORE_VERDICTS, VERDICTS = 128, 16, 64
ORDER = re.search(r"enum class Verdict : uint8_t \{(.*?)\};", (ROOT / "dataplane/stages/verdict.h").read_text(), re.S)[1]
ORDER = re.findall(r"^    (\w+),$", ORDER, re.M)
KERNEL_NOT_OURS, KERNEL_OTHER, LAST = ORDER.index("kernel_not_ours"), ORDER.index("kernel_other"), ORDER.index("aside")


class Dataplane:
    """One torii-dataplane on a host, with its configuration and its counters."""

    def __init__(self, host, ports, **more):
        self.host = host
        self.instance = f"io{host.lab.prefix}".replace("-", "")
        self.shm = pathlib.Path("/dev/shm/torii") / self.instance
        self.file = host.lab.directory / "io.yaml"
        self.file.write_text(yaml.safe_dump({"instance": self.instance, "dataplane": {
            "workers": [0], "connections": 1024, "backends": 1024, "ports": ports, **more}}, sort_keys=False))
        self.process = None
        host.lab.balancers.append(self)

    def launch(self, *options):
        self.process = self.host.start(BIN / "torii-dataplane", "-c", self.file, *options, name="dataplane")
        return self.process

    def start(self, *options):
        self.launch(*options)
        eventually(lambda: "event=forwarding" in self.process.output() or not self.process.running(), what="torii-dataplane forwards")
        assert self.process.running(), self.process.output()
        return self

    def refused(self):
        process = self.launch()
        assert process.wait(20) == 1, process.output()
        return process.output()

    def counters(self):
        data = (self.shm / "counters").read_bytes()
        numbers = struct.unpack_from(f"<{BEFORE_VERDICTS + VERDICTS}Q", data, FIRST_BLOCK)
        return numbers[0], list(numbers[BEFORE_VERDICTS:BEFORE_VERDICTS + LAST])

    def forwards(self):
        return bool(self.process and self.process.running() and "event=forwarding" in self.process.output())

    def assert_balanced(self):
        def equal():
            received, verdicts = self.counters()
            return received == sum(verdicts)
        eventually(equal, what="received == sum of verdicts")

    def logs(self):
        return self.process.output() if self.process else ""

    def torii(self, *arguments, check=True):
        return run("true")

    def close(self):
        if self.process:
            self.process.stop()
        shutil.rmtree(self.shm, ignore_errors=True)


def test_the_exception_path_is_an_interface_of_the_kernel(lab):
    """wire [wan0] --- port of torii --- TAP kern0 [host]: ARP, ping, IPv6 and TCP between kernels, through the dataplane."""
    wire, host = lab.host("wire"), lab.host("host")
    dataplane = Dataplane(host, [{"name": "p0", "driver": "tap", "interface": "wan0", "kernel_interface": "kern0"}]).start()
    host.ip(f"link set wan0 netns {wire.namespace}")
    wire.ip("link set wan0 up")
    wire.ip("addr add 192.0.2.2/24 dev wan0")
    wire.ip("addr add 2001:db8::2/64 dev wan0 nodad")
    host.ip("addr add 192.0.2.1/24 dev kern0")
    host.ip("addr add 2001:db8::1/64 dev kern0 nodad")
    wire.run("ping", "-c", "3", "-i", "0.2", "-W", "2", "192.0.2.1")
    host.run("ping", "-c", "3", "-i", "0.2", "-W", "2", "2001:db8::2")
    # The TAP carries the port's address: that is what the wire has learnt.
    mac = host.run("cat", "/sys/class/net/kern0/address").stdout.strip()
    assert f"mac={mac}" in dataplane.process.output()
    assert mac in wire.ip("neigh show 192.0.2.1").stdout
    host.nginx(80)
    assert wire.get("http://192.0.2.1/name") == "host"
    total, verdicts = dataplane.counters()
    # TCP is not ours, ping and ARP are no protocol that is balanced; nothing else was on the wire.
    assert total == verdicts[KERNEL_NOT_OURS] + verdicts[KERNEL_OTHER] and verdicts[KERNEL_NOT_OURS] >= 3 and verdicts[KERNEL_OTHER] >= 6, verdicts


def test_packets_that_are_not_ours_reach_the_host_through_the_instances_tap(lab):
    """Frames to some other MAC, one with a VLAN tag, from a source that is not routed back: the host's socket gets them all."""
    host = lab.host("host")
    host.ip("addr add 198.51.100.1/32 dev lo")
    ether = Ether(dst="02:00:00:00:00:99", src="02:00:00:00:00:98")
    wrpcap(str(lab.directory / "in.pcap"), [link / IP(src="203.0.113.9", dst="198.51.100.1") / UDP(sport=1000 + n, dport=9999) / f"frame {n}"
                                            for n, link in enumerate([ether, ether, ether / Dot1Q(vlan=7)])])
    listener = host.start("/usr/bin/python3", "-uc", "import socket\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n"
                          "s.bind(('198.51.100.1',9999))\nprint('ready')\nwhile 1: print(s.recv(99).decode())", name="listener")
    eventually(lambda: "ready" in listener.output())
    device = f"net_pcap0,rx_pcap={lab.directory}/in.pcap"
    dataplane = Dataplane(host, [{"name": "p0", "driver": "memory", "device": device}]).start()
    eventually(lambda: all(f"frame {n}" in listener.output() for n in range(3)), what="three datagrams")
    total, verdicts = dataplane.counters()
    assert total == 3 and verdicts[KERNEL_NOT_OURS] == 3, verdicts


def test_bad_starts_are_sentences_and_leave_nothing(lab):
    host = lab.host("host")
    host.ip("link add in0 type veth peer name in1")
    pci = {"name": "p0", "driver": "pci", "device": "0000:3b:00.0"}
    memory = {"name": "p0", "driver": "memory"}
    af_xdp = {"name": "p0", "driver": "af_xdp", "interface": "in0"}
    links = host.ip("-br link").stdout
    for ports, more, sentence in [
            ([pci], {}, "io.yaml:{line}: port p0: 0000:3b:00.0: no such PCI device"),
            ([memory], {"hugepages": "require"}, "sysctl vm.nr_hugepages="),
            ([{**memory, "device": "net_nonsense0"}], {}, "port p0: DPDK device net_nonsense0"),
            ([{**af_xdp, "interface": "in7"}], {}, "in7"),
            ([af_xdp, {**memory, "name": "p1", "device": "net_nonsense0"}], {}, "port p1: DPDK device net_nonsense0"),
            ([af_xdp, {"name": "p1", "driver": "tap", "interface": "in1"}], {}, "the interface 'in1' is there already")]:
        if more.get("hugepages") == "require" and int(pathlib.Path("/proc/sys/vm/nr_hugepages").read_text()) > 0:
            ports = [{**memory, "queues": 1024}]
        dataplane = Dataplane(host, ports, **more)
        output = dataplane.refused()
        line = next((f"{n}:{text.index('- ') + 3}" for n, text in enumerate(dataplane.file.read_text().splitlines(), 1) if "- name: p0" in text), "")
        assert sentence.format(line=line) in output, output
        assert not dataplane.shm.exists(), list(dataplane.shm.iterdir())
        assert host.ip("-br link").stdout.split() == links.split()
        assert "xdp" not in host.ip("link show in0").stdout


def test_a_second_dataplane_of_the_instance_is_refused(lab):
    host = lab.host("host")
    first = Dataplane(host, [{"name": "p0", "driver": "memory"}]).start()
    second = host.start(BIN / "torii-dataplane", "-c", first.file, name="second")
    assert second.wait(20) == 1
    assert "another dataplane runs for this instance" in second.output()
    assert first.process.running() and (first.shm / "connections").exists()


def test_a_foreign_xdp_program_is_refused_and_stays(lab):
    host = lab.host("host")
    host.ip("link add in0 type veth peer name in1")
    program = lab.directory / "foreign.bpf.o"
    source = lab.directory / "foreign.bpf.c"
    source.write_text('__attribute__((section("xdp"), used)) int foreign(void *c) { return 2; }\n'
                      'char gpl[] __attribute__((section("license"), used)) = "GPL";\n')
    run("clang", "-target", "bpf", "-O2", "-g", "-c", source, "-o", program)
    host.ip(f"link set in0 xdp obj {program} sec xdp")
    output = Dataplane(host, [{"name": "p0", "driver": "af_xdp", "interface": "in0"}]).refused()
    assert "which is not torii's: detach it first" in output, output
    assert "xdp" in host.ip("link show in0").stdout


@pytest.mark.parametrize("queues", [1, 2])
def test_kill_and_restart_keep_the_program_attached(lab, queues):
    host = lab.host("host")
    host.ip(f"link add in0 numrxqueues {queues} numtxqueues {queues} type veth peer name in1 numrxqueues {queues} numtxqueues {queues}")
    host.ip("link set in1 up")
    host.ip("link set in0 up")
    dataplane = Dataplane(host, [{"name": "p0", "driver": "af_xdp", "interface": "in0"}], workers=list(range(min(queues, os.cpu_count()))))
    for signal in (9, 15, 9):
        dataplane.start()
        assert f"receive_queues={queues}" in dataplane.process.output()
        dataplane.process.stop(signal)
        assert dataplane.process.process.returncode == (0 if signal == 15 else -9)
        assert "xdp" in host.ip("link show in0").stdout, "without a program the kernel would answer"
    dataplane.start()
    assert "event=table_attached kept=0" in dataplane.process.output()
    dataplane.process.stop()
    broken = dataplane.shm / "connections"
    with open(broken, "r+b") as table:
        table.truncate(100)
    assert "--fresh-table" in dataplane.refused()
    dataplane.start("--fresh-table")
