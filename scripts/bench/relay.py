#!/usr/bin/env python3
"""A relay between two ends: counts what passes, cuts streams at given places, limits the rate.

usage: relay.py [--rate BYTES-PER-SECOND] [--cut N]... LISTEN TARGET

An address is unix:PATH or tcp:PORT (of 127.0.0.1). One stream at a time; --cut N, in rising order, ends the stream
that stands when N bytes have passed towards TARGET in all. At SIGTERM it prints one line of JSON: bytes towards TARGET,
bytes back, streams.
"""

import argparse
import json
import os
import signal
import socket
import threading
import time

BLOCK = 256 << 10
PIECE = 32 << 10  # where the rate is limited


class Rate:
    """So many bytes a second from the first byte on; what was not used is lost after a tenth of a second."""

    def __init__(self, rate):
        self.rate = rate
        self.due = 0.0

    def wait(self, n):
        now = time.monotonic()
        self.due = max(self.due, now - 0.1) + n / self.rate
        if self.due > now:
            time.sleep(self.due - now)


class Cuts:
    """Where the stream ends next."""

    def __init__(self, places):
        self.places = sorted(places)

    def allow(self, passed, n):
        """How many of the next n bytes may pass, when `passed` have."""
        if self.places and passed + n >= self.places[0]:
            return self.places[0] - passed
        return n

    def done(self):
        self.places.pop(0)


def hang_up(*streams):
    for stream in streams:
        try:
            stream.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Relay:
    def __init__(self, rate, cuts):
        self.rate = rate
        self.cuts = Cuts(cuts)
        self.passed = [0, 0]  # towards the target, back
        self.streams = 0

    def copy(self, way, source, target):
        """Moves bytes until an end closes or the cut is reached."""
        rate = Rate(self.rate) if self.rate else None
        block = memoryview(bytearray(PIECE if rate else BLOCK))
        try:
            while n := source.recv_into(block):
                may = n if way else self.cuts.allow(self.passed[way], n)
                if rate:
                    rate.wait(may)
                target.sendall(block[:may])
                self.passed[way] += may
                if may < n:
                    self.cuts.done()
                    hang_up(source, target)
                    return
            target.shutdown(socket.SHUT_WR)
        except OSError:
            hang_up(source, target)

    def serve(self, dialler, listener):
        self.streams += 1
        back = threading.Thread(target=self.copy, args=(1, listener, dialler))
        back.start()
        self.copy(0, dialler, listener)
        back.join()
        dialler.close()
        listener.close()

    def tell(self, *_):
        print(json.dumps({"there": self.passed[0], "back": self.passed[1], "streams": self.streams}), flush=True)
        os._exit(0)


def opened(address, listen):
    kind, _, rest = address.partition(":")
    stream = socket.socket(socket.AF_UNIX if kind == "unix" else socket.AF_INET)
    where = rest if kind == "unix" else ("127.0.0.1", int(rest))
    if listen:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stream.bind(where)
        stream.listen(8)
    else:
        stream.connect(where)
    return stream


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float)
    parser.add_argument("--cut", type=int, action="append", default=[])
    parser.add_argument("listen")
    parser.add_argument("target")
    options = parser.parse_args()
    relay = Relay(options.rate, options.cut)
    signal.signal(signal.SIGTERM, relay.tell)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    listener = opened(options.listen, listen=True)
    while True:
        dialler, _ = listener.accept()
        try:
            target = opened(options.target, listen=False)
        except OSError:
            dialler.close()
            continue
        # Beside this thread, so that a signal is seen while a stream stands.
        threading.Thread(target=relay.serve, args=(dialler, target), daemon=True).start()


if __name__ == "__main__":
    main()
