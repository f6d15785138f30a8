"""Writes the packets of a rig: the smallest UDP frames of N clients to one virtual service, as a pcap file."""
import random
import struct


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def frame(client, port, virtual, virtual_port, length=60):
    """Ethernet, IPv4 and UDP without a UDP checksum, `length` bytes without the frame check sequence."""
    upper = length - 14 - 20
    header = struct.pack(">BBHHHBBH", 0x45, 0, length - 14, 0, 0, 64, 17, 0) + client.to_bytes(4, "big") + virtual.to_bytes(4, "big")
    header = header[:10] + checksum(header).to_bytes(2, "big") + header[12:]
    return b"\x02\0\0\0\0\x01" + b"\x02\0\0\0\0\x02" + b"\x08\0" + header + struct.pack(">HHHH", port, virtual_port, upper, 0) + bytes(upper - 8)


def write(path, flows, virtual="203.0.113.10", port=53, seed=1):
    """One packet for each of `flows` clients, in random order: played in a loop, that is a uniform load."""
    virtual = int.from_bytes(bytes(map(int, virtual.split("."))), "big")
    clients = list(range(flows))
    random.Random(seed).shuffle(clients)
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for n in clients:
            data = frame(0x64400000 + n, 1024 + n * 40503 % 60000, virtual, port)
            out.write(struct.pack("<IIII", 0, 0, len(data), len(data)) + data)
    return path


if __name__ == "__main__":
    import sys
    write(sys.argv[1], int(sys.argv[2]))
