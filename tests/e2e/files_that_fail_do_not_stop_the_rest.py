#!/usr/bin/env python3
"""A file that cannot be read, or not be written, is reported with its code; what was there stays, the rest arrives."""

import ctypes
import json
import os
import resource
import socket
import subprocess
import sys
import threading
from pathlib import Path

import lib
from lib import HVRECV, HVSEND, KIB, MIB, NOBODY, SMALL, Skipped, case, check, check_equal, each, failed, good, noise, put, wait_until
from meddler import Cut, Meddler
from proxy import TO_DIALLER, TO_LISTENER, Before, session
from slow_write import SlowWrite

CHUNK, FILE_END, VERDICTS = 20, 23, 33
LARGE = (12 if SMALL else 32) * MIB  # more than a session can hold on its way


def both_failed(pair, code, pattern):
    for result in pair:
        failed(result, code, pattern)


def owned_by_nobody(*paths):
    for path in paths:
        if os.geteuid() == 0:
            os.chown(path, NOBODY, NOBODY)


def unix_for_nobody(ws):
    """Where nobody can make a socket."""
    sockets = ws.dir("sockets")
    sockets.chmod(0o777)
    return f"unix:{sockets}/s"


# ---- reading ------------------------------------------------------------------------------------------------


@each([("", []), ("one thread", ["--serial"])])
def a_file_of_the_kernel_that_says_it_is_empty_is_not_sent_so(ws, value):
    source, dest = ws.dir("source"), ws.dir("dest")
    put(source / "file", b"file")
    put(source / "empty", b"")
    for role in (ws.push, ws.pull):
        pair = role(["-a", *value[1], "/proc/version", f"{source}/"], dest)
        both_failed(pair, 23, "version: says that it is empty, but is not")
        check_equal(sorted(os.listdir(dest)), ["empty", "file"], "what arrived")


@case
def a_source_that_may_not_be_read_is_named_and_the_rest_arrives(ws):
    source, dest = ws.dir("source"), ws.dir("dest")
    hvsend, _, as_nobody = ws.for_nobody()
    put(source / "secret", b"secret", 0o000)
    put(source / "large secret", noise(200 * KIB), 0o000)
    put(source / "open", b"open")
    (source / "closed").mkdir()
    put(source / "closed/in", b"in")
    owned_by_nobody(source, *source.iterdir())
    (source / "closed").chmod(0o000)
    put(dest / "secret", b"old")
    address = ws.unix()
    receiver = ws.receiver(address, dest)
    os.chmod(address.removeprefix("unix:"), 0o777)
    sender = ws.run(hvsend, "-a", f"{source}/", address, **as_nobody)
    failed(sender, 23, "(?m)^hvsend: secret: cannot open: Permission denied")
    failed(sender, 23, "(?m)^hvsend: large secret: cannot open: Permission denied")
    failed(sender, 23, "(?m)^hvsend: closed: cannot read the directory: Permission denied")
    received = receiver.wait()
    failed(received, 23, "the sender gave up secret: cannot open: Permission denied")
    failed(received, 23, "the sender could not list closed: cannot read the directory: Permission denied")
    check_equal((dest / "open").read_bytes(), b"open", "the file that may be read")
    check_equal((dest / "secret").read_bytes(), b"old", "the old file of the same name")
    check(not (dest / "large secret").exists(), "nothing stands in for what could not be read")
    lib.no_temporary_names(dest)


@each([("all", []), ("by name", ["closed"]), ("what is in it", ["closed/in"])])
def who_pulls_hears_of_what_cannot_be_listed(ws, value):
    source, dest = ws.dir("source"), ws.dir("dest")
    hvsend, _, as_nobody = ws.for_nobody()
    put(source / "open", b"open")
    (source / "closed").mkdir()
    put(source / "closed/in", b"in")
    owned_by_nobody(source, source / "closed")
    (source / "closed").chmod(0o000)
    address = unix_for_nobody(ws)
    ws.listen(address, hvsend, "--once", "--listen", address, "-a", f"{source}/", **as_nobody)
    os.chmod(address.removeprefix("unix:"), 0o777)
    result = ws.run(lib.HVRECV, "--json", "--connect", address, *value[1], dest)
    failed(result, 23, "(?m)^hvrecv: the sender could not list closed: cannot read the directory: Permission denied")
    events = map(json.loads, result.out.splitlines())
    told = [e for e in events if e["type"] == "error" and e.get("path") == "closed"]
    check_equal([e["code"] for e in told], [23], "the events about it")


