"""The same commands and connections in the kernel's IPVS and in torii: the same servers are chosen.

The guest of guest/run has the kernel; a driver has
torii's whole packet path. PIPELINE_DRIVER names it (ctest does).
TORII_COMPAT_SEED picks other scenarios, TORII_COMPAT_SCENARIOS another number of them.
"""
import collections
import os
import random

import pytest
from scenarios import on_the_kernel, on_torii

SEED = int(os.environ.get("TORII_COMPAT_SEED", "1"))
COUNT = int(os.environ.get("TORII_COMPAT_SCENARIOS", "26"))
# Not twos: the guest's kernel does not have it.
SCHEDULERS = ["rr", "wrr", "lc", "wlc", "sh", "dh", "mh", "sed", "nq", "fo", "ovf", "lblc", "lblcr"]
HASHES = ["sh", "mh"]


class Scenario:
    """Random steps; `number` keeps its addresses apart from those of other scenarios."""

    def __init__(self, number, scheduler, rng):
        self.rng, self.number, self.scheduler = rng, number, scheduler
        self.v6 = rng.random() < 0.3
        self.nat = number % 3 != 0
        self.limited = number % 5 in (0, 1)  # has thresholds
        self.name = f"{scheduler}-{number}"
        self.virtuals = [self.address(50, i + 1) for i in range(4 if scheduler == "dh" else 1)]
        self.servers, self.deleted, self.flows, self.lines = [], [], [], []
        self.added = 0
        flags = rng.choice(["-", "{0}-port", "{0}-fallback", "{0}-port,{0}-fallback"])
        flags = flags.format(scheduler) if scheduler in HASHES else "-"
        self.lines.append(f"service {scheduler} {flags} {'nat' if self.nat else 'dr'} {' '.join(self.virtuals)}")

    def address(self, kind, host):
        return f"fd00:{kind}:{self.number}::{host:x}" if self.v6 else f"10.{kind}.{self.number}.{host}"

    def client(self):
        r = self.rng
        if self.v6:
            return f"2001:db8:{r.randrange(1, 0xffff):x}::{r.randrange(2, 0xffff):x}"
        return f"198.{r.choice([18, 19])}.{r.randrange(256)}.{r.randrange(1, 255)}"

    def settings(self):
        """Weight, upper and lower threshold. 256 and its neighbours make ties of one active and some
        inactive connections."""
        weight = self.rng.choice([0, 1, 1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 100, 255, 256, 257, 300, 512, 65535])
        if not self.limited or self.rng.random() < 0.3:
            return f"{weight}"
        upper = self.rng.randrange(1, 12)
        return f"{weight} {upper} {self.rng.choice([0, 0, self.rng.randrange(1, upper + 1)])}"

    def add(self):
        if self.deleted and self.rng.random() < 0.5:
            server = self.deleted.pop(self.rng.randrange(len(self.deleted)))
        else:
            self.added += 1
            server = self.address(60, self.added)
        self.servers.append(server)
        self.lines.append(f"add {server} {self.settings()}")

    def edit(self):
        if self.servers:
            self.lines.append(f"edit {self.rng.choice(self.servers)} {self.settings()}")

    def delete(self):
        if self.servers:
            server = self.servers.pop(self.rng.randrange(len(self.servers)))
            self.deleted.append(server)
            self.lines.append(f"del {server}")

    def connect(self):
        flow = f"{self.client()} {20000 + len(self.flows)} {self.rng.choice(self.virtuals)}"
        self.flows.append(flow)
        self.lines.append(f"syn {flow}")
        if self.rng.random() < 0.5:
            self.lines.append(f"ack {flow}")

    def go_on(self):
        """One more packet of a connection, from its client or (NAT) its server."""
        if self.flows:
            kinds = ["ack", "fin", "fin", "rst"]
            sender = "server " if self.nat and self.rng.random() < 0.4 else ""
            kind = self.rng.choice(["synack", "synack"] + kinds if sender else kinds)
            flow = self.rng.choice(self.flows)
            self.lines.append(f"{sender}{kind} {flow}")
            if kind in ("fin", "rst") and self.rng.random() < 0.4:
                self.lines.append(f"again {flow}")

    def build(self):
        r = self.rng
        for _ in range(r.randrange(1, 9)):
            self.add()
        for _ in range(r.randrange(4, 9)):
            for _ in range(r.randrange(0, 16)):
                r.choices([self.connect, self.go_on], [1, 1])[0]()
            for _ in range(r.choice([0, 1, 1, 2, 3])):
                more = [self.edit, self.delete] + ([self.add] if len(self.servers) < 8 else [])
                r.choice(more)()
        if not self.servers:
            self.add()
        for _ in range(20):
            self.connect()
        return "\n".join([f"scenario {self.name}", *self.lines, "end", ""])


