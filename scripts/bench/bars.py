"""What is to be reached: the one table of all bars."""

from typing import NamedTuple


class Bar(NamedTuple):
    """`at_most`: less is better. A bar or a moonshot may be missing."""

    key: str
    text: str
    bar: float | None
    moonshot: float | None = None
    unit: str = "×"
    at_most: bool = False

    def reached(self, value, limit):
        return value <= limit if self.at_most else value >= limit


def faster(key, text, bar, moonshot=None):
    return Bar(key, text, bar, moonshot)


def less(key, text, bar, moonshot=None, unit="×"):
    return Bar(key, text, bar, moonshot, unit, at_most=True)


BARS = {
    "W1": [
        faster("rsync", "speed against rsync -W", 1.5, 2),
        faster("socat", "speed against socat", 1),
        faster("bare", "speed against the bare loop", None, 0.8),
    ],
    "W2": [
        faster("rsync", "speed against rsync -W", 2, 3),
        faster("tar", "speed against the tar pipe", 1, 1.3),
    ],
    "W3": [
        faster("none", "speed of auto against our own none", 0.95, 1),
        faster("rsync -z", "speed against rsync -z", 2),
    ],
    "W4": [faster("zstd", "speed against the best fixed zstd pipe", 1, 1.2)],
    "W5": [
        faster("rsync", "speed against rsync's delta", 3, 5),
        faster("rsync inplace", "speed against rsync's delta, in place", 3, 5),
        faster("whole", "speed against our own full copy", 1),
        faster("whole inplace", "speed against our own full copy, in place", 1),
        less("wire", "bytes on the wire, of the file", None, 1.3, "%"),
        less("wire inplace", "bytes on the wire, of the file, in place", None, 1.3, "%"),
    ],
    "W6": [
        faster("rsync", "speed against rsync -S", 100),
        less("cp", "time against cp", None, 2),
    ],
    "W7": [
        faster("rsync", "speed against rsync", 1, 1.5),
        faster("rsync -c", "speed with -c against rsync -c", 1, 1.5),
    ],
    "W8": [
        less("half", "time when cut at 50 %, against uncut", 1.1, 1.02),
        less("ten", "time when cut ten times at random, against uncut", 1.1),
        less("half resent", "sent again when cut at 50 %", 1, None, " windows"),
        less("ten resent", "sent again for each of ten cuts", 1, None, " windows"),
    ],
    "W9": [faster("rsync", "speed of 4 at once against 4 rsyncs at once", 2, 3)],
    "W10": [
        less("files", "peak of an end, very many files", 64, 32, " MiB"),
        less("checksum", "peak of an end, the same with -c, nothing changed", 64, 32, " MiB"),
        less("sparse", "peak of an end, sparse file", 64, 32, " MiB"),
        less("large", "peak of an end, large file", 64, 32, " MiB"),
    ],
    "W11": [faster("rsync", "speed against rsync to a running daemon", 1, 2)],
    "W12": [faster("rsync", "speed against rsync --fsync", 2, 4)],
    "W13": [less("rsync", "CPU seconds per GiB against rsync -W", 0.7, 0.4)],
    "crowd": [faster("alone", "speed against hvferry alone", 0.8)],
}


def verdict(bar, value):
    """"met", "missed", or "" where there is no bar; and the same of the moonshot."""
    words = []
    for limit, good, bad in ((bar.bar, "met", "missed"), (bar.moonshot, "reached", "not reached")):
        words.append("" if limit is None or value is None else good if bar.reached(value, limit) else bad)
    return tuple(words)
