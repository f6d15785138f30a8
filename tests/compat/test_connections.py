"""What the kernel's connection table holds after scripted packets, torii's holds too: states, timeouts,
servers, counts, persistence; and what it has counted of services and servers.
"""
import pytest
from scenarios import on_the_kernel, on_torii, scenario

# Seconds that the guest's clock may have gone on since the packet; and torii counts from the next whole second.
LATER, EARLIER = 8, 1

CLIENT = "198.18.0.1"
CASES = {}


def case(name, method="nat", scheduler="rr", servers=2, port="", protocol="tcp", before="", after=""):
    """Adds a case: a service on an address of its own with servers A, B, ..., then steps in which V, A and B stand
    for those, and C for the client."""
    def add(steps):
        n = 100 + len(CASES)
        virtual = f"10.50.{n}.1{port}"
        lines = [f"protocol {protocol}", f"service {scheduler} - {method} {virtual}", before,
                 *(f"add 10.60.{n}.{i + 1} 1" for i in range(servers)), "entries", "stats"]
        words = {"V": f"10.50.{n}.1", "V2": f"10.50.{n}.1:443", "A": f"10.60.{n}.1", "B": f"10.60.{n}.2", "C": CLIENT}
        lines += [" ".join(words.get(w, w) for w in line.split()) for line in steps.strip().splitlines()]
        CASES[name] = scenario(name, "\n".join(lines))
    return add


case("nat-half-open")("""
    syn C 1 V
    syn C 2 V
    server synack C 2 V
    """)
case("nat-established")("""
    syn C 1 V
    server synack C 1 V
    ack C 1 V
    """)
case("nat-client-closes-first")("""
    syn C 1 V
    server synack C 1 V
    ack C 1 V
    fin C 1 V
    syn C 2 V
    server synack C 2 V
    ack C 2 V
    fin C 2 V
    server ack C 2 V
    server fin C 2 V
    ack C 2 V
    """)
case("nat-server-closes-first")("""
    syn C 1 V
    server synack C 1 V
    ack C 1 V
    server fin C 1 V
    syn C 2 V
    server synack C 2 V
    ack C 2 V
    server fin C 2 V
    ack C 2 V
    fin C 2 V
    server ack C 2 V
    """)
case("nat-resets")("""
    syn C 1 V
    rst C 1 V
    syn C 2 V
    server rst C 2 V
    syn C 3 V
    server synack C 3 V
    ack C 3 V
    server rst C 3 V
    syn C 4 V
    server synack C 4 V
    ack C 4 V
    rst C 4 V
    """)
case("nat-late-packets")("""
    syn C 1 V
    ack C 1 V
    rst C 1 V
    ack C 1 V
    fin C 1 V
    syn C 2 V
    server synack C 2 V
    ack C 2 V
    fin C 2 V
    server fin C 2 V
    ack C 2 V
    server ack C 2 V
    ack C 9 V
    fin C 9 V
    """)
case("nat-a-syn-on-an-ended-connection")("""
    syn C 1 V
    server synack C 1 V
    ack C 1 V
    fin C 1 V
    server fin C 1 V
    again C 1 V
    syn C 2 V
    rst C 2 V
    again C 2 V
    syn C 3 V
    ack C 3 V
    again C 3 V
    """)
case("nat-reuse-mode-0")("""
    sysctl conn_reuse_mode 0
    syn C 1 V
    ack C 1 V
    rst C 1 V
    syn C 2 V
    again C 2 V
    """)
case("dr-states", method="dr")("""
    syn C 1 V
    syn C 2 V
    ack C 2 V
    syn C 3 V
    ack C 3 V
    fin C 3 V
    syn C 4 V
    ack C 4 V
    fin C 4 V
    ack C 4 V
    syn C 5 V
    ack C 5 V
    rst C 5 V
    syn C 6 V
    rst C 6 V
    """)
case("dr-sloppy", method="dr")("""
    sysctl sloppy_tcp 1
    ack C 1 V
    fin C 2 V
    rst C 3 V
    syn C 4 V
    """)
case("timeouts-are-set")("""
    timeouts 77 33 44
    syn C 1 V
    ack C 1 V
    syn C 2 V
    ack C 2 V
    server fin C 2 V
    fin C 2 V
    """)
case("udp", protocol="udp")("""
    udp C 1 V
    udp C 2 V
    server udp C 2 V
    udp C 2 V
    """)
