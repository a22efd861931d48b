#!/usr/bin/env python3
"""Of a file that the receiver has something of, only what differs is sent: after an interruption, and of an old version.
Whatever is there, and whoever else works in the directory, the result is the exact file."""

import fcntl
import os
import random
import shutil
import signal
import stat

import lib
from lib import (
    HVRECV, HVSEND, KIB, MIB, SMALL, TRACED, Skipped, case, check, check_equal, each, failed, good, noise, put, put_sparse,
    wait_until,
)  # fmt: skip
from proxy import AfterBytes, Before, NoRule, Proxy, TO_LISTENER, session

SIZE = 16 * MIB if SMALL else 64 * MIB
PAGE = 4 * KIB
WINDOW = 9 * MIB + MIB  # 8 MiB of data, and what else may be on its way
DIGESTS = 16 / PAGE  # of each byte
SEND = ["-a", "--zc", "none"]
FILE_END, REUSE = 23, 26


def send_counted(ws, source, dest, *options, recv=()):
    """Bytes in both directions of a good session."""
    with session(ws, NoRule(), [*SEND, *options, f"{source}/"], dest, recv) as s:
        good(s.wait())
        return s.proxy.total


def change_pages(path, share, seed):
    rng = random.Random(seed)
    size = os.path.getsize(path)
    pages = range(size // PAGE)
    with open(path, "r+b") as f:
        for page in rng.sample(pages, int(len(pages) * share)):
            f.seek(page * PAGE)
            f.write(rng.randbytes(PAGE))


def require_equal(source, dest):
    check((dest / "f").read_bytes() == (source / "f").read_bytes(), "the file is not that of the source")
    lib.same_tree(source, dest)


def partial_in(dest):
    """The unfinished large file, or None."""
    found = [path for path in dest.iterdir() if path.name.startswith(".hvferry.part.")]
    check(len(found) < 2, f"more than one: {found}")
    return found[0] if found else None


def source_and_dest(ws, size=SIZE):
    source, dest = ws.dir("source"), ws.dir("dest")
    put(source / "f", noise(size, "new"))
    return source, dest


def interrupt(ws, source, dest, at, number=signal.SIGKILL, recv=()):
    """Ends the receiver when `at` bytes have passed, and what is left of the sender."""
    with session(ws, AfterBytes(at), [*SEND, f"{source}/"], dest, recv) as s:
        check(s.stands(), "the session ended before it could be interrupted")
        held = wait_until(lambda: partial_in(dest), "the unfinished file") if not recv else None
        if held:
            wait_until(lambda: held.stat().st_size > at - WINDOW, "what has passed is written")
        s.receiver.signal(number)
        s.proxy.cut()
        s.receiver.popen.wait()
        s.sender.wait()


# ---- after an interruption ----------------------------------------------------------------------------------------


@each(["SIGKILL", "SIGTERM"])
def interrupted_file_goes_on_where_it_was(ws, name):
    source, dest = source_and_dest(ws)
    interrupt(ws, source, dest, SIZE * 3 // 4, getattr(signal, name))
    check(partial_in(dest), "nothing was kept")
    sent = send_counted(ws, source, dest)
    check(sent <= SIZE / 4 + WINDOW + SIZE * DIGESTS, f"{sent} of {SIZE} bytes were sent again")
    require_equal(source, dest)


@each(["killed", "slow"])
def what_another_session_has_begun_is_not_sent_again(ws, what):
    """The listener still waits for the sender that was killed; or the other one is alive, and only slow."""
    source, dest = source_and_dest(ws)
    address, slow, counted = ws.unix(), ws.unix(), ws.unix()
    path, slow_path, counted_path = (name.removeprefix("unix:") for name in (address, slow, counted))
    receiver = ws.receiver(address, dest, "-v", "--grace", "1000", once=False)
    with Proxy(slow_path, path, AfterBytes(SIZE * 3 // 4)) as first, Proxy(counted_path, path, NoRule()) as second:
        sender = ws.start(HVSEND, *SEND, f"{source}/", slow)
        wait_until(lambda: first.reached.is_set() or sender.ended(), "the first one stands")
        held = wait_until(lambda: partial_in(dest), "the unfinished file")
        wait_until(lambda: held.stat().st_size > SIZE * 3 // 4 - WINDOW, "what has passed is written")
        if what == "killed":
            sender.kill()
            first.cut()
            wait_until(lambda: "with another stream" in receiver.err(), "the receiver saw the break")
        check_equal(ws.run(HVSEND, *SEND, f"{source}/", counted).code, 0, "the exit code of the second sender")
        sent = second.total
        check(sent <= SIZE / 4 + WINDOW + SIZE * DIGESTS, f"{sent} of {SIZE} bytes were sent again")
        check((dest / "f").read_bytes() == (source / "f").read_bytes(), "the file is not that of the source")
        if what == "slow":
            first.go_on()
            check_equal(sender.wait().code, 0, "the exit code of the first sender")
            require_equal(source, dest)
    receiver.signal(signal.SIGTERM)
    check_equal(receiver.wait().code, 20 if what == "killed" else 0, "that of the receiver")


@case
def interrupted_file_over_an_old_version_uses_both(ws):
    source, dest = source_and_dest(ws)
    put(dest / "f", noise(SIZE, "new"), mtime_ns=10**18)
    change_pages(dest / "f", 0.01, "old")
    with session(ws, Before(TO_LISTENER, FILE_END), [*SEND, f"{source}/"], dest) as s:
        check(s.stands(), "the session ended")
        wait_until(lambda: partial_in(dest), "the unfinished file")
        s.receiver.kill()
        s.proxy.cut()
        s.sender.wait()
    os.truncate(partial_in(dest), SIZE // 2 + 1000)
    sent = send_counted(ws, source, dest)
    check(sent <= SIZE * 0.02, f"{sent} of {SIZE} bytes were sent")
    require_equal(source, dest)


@each([("it is flushed", [], "fsync:signal=KILL:when=1"), ("what waits is flushed", [], "syncfs:signal=KILL:when=1"),
       ("what waits is renamed", [], "renameat:signal=KILL:when=1"),
       ("its owner and mode are flushed", [], "fsync:signal=KILL:when=2"),
       ("it gets its name", [], "renameat:signal=KILL:when=1"),
       ("it is read back", ["--verify"], "pread64:signal=KILL:when=1"),
       ("it is read back and the receiver is told to end", ["--verify"], "pread64:delay_exit=200000")])  # fmt: skip
def file_that_has_come_whole_is_not_sent_again_after_a_kill_while(ws, value):
    """Until it is on storage, and read back, it is this user's alone, and the next session finds it."""
    _, options, what = value
    if shutil.which("strace") is None:
        raise Skipped("strace is not installed")
    source, dest = ws.dir("source"), ws.dir("dest")
    put(source / "f", noise(SIZE, "new"), 0o444)
    late = "owner" in value[0] or "name" in value[0] and "waits" not in value[0]
    if (late or "read back" in value[0]) and os.geteuid() == 0:
        os.chown(source / "f", 1000, 1000)
    if "what waits" in value[0]:
        for name in ("a", "b"):
            put(source / name, noise(PAGE, name))
    address = ws.unix()
    receiver = ws.listen(address, HVRECV, "--once", "--listen", address, dest, env={**os.environ, **TRACED})
    tracer = ws.start("strace", "-f", "-e", f"trace={what.split(':')[0]}", "-e", f"inject={what}", "-p", str(receiver.pid))
    wait_until(lambda: tracer.ended() or "attached" in tracer.err(), "strace is attached")
    if tracer.ended():
        raise Skipped(f"strace cannot attach: {tracer.err().strip()}")
    sender = ws.start(HVSEND, *SEND, "--retry", "0", *options, f"{source}/", address)
    if "signal" not in what:
        wait_until(lambda: "(DELAYED)" in tracer.err(), "it is read back")
        receiver.signal(signal.SIGTERM)
    check(sender.wait().code != 0 and receiver.popen.wait() != 0, "nobody ended it")
    tracer.wait()
    left = partial_in(dest)
    check(left, f"nothing was kept: {os.listdir(dest)}")
    st = left.stat()
    check_equal(st.st_size, SIZE, "its size")
    check(late or (stat.S_IMODE(st.st_mode), st.st_uid) == (0o600, os.geteuid()), f"others may have it: {st}")
    sent = send_counted(ws, source, dest, *options)
    check(sent <= MIB + SIZE * DIGESTS, f"{sent} of {SIZE} bytes were sent again")
    require_equal(source, dest)
    lib.no_temporary_names(dest)


def truncated(path):
    os.truncate(path, path.stat().st_size // 2 + 7)


def longer(path):
    with open(path, "ab") as f:
        f.write(noise(SIZE, "longer"))


def damaged(path):
    with open(path, "r+b") as f:
        for at in range(0, path.stat().st_size, 5 * MIB + 1):
            f.seek(at)
            f.write(b"damaged")


def emptied(path):
    os.truncate(path, 0)


def of_another_file(path):
    path.write_bytes(noise(SIZE // 2, "another"))


def a_link(path):
    outside = path.parent.parent / "outside"
    outside.write_bytes(b"untouched")
    path.unlink()
    path.symlink_to(outside)


def another_name_of_a_file(path):
    outside = path.parent.parent / "outside"
    outside.write_bytes(b"untouched")
    path.unlink()
    os.link(outside, path)


def a_directory(path):
    path.unlink()
    path.mkdir()


@each([(f.__name__.replace("_", " "), f) for f in
       (truncated, longer, damaged, emptied, of_another_file, a_link, another_name_of_a_file, a_directory)])
def unfinished_file_is_never_believed(ws, value):
    source, dest = source_and_dest(ws, 16 * MIB)
    interrupt(ws, source, dest, 12 * MIB)
    value[1](partial_in(dest))
    send_counted(ws, source, dest)
    check((dest / "f").read_bytes() == (source / "f").read_bytes(), "the file is not that of the source")
    check(not (dest / "f").is_symlink() and (dest / "f").stat().st_nlink == 1, "it is not a file of its own")
    outside = ws.path / "outside"
    if outside.exists():
        check_equal(outside.read_bytes(), b"untouched", "what lies outside")


@case
def unfinished_file_that_changes_meanwhile_is_sent_again_whole(ws):
    source, dest = source_and_dest(ws, 16 * MIB)
    interrupt(ws, source, dest, 12 * MIB)
    with session(ws, Before(TO_LISTENER, REUSE), [*SEND, f"{source}/"], dest) as s:
        check(s.stands(), "the session ended")  # the first digests are made, and nothing was read for the second time
        put(partial_in(dest), bytes(12 * MIB))
        s.proxy.go_on()
        pair = s.wait()
    check_equal((pair.sender.code, pair.receiver.code), (0, 0), f"codes of\n{pair}")
    check("has changed meanwhile" in pair.receiver.err, f"nothing was noticed: {pair}")
    require_equal(source, dest)


@case
def old_holes_do_not_show_through(ws):
    source, dest = ws.dir("source"), ws.dir("dest")
    put_sparse(source / "f", 40 * MIB, [(0, noise(MIB, 1)), (20 * MIB, noise(2 * MIB, 2)), (39 * MIB, noise(MIB, 3))])
    interrupt(ws, source, dest, 3 * MIB)
    put(partial_in(dest), noise(39 * MIB, "stale"))
    send_counted(ws, source, dest)
    require_equal(source, dest)
    check((dest / "f").stat().st_blocks * 512 < 8 * MIB, "its holes are filled")


@each([("by time", []), ("by content", ["-c"])])
def what_a_dead_session_left_goes_when_the_file_is_complete(ws, value):
    """As when another session, which could not have it, was the first to be done."""
    source, dest = source_and_dest(ws, 16 * MIB)
    put(source / "other", noise(16 * MIB, "other"))
    good(ws.push([*SEND, f"{source}/"], dest))
    whole = dest / "f"
    shutil.move(whole, ws.path / "whole")
    interrupt(ws, source, dest, 12 * MIB)
    left = partial_in(dest)
    shutil.move(ws.path / "whole", whole)
    send_counted(ws, source, dest, *value[1])
    check(not left.exists(), "what was left of it is still there")
    require_equal(source, dest)


@case
def nothing_is_kept_with_no_partial(ws):
    source, dest = source_and_dest(ws, 16 * MIB)
    interrupt(ws, source, dest, 12 * MIB, signal.SIGTERM, ["--no-partial"])
    lib.no_temporary_names(dest)
    good(ws.push([*SEND, f"{source}/"], dest))
    require_equal(source, dest)


@each([("nothing more is to be kept", [], ["--no-partial"]), ("it is written in place", ["--inplace"], [])])
def what_was_left_goes_too_when(ws, value):
    _, options, recv = value
    source, dest = source_and_dest(ws, 16 * MIB)
    put(dest / "f", noise(16 * MIB, "old"), mtime_ns=10**18)
    interrupt(ws, source, dest, 12 * MIB)
    check(partial_in(dest), "nothing was left")
    send_counted(ws, source, dest, *options, recv=recv)
    lib.no_temporary_names(dest)
    require_equal(source, dest)


# ---- an old version -------------------------------------------------------------------------------------------------


@each([("both ends with threads", [], []), ("serial sender", ["--serial"], []), ("serial receiver", [], ["--serial"]),
       ("both serial", ["--serial"], ["--serial"]), ("large chunks", ["--chunk-size", "4M"], ["--chunk-size", "4M"]),
       ("odd chunks", ["--chunk-size", "68K"], []), ("in place", ["--inplace"], [])])
def one_percent_of_pages_is_two_percent_of_bytes(ws, value):
    _, send, recv = value
    source, dest = source_and_dest(ws)
    put(dest / "f", noise(SIZE, "new"), mtime_ns=10**18)
    change_pages(source / "f", 0.01, "changed")
    sent = send_counted(ws, source, dest, *send, recv=recv)
    check(sent <= SIZE * 0.02, f"{sent} of {SIZE} bytes were sent")
    require_equal(source, dest)


@each(["zlib", "zstd"])
def changed_pages_are_packed_like_all_else(ws, codec):
    source, dest = ws.dir("source"), ws.dir("dest")
    pages = [noise(KIB, page) * 4 for page in range(SIZE // PAGE)]
    put(source / "f", b"".join(pages))
    for page in range(0, len(pages), 5):
        pages[page] = noise(KIB, -page - 1) * 4
    put(dest / "f", b"".join(pages), mtime_ns=10**18)
    sent = send_counted(ws, source, dest, "--zc", codec)
    check(sent <= SIZE / 5 / 2 + SIZE * DIGESTS, f"{sent} of {SIZE} bytes were sent")
    require_equal(source, dest)


@case
def a_block_that_cannot_be_written_is_missed(ws):
    """All that stays of the old file is one block in a hole, so that its write is the second one."""
    if shutil.which("strace") is None:
        raise Skipped("strace is not installed")
    source, dest = ws.dir("source"), ws.dir("dest")
    put_sparse(source / "f", 3 * MIB, [(MIB // 4, noise(PAGE, "new")), (2 * MIB, b"x" * PAGE)])
    put_sparse(dest / "f", 3 * MIB, [(2 * MIB, b"x" * PAGE)])
    os.utime(dest / "f", ns=(10**18, 10**18))
    address = ws.unix()
    inject = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=pwrite64:error=EIO:when=2"]
    receiver = ws.listen(address, *inject, HVRECV, "--once", "--serial", "--listen", address, dest, env={**os.environ, **TRACED})
    sender = ws.run(HVSEND, *SEND, f"{source}/", address)
    receiver.wait()
    if sender.code == 0:
        require_equal(source, dest)
    else:
        failed(sender, (11, 23, 40), "f")


@case
def directories_above_a_file_are_flushed_too(ws):
    """Who made them may have died before their names were durable."""
    if shutil.which("strace") is None:
        raise Skipped("strace is not installed")
    source, dest = ws.dir("source"), ws.dir("dest")
    for root in (source, dest):
        (root / "a/b").mkdir(parents=True)
        put(root / "a/b/f", root.name.encode())
    address, log = ws.unix(), ws.path / "strace"
    trace = ["strace", "-f", "-qq", "-y", "-e", "trace=fsync,fdatasync,syncfs", "-o", log]
    receiver = ws.listen(address, *trace, HVRECV, "--once", "--listen", address, dest, env={**os.environ, **TRACED})
    sender = ws.run(HVSEND, *SEND, f"{source}/", address)
    check_equal((sender.code, receiver.wait().code), (0, 0), "codes")
    flushed = log.read_text()
    above = [path for path in (dest, dest / "a", dest / "a/b") if f"<{path}>" not in flushed]
    check("syncfs(" in flushed or not above, f"not flushed: {above}\n{flushed}")


@each([("large", 3 * MIB, [], True), ("in place", 3 * MIB, ["--inplace"], True), ("small", MIB, [], False),
       ("not to be flushed", 3 * MIB, ["--durable", "none"], False)])  # fmt: skip
def storage_begins_while_a_large_file_arrives(ws, value):
    """In steps, so that the flush before the rename finds little left; a confined process may do so."""
    _, size, options, early = value
    if shutil.which("strace") is None:
        raise Skipped("strace is not installed")
    source, dest = source_and_dest(ws, size)
    put(dest / "f", noise(size, "old"), mtime_ns=10**18)
    address, log = ws.unix(), ws.path / "strace"
    trace = ["strace", "-f", "-qq", "-e", "trace=?sync_file_range,?sync_file_range2,fsync", "-o", log]
    receiver = ws.listen(address, *trace, HVRECV, "--once", "--listen", address, dest, env={**os.environ, **TRACED})
    sender = ws.run(HVSEND, *SEND, *options, f"{source}/", address)
    check_equal((sender.code, receiver.wait().code), (0, 0), "codes")
    require_equal(source, dest)
    text = log.read_text()
    begun = text.count("SYNC_FILE_RANGE_WRITE) = 0")
    check_equal(begun, text.count("sync_file_range"), "calls that began something")
    check_equal(begun, size // MIB if early else 0, "calls")
    check(not early or text.rindex("sync_file_range") < text.rindex("fsync("), "no flush came after it")


@case
def unchanged_contents_cost_their_digests(ws):
    source, dest = source_and_dest(ws)
    put(dest / "f", noise(SIZE, "new"), mtime_ns=10**18)
    sent = send_counted(ws, source, dest)
    check(sent <= SIZE * DIGESTS * 1.1 + 20 * KIB, f"{sent} of {SIZE} bytes were sent")
    require_equal(source, dest)


@each([("longer", SIZE + 12345), ("shorter", SIZE // 3 + 12345), ("much shorter", 200 * KIB)])
def old_version_of_another_size_serves_too(ws, value):
    _, size = value
    source, dest = source_and_dest(ws)
    put(dest / "f", noise(max(size, SIZE), "new")[:size], mtime_ns=10**18)
    put(source / "f", noise(SIZE, "new"))
    sent = send_counted(ws, source, dest)
    check(sent <= max(0, SIZE - size) + SIZE * 0.02 + MIB, f"{sent} of {SIZE} bytes were sent")
    require_equal(source, dest)


@each([("larger", 44 * MIB), ("shorter", 21 * MIB), ("sparse in other places", 0)])
def old_version_does_not_show_in_new_holes(ws, value):
    source, dest = ws.dir("source"), ws.dir("dest")
    runs = [(0, noise(MIB, 1)), (20 * MIB, noise(2 * MIB, 2)), (39 * MIB, noise(MIB, 3))]
    put_sparse(source / "f", 40 * MIB, runs)
    put_sparse(dest / "f", value[1] or 40 * MIB, [*runs[:2], (30 * MIB, noise(2 * MIB, 4))])
    if value[1]:
        put(dest / "f", (noise(20 * MIB, 5) + runs[1][1] + noise(22 * MIB, 6))[: value[1]])
    os.utime(dest / "f", ns=(10**18, 10**18))
    sent = send_counted(ws, source, dest)
    check(sent < 5 * MIB, f"{sent} bytes were sent")
    require_equal(source, dest)
    check((dest / "f").stat().st_blocks * 512 < 8 * MIB, "its holes are filled")


@each([("auto", []), ("on", ["--delta=on"])])
def where_nothing_matches_all_is_sent(ws, value):
    source, dest = source_and_dest(ws)
    put(dest / "f", noise(SIZE, "other"), mtime_ns=10**18)
    sent = send_counted(ws, source, dest, *value[1])
    check(sent <= SIZE * (1.005 + DIGESTS), f"{sent} of {SIZE} bytes were sent")
    require_equal(source, dest)


@each([("--whole-file", ["-W"], []), ("--delta=off", ["--delta", "off"], []), ("receiver's --delta=off", [], ["--delta=off"])])
def all_is_sent_with(ws, value):
    _, send, recv = value
    source, dest = source_and_dest(ws, 12 * MIB)
    put(dest / "f", noise(12 * MIB, "new"), mtime_ns=10**18)
    sent = send_counted(ws, source, dest, *send, recv=recv)
    check(sent >= 12 * MIB, f"only {sent} bytes were sent")
    require_equal(source, dest)


@case
def many_files_of_which_something_is_there(ws):
    source, dest = ws.dir("source"), ws.dir("dest")
    for i in range(200):
        data = noise(200 * KIB + i * 1111, i)
        put(source / f"{i}", data)
        put(dest / f"{i}", data[:5000] + bytes(3000) + data[8000:], mtime_ns=10**18)
    sent = send_counted(ws, source, dest)
    check(sent < 200 * 24 * KIB, f"{sent} bytes were sent")
    lib.same_tree(source, dest)


@case
def broken_session_of_a_delta_goes_on(ws):
    source, dest = source_and_dest(ws)
    put(dest / "f", noise(SIZE, "new"), mtime_ns=10**18)
    change_pages(source / "f", 0.2, "changed")
    address, middle = ws.unix(), ws.unix()
    receiver = ws.receiver(address, dest)
    from proxy import Proxy

    path = middle.removeprefix("unix:")
    with Proxy(path, address.removeprefix("unix:"), AfterBytes(SIZE // 10)) as proxy:
        sender = ws.start(HVSEND, *SEND, "--retry", "100", f"{source}/", middle)
        wait_until(proxy.reached.is_set, "the stream reaches its place")
        os.unlink(path)
        proxy.cut()
    with Proxy(path, address.removeprefix("unix:"), NoRule()):
        codes = sender.wait().code, receiver.wait().code
    check_equal(codes, (0, 0), "codes")
    require_equal(source, dest)


# ---- in place ----------------------------------------------------------------------------------------------------------


@case
def in_place_the_file_stays_the_same_one(ws):
    source, dest = source_and_dest(ws, 12 * MIB)
    put(source / "small", b"new")
    put(dest / "f", noise(13 * MIB, "other"), mtime_ns=10**18)
    put(dest / "small", b"older", mtime_ns=10**18)
    before = {name: (dest / name).stat().st_ino for name in ("f", "small")}
    good(ws.push([*SEND, "--inplace", f"{source}/"], dest))
    check_equal({name: (dest / name).stat().st_ino for name in before}, before, "files")
    require_equal(source, dest)


@case
def two_sessions_do_not_write_into_one_file(ws):
    source, dest = source_and_dest(ws, 24 * MIB)
    put(dest / "f", noise(24 * MIB, "other"), mtime_ns=10**18)
    with session(ws, AfterBytes(12 * MIB), [*SEND, "--inplace", f"{source}/"], dest) as s:
        check(s.stands(), "the session ended")
        with session(ws, NoRule(), [*SEND, "--inplace", f"{source}/"], dest) as second:
            pair = second.wait()
        failed(pair.receiver, 23, "f: another session, or a program that has locked it, is at it")
        s.proxy.go_on()
        good(s.wait())
    require_equal(source, dest)


@case
def a_lock_of_another_program_keeps_a_file_from_being_written_in_place(ws):
    """One for reading is enough, and who may read the file can have it. It is said to be what it may be."""
    source, dest = source_and_dest(ws, 2 * MIB)
    put(dest / "f", b"old", mtime_ns=10**18)
    put(source / "other", b"other")
    with open(dest / "f", "rb") as f:
        fcntl.lockf(f, fcntl.LOCK_SH)
        for result in ws.push([*SEND, "--inplace", f"{source}/"], dest):
            failed(result, 23, "f: another session, or a program that has locked it, is at it")
    check_equal(((dest / "f").read_bytes(), (dest / "other").read_bytes()), (b"old", b"other"), "files")
    good(ws.push([*SEND, "--inplace", f"{source}/"], dest))
    require_equal(source, dest)


# ---- others in the same directory -------------------------------------------------------------------------------------


@case
def two_sessions_send_one_file_and_the_last_one_wins_whole(ws):
    source, dest = source_and_dest(ws, 24 * MIB)
    other = ws.dir("other")
    put(other / "f", noise(24 * MIB, "other"))
    with session(ws, AfterBytes(12 * MIB), [*SEND, f"{source}/"], dest) as s:
        check(s.stands(), "the session ended")
        wait_until(lambda: partial_in(dest), "the unfinished file")
        with session(ws, NoRule(), [*SEND, f"{other}/"], dest) as second:
            good(second.wait())
        check((dest / "f").read_bytes() == (other / "f").read_bytes(), "it is not the second session's file")
        s.proxy.go_on()
        good(s.wait())
    require_equal(source, dest)


def leave_orphans(ws, source, dest):
    """What a receiver leaves that is killed before it commits."""
    with session(ws, Before(TO_LISTENER, FILE_END), [*SEND, f"{source}/"], dest) as s:
        check(s.stands(), "the session ended")
        wait_until(lambda: temps_below(dest), "unfinished files")
        s.receiver.kill()
        s.proxy.cut()
        s.sender.wait()


def temps_below(root):
    return [os.path.join(at, name) for at, inner, names in os.walk(root) for name in inner + names
            if name.startswith(".hvferry.")]


def small_tree(root):
    (root / "a" / "b").mkdir(parents=True)
    for name in ("one", "a/two", "a/b/three"):
        put(root / name, noise(MIB, name))


@each([("the same directory", "."), ("one above", ".."), ("the subdirectory only", "a/b")])
def files_of_a_dead_session_are_removed_by_one_in(ws, value):
    source, top = ws.dir("source"), ws.dir("top")
    small_tree(source)
    dest = top / "dest"
    (dest / "a" / "b").mkdir(parents=True)
    for directory in ("", "a", "a/b"):  # one file is under way at a time
        only = ws.dir(f"only-{directory.replace('/', '-')}")
        (only / directory).mkdir(parents=True, exist_ok=True)
        put(only / directory / "large", noise(2 * MIB, directory))
        leave_orphans(ws, only, dest)
    temps = temps_below(dest)
    check(temps, "there are no orphans to remove")
    where = os.path.normpath(dest / value[1])
    if value[1] == "..":
        whole = ws.dir("whole")
        os.rename(source, whole / "dest")
        source = whole
    if value[1] == "a/b":
        source = source / "a" / "b"
    good(ws.push([*SEND, f"{source}/"], where))
    left = temps_below(dest)
    if value[1] == "a/b":  # whether their session lives can only be told from further up
        check_equal(sorted(left), sorted(temps), "unfinished files")
    else:
        check_equal(left, [], "unfinished files")


@case
def what_a_dead_session_has_not_named_is_removed(ws):
    """A directory that it made, and what is in it: files that were complete, and one that was not."""
    source, dest = ws.dir("source"), ws.dir("dest")
    (source / "new" / "sub").mkdir(parents=True)
    for name in ("new/one", "new/sub/two"):
        put(source / name, noise(1000, name))
    put(source / "new" / "sub" / "large", noise(2 * MIB, "large"))
    leave_orphans(ws, source, dest)
    staged = [name for name in os.listdir(dest) if name.startswith(".hvferry.")]
    check(len(staged) == 1 and os.listdir(dest / staged[0]) and not (dest / "new").exists(), f"{os.listdir(dest)}")
    good(ws.push([*SEND, f"{source}/"], dest))
    lib.same_tree(source, dest)


@case
def two_sessions_make_one_directory(ws):
    """Each a half of it: what one has not named yet goes into what the other has made meanwhile."""
    first, second, dest = ws.dir("first"), ws.dir("second"), ws.dir("dest")
    for source in (first, second):
        (source / "new" / "sub").mkdir(parents=True)
        put(source / "new" / "sub" / source.name, noise(2 * MIB, source.name))
    both = ws.dir("both")
    for source in (second, first):  # directories end with the times of the last one
        shutil.copytree(source, both, dirs_exist_ok=True)
    with session(ws, Before(TO_LISTENER, FILE_END), [*SEND, f"{first}/"], dest) as s:
        check(s.stands(), "the session ended")
        check(not (dest / "new").exists(), "the directory has its name already")
        good(ws.push([*SEND, f"{second}/"], dest))
        s.proxy.go_on()
        good(s.wait())
    lib.no_temporary_names(dest)
    lib.same_tree(both, dest)


@each(["a file", "a link"])
def what_takes_the_name_of_a_new_directory_meets_it_as_ever(ws, other):
    """A file stays, and what is to be below it fails; a link goes. The session does the rest."""
    source, dest, elsewhere = ws.dir("source"), ws.dir("dest"), ws.dir("elsewhere")
    for name in ("new/sub", "next"):
        (source / name).mkdir(parents=True)
        put(source / name / "f", noise(2 * MIB, name))
    with session(ws, Before(TO_LISTENER, FILE_END), [*SEND, f"{source}/"], dest) as s:
        check(s.stands(), "the session ended")
        check(not (dest / "new").exists(), "the directory has its name already")
        if other == "a file":
            put(dest / "new", b"mine")
        else:
            (dest / "new").symlink_to(elsewhere)
        s.proxy.go_on()
        pair = s.wait()
    if other == "a link":
        good(pair)
        lib.same_tree(source, dest)
    else:
        for end in (pair.sender, pair.receiver):
            failed(end, 23, "new/sub/f: new: cannot give the directory its name: something else is in its place")
        check_equal((dest / "new").read_bytes(), b"mine", "the file")
        lib.same_tree(source / "next", dest / "next")
    check_equal(os.listdir(elsewhere), [], "what is there elsewhere")
    lib.no_temporary_names(dest)


@case
def files_of_a_live_session_stay(ws):
    source, dest, other = ws.dir("source"), ws.dir("dest"), ws.dir("other")
    put(source / "f", noise(2 * MIB, 1))
    put(other / "g", b"another")
    with session(ws, Before(TO_LISTENER, FILE_END), [*SEND, f"{source}/"], dest) as s:
        check(s.stands(), "the session ended")
        temps = wait_until(lambda: temps_below(dest), "the unfinished file")
        good(ws.push([*SEND, f"{other}/"], dest))
        check_equal(temps_below(dest), temps, "unfinished files")
        s.proxy.go_on()
        check_equal(s.wait().receiver.code, 0, "the live session's code")
    check((dest / "f").read_bytes() == (source / "f").read_bytes(), "the file is not that of the source")


@case
def names_that_only_look_like_ours_stay(ws):
    source, dest = ws.dir("source"), ws.dir("dest")
    put(source / "f", b"f")
    names = [".hvferry.", ".hvferry.1", ".hvferry.0123456789abcdef.1", ".hvferry.0123456789abcdef.1.9",
             ".hvferry.0123456789abcdeg.1.0", ".hvferry.0123456789ABCDEF.1.0", ".hvferry.0123456789abcdef.1.0.x",
             ".hvferry.part.00112233445566778899aabbccddeeff", ".hvferry.0123456789abcdef0.1.0"]
    for name in names:
        put(dest / name, b"kept")
    (dest / ".hvferry.0123456789abcdef.2").mkdir()
    (dest / ".hvferry.0123456789abcdef.2.0").mkdir()
    put(dest / ".hvferry.0123456789abcdef.2.0" / "inside", b"removed")
    put(dest / ".hvferry.0123456789abcdef.3.0", b"removed")
    good(ws.push([*SEND, f"{source}/"], dest))
    check_equal(sorted(os.listdir(dest)), sorted([*names, "f", ".hvferry.0123456789abcdef.2"]), "names")


@case
def a_destination_with_whole_seconds_has_what_it_has(ws):
    """Nothing is sent again only because it cannot keep the nanoseconds; a change of another second is."""
    source, dest = ws.dir("whole"), ws.whole_seconds("seconds", 64 * MIB) / "in"
    dest.mkdir()
    for name in ("small", "large"):
        put(source / name, noise(2 * MIB if name == "large" else 100, name), mtime_ns=10**18 + 123_456_789)
    check(send_counted(ws, source, dest, "-W") > 2 * MIB, "it was not sent")
    check(send_counted(ws, source, dest, "-W") < MIB, "it was sent again")
    put(source / "small", noise(100, "other"), mtime_ns=10**18 + 10**9)
    check(send_counted(ws, source, dest, "-W") < MIB, "more was sent than has changed")
    check_equal((dest / "small").read_bytes(), noise(100, "other"), "the file")


lib.main()