@case
def who_asks_for_another_file_does_not_hear_of_it(ws):
    source, dest = ws.dir("source"), ws.dir("dest")
    hvsend, _, as_nobody = ws.for_nobody()
    put(source / "open", b"open")
    (source / "closed").mkdir()
    owned_by_nobody(source, source / "closed")
    (source / "closed").chmod(0o000)
    address = unix_for_nobody(ws)
    listener = ws.listen(address, hvsend, "--once", "--listen", address, "-a", f"{source}/", **as_nobody)
    os.chmod(address.removeprefix("unix:"), 0o777)
    result = ws.run(lib.HVRECV, "--connect", address, "open", dest)
    check_equal((result.code, result.err), (0, ""), "the receiver")
    check_equal(listener.wait().code, 0, "the sender's exit code")
    check_equal(os.listdir(dest), ["open"], "what arrived")


def while_it_waits_for_verdicts(ws, source, dest, change, options=()):
    """A session in which `change` happens after the files were listed and before any is read."""
    with session(ws, Before(TO_DIALLER, VERDICTS), ["-a", *options, f"{source}/"], dest) as s:
        check(s.stands(), "the session came to the verdicts")
        change()
        s.proxy.go_on()
        return s.wait()


def be_missing(path):
    path.unlink()


def be_a_directory(path):
    path.unlink()
    path.mkdir()


def be_a_link(path):
    path.unlink()
    path.symlink_to("/etc/passwd")


def be_a_fifo(path):
    path.unlink()
    os.mkfifo(path)


def be_a_socket(path):
    path.unlink()
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(path))


CHANGES = [be_missing, be_a_directory, be_a_link, be_a_fifo, be_a_socket]


@each([(f"{size} bytes, {how.__name__.replace('_', ' ')}", size, how) for size in (1000, 300_000) for how in CHANGES])
def a_source_that_vanishes_is_reported_and_the_rest_arrives(ws, value):
    _, size, how = value
    source, dest = ws.dir("source"), ws.dir("dest")
    put(source / "goes", noise(size))
    put(source / "stays", b"stays")
    put(dest / "goes", b"old")
    pair = while_it_waits_for_verdicts(ws, source, dest, lambda: how(source / "goes"))
    both_failed(pair, 24, "goes: (vanished before it could be read|is not a regular file any more)")
    check_equal((dest / "goes").read_bytes(), b"old", "the old file")
    check_equal((dest / "stays").read_bytes(), b"stays", "the other file")
    lib.no_temporary_names(dest)


SIZES = [(1000, 1000), (1000, 10), (10, 0), (0, 10), (1000, 400_000), (400_000, 1000), (400_000, 700_000)]


@each([(f"{old} to {new} bytes", old, new) for old, new in SIZES])
def a_source_that_changes_before_it_is_read_arrives_as_it_is_then(ws, value):
    _, old, new = value
    source, dest = ws.dir("source"), ws.dir("dest")
    put(source / "file", noise(old, 1))
    put(source / "other", b"other")
    content = noise(new, 2)
    good(while_it_waits_for_verdicts(ws, source, dest, lambda: put(source / "file", content, 0o600, 123456789)))
    lib.same_tree(source, dest)


def changed_while_read(ws, change, once, source=None):
    """LARGE bytes, changed when its first chunk passes, or (not once) whenever one does. The sender has not read all
    of it then: it may not send so much without an answer."""
    source, dest = source or ws.dir("source"), ws.dir("dest")
    put(source / "file", noise(LARGE, 1))
    put(source / "other", b"other")
    put(dest / "file", b"old")

    class Change(Before):
        changes = 0

        def take_header(self, way):
            if way == TO_LISTENER and self.header[way][0] == CHUNK and not (once and self.changes):
                self.changes += 1
                change(source / "file", self.changes)
            super().take_header(way)

    send = ["-a", "--zc", "none", "--chunk-size", "64K", f"{source}/"]
    with session(ws, Change(TO_LISTENER, message=None), send, dest) as s:
        pair = s.wait()
        check(s.proxy.rule.changes, "no chunk passed")
    lib.no_temporary_names(dest)
    check_equal((dest / "other").read_bytes(), b"other", "the other file")
    return source, dest, pair