# What random steps hardly ever meet.
CASES = {
    "wrr-weights-down-and-up-again": """
        service wrr - nat 10.50.201.1
        add 10.60.201.1 4
        add 10.60.201.2 1
        syn 198.18.0.1 1000 10.50.201.1
        syn 198.18.0.1 1001 10.50.201.1
        syn 198.18.0.1 1002 10.50.201.1
        edit 10.60.201.2 2
        edit 10.60.201.1 2
        edit 10.60.201.1 8
        SYNS 198.18.0.1 10.50.201.1
        """,
    "rr-the-current-ones-are-deleted-and-come-back": """
        service rr - nat 10.50.203.1
        add 10.60.203.1 1
        add 10.60.203.2 1
        add 10.60.203.3 1
        add 10.60.203.4 1
        syn 198.18.0.1 1000 10.50.203.1
        syn 198.18.0.1 1001 10.50.203.1
        syn 198.18.0.1 1002 10.50.203.1
        del 10.60.203.2
        del 10.60.203.3
        add 10.60.203.2 1
        SYNS 198.18.0.1 10.50.203.1
        """,
    # One active connection of a server of weight 256 against one inactive one of weight 1.
    "wlc-an-active-connection-weighs-256": """
        service wlc - nat 10.50.204.1
        add 10.60.204.1 1
        syn 198.18.0.1 1000 10.50.204.1
        ack 198.18.0.1 1000 10.50.204.1
        rst 198.18.0.1 1000 10.50.204.1
        add 10.60.204.2 256
        SYNS 198.18.0.1 10.50.204.1
        """,
    "wlc-an-active-connection-does-not-weigh-255": """
        service wlc - nat 10.50.205.1
        add 10.60.205.2 256
        add 10.60.205.1 1
        syn 198.18.0.1 1000 10.50.205.1
        ack 198.18.0.1 1000 10.50.205.1
        rst 198.18.0.1 1000 10.50.205.1
        SYNS 198.18.0.1 10.50.205.1
        """,
    # A lower threshold waits for a connection to begin, a higher one does not wait for one to end.
    "rr-thresholds-are-edited": """
        service rr - nat 10.50.206.1
        add 10.60.206.1 1
        add 10.60.206.2 1 2 1
        syn 198.18.0.1 1000 10.50.206.1
        syn 198.18.0.1 1001 10.50.206.1
        syn 198.18.0.1 1002 10.50.206.1
        syn 198.18.0.1 1003 10.50.206.1
        edit 10.60.206.1 1 2 0
        syn 198.18.0.1 1004 10.50.206.1
        syn 198.18.0.1 1005 10.50.206.1
        edit 10.60.206.2 1 8 8
        syn 198.18.0.1 1006 10.50.206.1
        edit 10.60.206.1 1
        SYNS 198.18.0.1 10.50.206.1
        """,
}


def case(name):
    lines = [line.strip() for line in CASES[name].strip().splitlines()]
    word, client, virtual = lines.pop().split()
    assert word == "SYNS"
    lines += [f"syn {client} {port} {virtual}" for port in range(2000, 2015)]
    return "\n".join([f"scenario {name}", *lines, "end", ""])


@pytest.fixture(scope="module")
def scenarios():
    rng = random.Random(SEED)
    some = [Scenario(i + 1, SCHEDULERS[i % len(SCHEDULERS)], rng) for i in range(COUNT)]
    return {s.name: s.build() for s in some} | {name: case(name) for name in CASES}


@pytest.fixture(scope="module")
def kernel(scenarios, tmp_path_factory):
    return on_the_kernel(scenarios, tmp_path_factory.mktemp("guest"))


@pytest.fixture(scope="module")
def torii(scenarios):
    return on_torii(scenarios)


def difference(scenario, kernel, torii):
    steps = "\n".join(scenario.splitlines())
    pairs = [(k, t) for k, t in zip(kernel, torii) if k != t]
    return f"{steps}\n{len(pairs)} lines differ; kernel, then torii:\n" + "\n".join(f"  {k}\n  {t}" for k, t in pairs[:5])


def test_the_schedulers_choose_what_the_kernel_chooses(scenarios, kernel, torii):
    assert kernel.keys() == torii.keys() == scenarios.keys()
    wrong = [name for name in scenarios if kernel[name] != torii[name]]
    assert not wrong, f"{len(wrong)} of {len(scenarios)}: {wrong}\n" + difference(
        scenarios[wrong[0]], kernel[wrong[0]], torii[wrong[0]])


def test_the_scenarios_are_worth_comparing(kernel):
    """Enough of everything, or the comparison shows nothing."""
    assert len(kernel) - len(CASES) >= 20
    for scheduler in SCHEDULERS:
        mine = [line.split() for name, lines in kernel.items() if name.startswith(scheduler + "-") for line in lines]
        servers = collections.Counter(w[4] for w in mine if w[0] == "choice")
        assert sum(servers.values()) >= 60 and len(servers) >= 4, (scheduler, servers)
    states = {line.split()[5] for lines in kernel.values() for line in lines if line.startswith("choice")}
    assert len(states) >= 8, states
    loads = [line.split() for lines in kernel.values() for line in lines if line.startswith("load")]
    assert sum(int(w[3]) for w in loads) >= 100 and sum(int(w[4]) for w in loads) >= 20
    refused = sum(line.endswith(" -") for lines in kernel.values() for line in lines)
    chosen = sum(line.startswith("choice") for lines in kernel.values() for line in lines) - refused
    assert refused >= 10 and chosen >= 1000, (refused, chosen)