case("server-removed-and-back")("""
    syn C 1 V
    ack C 1 V
    syn C 2 V
    ack C 2 V
    del B
    fin C 1 V
    fin C 2 V
    syn C 3 V
    add B 1
    fin C 1 V
    """)
case("server-removed-nodest")("""
    sysctl expire_nodest_conn 1
    syn C 1 V
    ack C 1 V
    syn C 2 V
    ack C 2 V
    del A
    ack C 2 V
    ack C 1 V
    """)
case("weight-0-drains")("""
    syn C 1 V
    ack C 1 V
    syn C 2 V
    ack C 2 V
    edit B 0
    fin C 1 V
    syn C 3 V
    syn C 4 V
    """)
case("thresholds")("""
    edit A 1 2 0
    edit B 1 2 1
    syn C 1 V
    syn C 2 V
    syn C 3 V
    syn C 4 V
    syn C 5 V
    ack C 1 V
    rst C 1 V
    syn C 6 V
    """)
case("persistent", before="persist 300")("""
    syn C 1 V
    syn C 2 V
    ack C 2 V
    syn 198.18.0.2 1 V
    syn 198.18.0.3 1 V
    rst 198.18.0.3 1 V
    """)
case("persistent-by-network", before="persist 200 255.255.255.0")("""
    syn C 1 V
    syn 198.18.0.99 2 V
    syn 198.18.1.1 3 V
    server synack 198.18.1.1 3 V
    ack 198.18.1.1 3 V
    """)
case("persistent-udp", protocol="udp", before="persist 100")("""
    udp C 1 V
    udp C 2 V
    udp 198.18.0.2 1 V
    server udp 198.18.0.2 1 V
    """)
case("persistent-dr", method="dr", before="persist 300")("""
    syn C 1 V
    ack C 1 V
    fin C 1 V
    syn C 2 V
    """)
case("persistent-quiesced", before="persist 300")("""
    syn C 1 V
    edit B 0
    syn C 2 V
    syn 198.18.0.2 1 V
    """)
case("persistent-quiesced-templates-expire", before="persist 300")("""
    sysctl expire_quiescent_template 1
    syn C 1 V
    ack C 1 V
    edit B 0
    syn C 2 V
    syn C 3 V
    """)
case("persistent-server-removed", before="persist 300")("""
    syn C 1 V
    del B
    syn C 2 V
    add B 1
    syn C 3 V
    """)
case("persistent-overloaded", before="persist 300")("""
    edit A 1 1 0
    edit B 1 1 0
    syn C 1 V
    syn C 2 V
    syn 198.18.0.2 1 V
    syn 198.18.0.3 1 V
    """)
# A threshold that is there already when a template, which does not ask for it, brings the next connection.
case("persistent-overloaded-by-a-template", before="persist 300")("""
    edit A 0
    syn C 1 V
    edit B 1 1 1
    syn C 2 V
    syn 198.18.0.2 1 V
    """)
case("persistent-a-syn-again", before="persist 300")("""
    syn C 1 V
    ack C 1 V
    rst C 1 V
    syn C 2 V
    again C 2 V
    """)
# Its template's second is over while its connection lives: a minute more, which stays its time.
case("persistent-template-prolonged", before="persist 1")("""
    syn C 1 V
    ack C 1 V
    wait 2.6
    syn C 2 V
    """)
# The connection is over long before its template, and that long before the next one; what is listed has minutes left.
case("persistent-expired", protocol="udp", before="persist 3")("""
    timeouts 900 120 1
    udp C 1 V
    wait 8
    persist 300
    timeouts 900 120 300
    udp C 2 V
    """)


# What refused packets, resets, errors and packets of servers that left count for.
case("counters-of-refused-packets")("""
    syn C 1 V
    ack C 1 V
    ack C 9 V
    edit A 0
    edit B 0
    syn C 2 V
    del B
    fin C 1 V
    server ack C 1 V
    add B 1
    fin C 1 V
    server rst C 1 V
    """)
case("counters-of-errors")("""
    syn C 1 V
    icmp C 1 V
    server icmp C 1 V
    icmp C 9 V
    server icmp C 9 V
    del B
    icmp C 1 V
    server icmp C 1 V
    """)
case("dr-counters", method="dr")("""
    syn C 1 V
    icmp C 1 V
    rst C 1 V
    again C 1 V
    """)
case("one-packet", protocol="udp", before="one-packet")("""
    udp C 1 V
    udp C 1 V
    server udp C 1 V
    udp C 2 V
    """)
