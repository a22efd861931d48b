"""The cases about what is there already, what breaks, and memory: W5, W7, W8, W10."""

import os
import random
import statistics

from . import data
from .base import GIB, MIB, size_text
from .bench import median_seconds, ratio, result
from .contenders import Hvferry, Rsync
from .data import Comparison

WINDOW = 8 * MIB  # what is on its way at most; one break sends no more again
LIMIT = 64 * MIB  # of memory, each end
CUTS = 10
OLD_SECONDS = 3600  # an old version is so much older


# ---- W5: one per cent has changed


def delta_contenders(bench):
    """name -> (whether it writes in place, contender)"""
    return {
        "delta": (False, Hvferry(bench)),
        "whole": (False, Hvferry(bench, "hvferry -W", ["-a", "-W"])),
        "rsync": (False, Rsync(bench, "rsync delta", ["-a", "--no-whole-file"])),
        "rsync whole": (False, Rsync(bench, "rsync -W")),
        "delta inplace": (True, Hvferry(bench, "hvferry, in place", ["-a", "--inplace"])),
        "whole inplace": (True, Hvferry(bench, "hvferry -W, in place", ["-a", "-W", "--inplace"])),
        "rsync inplace": (True, Rsync(bench, "rsync delta, in place", ["-a", "--no-whole-file", "--inplace"])),
    }


class Update:
    """A destination that has the old version again before every run."""

    def __init__(self, bench, source, changes):
        self.source, self.changes = source, changes
        self.dest = bench.fresh("dest")
        bench.fill(self.dest / "image", "random", os.path.getsize(source / "image"))
        self.mtime = (source / "image").stat().st_mtime_ns - OLD_SECONDS * 10**9

    def run(self, contender):
        self.changes.make_old(self.dest / "image", self.mtime)
        return contender.run(self.source, self.dest)

    def wire(self, contender):
        """Bytes both ways, by a relay; and the result is checked. Not timed."""
        contender.relayed = {"relay": True}
        run = self.run(contender)
        contender.relayed = {}
        contender.verify(self.source, self.dest)
        return run.wire["there"] + run.wire["back"]


def w5(bench):
    size = bench.size(2 * GIB, 256 * MIB)
    source = bench.image("random", size, copies=3)
    changes = data.Changes(source / "image", size, bench.seed)
    update = Update(bench, source, changes)
    kinds = delta_contenders(bench)
    wire = {name: update.wire(contender) for name, (_, contender) in kinds.items()}
    for _ in range(3):
        for _, contender in kinds.values():
            contender.measured.append(update.run(contender))
    by = {name: contender for name, (_, contender) in kinds.items()}
    values = {
        "rsync": ratio(by["rsync"], by["delta"]),
        "rsync inplace": ratio(by["rsync inplace"], by["delta inplace"]),
        "whole": ratio(by["whole"], by["delta"]),
        "whole inplace": ratio(by["whole inplace"], by["delta inplace"]),
        "wire": 100 * wire["delta"] / size,
        "wire inplace": 100 * wire["delta inplace"] / size,
    }
    rows = [[by[name].name, f"{n / 1e6:.1f}", f"{100 * n / size:.2f} %"] for name, n in wire.items()]
    title = f"one file of {size_text(size)}, {changes.size / size:.1%} changed (blocks of 4 KiB)"
    return result("W5", title, list(by.values()), values, size,
                  table={"columns": ["both ways, counted by a relay", "MB", "of the file"], "rows": rows})  # fmt: skip


# ---- W7: nothing has changed


def w7(bench):
    source, _, words = bench.many()
    contenders, values = [], {}
    for key, extra in (("rsync", []), ("rsync -c", ["-c"])):
        pair = [Hvferry(bench, f"hvferry {' '.join(extra)}".strip(), ["-a", *extra]), Rsync(bench, key, ["-a", *extra])]
        dests = {contender: bench.fresh(f"dest-{contender.name}") for contender in pair}
        for contender in pair:
            contender.run(source, dests[contender])
        for _ in range(bench.runs):
            for contender in pair:
                contender.measured.append(contender.run(source, dests[contender]))
        for dest in dests.values():
            Comparison().check(source, dest)
            data.remove(dest)
        contenders += pair
        values[key] = ratio(pair[1], pair[0])
    return result("W7", f"{words}, all there already", contenders, values)