def rewrite(path, number):
    with open(path, "r+b") as f:
        f.write(b"%08d" % number)


def grow(path, number):
    with open(path, "ab") as f:
        f.write(b"%08d" % number)


def shrink(path, number):
    os.truncate(path, LARGE - number * 1000)


@each([(how.__name__, how) for how in (rewrite, grow, shrink)])
def a_source_that_changes_once_while_it_is_read_is_read_again(ws, value):
    source, dest, pair = changed_while_read(ws, value[1], once=True)
    good(pair)
    lib.same_tree(source, dest)


@each([(how.__name__, how) for how in (rewrite, grow, shrink)])
def a_source_that_never_rests_is_given_up(ws, value):
    _, dest, pair = changed_while_read(ws, value[1], once=False)
    both_failed(pair, 24, "file: changed while it was being read")
    check_equal((dest / "file").read_bytes(), b"old", "the old file")


@case
def times_in_whole_seconds_hide_no_change(ws):
    """The change is in the second in which the file was made: no time tells them apart."""
    source = ws.whole_seconds("source", 100 * MIB) / "in"
    source.mkdir()
    _, dest, pair = changed_while_read(ws, rewrite, False, source)
    both_failed(pair, 24, "file: changed while it was being read")
    check_equal((dest / "file").read_bytes(), b"old", "the old file")


@each([("small", 100 * KIB), ("large", 4 * MIB)])
def a_change_on_another_machine_is_seen(ws, value):
    """What a network file system said of the file a moment ago is not asked whether it changed."""
    at, dest = ws.dir("elsewhere"), ws.dir("dest")
    server = ws.start(sys.executable, Path(__file__).with_name("stale_fs.py"), at, str(value[1]))
    wait_until(lambda: server.ended() or os.path.ismount(at), "it is mounted")
    if server.ended():
        raise Skipped(server.err().strip())
    ws.mounts.append(at)
    good(ws.push(["-rt", f"{at}/"], dest))
    content = (dest / "file").read_bytes()
    check_equal(content, (b"new" * value[1])[: value[1]], "which of the two it is")


class Withheld(Meddler):
    """Keeps what the sender says, from its first CHUNK on, until all of the file has come: all of it was read then.
    Calls `change`, and cuts the stream, or turns a bit of that chunk: its data has to be sent again. So many times."""

    def __init__(self, listen_path, target_path, change, cuts, times):
        super().__init__(listen_path, target_path, [])
        self.change, self.cuts, self.times = change, cuts, times
        self.kept, self.done = [], 0

    def pass_unit(self, way, target, kind, unit, gone):
        over = self.done == self.times
        if way is not self.ways[TO_LISTENER] or over or not (self.kept or kind == CHUNK):
            super().pass_unit(way, target, kind, unit, gone)
            return
        self.kept.append(unit)
        if kind != FILE_END:
            return
        self.done += 1
        kept, self.kept = self.kept, []
        self.change(self.done)
        if self.cuts:
            raise Cut
        kept[0][-1] ^= 1
        for one in kept:
            super().pass_unit(way, target, one[0], one, gone)


def sent_again_after(ws, change, how, times=1):
    """One large file between two small ones."""
    _, cuts, options = how
    source, dest = ws.dir("source"), ws.dir("dest")
    for name in ("a", "z"):
        put(source / name, name.encode())
    put(source / "large", noise(600_000))
    put(dest / "large", b"old")
    address, middle = ws.unix(), ws.unix()
    receiver = ws.receiver(address, dest)
    where = (middle.removeprefix("unix:"), address.removeprefix("unix:"), lambda time: change(source / "large", time))
    with Withheld(*where, cuts, times) as between:
        come_back = ["--retry", "5", "--retry-delay", "0.01"]
        pair = lib.Pair(ws.run(HVSEND, "-a", "--zc", "none", *come_back, *options, f"{source}/", middle), receiver.wait())
        check_equal((between.done, between.streams), (times, 1 + cuts * times), "it was changed in time, and the streams")
    for name in ("a", "z"):
        check_equal((dest / name).read_bytes(), name.encode(), f"the file {name}")
    lib.no_temporary_names(dest)
    return dest, pair


