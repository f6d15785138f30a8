"""Scripted packets and commands of test_connections.py, by name."""
from scenarios import scenario

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
