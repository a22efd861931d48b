"""One run of the script: where its files lie, how contenders take turns, and what comes out."""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from . import bars, data
from .base import GIB, MIB, BenchError, NotHere
from .disk import Disk
from .processes import Processes

USUAL_SEED = 20240607
SPARE = 64 * MIB
WARM_BLOCK = 4 * MIB
ZEROS = bytes(WARM_BLOCK)


def on_cores(count):
    """What lets a program use only so many."""
    usable = sorted(os.sched_getaffinity(0))
    return ["taskset", "-c", ",".join(map(str, usable[:count]))]


class Bench:
    def __init__(self, options):
        self.quick = options.quick
        self.seed = options.seed
        self.runs = options.runs or (3 if options.quick else 5)
        self.disk_folder = options.disk
        build = Path(options.build).resolve()
        self.hvsend = str(build / "sender" / "hvsend")
        self.hvrecv = str(build / "receiver" / "hvrecv")
        self.bare = str(build / "tests" / "bench" / "bare")
        self.filler = str(build / "tests" / "bench" / "fill")
        self.top = Path(tempfile.mkdtemp(prefix="hvferry-bench.", dir="/dev/shm"))
        self.processes = Processes(str(build / "tests" / "bench" / "spent"))
        self.prefix = on_cores(options.cores) if options.cores else []  # of all programs
        self.sockets = 0
        self.closers = []
        self.kept = {}  # what one case leaves for another

    def close(self):
        """Also after half of anything."""
        self.processes.end_all()
        self.forget()
        data.remove(self.top)

    def forget(self):
        """Ends links and disks of a case."""
        while self.closers:
            self.closers.pop().close()

    def closing(self, thing):
        self.closers.append(thing)
        return thing

    def disk(self):
        return self.closing(Disk(self.disk_folder))

    def socket_path(self):
        self.sockets += 1
        return str(self.top / f"{self.sockets}.sock")

    def say(self, text):
        print(text, file=sys.stderr, flush=True)

    # ---- trees

    def size(self, full, quick):
        return data.varied(quick if self.quick else full, self.seed, USUAL_SEED)

    def fresh(self, name, top=None):
        path = (top or self.top) / name
        if path.exists():
            data.remove(path)
        path.mkdir()
        return path

    def warm(self, source, copies=1):
        """Uses as much memory as copies of `source` take, and frees it. The host of a virtual machine takes pages back that
        lie idle for seconds, and writing to such pages costs more than all else: who copies after a slow contender
        would pay for that."""
        size = copies * data.allocated(source)
        path = self.top / "warm"
        with open(path, "wb", buffering=0) as file:
            for _ in range(min(size, self.free()) // WARM_BLOCK):
                file.write(ZEROS)
        path.unlink()

    def free(self):
        return max(0, shutil.disk_usage(self.top).free - SPARE)

    def needs(self, size):
        """NotHere when the tmpfs cannot take so much."""
        free = shutil.disk_usage(self.top).free
        if free < size + SPARE:
            raise NotHere(f"needs {size / GIB:.1f} GiB in {self.top.parent}, {free / GIB:.1f} are free")

    def fill(self, path, kind, size):
        """kind: random or mixed."""
        subprocess.run([self.filler, kind, str(size), str(self.seed), str(path)], check=True)

    def image(self, kind, size, copies=2):
        """A tree of one file, `image`; it is made sure that there is room for so many of it."""
        self.needs(copies * size)
        source = self.fresh("source")
        self.fill(source / "image", kind, size)
        return source

    def many(self, count=20_000, total=132_000_000):
        """A tree of small files in directories of 100, and the sum of their sizes."""
        count, total = (data.varied(n, self.seed, USUAL_SEED) for n in (count, total))
        self.needs(4 * total)
        source = self.fresh("source")
        data.write_files(source, data.many_sizes(count, total, self.seed), 100, self.seed)
        return source, total, f"{count:,} files, {total / 1e6:.0f} MB, in directories of 100"

    # ---- rounds

    def full_copies(self, source, contenders, runs=None, disk=None):
        """Each copies to an empty directory, in turn. The first round checks the copies, and is not counted: it also
        makes the kernel find the memory that later rounds use again."""
        for contender in contenders:
            run = self.copy(source, contender, disk)
            if contender.runs is not None:
                contender.measured.append(run)
            contender.verify(source, (disk.top if disk else self.top) / "dest")
        for number in range(runs or self.runs):
            for contender in contenders:
                if contender.runs is None or number + 1 < contender.runs:
                    contender.measured.append(self.copy(source, contender, disk))
        data.remove((disk.top if disk else self.top) / "dest")

    def copy(self, source, contender, disk=None):
        dest = self.fresh("dest", disk and disk.top)
        if disk:
            disk.settle()
        return contender.run(source, dest)


def median_seconds(contender):
    return statistics.median(run.seconds for run in contender.measured)


def median_cpu(contender):
    return statistics.median(run.cpu for run in contender.measured)


def ratio(peer, ours):
    """How many times as fast `ours` is."""
    return median_seconds(peer) / median_seconds(ours)


def row(contender):
    """What the report shows of a contender."""
    runs = contender.measured
    return {
        "name": contender.name,
        "command": contender.command(),
        "seconds": [run.seconds for run in runs],
        "cpu": [run.cpu for run in runs],
        "peaks": [max(run.sender.peak for run in runs),
                  max(run.receiver.peak for run in runs) if runs[0].receiver else None],
    }  # fmt: skip


def result(case, title, contenders, values, size=None, notes=(), table=None):
    """What a case came to. values: {key of bars.BARS: value}; size: bytes of each copy, where a rate says something."""
    unknown = set(values) - {bar.key for bar in bars.BARS[case]}
    if unknown:
        raise BenchError(f"no bar of {case} is called {unknown}")
    return {
        "case": case,
        "title": title,
        "size": size,
        "contenders": [row(contender) for contender in contenders],
        "values": values,
        "notes": list(notes),
        "table": table,
    }
