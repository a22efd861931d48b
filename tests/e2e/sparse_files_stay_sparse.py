#!/usr/bin/env python3
"""Files larger than 4 GiB with little in them arrive equal, and take no more storage than at their source."""

import os
import subprocess

import lib
from lib import GIB, HVSEND, KIB, MIB, SMALL, case, check, check_equal, each, good, noise, put_sparse

BLOCK = 512  # the unit of st_blocks


def runs_of_data(path):
    """[(start, end)] as the file system sees them."""
    runs, size = [], os.path.getsize(path)
    fd = os.open(path, os.O_RDONLY)
    try:
        at = 0
        while at < size:
            try:
                start = os.lseek(fd, at, os.SEEK_DATA)
            except OSError:  # only a hole is left
                break
            at = os.lseek(fd, start, os.SEEK_HOLE)
            runs.append((start, at))
    finally:
        os.close(fd)
    return runs


def check_sparse(source, dest):
    """Neither may the source be less sparse than the test believes."""
    for name in os.listdir(source):
        ours, theirs = os.stat(source / name), os.stat(dest / name)
        check(ours.st_blocks * BLOCK < max(ours.st_size, 1), f"{name}: the source is not sparse")
        check(theirs.st_blocks <= ours.st_blocks + 16, f"{name}: {ours.st_blocks} blocks became {theirs.st_blocks}")


def same_contents(one, other, size):
    """Compared with an outside tool, in parts: holes of terabytes would take hours."""
    for start, end in sorted({*runs_of_data(one), *runs_of_data(other)}):
        words = ["cmp", "-n", str(end - start), f"--ignore-initial={start}", one, other]
        check_equal(subprocess.run(words, check=False).returncode, 0, f"{one}, bytes {start} to {end}")
    check_equal((os.path.getsize(one), os.path.getsize(other)), (size, size), "sizes")


def transfer(ws, source, *options):
    dest = ws.dir("dest")
    good(ws.push(["-a", *options, f"{source}/"], dest))
    check_sparse(source, dest)
    return dest


@case
def a_file_with_data_beyond_4_gib_arrives_equal_and_sparse(ws):
    source = ws.dir("source")
    size = 5 * GIB + 12345
    edges = [0, 4 * GIB - 100_000, 4 * GIB + 1, size - 70_000]
    put_sparse(source / "large", size, [(at, noise(70_000, at)) for at in edges])
    dest = transfer(ws, source)
    same_contents(source / "large", dest / "large", size)
    if not SMALL:
        lib.same_tree(source, dest)


@case
def a_file_of_many_terabytes_arrives(ws):
    """Its last byte is the last but one that a tmpfs or ext4 can have."""
    source = ws.dir("source")
    size = 15 * 1024 * GIB
    put_sparse(source / "huge", size, [(size - 10, b"ten bytes!")])
    dest = transfer(ws, source)
    same_contents(source / "huge", dest / "huge", size)


@each([("a page", "never", 1, []), ("huge pages", "always", 1, []), ("several pages", "never", 5000, []),
       ("read back", "never", 1, ["--verify"])])
def data_at_the_end_of_all_there_can_be_is_no_hole(ws, how):
    """Whatever tmpfs says of the last page."""
    _, huge, n, options = how
    source, dest = (ws.tmpfs(name, f"size=64M,huge={huge}") for name in ("source", "dest"))
    size = (1 << 63) - 1
    runs = {5_000_000: b"y", size - n: noise(n), size - (4 << 20): b"x"}
    put_sparse(source / "most", size, runs.items())
    good(ws.push(["-a", *options, f"{source}/"], dest))
    with open(dest / "most", "rb") as f:
        check_equal({at: os.pread(f.fileno(), len(data), at) for at, data in runs.items()}, runs, "what came")
    check_equal(os.path.getsize(dest / "most"), size, "size")
    check(os.stat(dest / "most").st_blocks * BLOCK <= 16 * MIB, "it is sparse")


@case
def holes_at_start_middle_and_end_stay_where_they_are(ws):
    source = ws.dir("source")
    data = noise(256 * KIB)
    places = {"start": [24 * MIB - 256 * KIB], "end": [0], "middle": [0, 20 * MIB], "both": [12 * MIB], "none": []}
    for name, offsets in places.items():
        put_sparse(source / name, 24 * MIB, [(at, data) for at in offsets])
    put_sparse(source / "comb", 24 * MIB, [(i * 96 * KIB, data[: 16 * KIB]) for i in range(256)])
    put_sparse(source / "odd", 24 * MIB + 1, [(i * 777_777, data[:3]) for i in range(30)])
    dest = transfer(ws, source, "--chunk-size", "64K")
    lib.same_tree(source, dest)
    for name in os.listdir(source):
        check_equal(runs_of_data(dest / name), runs_of_data(source / name), f"runs of data in {name}")


@case
def a_sparse_file_replaces_a_full_one(ws):
    source = ws.dir("source")
    put_sparse(source / "file", 30 * MIB, [(10 * MIB, b"data")])
    dest = ws.dir("dest")
    lib.put(dest / "file", noise(30 * MIB))
    good(ws.push(["-a", "-I", f"{source}/"], dest))
    check_sparse(source, dest)
    lib.same_tree(source, dest)


@case
def a_file_system_that_knows_not_where_its_data_are_is_not_believed(ws):
    """What comes of SEEK_DATA in a FUSE is what its server says: a place before the one that was asked about."""
    lib.need("strace")
    source, dest, address = ws.dir("source"), ws.dir("dest"), ws.address()
    put_sparse(source / "file", 4 * MIB, [(i * MIB, noise(64 * KIB, i)) for i in range(4)])
    lib.put(source / "other", b"other")
    receiver = ws.receiver(address, dest)
    wrong = ["strace", "-f", "-qq", "-o", ws.path / "trace", "-e", "trace=lseek", "-e", "inject=lseek:retval=0:when=3"]
    sender = ws.run(*wrong, HVSEND, "-r", f"{source}/", address, env={**os.environ, **lib.TRACED})
    good(lib.Pair(sender, receiver.wait()))
    check("INJECTED" in (ws.path / "trace").read_text(), "it was not asked")
    same_contents(source / "file", dest / "file", 4 * MIB)


lib.main()
