"""A server that misbehaves in another way on each port: hostile_server.py FIRST-PORT. See KINDS."""
import socket
import sys
import threading
import time

KINDS = ["endless_header", "endless_body", "garbage", "drip", "silence", "endless_greeting"]


def flood(connection, begin, piece):
    connection.sendall(begin)
    while True:
        connection.sendall(piece)


def serve(kind, connection):
    try:
        if kind == "endless_header":
            flood(connection, b"HTTP/1.1 200 OK\r\n", b"X-A: " + b"y" * 4000 + b"\r\n")
        elif kind == "endless_body":
            flood(connection, b"HTTP/1.1 200 OK\r\n\r\n", b"z" * 65536)
        elif kind == "garbage":
            flood(connection, b"\x16\x03\x01", bytes(range(256)) * 64)
        elif kind == "endless_greeting":
            flood(connection, b"", b"220-" + b"w" * 500 + b"\r\n")
        elif kind == "drip":
            for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow":
                connection.sendall(bytes([byte]))
                time.sleep(1)
        elif kind == "silence":
            while connection.recv(4096):
                pass
    except OSError:
        pass
    connection.close()


def listen(kind, port):
    listener = socket.create_server(("", port), backlog=64)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(kind, connection), daemon=True).start()


for number, kind in enumerate(KINDS):
    threading.Thread(target=listen, args=(kind, int(sys.argv[1]) + number), daemon=True).start()
threading.Event().wait()
