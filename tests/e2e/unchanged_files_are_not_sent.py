#!/usr/bin/env python3
"""What the destination already has is not sent again; what differs is, and nothing more than what differs."""

import json
import os
import shutil

import lib
from lib import (HVRECV, HVSEND, KIB, MIB, Skipped, TRACED, case, check, check_equal, each, good, noise, put, put_sparse,
                 same_tree)

T = 1_600_000_000_123_456_789


def make_source(ws):
    """About 5 MiB in 64 files."""
    source = ws.dir("source")
    for i in range(60):
        put(source / f"small{i:02}", noise(i * 300, i), mtime_ns=T + i)
    put(source / "bundled", noise(100 * KIB), mtime_ns=T)
    put(source / "large", noise(3 * MIB + 5), mtime_ns=T)
    put(source / "empty", b"", mtime_ns=T)
    put_sparse(source / "sparse", 2 * MIB, [(MIB, b"data" * 1000)])
    os.utime(source / "sparse", ns=(T, T))
    (source / "link").symlink_to("large")
    (source / "sub").mkdir()
    return source


FILES = 64


def send(ws, source, dest, *options, recv=()):
    """The sender's summary of a good run."""
    pair = ws.push(["-a", "--json", *options, f"{source}/"], dest, [*recv])
    check((pair.sender.code, pair.receiver.code) == (0, 0), f"it failed\n{pair}")
    events = [json.loads(line) for line in pair.sender.out.splitlines()]
    return events[-1], [event["path"] for event in events if event["type"] == "file"]


def source_and_copy(ws):
    source, dest = make_source(ws), ws.dir("dest")
    summary, names = send(ws, source, dest)
    check_equal((summary["files"], summary["skipped"], len(names)), (FILES, 0, FILES), "the first run")
    same_tree(source, dest)
    return source, dest


def inodes(root):
    return {name: os.lstat(root / name).st_ino for name in os.listdir(root)}


@each([("plain", []), ("one thread", ["--serial"]), ("by content", ["-c"])])
def a_second_run_sends_nothing(ws, value):
    source, dest = source_and_copy(ws)
    before = inodes(dest)
    summary, names = send(ws, source, dest, *value[1], recv=value[1] if "--serial" in value[1] else [])
    check_equal((summary["files"], summary["skipped"], summary["bytes_read"], names), (0, FILES, 0, []), "what it sent")
    check(summary["bytes_wire"] < 20 * KIB, f"{summary['bytes_wire']} bytes on the wire")
    check_equal(inodes(dest), before, "inodes")
    same_tree(source, dest)


@case
def what_was_written_where_it_is_and_comes_back_is_compared_once(ws):
    """Its last change is that it was written to, which may also be an --inplace that died at the time of the source."""
    source, dest = ws.dir("source"), ws.dir("dest")
    for i in range(20):
        (source / f"{i}").write_bytes(noise(10 * KIB, i))
    send(ws, source, dest)
    before = inodes(source)
    for _ in range(2):
        summary, names = send(ws, dest, source)
        check_equal((summary["files"], summary["skipped"], names), (0, 20, []), "what it sent")
        check(all(status.st_ctime_ns > status.st_mtime_ns for status in map(os.lstat, source.iterdir())), "times")
    check_equal(inodes(source), before, "inodes")
    same_tree(dest, source)
    # A mixture that has the time of what it was to become.
    status = os.stat(source / "7")
    put(dest / "7", noise(10 * KIB, "new"), mtime_ns=status.st_mtime_ns)
    with open(source / "7", "r+b") as f:
        f.write(b"mixed")
    os.utime(dest / "7", ns=(0, os.stat(source / "7").st_mtime_ns))
    summary, names = send(ws, dest, source)
    check_equal(names, ["7"], "what it sent")
    same_tree(dest, source)


@each([("of the sender", ["-I"], []), ("of the receiver", [], ["-I"])])
def ignore_times_sends_everything(ws, value):
    _, sender, receiver = value
    source, dest = source_and_copy(ws)
    summary, names = send(ws, source, dest, *sender, recv=receiver)
    check_equal((summary["files"], summary["skipped"], len(names)), (FILES, 0, FILES), "what it sent")
    same_tree(source, dest)