# ---- W8: the stream breaks


def w8(bench):
    size = bench.size(2 * GIB, 512 * MIB)
    source = bench.image("random", size)
    whole = Hvferry(bench, "hvferry, uncut", relay=True)
    total = bench.copy(source, whole).wire["there"]
    places = sorted(random.Random(bench.seed).sample(range(1, total), CUTS))
    half = Hvferry(bench, "hvferry, cut at 50 %", cuts=[total // 2])
    many = Hvferry(bench, f"hvferry, cut {CUTS} times", cuts=places)
    contenders = [whole, half, many]
    bench.full_copies(source, contenders, 3)
    rsync = Rsync(bench, fails=True, cuts=[total // 2])
    bench.copy(source, rsync)
    again = {c.name: statistics.median(r.wire["there"] for r in c.measured) - total for c in contenders}
    values = {
        "half": median_seconds(half) / median_seconds(whole),
        "ten": median_seconds(many) / median_seconds(whole),
        "half resent": max(0, again[half.name]) / WINDOW,
        "ten resent": max(0, again[many.name]) / CUTS / WINDOW,
    }
    rows = [[name, f"{n / MIB:.2f}", f"{n / WINDOW:.2f}"] for name, n in again.items()]
    notes = [
        "all streams go through a relay, which also cuts them",
        f"rsync, cut at 50 %: exit code {rsync.code}, nothing goes on",
    ]
    return result("W8", f"one random file, {size_text(size)}, over a stream that breaks", contenders, values, size, notes,
                  {"columns": ["sent again", "MiB", "windows"], "rows": rows})  # fmt: skip


# ---- W10: memory


def very_many(bench):
    count = bench.size(1_000_000, 50_000)
    bench.needs(2 * count * 5500)
    source = bench.fresh("source")
    data.write_files(source, [100] * count, data.PER_DIR, bench.seed)
    return source, f"{count:,} files of 100 bytes"


def very_sparse(bench):
    size, content = bench.size(100 * GIB, 10 * GIB), bench.size(GIB, 64 * MIB)
    bench.needs(3 * content)
    source = bench.fresh("source")
    data.write_sparse(source / "image", size, content, bench.seed)
    return source, f"a sparse file, {size_text(size)} with {size_text(content // MIB * MIB)} of data"


def very_large(bench):
    size = bench.size(4 * GIB, 256 * MIB)
    return bench.image("random", size), f"a random file, {size_text(size)}"


class Peaks:
    """A row for each tree and contender; of hvferry also a value for the bars."""

    def __init__(self, bench):
        self.bench = bench
        self.rows, self.values = [], {}

    def add(self, key, words, contender, run):
        peaks = [run.sender.peak, run.receiver.peak]
        if key:
            self.values[key] = max(peaks) / MIB
        self.rows.append([words, contender.name, *(f"{peak / MIB:.1f}" for peak in peaks), f"{run.seconds:.2f}"])

    def copy(self, key, words, contender, source):
        run = self.bench.copy(source, contender)
        Comparison(step=100 if key == "files" else 1).check(source, self.bench.top / "dest")
        self.add(key, words, contender, run)

    def failures(self):
        return [f"W10: {key}: more than {LIMIT // MIB} MiB" for key, peak in self.values.items() if peak > LIMIT / MIB]


def w10(bench):
    peaks = Peaks(bench)
    source, words = very_many(bench)
    peaks.copy(None, words, Rsync(bench), source)
    peaks.copy("files", words, Hvferry(bench), source)
    by_content = Hvferry(bench, "hvferry -c, all there", ["-a", "-c"])
    peaks.add("checksum", words, by_content, by_content.run(source, bench.top / "dest"))
    for key, make in (("sparse", very_sparse), ("large", very_large)):
        data.remove(source)
        source, words = make(bench)
        peaks.copy(key, words, Hvferry(bench), source)
    found = result("W10", f"peak resident memory of each end; at most {LIMIT // MIB} MiB", [], peaks.values,
                   table={"columns": ["tree", "", "sender MiB", "receiver MiB", "seconds"], "rows": peaks.rows})  # fmt: skip
    return {**found, "failures": peaks.failures()}