def be_other(path, time=1):
    """Of the same size and time."""
    st = path.stat()
    path.write_bytes(noise(600_000, 1 + time))
    os.utime(path, ns=(st.st_atime_ns, st.st_mtime_ns))


def be_short(path, _):
    os.truncate(path, 10)


def vanish(path, _):
    be_missing(path)


def become_a_fifo(path, _):
    be_a_fifo(path)


HOW = [("its data is damaged", False, []), ("the stream breaks", True, []), ("one thread, damaged", False, ["--serial"])]
AGAIN = "large: a chunk cannot be sent again"


@each([(f"{how[0]}, {change.__name__.replace('_', ' ')}", how, change) for how in HOW
       for change in (be_other, be_short)])  # fmt: skip
def a_source_that_changes_before_its_data_is_sent_again_is_read_again(ws, value):
    _, how, change = value
    dest, pair = sent_again_after(ws, change, how)
    check_equal((pair.sender.code, pair.receiver.code), (0, 0), f"the codes of {pair}")
    check(AGAIN in pair.sender.err, pair.sender.err)
    wanted = noise(600_000, 2) if change is be_other else noise(600_000)[:10]
    check_equal((dest / "large").read_bytes(), wanted, "the file as it is now")


@each([(f"{how[0]}, {change.__name__.replace('_', ' ')}", how, change) for how in HOW
       for change in (vanish, become_a_fifo)])  # fmt: skip
def a_source_that_is_gone_before_its_data_is_sent_again_is_given_up(ws, value):
    _, how, change = value
    dest, pair = sent_again_after(ws, change, how)
    failed(pair.sender, 24, "(?m)^hvsend: large: ")
    failed(pair.receiver, 24, "large: ")
    check_equal((dest / "large").read_bytes(), b"old", "the old file")


@each([(how[0], how) for how in HOW])
def a_source_that_changes_each_time_before_its_data_is_sent_again_is_given_up(ws, value):
    """It is the source that failed, not the way: 24, and not 40."""
    dest, pair = sent_again_after(ws, be_other, value[1], 2)
    failed(pair.sender, 24, "(?m)^hvsend: large: changed while it was being sent; send it again$")
    failed(pair.receiver, 24, "large: changed at the sender while it was being sent; send it again$")
    check_equal((dest / "large").read_bytes(), b"old", "the old file")


def be_longer(path, _):
    with path.open("ab") as f:
        f.write(b"more")


def be_touched(path, _):
    os.utime(path)


@each([(f"{how[0]}, {change.__name__.replace('_', ' ')}", how, change) for how in HOW
       for change in (be_longer, be_touched)])  # fmt: skip
def a_change_that_leaves_the_data_as_it_was_read_does_no_harm(ws, value):
    _, how, change = value
    dest, pair = sent_again_after(ws, change, how)
    good(pair)
    check_equal((dest / "large").read_bytes(), noise(600_000), "the file as it was read")