@each([("a nanosecond", 1), ("a second", 10**9), ("back a century", -(10**18) * 4)])
def another_time_sends_the_file(ws, value):
    source, dest = source_and_copy(ws)
    for name in ("small07", "large"):
        os.utime(source / name, ns=(T, os.stat(source / name).st_mtime_ns + value[1]))
    _, names = send(ws, source, dest)
    check_equal(sorted(names), ["large", "small07"], "files sent")
    same_tree(source, dest)


@case
def another_size_sends_the_file(ws):
    source, dest = source_and_copy(ws)
    for name in ("small07", "large", "empty"):
        put(source / name, (source / name).read_bytes() + b"x", mtime_ns=os.stat(source / name).st_mtime_ns)
    _, names = send(ws, source, dest)
    check_equal(sorted(names), ["empty", "large", "small07"], "files sent")
    same_tree(source, dest)


@case
def what_is_gone_or_changed_at_the_destination_comes_again(ws):
    source, dest = source_and_copy(ws)
    (dest / "small01").unlink()
    put(dest / "large", b"something else")
    _, names = send(ws, source, dest)
    check_equal(sorted(names), ["large", "small01"], "files sent")
    same_tree(source, dest)


# ---- by content ---------------------------------------------------------------------------------------------


def change_in_secret(path, offset):
    """Another byte, and the same size and time."""
    st = os.stat(path)
    with open(path, "r+b") as f:
        f.seek(offset)
        byte = f.read(1)
        f.seek(offset)
        f.write(bytes([byte[0] ^ 1]))
    os.utime(path, ns=(st.st_atime_ns, st.st_mtime_ns))


SECRETS = {"small59": 0, "bundled": 99 * KIB, "large": 3 * MIB + 4, "sparse": 5}


@each([("of the sender", ["-c"], []), ("of the receiver", [], ["-c"]), ("one thread", ["-c", "--serial"], ["--serial"]),
       ("small chunks", ["-c", "--chunk-size", "64K"], [])])  # fmt: skip
def checksum_finds_what_size_and_time_hide(ws, value):
    _, sender, receiver = value
    source, dest = source_and_copy(ws)
    for name, offset in SECRETS.items():
        change_in_secret(source / name, offset)
    summary, names = send(ws, source, dest)
    check_equal((names, summary["skipped"]), ([], FILES), "without -c")
    _, names = send(ws, source, dest, *sender, recv=receiver)
    check_equal(sorted(names), sorted(SECRETS), "with -c")
    same_tree(source, dest)


@case
def checksum_skips_equal_contents_and_corrects_time_and_mode(ws):
    source, dest = source_and_copy(ws)
    before = inodes(dest)
    for i, name in enumerate(os.listdir(source)):
        os.utime(source / name, ns=(0, T - i), follow_symlinks=False)
        if not (source / name).is_symlink() and i % 2:
            (source / name).chmod(0o700)
    summary, names = send(ws, source, dest, "-c")
    check_equal((names, summary["skipped"]), ([], FILES), "what it sent")
    check_equal(inodes(dest), before, "inodes")
    same_tree(source, dest)


