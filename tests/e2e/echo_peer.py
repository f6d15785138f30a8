"""Sends everything back, over TCP and UDP; and the one that compares.

    echo_peer.py serve PORT
    echo_peer.py compare tcp|udp ADDRESS PORT BYTES [PIECE]

The latter ends with exit status 1 when other bytes come back. PIECE: bytes of a datagram; one larger than the link goes in
fragments, and again when it is lost: the first one may be what tells the sender how small fragments have to be.
"""
import errno
import os
import select
import socket
import sys
import threading

PIECE = 1200


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def serve_tcp(port):
    listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)

    def answer(connection):
        content = b"".join(iter(lambda: connection.recv(65536), b""))
        connection.sendall(content)
        connection.close()

    while True:
        threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()


def serve_udp(port):
    """An answer must come from the address that was asked: one that is not of the outgoing link."""
    sockets = []
    for kind, level, option, info in ((socket.AF_INET, socket.IPPROTO_IP, 8, 8), (socket.AF_INET6, 41, 49, 50)):
        s = socket.socket(kind, socket.SOCK_DGRAM)
        if kind == socket.AF_INET6:
            s.setsockopt(41, socket.IPV6_V6ONLY, 1)
        s.setsockopt(level, option, 1)  # IP_PKTINFO, IPV6_RECVPKTINFO
        s.bind(("", port))
        sockets.append(s)
    while True:
        for s in select.select(sockets, [], [])[0]:
            data, control, _, peer = s.recvmsg(65535, 256)
            level, kind, info = control[0]
            if level == socket.IPPROTO_IP:  # in_pktinfo: the interface, then the address to answer from
                info = bytes(4) + info[8:12] + bytes(4)
            else:
                info = info[:16] + bytes(4)
            s.sendmsg([data], [(level, kind, info)], 0, peer)


def compare_tcp(address, port, content):
    connection = socket.create_connection((address, port), timeout=15)
    connection.sendall(content)
    connection.shutdown(socket.SHUT_WR)
    return b"".join(iter(lambda: connection.recv(65536), b""))


def compare_udp(address, port, content, piece=PIECE):
    s = socket.socket(family(address), socket.SOCK_DGRAM)
    s.connect((address, port))
    s.settimeout(5)
    back = []
    for at in range(0, len(content), piece):
        for _ in range(1 if piece == PIECE else 4):
            s.send(content[at:at + piece])
            try:
                back.append(s.recv(65535))
                break
            except OSError as error:
                if not isinstance(error, TimeoutError) and error.errno != errno.EMSGSIZE:
                    raise
    return b"".join(back)


if sys.argv[1] == "serve":
    threading.Thread(target=serve_udp, args=(int(sys.argv[2]),), daemon=True).start()
    serve_tcp(int(sys.argv[2]))
else:
    sent = os.urandom(int(sys.argv[5]))
    back = {"tcp": compare_tcp, "udp": compare_udp}[sys.argv[2]](sys.argv[3], int(sys.argv[4]), sent, *map(int, sys.argv[6:]))
    sys.exit(0 if back == sent else f"{len(back)} bytes came back for {len(sent)}, or others")
