"""More of connection_cases.py: what is counted, services that go and come back, SCTP."""
from connection_cases import case

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