@each([("on the root's volume", False), ("elsewhere", True)])
def what_was_compared_is_flushed_before_it_gets_its_time(ws, value):
    """Else a power cut could leave the time of the source with what it is not the time of, and a later run passes over it."""
    if shutil.which("strace") is None:
        raise Skipped("strace is not installed")
    source, dest = ws.dir("source"), ws.dir("dest")
    where = ws.mount("dest/sub", "tmpfs", "-t", "tmpfs", "-o", "mode=755", "hvferry-test") if value[1] else dest / "sub"
    for root in (source / "sub", where):
        root.mkdir(exist_ok=True)
        for i in range(50):
            put(root / f"f{i:02}", noise(1000, i), mtime_ns=T + (root == where))
    address, log = ws.unix(), ws.path / "strace"
    trace = ["strace", "-f", "-qq", "-y", "-e", "trace=fsync,fdatasync,syncfs,utimensat", "-o", log]
    receiver = ws.listen(address, *trace, HVRECV, "--once", "--listen", address, dest, env={**os.environ, **TRACED})
    sender = ws.run(HVSEND, "-a", "-c", f"{source}/", address)
    check_equal((sender.code, receiver.wait().code), (0, 0), "codes")
    same_tree(source, dest)
    calls = log.read_text().splitlines()
    set_at = {i: n for n, line in enumerate(calls) for i in range(50) if "utimensat" in line and f"/f{i:02}>" in line}
    check_equal(len(set_at), 50, "files that got their time")
    for i, n in set_at.items():
        before = [line for line in calls[:n] if "syncfs(" in line or f"sync(" in line and f"/f{i:02}>" in line]
        check(before, f"f{i:02} was not flushed before\n" + "\n".join(calls))
    volume = [line for line in calls if "syncfs(" in line]
    check(len(volume) <= 5, f"the volume was flushed {len(volume)} times")


@case
def checksum_compares_contents_however_they_are_laid_out(ws):
    """A hole here, zeros there."""
    source, dest = ws.dir("source"), ws.dir("dest")
    put_sparse(source / "file", 5 * MIB + 3, [(2 * MIB, b"data")])
    content = (source / "file").read_bytes()
    put(dest / "file", content)
    summary, names = send(ws, source, dest, "-c")
    check_equal((names, summary["skipped"]), ([], 1), "what it sent")
    same_tree(source, dest)


# ---- modes, links, directories ------------------------------------------------------------------------------


@each([("plain", []), ("by content", ["-c"])])
def a_mode_is_corrected_without_sending(ws, value):
    source, dest = source_and_copy(ws)
    before = inodes(dest)
    for name, mode in (("small03", 0o600), ("large", 0o755), ("sub", 0o700)):
        (source / name).chmod(mode)
    summary, names = send(ws, source, dest, *value[1])
    check_equal((names, summary["skipped"]), ([], FILES), "what it sent")
    check_equal(inodes(dest), before, "inodes")
    same_tree(source, dest)


@case
def a_directory_gets_its_time_back(ws):
    source, dest = source_and_copy(ws)
    for i, name in enumerate(("sub", ".")):
        os.utime(source / name, ns=(0, T + i))
        os.utime(dest / name, ns=(0, 0))
    send(ws, source, dest)
    same_tree(source, dest)


@case
def a_link_is_only_made_when_it_differs(ws):
    source, dest = source_and_copy(ws)
    before = os.lstat(dest / "link").st_ino
    send(ws, source, dest)
    check_equal(os.lstat(dest / "link").st_ino, before, "inode of the link")
    os.utime(source / "link", ns=(0, T), follow_symlinks=False)
    send(ws, source, dest)
    check_equal(os.lstat(dest / "link").st_ino, before, "inode of the link with another time")
    same_tree(source, dest)
    (source / "link").unlink()
    (source / "link").symlink_to("elsewhere")
    send(ws, source, dest)
    check_equal(os.readlink(dest / "link"), "elsewhere", "target")
    same_tree(source, dest)


@case
def only_what_the_options_preserve_is_corrected(ws):
    """Without -p and -t the modes stay; the time still tells that the file is not the same."""
    source, dest = source_and_copy(ws)
    (source / "small03").chmod(0o600)
    mode = (dest / "small03").stat().st_mode
    pair = ws.push(["-rl", "--json", f"{source}/"], dest)
    check_equal(json.loads(pair.sender.out.splitlines()[-1])["files"], 0, "files sent")
    check_equal((dest / "small03").stat().st_mode, mode, "mode at the destination")


@case
def a_pull_skips_as_well(ws):
    source, dest = source_and_copy(ws)
    good(ws.pull(["-a", f"{source}/"], dest))
    pair = ws.pull(["-a", "--json", f"{source}/"], dest, recv=["-c", "--json"])
    for result in pair:
        summary = json.loads(result.out.splitlines()[-1])
        check_equal((result.code, summary["files"], summary["skipped"]), (0, 0, FILES), "what was sent")


lib.main()
