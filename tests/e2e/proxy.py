"""A stream between the two ends that can be cut, or held, at any byte or before any message (docs/protocol.md).

    with Proxy(listen_path, target_path, rule) as proxy: ...

The rule decides how much of the next bytes may pass. When it lets less than all pass, the stream stands there: the
proxy's `reached` is set, and nothing more passes in either direction until cut() or go_on().
"""

import contextlib
import socket
import struct
import threading
from typing import NamedTuple

from lib import HVRECV, HVSEND, Pair, Process, wait_until

BLOCK = 64 * 1024
PREAMBLE_SIZE, HEADER_SIZE = 16, 40
TO_LISTENER, TO_DIALLER = 0, 1  # which way


ONE_STREAM = ["--retry", "0", "--grace", "0"]  # nobody comes back after a break


class NoRule:
    def allow(self, way, data):
        return len(data)


class AfterBytes:
    """Stands after n bytes, counted in both directions together."""

    def __init__(self, n):
        self.left = n

    def allow(self, way, data):
        n = min(self.left, len(data))
        self.left -= n
        return n


class Before:
    """Stands before the first message of a type in one direction ("preamble": before any byte), or when `inside`,
    in the middle of its data or, without data, of its header."""

    def __init__(self, way, message, inside=False):
        self.way, self.message, self.inside = way, message, inside
        self.passed = {TO_LISTENER: 0, TO_DIALLER: 0}  # bytes that passed
        self.frame_at = {TO_LISTENER: PREAMBLE_SIZE, TO_DIALLER: PREAMBLE_SIZE}  # where the next frame begins
        self.header = {TO_LISTENER: b"", TO_DIALLER: b""}
        self.stand_at = 0 if message == "preamble" else None

    def allow(self, way, data):
        begin = self.passed[way]
        at = 0
        while at < len(data):
            here = begin + at
            if here < self.frame_at[way]:
                at += min(len(data) - at, self.frame_at[way] - here)
                continue
            want = HEADER_SIZE - len(self.header[way])
            self.header[way] += data[at : at + want]
            at = min(len(data), at + want)
            if len(self.header[way]) == HEADER_SIZE:
                self.take_header(way)
        n = len(data)
        if way == self.way and self.stand_at is not None:
            n = max(0, min(n, self.stand_at - begin))
        self.passed[way] += n
        return n

    def take_header(self, way):
        kind, body, data = self.header[way][0], *struct.unpack_from("<II", self.header[way], 4)
        start = self.frame_at[way]
        if way == self.way and self.stand_at is None and kind == self.message:
            self.stand_at = start + (HEADER_SIZE + body + data // 2 if data else HEADER_SIZE // 2) * self.inside
        self.frame_at[way] = start + HEADER_SIZE + body + data
        self.header[way] = b""


class Proxy:
    """One connection; a thread for each direction."""

    def __init__(self, listen_path, target_path, rule):
        self.rule = rule
        self.target_path = target_path
        self.lock = threading.Lock()  # of the rule
        self.reached = threading.Event()
        self.open = threading.Event()  # cleared while the stream stands
        self.open.set()
        self.ended = threading.Event()
        self.total = 0  # bytes that passed
        self.sockets = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(listen_path))
        self.listener.listen(1)
        self.threads = [threading.Thread(target=self.run, daemon=True)]

    def __enter__(self):
        self.threads[0].start()
        return self

    def __exit__(self, *_):
        self.cut()
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.threads[0].join()
        for stream in [self.listener, *self.sockets]:
            stream.close()

    def run(self):
        try:
            dialler, _ = self.listener.accept()
            self.sockets.append(dialler)
            listener = socket.socket(socket.AF_UNIX)
            self.sockets.append(listener)
            listener.connect(str(self.target_path))
        except OSError:
            self.cut()
            return
        back = threading.Thread(target=self.copy, args=(TO_DIALLER, listener, dialler), daemon=True)
        back.start()
        self.copy(TO_LISTENER, dialler, listener)
        back.join()
        self.ended.set()

    def copy(self, way, source, target):
        try:
            while data := source.recv(BLOCK):
                while data:
                    data = self.pass_on(way, data, target)
        except OSError:
            pass
        self.open.wait()  # what one end says by hanging up does not pass either
        hang_up(source, target)

    def pass_on(self, way, data, target):
        """Returns what is still to pass."""
        self.open.wait()
        with self.lock:
            n = self.rule.allow(way, data)
            self.total += n
            stands = n < len(data)
            if stands:
                self.open.clear()
        target.sendall(data[:n])
        if stands:
            self.reached.set()
        return data[n:]

    def cut(self):
        """Both ends see the stream end."""
        hang_up(*self.sockets)
        self.go_on()

    def go_on(self):
        self.rule = NoRule()
        self.open.set()


def hang_up(*streams):
    for stream in streams:
        try:
            stream.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Session(NamedTuple):
    """The two ends, as lib.Process, and what is between them."""

    sender: Process
    receiver: Process
    proxy: Proxy

    def stands(self):
        """Waits until the rule stops the stream. False: it did not, and both have ended."""
        wait_until(
            lambda: self.proxy.reached.is_set() or (self.sender.ended() and self.receiver.ended()),
            "the stream reaches its place, or the session its end",
        )
        return self.proxy.reached.is_set()

    def wait(self):
        return Pair(self.sender.wait(), self.receiver.wait())


@contextlib.contextmanager
def session(ws, rule, send, dest, recv=(), pull=False, ends=ONE_STREAM):
    """A session with the rule in between; the receiver listens, or with `pull` the sender. A break is its end,
    unless `ends` has other options for both."""
    send, recv = [*send, *ends], [*recv, *ends]
    address = ws.unix()
    middle = ws.unix()
    if pull:
        sender = ws.listen(address, HVSEND, "--once", "--listen", address, *send)
    else:
        receiver = ws.receiver(address, dest, *recv)
    with Proxy(middle.removeprefix("unix:"), address.removeprefix("unix:"), rule) as proxy:
        if pull:
            receiver = ws.start(HVRECV, "--connect", middle, *recv, dest)
        else:
            sender = ws.start(HVSEND, *send, middle)
        yield Session(sender, receiver, proxy)
