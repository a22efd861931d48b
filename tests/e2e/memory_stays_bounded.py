#!/usr/bin/env python3
"""However large the file and however many the files: neither end takes more than 64 MiB of memory."""

import os
import re
import time
from pathlib import Path

import lib
from lib import GIB, HVSEND, KIB, MIB, Pair, case, check, check_equal, good, noise, prose, put, put_sparse

MOST = 64 * MIB


def high_water(pid):
    """Bytes of resident memory at most so far. It never shrinks, so that the last look is as good as all; None when
    the process has ended."""
    try:
        found = re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return None
    return int(found[1]) * KIB if found else None


def transfer(ws, source, *options, recv=()):
    dest = ws.path / "dest"
    dest.mkdir(exist_ok=True)
    address = ws.unix()
    receiver = ws.receiver(address, dest, *recv)
    sender = ws.start(HVSEND, "-a", *options, f"{source}/", address)
    peaks = {sender: 0, receiver: 0}
    while not (sender.ended() and receiver.ended()):
        for process in peaks:
            peaks[process] = high_water(process.pid) or peaks[process]
        time.sleep(0.002)
    good(Pair(sender.wait(), receiver.wait()))
    for name, peak in zip(("sender", "receiver"), peaks.values()):
        print(f"# {name}: {peak // KIB} KiB", flush=True)
        check(0 < peak <= MOST, f"the {name} took {peak // KIB} KiB")
    return dest


@case
def a_sparse_file_of_100_gib(ws):
    source = ws.dir("source")
    put_sparse(source / "file", 100 * GIB, [(i * 400 * MIB, noise(300 * KIB, i)) for i in range(250)])
    dest = transfer(ws, source)
    ours, theirs = os.stat(source / "file"), os.stat(dest / "file")
    check_equal((theirs.st_size, theirs.st_mtime_ns), (ours.st_size, ours.st_mtime_ns), "size and time")
    check(theirs.st_blocks <= ours.st_blocks + 16, "the holes are allocated")
    for i in range(0, 250, 83):
        with open(dest / "file", "rb") as f:
            f.seek(i * 400 * MIB)
            check_equal(f.read(300 * KIB), noise(300 * KIB, i), f"run {i}")


@case
def a_dense_file_much_larger_than_the_bound(ws):
    source = ws.dir("source")
    block = noise(4 * MIB)
    with open(source / "file", "wb") as f:
        for _ in range(75):
            f.write(block)
    transfer(ws, source, "--zc", "none")


@case
def a_dense_file_that_is_compressed(ws):
    source = ws.dir("source")
    block = prose(4 * MIB)
    with open(source / "file", "wb") as f:
        for _ in range(50):
            f.write(block)
    transfer(ws, source, "--zc", "auto")


@case
def very_many_files_with_long_names(ws):
    source = ws.dir("source")
    for i in range(40_000):
        put(source / f"{i:0200}", b"x")
    transfer(ws, source)


@case
def comparison_by_content_of_a_large_file(ws):
    source = ws.dir("source")
    block = noise(4 * MIB)
    with open(source / "file", "wb") as f:
        for _ in range(50):
            f.write(block)
    dest = transfer(ws, source)
    os.utime(dest / "file", ns=(0, 0))
    transfer(ws, source, "-c")


lib.main()
