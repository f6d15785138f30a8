"""vrrp_probe.py ADDRESS PORT: asks every 2 ms by UDP until its input ends, then prints what was answered, as JSON.

vrrp_probe.py --answer NAME ADDRESS PORT: answers with NAME, also while the address is somebody else's.
"""
import json
import os
import select
import socket
import sys
import time

PERIOD = 0.002


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def hurry(priority):
    """A question or an answer that is late is no outage."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except OSError:
        pass


def answer(name, address, port):
    hurry(19)
    s = socket.socket(family(address), socket.SOCK_DGRAM)
    s.setsockopt(socket.IPPROTO_IP, 15, 1)  # IP_FREEBIND
    s.bind((address, port))
    while True:
        data, whom = s.recvfrom(2048)
        try:
            s.sendto(data + b" " + name.encode(), whom)
        except OSError:
            pass  # the address went while it was asked


def ask(address, port):
    hurry(20)
    s = socket.socket(family(address), socket.SOCK_DGRAM)
    s.setblocking(False)
    sent, answered = [], {}
    start = time.monotonic()
    print("ready", flush=True)

    def take():
        while True:
            try:
                data = s.recv(2048)
            except BlockingIOError:
                return
            except OSError:
                continue  # a port that was closed for a moment
            number, name = data.split()
            answered.setdefault(int(number), name.decode())
    ended = False
    while not ended:
        now = time.monotonic()
        due = start + len(sent) * PERIOD
        if now >= due:
            try:
                s.sendto(b"%d" % len(sent), (address, port))
            except OSError:
                pass  # nobody is there for ARP: as good as lost
            sent.append(now - start)
            continue
        readable, _, _ = select.select([s, sys.stdin], [], [], due - now)
        if s in readable:
            take()
        if sys.stdin in readable:
            ended = not sys.stdin.readline()
    time.sleep(0.2)
    take()
    print(json.dumps({"sent": sent, "answered": [answered.get(n, "") for n in range(len(sent))]}), flush=True)


if __name__ == "__main__":
    words = sys.argv[1:]
    if words[0] == "--answer":
        answer(words[1], words[2], int(words[3]))
    else:
        ask(words[0], int(words[1]))
