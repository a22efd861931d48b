#!/usr/bin/env python3
"""A vsock multiplexer as Firecracker and Cloud Hypervisor have it, without a VM.

    fake_vmm.py --uds PATH --guest-dir DIR [--guest-connect PORT]... [--lifetime SECONDS]

The host's side is the Unix socket PATH; the guest's side is the directory DIR:

  host to guest   on PATH, "CONNECT p\\n" is answered by "OK n\\n" and relayed to DIR/p, on which the guest's
                  program listens; when nobody does, the connection is closed without an answer
  guest to host   for each --guest-connect P, what connects to DIR/connect_P is relayed to PATH_P; when nobody
                  listens there, it is closed

When one side of a relayed pair ends, what it sent before is delivered and then both are closed: there is no
half-close. The line "ready" on stdout says that all sockets listen. Ends at SIGTERM, SIGINT or the lifetime.
"""

import argparse
import itertools
import os
import signal
import socket
import sys
import threading

BLOCK = 256 * 1024
LINE_MAX = 32  # "CONNECT 4294967295\n" has 19 bytes
BACKLOG = 128
HOST_PORTS = itertools.count(1 << 30)  # where Firecracker's numbering begins


def parse_arguments():
    parser = argparse.ArgumentParser(description="a fake VMM's vsock multiplexer")
    parser.add_argument("--uds", required=True, help="the host's Unix socket")
    parser.add_argument("--guest-dir", required=True, help="directory with the guest's sockets, one a port")
    parser.add_argument("--guest-connect", type=int, action="append", default=[], metavar="PORT",
                        help="listen on GUEST_DIR/connect_PORT for the guest (repeatable)")
    parser.add_argument("--lifetime", type=float, default=600, metavar="SECONDS")
    return parser.parse_args()


def listen_on(path):
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(BACKLOG)
    return listener


def connect_to(path):
    """A stream to `path`, or None when nobody listens."""
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        stream.connect(path)
    except OSError:
        stream.close()
        return None
    return stream


def hang_up(stream):
    """Wakes whoever reads or writes on the stream; what was sent before is still delivered."""
    try:
        stream.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


def copy(source, target):
    """Relays one direction until `source` ends or `target` is gone, then ends the other direction too."""
    try:
        while block := source.recv(BLOCK):
            target.sendall(block)
    except OSError:
        pass
    hang_up(target)
    hang_up(source)


def relay(one, other):
    """Returns when both are closed."""
    back = threading.Thread(target=copy, args=(other, one), daemon=True)
    back.start()
    copy(one, other)
    back.join()
    one.close()
    other.close()


def read_line(stream):
    """Up to the newline and not a byte further; None when it is too long or the stream ends."""
    line = b""
    while len(line) < LINE_MAX:
        byte = stream.recv(1)
        if not byte:
            return None
        if byte == b"\n":
            return line
        line += byte
    return None


def requested_port(line):
    """The port of "CONNECT p", or None."""
    words = (line or b"").split(b" ")
    if len(words) != 2 or words[0] != b"CONNECT" or not words[1].isdigit():
        return None
    port = int(words[1])
    return port if port < 1 << 32 else None


def answer(stream, guest_dir):
    """The guest's stream that was asked for, or None when it is to be refused."""
    port = requested_port(read_line(stream))
    guest = None if port is None else connect_to(os.path.join(guest_dir, str(port)))
    if guest:
        stream.sendall(b"OK %d\n" % next(HOST_PORTS))
    return guest


def serve_host(stream, guest_dir):
    try:
        guest = answer(stream, guest_dir)
    except OSError:
        guest = None
    if guest:
        relay(stream, guest)
    else:
        stream.close()


def serve_guest(stream, host_path):
    host = connect_to(host_path)
    if host:
        relay(stream, host)
    else:
        stream.close()


def accept_for_ever(listener, serve, where):
    while True:
        try:
            stream, _ = listener.accept()
        except OSError:
            continue
        threading.Thread(target=serve, args=(stream, where), daemon=True).start()


def main():
    args = parse_arguments()
    paths = [args.uds]
    doors = [(listen_on(args.uds), serve_host, args.guest_dir)]
    for port in args.guest_connect:
        paths.append(os.path.join(args.guest_dir, f"connect_{port}"))
        doors.append((listen_on(paths[-1]), serve_guest, f"{args.uds}_{port}"))
    ends = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ends.set())
    for door in doors:
        threading.Thread(target=accept_for_ever, args=door, daemon=True).start()
    print("ready", flush=True)
    ends.wait(args.lifetime)
    for path in paths:
        if os.path.exists(path):
            os.unlink(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
