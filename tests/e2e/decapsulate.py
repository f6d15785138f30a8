"""The far end of IP tunnels, for servers whose kernel has none: decapsulate.py TUN [GUE-PORT]

Takes IPIP, GRE and GUE packets (4in4, 6in4, 4in6, 6in6) that are addressed to this host and gives the packet inside to
the kernel through a TUN device. Checks what the kernel does not: GRE's checksum, and that outer and inner TTL agree. A
packet that is wrong is not delivered, and a line on standard error says why.
"""
import fcntl
import os
import selectors
import socket
import struct
import sys

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000
IPIP, IPV6, GRE, UDP = 4, 41, 47, 17
UDP_NO_CHECK6_RX = 102


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def inside_gre(data):
    flags, kind = struct.unpack_from("!HH", data)
    if flags not in (0, 0x8000):
        raise ValueError(f"GRE flags {flags:#x}")
    if flags and checksum(data):
        raise ValueError("GRE checksum")
    return data[8 if flags else 4:], {0x0800: 4, 0x86DD: 6}[kind]


def inside_gue(data):
    control, protocol, flags = struct.unpack_from("!BBH", data)
    if control or flags:
        raise ValueError(f"GUE control {control:#x}, flags {flags:#x}")
    return data[4:], {IPIP: 4, IPV6: 6}[protocol]


def inside(protocol, data):
    if protocol == GRE:
        return inside_gre(data)
    if protocol == UDP:
        return inside_gue(data)
    return data, {IPIP: 4, IPV6: 6}[protocol]


def main():
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", sys.argv[1].encode(), IFF_TUN | IFF_NO_PI))
    selector = selectors.DefaultSelector()

    def watch(family, kind, protocol, port=0):
        s = socket.socket(family, kind, protocol)
        if family == socket.AF_INET6 and kind == socket.SOCK_DGRAM:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            s.setsockopt(UDP, UDP_NO_CHECK6_RX, 1)  # a tunnel may come without (RFC 6935), as LVS's does
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        if port:
            s.bind(("", port))
        selector.register(s, selectors.EVENT_READ, (family, protocol))

    for family in (socket.AF_INET, socket.AF_INET6):
        for protocol in (IPIP, IPV6, GRE):
            watch(family, socket.SOCK_RAW, protocol)
        if len(sys.argv) > 2:
            watch(family, socket.SOCK_DGRAM, UDP, int(sys.argv[2]))
    print("ready", flush=True)
    while True:
        for key, _ in selector.select():
            family, protocol = key.data
            data = key.fileobj.recv(65535)
            try:
                outer_ttl = None
                if family == socket.AF_INET and protocol != UDP:  # a raw IPv4 socket gives the header too
                    outer_ttl = data[8]
                    data = data[(data[0] & 15) * 4:]
                packet, version = inside(protocol, data)
                if packet[0] >> 4 != version:
                    raise ValueError(f"IPv{packet[0] >> 4} where IPv{version} was announced")
                if outer_ttl not in (None, packet[8 if version == 4 else 7]):
                    raise ValueError(f"outer TTL {outer_ttl}")
                os.write(tun, packet)
            except (ValueError, KeyError, IndexError, struct.error, OSError) as error:
                print(f"protocol {protocol}: {error}: {data[:80].hex()}", file=sys.stderr, flush=True)


main()