def was_there_at_once(content):
    blocks = [content[at : at + 4096] for at in range(0, len(content), 4096)]
    if any(block != block[:8] * (len(block) // 8) for block in blocks):
        return False
    numbers = [int(block[:8]) for block in blocks]
    return numbers == sorted(numbers, reverse=True) and numbers[0] - numbers[-1] <= 1


@case
def what_others_write_all_the_time_never_arrives_mixed(ws):
    """Each version is one number, written over the last block by block from the front. So at every instant, and for as
    long as the writer rests there, a file is some blocks of a number and then blocks of the one before; anything else
    was never there, and was read while it changed."""
    source, dest = ws.dir("source"), ws.dir("dest")
    names = [f"{i}" for i in range(8)]
    sizes = [(i + 1) * 32 * KIB if i < 4 else i * MIB // (4 if SMALL else 1) for i in range(8)]
    for name, size in zip(names, sizes):
        put(source / name, b"%08d" % 0 * (size // 8))
    done = threading.Event()

    def mutate():
        number = 0
        while not done.is_set():
            number += 1
            for name, size in zip(names, sizes):
                with open(source / name, "r+b", buffering=0) as f:
                    for _ in range(0, size, 4096):  # no write is caught in its middle
                        f.write(b"%08d" % number * 512)

    mutator = threading.Thread(target=mutate)
    mutator.start()
    try:
        for _ in range(3):
            pair = ws.push(["-a", "-I", f"{source}/"], dest)
            check(pair.sender.code in (0, 24) and pair.receiver.code == pair.sender.code, str(pair))
            for name in os.listdir(dest):
                content = (dest / name).read_bytes()
                check(was_there_at_once(content), f"{name} is a mixture")
                check(name in names, f"{name} is left")
    finally:
        done.set()
        mutator.join()
    good(ws.push(["-a", f"{source}/"], dest))
    lib.same_tree(source, dest)


@each([("small", 64 * KIB, []), ("large", 4 * MIB, []), ("compared", 4 * MIB, ["-c", "--delta=on"])])
def a_source_that_is_in_the_middle_of_a_write_is_waited_for(ws, value):
    """Its times are from when the write began, and say nothing when it goes on."""
    _, size, options = value
    source, dest, address = ws.dir("source"), ws.dir("dest"), ws.address()
    old, new = noise(size, 1), noise(size, 2)
    put(source / "file", old)
    if options:
        put(dest / "file", old[: size // 2] + new[size // 2 :])
    receiver = ws.receiver(address, dest)
    write = SlowWrite(source / "file", new)
    sender = ws.start(HVSEND, "-a", *options, f"{source}/", address)
    threading.Event().wait(1.0)  # time to read it
    check_equal(write.go_on(), size, "what one write wrote")
    good(lib.Pair(sender.wait(), receiver.wait()))
    check((dest / "file").read_bytes() == new, "it is half old and half new")
    lib.same_tree(source, dest)


# ---- writing ------------------------------------------------------------------------------------------------


def new_and_old(ws, dest):
    source = ws.dir("source")
    put(source / "file", noise(100))
    put(source / "large", noise(300 * KIB))
    put(dest / "file", b"old")
    return source


@case
def a_directory_that_may_not_be_written_keeps_what_it_has(ws):
    dest = ws.dir("dest")
    source = new_and_old(ws, dest)
    _, hvrecv, as_nobody = ws.for_nobody()
    owned_by_nobody(dest, dest / "file")
    dest.chmod(0o555)
    address = unix_for_nobody(ws)
    receiver = ws.listen(address, hvrecv, "--once", "--listen", address, dest, **as_nobody)
    sender = ws.run(HVSEND, "-rl", f"{source}/", address)
    for result in (sender, receiver.wait()):
        failed(result, 23, "file: cannot create: Permission denied")
        failed(result, 23, "large: cannot create: Permission denied")
    check_equal((dest / "file").read_bytes(), b"old", "the old file")
    check_equal(os.listdir(dest), ["file"], "what is at the destination")


@case
def a_read_only_directory_is_no_obstacle_for_the_next_run(ws):
    """It got its mode from its source, as one below it, and has it again afterwards."""
    source, dest = ws.dir("source"), ws.dir("dest")
    (source / "sub").mkdir()
    _, hvrecv, as_nobody = ws.for_nobody()
    owned_by_nobody(dest)
    address = unix_for_nobody(ws)
    for data in (b"first", b"second one"):
        for path in (source, source / "sub"):
            path.chmod(0o755)
            put(path / "file", data)
            path.chmod(0o555)
        receiver = ws.listen(address, hvrecv, "--once", "--listen", address, dest, **as_nobody)
        sender = ws.run(HVSEND, "-rpt", f"{source}/", address)
        lib.good(lib.Pair(sender, receiver.wait()))
        lib.same_tree(source, dest)


PR_CAPBSET_DROP, CAP_CHOWN = 24, 0


@case
def what_may_not_change_its_owner_says_how_to_go_without(ws):
    """As root on a file system that keeps none (vfat, NFS with root_squash)."""
    if os.geteuid() != 0:
        raise Skipped("only root changes owners")
    source, dest, address = ws.dir("source"), ws.dir("dest"), ws.unix()
    for name in ("ours", "file"):
        put(source / name, b"text")
    (source / "dir").mkdir()
    (source / "link").symlink_to("ours")
    for name in ("file", "dir", "link"):
        os.chown(source / name, NOBODY, NOBODY, follow_symlinks=False)
    libc = ctypes.CDLL(None)
    for options, code in (["-a", 23], ["-rlpt", 0]):
        receiver = ws.receiver(address, dest, preexec_fn=lambda: libc.prctl(PR_CAPBSET_DROP, CAP_CHOWN, 0, 0, 0))
        pair = lib.Pair(ws.run(HVSEND, options, f"{source}/", address), receiver.wait())
        for result in pair:
            check_equal(result.code, code, f"exit code ({result})")
            for name in ("file", "dir", "link") if code else ():
                failed(result, code, f"{name}: cannot set owner and group .*-rlpt instead of -a.*: Operation not permitted")
    lib.same_tree(source, dest)


@case
def a_read_only_file_system_keeps_what_it_has(ws):
    dest = ws.tmpfs("dest", "size=1m")
    source = new_and_old(ws, dest)
    lib.subprocess.run(["mount", "-o", "remount,ro", dest], check=True)
    both_failed(ws.push(["-a", f"{source}/"], dest), (11, 23), "Read-only file system")
    check_equal((dest / "file").read_bytes(), b"old", "the old file")
    check_equal(os.listdir(dest), ["file"], "what is at the destination")


@case
def a_file_too_large_for_the_disk_ends_the_session(ws):
    dest = ws.tmpfs("dest", "size=16m")
    source = ws.dir("source")
    put(source / "large", noise(20 * MIB))
    put(source / "small", b"small")
    put(dest / "large", b"old")
    both_failed(ws.push(["-a", f"{source}/"], dest), 41, "large: needs 20.00M bytes, but only .* are free")
    check_equal((dest / "large").read_bytes(), b"old", "the old file")
    lib.no_temporary_names(dest)


@case
def old_and_new_file_need_room_at_the_same_time(ws):
    dest = ws.tmpfs("dest", "size=16m")
    source = ws.dir("source")
    put(source / "file", noise(9 * MIB, 1))
    put(dest / "file", noise(9 * MIB, 2))
    both_failed(ws.push(["-a", f"{source}/"], dest), 41, "file: needs 9.00M bytes")
    check_equal((dest / "file").read_bytes(), noise(9 * MIB, 2), "the old file")
    lib.no_temporary_names(dest)


@each([("files", 900 * KIB, 40), ("bundles", 50 * KIB, 600)])
def a_disk_that_gets_full_keeps_every_old_file_and_leaves_no_rest(ws, value):
    _, size, count = value
    dest = ws.tmpfs("dest", "size=16m")
    source = ws.dir("source")
    for i in range(count):
        put(source / f"{i}", noise(size, i))
        put(dest / f"{i}", b"old")
    both_failed(ws.push(["-a", "--zc", "none", f"{source}/"], dest), 41, "No space left on device|are free")
    for i in range(count):
        check((dest / f"{i}").read_bytes() in (b"old", noise(size, i)), f"{i} is neither the old nor the new file")
    lib.no_temporary_names(dest)


@case
def a_disk_without_inodes_is_a_full_disk(ws):
    dest = ws.tmpfs("dest", "nr_inodes=20")
    source = ws.dir("source")
    for i in range(50):
        put(source / f"{i}", b"%d" % i)
    both_failed(ws.push(["-a", f"{source}/"], dest), 41, "No space left on device")
    for name in os.listdir(dest):
        check_equal((dest / name).read_bytes(), name.encode(), f"contents of {name}")
    lib.no_temporary_names(dest)


def as_stored(path):
    """Not what memory has of it."""
    with open(path, "rb") as f:
        os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return f.read()


@each([("in a batch", 300 * KIB, []), ("alone", 12 * MIB, []), ("verified", 300 * KIB, ["--verify"])])
def what_a_disk_has_lost_is_sent_again_in_place(ws, value):
    """The data came, and could not be flushed: neither its time nor what memory has of it may have it passed over."""
    _, size, options = value
    thin, source = ws.tmpfs("thin", "size=40M"), ws.dir("source")
    at = ws.ext4("mounted", thin / "image", 200 * MIB, "-N", "1024", "-O", "^has_journal",
                 "-E", "lazy_itable_init=0,lazy_journal_init=0")  # fmt: skip
    dest = at / "dest"
    dest.mkdir()
    put(source / "file", noise(size, 5))
    put(dest / "file", b"old")
    subprocess.run(["sync", "-f", dest], check=True)
    with open(thin / "rest", "wb", buffering=0) as rest:
        try:
            while True:
                rest.write(bytes(64 * KIB))
        except OSError:
            pass
    send = ["-a", *options, f"{source}/"]
    pair = ws.push(send, dest, ["--inplace"])
    both_failed(pair, (11, 41), "cannot flush|cannot write")
    (thin / "rest").unlink()
    pair = ws.push(send, dest, ["--inplace"])
    check_equal((pair.sender.code, pair.receiver.code), (0, 0), f"the codes of {pair}")
    check_equal(as_stored(dest / "file"), noise(size, 5), "what storage has")


@each([f"{role}{options}" for role in ("push", "pull") for options in ("", ", --serial")])
def a_file_larger_than_a_process_may_write_is_an_error_of_that_file(ws, value):
    role, _, options = value.partition(", ")
    source, dest, address = ws.dir("source"), ws.dir("dest"), ws.unix()
    put(source / "large", noise(4 * MIB))
    put(source / "small", b"small")
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2 * MIB, 2 * MIB))
    if role == "push":
        receiver = ws.receiver(address, dest, *options.split(), preexec_fn=limit)
        sender = ws.run(HVSEND, "-a", f"{source}/", address)
    else:
        sender = ws.listen(address, HVSEND, "--once", "-a", "--listen", address, f"{source}/")
        receiver = ws.start(HVRECV, "--connect", address, *options.split(), dest, preexec_fn=limit)
        sender = sender.wait()
    both_failed((sender, receiver.wait()), (11, 23), "large: cannot .*File too large")
    check_equal(os.listdir(dest), ["small"], "what is there")


@case
def in_place_a_file_of_another_user_can_be_written_into(ws):
    """Who is not its owner cannot set its time, and need not without -t."""
    if os.geteuid() != 0:
        raise Skipped("needs root")
    _, hvrecv, as_nobody = ws.for_nobody()
    source, dest, address = ws.dir("source"), ws.dir("dest"), unix_for_nobody(ws)
    put(source / "file", noise(3 * MIB))
    put(dest / "file", b"old", mode=0o666)
    receiver = ws.listen(address, hvrecv, "--once", "--inplace", "--listen", address, dest, **as_nobody)
    good(lib.Pair(ws.run(HVSEND, "-r", f"{source}/", address), receiver.wait()))
    check_equal((dest / "file").read_bytes(), noise(3 * MIB), "the file")


@case
def a_listener_goes_on_after_a_full_disk(ws):
    dest = ws.tmpfs("dest", "size=8m")
    source, other = ws.dir("source"), ws.dir("other")
    put(source / "large", noise(10 * MIB))
    put(other / "small", b"small")
    address = ws.unix()
    receiver = ws.receiver(address, dest, once=False)
    failed(ws.run(HVSEND, "-a", f"{source}/", address), 41, "are free")
    result = ws.run(HVSEND, "-a", f"{other}/", address)
    check_equal((result.code, result.err), (0, ""), "the next session")
    check_equal((dest / "small").read_bytes(), b"small", "its file")
    receiver.signal(lib.signal.SIGTERM)
    check_equal(receiver.wait().code, 0, "the listener's exit code")


lib.main()
