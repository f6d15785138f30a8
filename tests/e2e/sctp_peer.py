"""SCTP (RFC 9260) over raw sockets, for kernels without it: as much as a download needs.

    sctp_peer.py serve PORT FILE PIECE COOKIE ADDRESS...
                                                   offers the file on each address, in DATA chunks of PIECE bytes
                                                   and after a cookie of COOKIE bytes
    sctp_peer.py fetch LOCAL ADDRESS PORT TARGET   from one of our addresses; exit status 1 when it fails

One association at a time and address; a packet with a wrong CRC32c is counted and dropped, like a real peer's.
"""
import os
import select
import socket
import struct
import sys
import time

SCTP = 132
DATA, INIT, INIT_ACK, SACK, ABORT, SHUTDOWN, SHUTDOWN_ACK, COOKIE_ECHO, COOKIE_ACK, SHUTDOWN_COMPLETE = 0, 1, 2, 3, 6, 7, 8, 10, 11, 14
WINDOW = 16

TABLE = []
for i in range(256):
    c = i
    for _ in range(8):
        c = (c >> 1) ^ (0x82F63B78 if c & 1 else 0)
    TABLE.append(c)


def crc32c(data):
    c = 0xFFFFFFFF
    for byte in data:
        c = (c >> 8) ^ TABLE[(c ^ byte) & 0xFF]
    return c ^ 0xFFFFFFFF


def chunk(kind, value=b"", flags=0):
    body = struct.pack("!BBH", kind, flags, 4 + len(value)) + value
    return body + b"\0" * (-len(body) % 4)


def packet(source, destination, tag, *chunks):
    head, rest = struct.pack("!HHI", source, destination, tag), b"".join(chunks)
    return head + struct.pack("<I", crc32c(head + b"\0\0\0\0" + rest)) + rest


def init_value(tag, first):
    return struct.pack("!IIHHI", tag, 1 << 20, 1, 1, first)


class Packet:
    def __init__(self, data):
        self.source, self.destination, self.tag = struct.unpack_from("!HHI", data)
        self.good = struct.unpack_from("<I", data, 8)[0] == crc32c(data[:8] + b"\0\0\0\0" + data[12:])
        self.chunks, at = [], 12
        while at + 4 <= len(data):
            kind, flags, length = struct.unpack_from("!BBH", data, at)
            if length < 4:
                break
            self.chunks.append((kind, flags, data[at + 4:at + length]))
            at += (length + 3) // 4 * 4


class Link:
    """A raw socket bound to one local address."""

    def __init__(self, address):
        self.v6 = ":" in address
        self.socket = socket.socket(socket.AF_INET6 if self.v6 else socket.AF_INET, socket.SOCK_RAW, SCTP)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.bind((address, 0))
        self.bad = 0

    def receive(self, seconds):
        """(peer, packet), or (None, None)."""
        deadline = time.monotonic() + seconds
        while select.select([self.socket], [], [], max(0, deadline - time.monotonic()))[0]:
            data, peer = self.socket.recvfrom(65535)
            if not self.v6:
                data = data[(data[0] & 15) * 4:]
            found = Packet(data)
            if found.good:
                return peer[0], found
            self.bad += 1
        return None, None

    def send(self, peer, data):
        self.socket.sendto(data, (peer, 0))


