#!/usr/bin/env python3
"""A peer that is difficult in some way, between hvsend and hvrecv. Runs inside a kernel of the lab.

usage: relay.py LISTEN-PORT CID PORT PIECE [STOP]

Passes one connection on to CID:PORT, reading at most PIECE bytes at once, in both directions. With STOP it reads
only so many bytes of the connection, then closes both, with what has come since unread.
"""

import socket
import sys
import threading
import time


def refuse_outside_the_lab():
    """The vsock device of a machine may lead anywhere."""
    with open("/proc/cmdline", encoding="ascii") as words:
        if "labvsock" not in words.read().split():
            sys.exit("relay.py: this kernel is none of the lab's (its command line has no word labvsock)")


def pump(source, target, piece):
    try:
        while data := source.recv(piece):
            target.sendall(data)
    except OSError:
        pass
    for sock in (source, target):
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def read_only(source, target, piece, stop):
    while stop > 0:
        data = source.recv(min(piece, stop))
        if not data:
            break
        stop -= len(data)
        target.sendall(data)


def connect(cid, port):
    """Who listens there may have been started only just now."""
    for _ in range(200):
        sock = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        try:
            sock.connect((cid, port))
            return sock
        except ConnectionResetError:
            sock.close()
            time.sleep(0.1)
    sys.exit(f"relay.py: nobody listens at {cid}:{port}")


def main():
    port, cid, its_port, piece, *stop = map(int, sys.argv[1:])
    refuse_outside_the_lab()
    listener = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    listener.bind((socket.VMADDR_CID_ANY, port))
    listener.listen()
    near, _ = listener.accept()
    far = connect(cid, its_port)
    back = threading.Thread(target=pump, args=(far, near, piece), daemon=True)
    back.start()
    if stop:
        read_only(near, far, piece, stop[0])
    else:
        pump(near, far, piece)
        back.join()
    near.close()
    far.close()


main()
