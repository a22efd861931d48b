"""Trees that are copied, made from a seed (large files: tests/bench/fill.c), and whether a copy equals its source."""

import os
import random
import subprocess
from pathlib import Path

from .base import KIB, MIB, BenchError

BLOCK = 4 * KIB  # of changes, and of file systems
PER_DIR = 1000  # of trees with very many files


def varied(size, seed, usual_seed):
    """A size, or with another seed than the usual one, one that differs from it by up to a fifth."""
    if seed == usual_seed:
        return size
    factor = 0.8 + 0.4 * random.Random(f"{seed}/{size}").random()
    return max(1, int(size * factor)) if size < MIB else int(size * factor) // BLOCK * BLOCK


def write_files(top, sizes, per_dir, seed):
    """Files of these sizes, cut from a random block at random places."""
    source = random.Random(seed)
    block = memoryview(source.randbytes(4 * MIB))
    folder = top
    for number, size in enumerate(sizes):
        if per_dir and number % per_dir == 0:
            folder = top / f"dir{number // per_dir:04}"
            folder.mkdir()
        at = source.randrange(len(block) - size)
        file = os.open(f"{folder}/file{number:07}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        os.write(file, block[at : at + size])
        os.close(file)


def many_sizes(count, total, seed):
    """`count` sizes as of a source tree: most are small, a few are large; together `total`."""
    source = random.Random(seed)
    raw = [min(source.lognormvariate(0, 1.5), 100.0) for _ in range(count)]
    scale = total / sum(raw)
    sizes = [int(value * scale) for value in raw]
    sizes[-1] += total - sum(sizes)
    return sizes


def write_sparse(path, size, data, seed):
    """`data` bytes in runs of 1 MiB, spread over a file of `size`."""
    runs = data // MIB
    step = size // runs // BLOCK * BLOCK
    source = random.Random(seed)
    with open(path, "wb") as file:
        file.truncate(size)
        for run in range(runs):
            file.seek(run * step)
            file.write(source.randbytes(MIB))


class Changes:
    """Every hundredth block of a file, on average, in an old and a new version."""

    def __init__(self, path, size, seed, percent=1):
        source = random.Random(seed)
        blocks = size // BLOCK
        self.places = sorted(source.sample(range(blocks), max(1, blocks * percent // 100)))
        with open(path, "rb", buffering=0) as file:
            self.new = [os.pread(file.fileno(), BLOCK, place * BLOCK) for place in self.places]
        self.old = [source.randbytes(BLOCK) for _ in self.places]
        self.size = len(self.places) * BLOCK

    def write(self, path, blocks, mtime_ns):
        with open(path, "r+b", buffering=0) as file:
            for place, block in zip(self.places, blocks):
                os.pwrite(file.fileno(), block, place * BLOCK)
        os.utime(path, ns=(mtime_ns, mtime_ns))

    def make_old(self, path, mtime_ns):
        self.write(path, self.old, mtime_ns)


def allocated(top):
    """Bytes that the files below a directory take, without their holes."""
    return sum(os.lstat(os.path.join(folder, name)).st_blocks * 512 for folder, _, names in os.walk(top) for name in names)


def remove(path):
    subprocess.run(["rm", "-rf", "--", path], check=True)


# ---- comparing ---------------------------------------------------------------------------------------------


def data_runs(file):
    """The (start, end) of everything in a file that is not a hole."""
    runs, end = [], 0
    while True:
        try:
            start = os.lseek(file.fileno(), end, os.SEEK_DATA)
        except OSError:  # ENXIO: nothing but a hole, or the end
            return runs
        end = os.lseek(file.fileno(), start, os.SEEK_HOLE)
        runs.append((start, end))


def same_content(a, b):
    """True when all bytes are equal; what is a hole in both is not read."""
    with open(a, "rb", buffering=0) as one, open(b, "rb", buffering=0) as two:
        if os.fstat(one.fileno()).st_size != os.fstat(two.fileno()).st_size:
            return False
        runs = data_runs(one)
        if data_runs(two) != runs:
            runs = runs + data_runs(two)
        for start, end in runs:
            for offset in range(start, end, MIB):
                n = min(MIB, end - offset)
                if os.pread(one.fileno(), n, offset) != os.pread(two.fileno(), n, offset):
                    return False
    return True


class Comparison:
    """What a copy is held to: `times` to the "ns", to the "s", or None for neither modes nor times; the contents of
    every file, or of every `step`th."""

    def __init__(self, times="ns", step=1):
        self.times = times
        self.step = step
        self.count = 0

    def same_attributes(self, mine, theirs):
        unit = {"ns": 1, "s": 10**9}.get(self.times)
        return unit is None or (
            mine.st_mode == theirs.st_mode and mine.st_mtime_ns // unit == theirs.st_mtime_ns // unit
        )

    def check_file(self, a, b):
        mine, theirs = os.lstat(a), os.lstat(b)
        if not self.same_attributes(mine, theirs):
            raise BenchError(f"{b} has another mode or time than {a}")
        self.count += 1
        if mine.st_size != theirs.st_size or (self.count % self.step == 0 and not same_content(a, b)):
            raise BenchError(f"{b} has other contents than {a}")

    def check(self, source, dest):
        """Raises BenchError at the first difference."""
        for folder, dirs, files in os.walk(source):
            other = Path(dest) / Path(folder).relative_to(source)
            if sorted(dirs + files) != sorted(os.listdir(other)):
                raise BenchError(f"{other} has other names than {folder}")
            for name in files:
                self.check_file(f"{folder}/{name}", f"{other}/{name}")