class Server:
    def __init__(self, link, port, content, piece, cookie):
        self.link, self.port, self.content, self.piece, self.cookie = link, port, content, piece, cookie
        self.peer = None

    def send(self, *chunks):
        self.link.send(self.peer[0], packet(self.port, self.peer[1], self.peer_tag, *chunks))

    def handle(self, address, p):
        for kind, _, value in p.chunks:
            if kind == INIT:
                peer_tag, _, _, _, first = struct.unpack_from("!IIHHI", value)
                cookie = struct.pack("!II", peer_tag, first).ljust(self.cookie, b"c")
                answer = chunk(INIT_ACK, init_value(0x70726969, 1) + struct.pack("!HH", 7, 4 + len(cookie)) + cookie)
                self.link.send(address, packet(self.port, p.source, peer_tag, answer))
            elif p.tag != 0x70726969:
                continue
            elif kind == COOKIE_ECHO:
                self.peer_tag, _ = struct.unpack("!II", value[:8])
                self.peer, self.acked, self.sent = (address, p.source), 0, 0
                self.send(chunk(COOKIE_ACK))
                self.more()
            elif self.peer != (address, p.source):
                continue
            elif kind == SACK:
                self.acked = max(self.acked, struct.unpack_from("!I", value)[0])
                self.more()
            elif kind == SHUTDOWN_ACK:
                self.send(chunk(SHUTDOWN_COMPLETE))
                self.peer = None

    def more(self, again=False):
        """Sends what the window allows; `again`: also what was sent but not acknowledged."""
        total = (len(self.content) + self.piece - 1) // self.piece
        if self.acked >= total:
            return self.send(chunk(SHUTDOWN, struct.pack("!I", 0)))
        last = min(self.acked + WINDOW, total)
        for n in range(self.acked if again else max(self.sent, self.acked), last):
            piece = self.content[n * self.piece:(n + 1) * self.piece]
            self.send(chunk(DATA, struct.pack("!IHHI", n + 1, 0, n & 0xFFFF, 0) + piece, flags=3))
        self.sent = last


def serve(port, path, piece, cookie, *addresses):
    with open(path, "rb") as file:
        content = file.read()
    servers = {}
    for address in addresses:
        link = Link(address)
        servers[link.socket] = Server(link, int(port), content, int(piece), int(cookie))
    print("ready", flush=True)
    while True:
        ready = select.select(list(servers), [], [], 0.5)[0]
        for s in ready:
            address, p = servers[s].link.receive(0)
            if p and p.destination == servers[s].port:
                servers[s].handle(address, p)
        if not ready:
            for server in servers.values():
                if server.peer:
                    server.more(again=True)


def fetch(local, address, port, target):
    link, port, source, tag = Link(local), int(port), 20000 + os.getpid() % 30000, 0x636C6965
    deadline, peer_tag, state, expected, received = time.monotonic() + 20, 0, "init", 1, []

    def send(*chunks):
        link.send(address, packet(source, port, peer_tag, *chunks))

    send(chunk(INIT, init_value(tag, 1)))
    while time.monotonic() < deadline:
        peer, p = link.receive(1)
        if p is None:
            send(chunk(INIT, init_value(tag, 1)) if state == "init" else chunk(SACK, struct.pack("!IIHH", expected - 1, 1 << 20, 0, 0)))
            continue
        if (peer, p.source, p.destination, p.tag) != (address, port, source, tag):
            continue
        for kind, _, value in p.chunks:
            if kind == INIT_ACK and state == "init":
                peer_tag = struct.unpack_from("!I", value)[0]
                state = "echoed"
                length = struct.unpack_from("!H", value, 18)[0]
                send(chunk(COOKIE_ECHO, value[20:16 + length]))
            elif kind == DATA:
                if struct.unpack_from("!I", value)[0] == expected:
                    received.append(value[12:])
                    expected += 1
                send(chunk(SACK, struct.pack("!IIHH", expected - 1, 1 << 20, 0, 0)))
            elif kind == SHUTDOWN:
                send(chunk(SHUTDOWN_ACK))
                state = "closing"
            elif kind == ABORT:
                sys.exit("aborted")
            elif kind == SHUTDOWN_COMPLETE:
                with open(target, "wb") as file:
                    file.write(b"".join(received))
                sys.exit(f"{link.bad} packets with a wrong checksum" if link.bad else 0)
    sys.exit(f"no end in sight: state {state}, {expected - 1} pieces, {link.bad} with a wrong checksum")


if __name__ == "__main__":
    {"serve": serve, "fetch": fetch}[sys.argv[1]](*sys.argv[2:])
