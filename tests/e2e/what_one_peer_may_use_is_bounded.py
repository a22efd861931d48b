#!/usr/bin/env python3
"""--quota, --max-files, --min-free: what is beyond them ends the session with 41 at both ends, and nothing else."""

import os

import lib
from lib import HVSEND, KIB, MIB, case, check, check_equal, each, failed, good, no_temporary_names, noise, put


def make_source(ws, name="source", files=3, size=100 * KIB):
    source = ws.dir(name)
    for i in range(files):
        put(source / f"file{i}", noise(size, f"{name}{i}"))
    return source


def whole(source, dest):
    """Names of those files that arrived, each of them whole."""
    no_temporary_names(dest)
    names = sorted(os.listdir(dest))
    for name in names:
        check_equal((dest / name).read_bytes(), (source / name).read_bytes(), name)
    return names


@each([("files of a bundle", 3, 100 * KIB), ("a large file", 1, 3 * MIB), ("a sparse file", 0, 0)])
def what_is_beyond_the_quota_does_not_come(ws, value):
    _, files, size = value
    source, dest = make_source(ws, files=files, size=size), ws.dir("dest")
    if not files:
        lib.put_sparse(source / "sparse", 1 * lib.GIB)
    pair = ws.push(["-r", f"{source}/"], dest, ["--quota", "250K"])
    failed(pair.receiver, 41, r"file\d|sparse: this peer may add no more than 250.00K bytes \(--quota\)")
    failed(pair.sender, 41, r"ended the session: nothing more fits.*--quota")
    check(len(whole(source, dest)) < max(files, 1), "not all came")


@case
def what_is_exactly_the_quota_comes(ws):
    source, dest = make_source(ws), ws.dir("dest")
    good(ws.push(["-r", f"{source}/"], dest, ["--quota", "300K", "--max-files", "3"]))
    check_equal(len(whole(source, dest)), 3, "files")


@case
def a_peer_keeps_its_account_from_session_to_session(ws):
    """While a file is replaced both count, then only the new one; a second peer has an account of its own."""
    first, second, dest, address = make_source(ws), make_source(ws, "second", 4), ws.dir("dest"), ws.unix()
    receiver = ws.receiver(address, dest, "--quota", "650K", "--max-files", "10", once=False)
    for _ in range(3):
        check_equal(ws.run(HVSEND, "-rI", f"{first}/", address).code, 0, "the same again")
    failed(ws.run(HVSEND, "-r", f"{second}/", address), 41, "--quota")
    hvsend, _, nobody = ws.for_nobody()
    if nobody:
        os.chmod(address.removeprefix("unix:"), 0o777)
        result = ws.run(hvsend, "-r", "--into", "of-nobody", f"{first}/", address, **nobody)
        check_equal(result.code, 0, f"another user ({result})")
    receiver.signal(15)
    check_equal(receiver.wait().code, 0, "the listener's exit code")


@case
def no_more_files_come_than_may(ws):
    source, dest = make_source(ws, files=8, size=10), ws.dir("dest")
    pair = ws.push(["-r", f"{source}/"], dest, ["--max-files", "5"])
    failed(pair.receiver, 41, r"no more than 5 files \(--max-files\)")
    failed(pair.sender, 41, "--max-files")
    check(len(whole(source, dest)) <= 5, "more came")


@case
def names_of_directories_count(ws):
    source, dest = ws.dir("source"), ws.dir("dest")
    for i in range(8):
        (source / f"dir{i}").mkdir()
    failed(ws.push(["-r", f"{source}/"], dest, ["--max-files", "5"]).sender, 41, "--max-files")
    check_equal(len(os.listdir(dest)), 5, "directories")


@case
def so_much_stays_free(ws):
    small, source = ws.tmpfs("small", "size=16m"), make_source(ws, files=1, size=12 * MIB)
    dest = small / "dest"
    dest.mkdir()
    pair = ws.push(["-r", f"{source}/"], dest, ["--min-free", "8M"])
    failed(pair.receiver, 41, r"are free, and 8.00M must stay so \(--min-free\)")
    failed(pair.sender, 41, "--min-free")
    check_equal(whole(source, dest), [], "what came")
    good(ws.push(["-r", f"{source}/"], dest, ["--min-free", "2M"]))


@each([("a new file", 56, []), ("in place", 44, ["--inplace"])])
def what_fits_comes_where_a_growing_file_takes_more_than_it_is_long(ws, value):
    """xfs takes half as much again behind the end of a file that grows, or twice: that is nobody's, and not needed."""
    _, more, options = value
    image, source = ws.xfs("image", 400 * MIB), make_source(ws, files=1, size=48 * MIB)
    dest = image / "dest"
    dest.mkdir()
    put(dest / "file0", noise(8 * MIB, "old"))
    stat = os.statvfs(dest)
    least = stat.f_bavail * stat.f_frsize - more * MIB
    good(ws.push(["-r", *options, f"{source}/"], dest, ["--min-free", str(least)]))
    check_equal(whole(source, dest), ["file0"], "what came")


@case
def limits_hold_in_a_pull_too(ws):
    source, dest = make_source(ws), ws.dir("dest")
    pair = ws.pull(["-r", f"{source}/"], dest, ["--quota", "250K"])
    failed(pair.receiver, 41, "--quota")
    failed(pair.sender, 41, "ended the session")


lib.main()
