"""A proxy that harms what passes: it reads the frames of every stream (docs/protocol.md) and does to their bytes what
a list of Faults says. A fault has its place: the n-th byte of one direction, counted over all streams of the session, or
of the first frame of one type.
"""

import socket
import struct
import threading
import time
from typing import NamedTuple

from proxy import HEADER_SIZE, PREAMBLE_SIZE, TO_DIALLER, TO_LISTENER, hang_up

KINDS = ["cut", "stall", "delay", "split", "flip", "duplicate", "drop", "duplicate frame", "drop frame"]
DELAYED_FRAMES, DELAY = 20, 0.002
FOREVER = 1e6  # seconds of a stall: until the stream ends


class Fault(NamedTuple):
    kind: str
    way: int  # TO_LISTENER or TO_DIALLER
    at: int  # bytes of that direction that pass before it; with frame: of that frame, negative ones from its end
    amount: float = 0  # stall: seconds; split, duplicate, drop: bytes; flip: which bit
    frame: int = 0  # type of the message

    def __str__(self):
        way = "listener" if self.way == TO_LISTENER else "dialler"
        return f"{self.kind} ({self.amount:g}) at byte {self.at} to the {way}"


class Cut(Exception):
    """The stream ends here."""


class Direction:
    """What passed one way, over all streams."""

    def __init__(self, way, faults):
        self.faults = sorted((f for f in faults if f.way == way and not f.frame), key=lambda f: f.at)
        self.framed = [f for f in faults if f.way == way and f.frame]
        self.taken = 0  # bytes that came from their end
        self.passed = 0  # bytes that went on to the other one
        self.kinds = []  # type of each frame (None: a preamble), and where it began
        self.delayed = 0
        self.hits = []  # faults that were done
        self.lock = threading.Lock()  # several streams may have data at once


def read_whole(stream, n):
    """n bytes, or fewer at the end of the stream."""
    data = bytearray()
    while len(data) < n:
        part = stream.recv(min(n - len(data), 1 << 20))
        if not part:
            break
        data += part
    return data


class Meddler:
    """Listens on a Unix socket and joins each stream to one of its own to the target."""

    def __init__(self, listen_path, target_path, faults):
        self.target = target_path
        self.ways = [Direction(way, faults) for way in (TO_LISTENER, TO_DIALLER)]
        self.streams = 0
        self.sockets = []
        self.pumps = []
        self.door = socket.socket(socket.AF_UNIX)
        self.door.bind(listen_path)
        self.door.listen(16)
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        hang_up(self.door)
        self.door.close()
        self.thread.join()
        hang_up(*self.sockets)
        for pump in self.pumps:
            pump.join()
        for stream in self.sockets:
            stream.close()

    def serve(self):
        while True:
            try:
                near, _ = self.door.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            self.sockets += [near, far]
            try:
                far.connect(self.target)
            except OSError:
                hang_up(near)
                continue
            self.streams += 1
            gone = threading.Event()  # one of its ends is
            for way, source, target in ((TO_LISTENER, near, far), (TO_DIALLER, far, near)):
                words = (self.ways[way], source, target, gone)
                pump = threading.Thread(target=self.pump, args=words, daemon=True)
                self.pumps.append(pump)
                pump.start()

    def pump(self, way, source, target, gone):
        """One direction of one stream."""
        try:
            unit = read_whole(source, PREAMBLE_SIZE)
            with way.lock:
                self.pass_unit(way, target, None, unit, gone)
            while unit := read_whole(source, HEADER_SIZE):
                if len(unit) == HEADER_SIZE:
                    body, data = struct.unpack_from("<II", unit, 4)
                    unit += read_whole(source, body + data)
                with way.lock:
                    self.pass_unit(way, target, unit[0], unit, gone)
        except (OSError, Cut):
            pass
        gone.set()
        hang_up(source, target)

    @staticmethod
    def pass_unit(way, target, kind, unit, gone):
        begin = way.taken
        way.taken += len(unit)
        way.kinds.append((kind, begin))
        if way.delayed > 0:
            way.delayed -= 1
            time.sleep(DELAY)
        for fault in [f for f in way.framed if f.frame == kind]:
            way.framed.remove(fault)
            way.faults.insert(0, fault._replace(at=begin + fault.at + (len(unit) if fault.at < 0 else 0)))
        while way.faults and way.faults[0].at < begin + len(unit):
            fault = way.faults.pop(0)
            if len(unit) == 0:  # what it was for is dropped already
                continue
            way.hits.append((fault, kind))
            begin, unit = harm(way, target, fault, begin, unit, gone)
        send(way, target, unit)


def send(way, target, data):
    target.sendall(data)
    way.passed += len(data)


def harm(way, target, fault, begin, unit, gone):
    """Does it, and sends what is before it; the rest of the unit, and where that begins."""
    place = max(fault.at - begin, 0)
    n = int(fault.amount)
    if fault.kind == "drop frame":
        return begin + len(unit), b""
    if fault.kind == "duplicate frame":
        send(way, target, unit)
        return begin, unit
    send(way, target, unit[:place])
    rest = unit[place:]
    if fault.kind == "cut":
        raise Cut
    if fault.kind == "stall":
        gone.wait(fault.amount)
    elif fault.kind == "delay":
        way.delayed = DELAYED_FRAMES
    elif fault.kind == "split":
        for byte in rest[:n]:
            send(way, target, bytes([byte]))
        rest = rest[n:]
    elif fault.kind == "flip":
        rest = bytes([rest[0] ^ 1 << n % 8]) + rest[1:]
    elif fault.kind == "duplicate":
        send(way, target, rest[:n])
    elif fault.kind == "drop":
        rest = rest[n:]
    return begin + len(unit) - len(rest), rest