case("persistent-one-packet", protocol="udp", before="persist 300\none-packet")("""
    udp C 1 V
    udp C 1 V
    udp 198.18.0.2 1 V
    """)
case("odd-flags")("""
    synack C 1 V
    synfin C 2 V
    synrst C 3 V
    syn C 4 V
    bare C 4 V
    syn C 5 V
    server bare C 5 V
    syn C 6 V
    synrst C 6 V
    syn C 7 V
    server syn C 7 V
    server synfin C 7 V
    """)
case("service-removed-and-back")("""
    syn C 1 V
    ack C 1 V
    syn C 2 V
    ack C 2 V
    wait 2.2
    gone
    ack C 1 V
    server ack C 2 V
    back
    ack C 1 V
    add B 1
    ack C 1 V
    ack C 2 V
    server ack C 1 V
    """)
case("persistent-server-removed-nodest", before="sysctl expire_nodest_conn 1\npersist 300")("""
    syn C 1 V
    ack C 1 V
    syn C 2 V
    syn 198.18.0.2 1 V
    del B
    wait 0.3
    syn C 3 V
    """)
case("persistent-sloppy", method="dr", before="sysctl sloppy_tcp 1\npersist 300")("""
    ack C 1 V
    fin 198.18.0.2 1 V
    """)
case("persistent-port-zero", port=":0", before="persist 300")("""
    syn C 1 V
    syn C 1 V2
    server synack C 1 V2
    ack C 1 V2
    syn 198.18.0.2 1 V2
    """)
case("sctp-nat", protocol="sctp")("""
    init C 1 V
    init C 2 V
    server init-ack C 2 V
    init C 3 V
    server init-ack C 3 V
    cookie-echo C 3 V
    server cookie-ack C 3 V
    data C 3 V
    init C 4 V
    server init-ack C 4 V
    cookie-echo C 4 V
    server cookie-ack C 4 V
    shutdown C 4 V
    server shutdown-ack C 4 V
    init C 5 V
    server init-ack C 5 V
    cookie-echo C 5 V
    server cookie-ack C 5 V
    server shutdown C 5 V
    shutdown-ack C 5 V
    server shutdown-complete C 5 V
    init C 6 V
    server abort C 6 V
    again C 6 V
    again C 5 V
    data C 9 V
    """)
case("sctp-dr", method="dr", protocol="sctp")("""
    init C 1 V
    cookie-echo C 1 V
    init C 2 V
    init C 2 V
    shutdown C 1 V
    init C 3 V
    cookie-echo C 3 V
    shutdown-ack C 3 V
    init C 4 V
    abort C 4 V
    again C 4 V
    """)
case("persistent-sctp-sloppy", protocol="sctp", before="sysctl sloppy_sctp 1\npersist 300")("""
    data C 1 V
    init 198.18.0.2 1 V
    server cookie-ack 198.18.0.2 1 V
    """)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    return on_the_kernel(CASES, tmp_path_factory.mktemp("guest"), at_once=8)


@pytest.fixture(scope="module")
def torii():
    return on_torii(CASES)


def untimed(lines):
    """Without the seconds that are left, and those by line."""
    shown = [(" ".join(l.split()[:-1]), int(l.split()[-1])) if l.startswith("entry") else (l, None) for l in lines]
    return [line for line, _ in shown], [left for _, left in shown]


@pytest.mark.parametrize("name", CASES)
def test_the_connection_is_as_in_the_kernel(name, kernel, torii):
    (want, left), (got, mine) = untimed(kernel[name]), untimed(torii[name])
    steps = CASES[name]
    assert got == want, f"{steps}\nkernel:\n" + "\n".join(kernel[name]) + "\ntorii:\n" + "\n".join(torii[name])
    for line, k, t in zip(want, left, mine):
        assert k is None or k - EARLIER <= t <= k + LATER, f"{steps}\n{line}: {k} seconds are left, torii has {t}"


def test_the_cases_are_worth_comparing(kernel):
    entries = [line.split() for lines in kernel.values() for line in lines if line.startswith("entry")]
    assert {"INIT1", "C-ECHOED", "S-SENT", "REJECTED"} <= {words[5] for words in entries if words[1] == "SCTP"}
    assert {"NONE", "ASSURED", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "TIME_WAIT", "CLOSE", "CLOSE_WAIT", "UDP"} <= {
        words[5] for words in entries}
    assert len(entries) >= 50
