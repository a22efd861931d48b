#!/usr/bin/env python3
"""A destination that gets full at every point: one page, or one inode, more each time.

The session ends with 41, every old file stays, nothing unfinished does, and the listener serves on.
"""

import contextlib
import os
import random
import subprocess
import sys
from typing import NamedTuple

import module
from lib import HVRECV, HVSEND, KIB, Failed, Skipped, Workspace, check, noise, prose, put, same_tree, wait_until

CASE = "diskfull"
QUICK_RUNS = 40
PAGE = 4 * KIB
ROOM = 64 << 20  # of the tmpfs when it is not to be full
INODES = 4096
OPTIONS = ["--timeout", "60", "--contimeout", "60", "--zc", "none"]
RECEIVERS = [("batch", []), ("file", ["--durable", "file"]), ("one thread", ["--serial"])]


def make_tree(root, which):
    """Small files, a file that is written in chunks, directories and links. `old` lacks some of the names."""
    rng = random.Random(which)
    for i, directory in enumerate(("", "a", "a/b", "a/b/c", "many")):
        (root / directory).mkdir(exist_ok=True)
        for k in range(20 if directory == "many" else 3):
            if which == "new" or k % 3 != 1:
                put(root / directory / f"{k}", prose(rng.randrange(200, 6000), f"{which}{i}{k}"))
        if which == "new":
            os.symlink("x" * 200, root / directory / "link")
            (root / directory / "empty").mkdir()
    put(root / "a/large", noise(200 * KIB + 3, which))
    return root


def unfinished(root):
    return [name for _, inner, names in os.walk(os.fsencode(root)) for name in inner + names if module.is_temporary(name)]


class Point(NamedTuple):
    what: str  # bytes, inodes
    free: int
    receiver: int  # index of RECEIVERS


def needs(tree):
    """Bytes (whole pages, and what a directory may take) and inodes of a tree."""
    size = inodes = 0
    for directory, directories, files in os.walk(tree):
        inodes += len(directories) + len(files)
        for name in files:
            size += -(-os.lstat(os.path.join(directory, name)).st_size // PAGE) * PAGE
    return size, inodes


class Torture:
    def __init__(self, ws):
        self.ws = ws
        self.new, self.old, self.tiny = make_tree(ws.dir("new"), "new"), make_tree(ws.dir("old"), "old"), ws.dir("tiny")
        put(self.tiny / "tiny", b"tiny")
        self.contents = {path: module.read_files(path) for path in (self.new, self.old)}
        self.at = ws.tmpfs("full", f"size={ROOM},nr_inodes={INODES}")
        self.listeners = []
        size, inodes = needs(self.new)
        steps = [("bytes", n) for n in range(0, size + 8 * PAGE, PAGE)] + [("inodes", n) for n in range(inodes + 4)]
        self.points = [Point(*step, i) for i in range(len(RECEIVERS)) for step in steps]
        self.full = self.whole = 0

    def listen(self):
        """One listener of each kind, which serves all of the sweep."""
        for i, (_, options) in enumerate(RECEIVERS):
            address = self.ws.unix()
            dest = self.at / f"dest{i}"
            dest.mkdir()
            words = [HVRECV, "--listen", address, "--timeout", "60", "--contimeout", "60", *options, dest]
            self.listeners.append((self.ws.listen(address, *words), address, dest))

    def limit(self, size=ROOM, inodes=INODES):
        words = f"remount,size={size},nr_inodes={inodes}"
        subprocess.run(["mount", "-o", words, self.at], check=True, capture_output=True)

    def used(self):
        """Bytes and inodes."""
        st = os.statvfs(self.at)
        return (st.f_blocks - st.f_bfree) * st.f_frsize, st.f_files - st.f_ffree

    def send(self, ws, tree, address):
        return ws.run(HVSEND, "-a", *OPTIONS, f"{tree}/", address)

    def run(self, rng, number):
        point = self.points[number]
        listener, address, dest = self.listeners[point.receiver]
        self.limit()
        for name in os.listdir(dest):
            subprocess.run(["rm", "-rf", dest / name], check=True)
        subprocess.run(["cp", "-a", f"{self.old}/.", dest], check=True)
        size, inodes = self.used()
        if point.what == "bytes":
            self.limit(size=max(size + point.free, PAGE))  # 0 would be no limit
        else:
            self.limit(inodes=max(inodes + point.free, 1))
        try:
            with Workspace() as ws:
                self.judge(ws, point, self.send(ws, self.new, address), listener, dest)
        except Failed as error:
            raise Failed(f"{RECEIVERS[point.receiver][0]}, {point.free} {point.what} free: {error}") from None

    def judge(self, ws, point, sender, listener, dest):
        check(sender.code in (0, 41), f"not 41: {sender}")
        # The listener clears up after it has told the sender why.
        wait_until(lambda: sender.code == 0 or unfinished(dest) == [], "nothing unfinished is left")
        module.old_or_new(module.read_files(dest), self.contents[self.old], self.contents[self.new])
        if sender.code == 0:
            self.whole += 1
            same_tree(self.new, dest)
        else:
            self.full += 1
            check(sender.err.strip(), "it ended without a word")
        check(not listener.ended(), f"the listener ended: {listener.err()[-2000:]}")
        self.limit()
        again = self.send(ws, self.tiny, self.listeners[point.receiver][1])
        check(again.code == 0, f"the next session failed: {again}")
        check((dest / "tiny").read_bytes() == b"tiny", "its file is not there")


def main():
    args = module.arguments(runs=None)
    module.with_private_mounts(CASE)
    with contextlib.ExitStack() as stack:
        ws = stack.enter_context(Workspace())
        try:
            torture = Torture(ws)
        except Skipped as reason:
            module.cannot(CASE, str(reason))
        torture.listen()
        random.Random(args.seed).shuffle(torture.points)
        count, failures = module.each_run(args, torture.run, len(torture.points))
        note = f"of {len(torture.points)} points; {torture.full} were full, {torture.whole} had room"
    module.finish(CASE, count, failures, note)


if __name__ == "__main__":
    sys.exit(main())
