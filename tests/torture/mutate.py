#!/usr/bin/env python3
"""Someone works in the source while it is sent.

Files vanish, shrink, grow, are written over, replaced, or become links and FIFOs. What is committed was in the file at
one instant; what changed while it was read is reported with 24; the rest arrives, and everything once the source rests.
"""

import os
import stat
import subprocess
import sys
import threading
import time

import module
from lib import HVSEND, KIB, Failed, Workspace, check, put, same_tree, wait_until

CASE = "mutate"
QUICK_RUNS = 25
BLOCK = 64  # bytes that name their file and version
OPTIONS = ["--timeout", "60", "--contimeout", "60"]
RESTING, MUTATED = 10, 16  # files
SECRET = b"not to be sent"
CHANGES = 60  # of one run, at most
KINDS = ["vanish", "shrink", "grow", "rewrite", "replace", "link", "fifo", "move", "touch"]


def version_bytes(name, version, size):
    block = f"{name} version {version} ".encode().ljust(BLOCK, b".")
    return (block * (size // BLOCK + 1))[:size]


class Known:
    """What has ever been in a file: for each version the sizes it had, as ranges."""

    def __init__(self, name):
        self.name = name
        self.version = 0
        self.size = 0
        self.sizes = {}
        self.links = 0

    def begin(self, version, size):
        self.version, self.size = version, size
        self.sizes.setdefault(version, []).append((size, size))

    def allows(self, content):
        for version, ranges in self.sizes.items():
            if content == version_bytes(self.name, version, len(content)):
                if any(low <= len(content) <= high for low, high in ranges):
                    return True
        return False


class Mutator:
    """What it is about to make is known before it makes it."""

    def __init__(self, rng, source, outside):
        self.rng, self.source, self.outside = rng, source, outside
        self.known = {}
        self.changes = 0
        self.done = threading.Event()
        for i in range(MUTATED):
            name = f"m{i}"
            self.known[name] = Known(name)
            self.write_new(name)

    def new_version(self, name):
        known = self.known[name]
        size = self.rng.choice([0, 10, 1000, 9000, 100 * KIB, 300 * KIB, 1200 * KIB])
        known.begin(known.version + 1, size)
        return version_bytes(name, known.version, size)

    def write_new(self, name):
        data = self.new_version(name)
        put(self.source / name, data)

    def replace(self, name):
        """By rename, as an editor does."""
        data = self.new_version(name)
        beside = self.outside / "beside"
        put(beside, data)
        os.replace(beside, self.source / name)

    def change(self):
        name = self.rng.choice(sorted(self.known))
        known, path = self.known[name], self.source / name
        kind = self.rng.choice(KINDS)
        is_file = stat.S_ISREG(os.lstat(path).st_mode) if os.path.lexists(path) else None
        self.changes += 1
        if not is_file:
            if is_file is not None:
                path.unlink()
            self.replace(name)
        elif kind == "vanish":
            path.unlink()
        elif kind == "shrink" and known.size > 0:
            known.begin(known.version, self.rng.randrange(known.size))
            os.truncate(path, known.size)
        elif kind == "grow":
            whole = version_bytes(name, known.version, known.size + self.rng.randrange(1, 50000))
            known.sizes[known.version].append((known.size, len(whole)))  # a write becomes visible piece by piece
            with open(path, "ab") as f:
                f.write(whole[known.size :])
            known.size = len(whole)
        elif kind == "rewrite":
            self.rewrite(name, path)
        elif kind == "link":
            path.unlink()
            path.symlink_to(self.outside / "secret")
        elif kind == "fifo":
            path.unlink()
            os.mkfifo(path)
        elif kind == "move":
            path.rename(self.outside / "moved")
            os.replace(self.outside / "moved", path)
        elif kind == "touch":
            os.utime(path)
        else:
            self.replace(name)

    def rewrite(self, name, path):
        """In place and in steps. Its time is set back then, as a program could: only ctime tells."""
        known = self.known[name]
        before = os.stat(path)
        version = known.version + 1
        data = version_bytes(name, version, known.size)
        with open(path, "r+b", buffering=0) as f:
            for at in range(0, len(data), 64 * KIB):
                f.write(data[at : at + 64 * KIB])
        known.begin(version, known.size)
        if self.rng.random() < 0.5:
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    def work(self):
        for _ in range(self.rng.randrange(1, CHANGES)):
            if self.done.is_set():
                return
            self.change()
            time.sleep(self.rng.random() * 0.01)

    def rest(self):
        for name in self.known:
            if not stat.S_ISREG(os.lstat(self.source / name).st_mode if os.path.lexists(self.source / name) else 0):
                self.replace_whatever(name)

    def replace_whatever(self, name):
        path = self.source / name
        if os.path.lexists(path):
            path.unlink()
        self.replace(name)


class Torture:
    def __init__(self):
        self.codes = {}
        self.changes = 0

    def run(self, rng, number):
        with Workspace() as ws:
            source, outside, dest = ws.dir("source"), ws.dir("outside"), ws.dir("dest")
            put(outside / "secret", SECRET)
            for i in range(RESTING):
                put(source / f"rests{i}", version_bytes(f"rests{i}", 1, rng.randrange(200 * KIB)))
            mutator = Mutator(rng, source, outside)
            self.session(ws, rng, mutator, source, dest)
            mutator.rest()
            subprocess.run(["find", dest, "-type", "l", "-delete"], check=True)
            pair = ws.push(["-aI", *OPTIONS, f"{source}/"], dest, OPTIONS)  # times were set back
            check((pair.sender.code, pair.receiver.code) == (0, 0), f"the run at rest failed\n{pair}")
            for name in set(os.listdir(dest)) - set(os.listdir(source)):
                os.unlink(dest / name)
            os.utime(dest, ns=(0, os.stat(source).st_mtime_ns))
            same_tree(source, dest)
            self.changes += mutator.changes

    def session(self, ws, rng, mutator, source, dest):
        address = ws.unix()
        serial = ["--serial"] if rng.random() < 0.2 else []
        receiver = ws.receiver(address, dest, *OPTIONS)
        worker = threading.Thread(target=mutator.work)
        delay = rng.random() * 0.02
        sender = ws.start(HVSEND, "-a", "--chunk-size", "64K", *OPTIONS, *serial, f"{source}/", address)
        time.sleep(delay)
        worker.start()
        try:
            wait_until(lambda: sender.ended() and receiver.ended(), "both end")
        finally:
            mutator.done.set()
            worker.join()
        codes = sender.wait().code, receiver.wait().code
        self.codes[codes[0]] = self.codes.get(codes[0], 0) + 1
        told = f"\nsender: {sender.err()}\nreceiver: {receiver.err()}"
        check(codes in ((0, 0), (24, 24)), f"codes {codes}, neither 0 nor 24{told}")
        self.judge(mutator, source, dest, told)

    @staticmethod
    def judge(mutator, source, dest, told):
        for name in os.listdir(dest):
            path = dest / name
            if path.is_symlink():
                check(os.readlink(path) == str(mutator.outside / "secret"), f"{name} is another link")
                continue
            check(path.is_file(), f"{name} is no file")
            content = path.read_bytes()
            check(SECRET not in content, f"{name} holds what a link led to{told}")
            if name.startswith("rests"):
                check(content == (source / name).read_bytes(), f"{name} is not exact{told}")
            else:
                check(name in mutator.known, f"{name} is left{told}")
                check(mutator.known[name].allows(content), f"{name} ({len(content)} bytes) was never so{told}")
        for i in range(RESTING):
            check((dest / f"rests{i}").exists(), f"rests{i} did not arrive{told}")


def main():
    args = module.arguments(runs=1000)
    torture = Torture()
    count, failures = module.each_run(args, torture.run)
    codes = ", ".join(f"exit {code}: {n}" for code, n in sorted(torture.codes.items()))
    module.finish(CASE, count, failures, f"{torture.changes} changes; {codes}")


if __name__ == "__main__":
    sys.exit(main())
