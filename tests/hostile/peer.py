"""One end of the protocol that can be made to say anything: for hostile peers, byte by byte.

Bodies come from scripts/golden_build.py, which was written from docs/protocol.md and knows nothing of the C code.

    with Peer.dial(path) as peer:
        peer.greet(SENDER)
        peer.send("START", start(0))
        kind, body, data = peer.expect("VERDICTS")
"""

import socket
import struct
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "e2e"), str(ROOT / "scripts")]

from golden_build import TYPES, frame, hello, joined, preamble  # noqa: E402
import lib  # noqa: E402
from lib import PATIENCE, check  # noqa: E402

SENDER, RECEIVER = 1, 2
FILE, DIR, DIR_END, SYMLINK = 1, 2, 3, 4
SKIP, WANT, MADE, CHECK, GONE = 1, 2, 3, 4, 5
HEADER, PREAMBLE = 40, 16
NAMES = {number: name for name, number in TYPES.items()}
UNORDERED = ("HELLO", "WELCOME", "REJECT", "AUTH", "ACK", "HEARTBEAT", "ABORT")


class Closed(Exception):
    """The other end closed the stream."""


class NoWord(lib.Failed):
    """It should have said why."""


class Message(NamedTuple):
    kind: str
    body: bytes
    order: int

    def code(self):
        """Of ABORT and REJECT."""
        return struct.unpack_from("<H", self.body)[0]

    def text(self):
        return self.body[4:].decode("utf-8", "backslashreplace")

    def runs(self):
        """Of VERDICTS and DURABLE: (first_id, count, verdict)."""
        return [struct.unpack_from("<QIB", self.body, at) for at in range(0, len(self.body), 16)]


class Peer:
    """A connected stream."""

    def __init__(self, stream):
        self.stream = stream
        self.stream.settimeout(PATIENCE)
        self.seq, self.order = 0, 0
        self.cost, self.chunk_size = 0, 1 << 20

    @classmethod
    def dial(cls, address):
        """address: unix:PATH."""
        stream = socket.socket(socket.AF_UNIX)
        stream.connect(str(address).removeprefix("unix:"))
        return cls(stream)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()

    # ---- bytes ----------------------------------------------------------------------------------------

    def write(self, data):
        """False when the other end has closed: what it had to say can still be read."""
        try:
            self.stream.sendall(data)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False

    def read(self, n):
        got = b""
        while len(got) < n:
            try:
                more = self.stream.recv(n - len(got))
            except ConnectionResetError:
                more = b""
            if not more:
                raise Closed(f"after {len(got)} of {n} bytes")
            got += more
        return got

    def drain(self):
        """Waits until the other end closes, whatever it says before."""
        try:
            while True:
                self.read(1)
        except Closed:
            pass

    # ---- messages -------------------------------------------------------------------------------------

    def bytes_of(self, kind, body=(), data=b"", **wrong):
        """The next frame, numbered; `wrong` as golden_build.frame takes it, and order and seq."""
        ordered = kind not in UNORDERED
        seq = wrong.pop("seq", self.seq)
        order = wrong.pop("order", self.order + 1 if ordered else 0)
        self.seq += 1
        self.order += ordered
        return joined(frame(kind, list(body), data, seq=seq, order=order, **wrong))

    def send(self, kind, body=(), data=b"", **wrong):
        return self.write(self.bytes_of(kind, body, data, **wrong))

    def recv(self):
        """The next message. Closed at the end."""
        header = self.read(HEADER)
        kind, _, _, length, data_length, _, order = struct.unpack_from("<BBHIIIQ", header)
        message = Message(NAMES.get(kind, str(kind)), self.read(length), order)
        self.read(data_length)
        return message

    def expect(self, *kinds):
        """The next of these messages; heartbeats and credit are passed over, the rest is wrong."""
        while True:
            message = self.recv()
            if message.kind in kinds:
                return message
            words = message.text() if message.kind in ("ABORT", "REJECT") else ""
            check(message.kind in ("ACK", "HEARTBEAT"), f"{message.kind} {words} came in the place of {kinds}")

    def ended_with(self):
        """The code and text with which the other end ends the session; it must say so."""
        try:
            while (message := self.recv()).kind not in ("ABORT", "REJECT"):
                pass
        except Closed:
            raise NoWord("the other end closed without a word") from None
        return message.code(), message.text()

    # ---- the handshake --------------------------------------------------------------------------------

    def greet(self, role, **fields):
        """As a dialler, up to WELCOME."""
        self.write(joined(preamble(1, 1)))
        self.read(PREAMBLE)
        self.send("HELLO", hello(role=role, **fields))
        return self.expect("WELCOME")

    def welcome(self, role, **fields):
        """As a listener, to whatever the dialler says."""
        self.write(joined(preamble(1, 1)))
        self.read(PREAMBLE)
        asks = self.expect("HELLO")
        _, _, _, _, session_id, _, chunk_size = struct.unpack_from("<HBBQ16sII", asks.body)
        body = joined(hello(role=role, **{"chunk_size": chunk_size, **fields}))
        self.send("WELCOME", [(body[:12] + session_id + body[28:], "")])
        return asks

    def verdicts(self, count):
        """{file_id: verdict, or the code of a FILE_ERROR as its negative} for so many entries."""
        found = {}
        while len(found) < count:
            message = self.expect("VERDICTS", "FILE_ERROR")
            if message.kind == "FILE_ERROR":
                file_id, code = struct.unpack_from("<QH", message.body)
                found[file_id] = -code
            else:
                for first, n, verdict in message.runs():
                    found.update((first + i, verdict) for i in range(n))
        return found


class Listener:
    """Where a program of ours is let come to a hostile end."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(address).removeprefix("unix:"))
        self.socket.listen(16)
        self.socket.settimeout(PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def accept(self):
        return Peer(self.socket.accept()[0])
