"""slow_proxy.py tcp|udp PORT TO-PORT FILE: gives what comes to PORT to the server on TO-PORT of this host at once, and each
of its answers as many seconds later as FILE says, the first bytes of a stream one by one."""
import pathlib
import socket
import sys
import threading
import time

SINGLE = 40  # so many bytes of each answer

protocol, port, to, file = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), pathlib.Path(sys.argv[4])
SERVER = ("127.0.0.1", to)


def wait():
    time.sleep(float(file.read_text()))


def pump(source, sink, slow):
    try:
        while data := source.recv(65536):
            if slow:
                wait()
                for byte in data[:SINGLE]:
                    sink.sendall(bytes([byte]))
                data = data[SINGLE:]
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # one of the two has gone


def stream(client):
    with client, socket.create_connection(SERVER) as server:
        for s in (client, server):
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answers = threading.Thread(target=pump, args=(server, client, True), daemon=True)
        answers.start()
        pump(client, server, False)
        answers.join()


def datagram(listener, data, client):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.settimeout(10)
        server.connect(SERVER)
        server.send(data)
        answer = server.recv(65536)
        wait()
        listener.sendto(answer, client)


def serve():
    if protocol == "tcp":
        listener = socket.create_server(("", port), backlog=64)
        while True:
            threading.Thread(target=stream, args=(listener.accept()[0],), daemon=True).start()
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind(("", port))
    while True:
        threading.Thread(target=datagram, args=(listener, *listener.recvfrom(65536)), daemon=True).start()


serve()
