#!/usr/bin/env python3
"""--quota, --max-files, --min-free against a peer that counts on gaps between them: files that come twice, copies that were
left unfinished, sizes that it does not tell, blocks of an old file that nobody has sent yet, links instead of files."""

import os
import socket
import struct

import peer  # first: it finds the others
import lib
import rig
from golden_build import Entries, bundle, chunk, file_begin, file_digest, file_end, hole, start
from lib import MIB, case, check, check_equal, each, noise
from peer import DIR, DIR_END, FILE, MADE, SENDER, SYMLINK, WANT, Peer
from rig import Fence, ends_when_told, greeted, listed

LINK_TARGET = 0x8001
LINKS, PERMS, INPLACE = 1 << 1, 1 << 2, 1 << 9
LARGE = 9 * MIB  # more than a window: it is kept when it is interrupted
FEATURE_DELTA = 8
OLD = 24 * MIB
HELD = 160 * MIB


def bytes_in(dest):
    return sum(p.lstat().st_size for p in dest.rglob("*") if not p.is_symlink() and p.is_file())


def hollow(one, file_id, size, claimed=LARGE):
    one.send("FILE_BEGIN", file_begin(file_id, claimed, 0))
    one.send("HOLE", hole(file_id, 0, size))
    one.send("FILE_END", file_end(file_id, size, 0, file_digest([], size)))


@case
def a_file_that_comes_twice_counts_with_what_it_became(ws):
    """Small at first, and large before that one has its name."""
    fence, address = Fence(ws), ws.unix()
    listener = ws.receiver(address, fence.dest, *rig.ONE_TRY, "--quota", "20M", once=False)
    with greeted(address) as one:
        one.send("START", start(0))
        entries = Entries()
        for i in range(10):
            entries.add(FILE, f"file{i}", LARGE)
        check_equal(set(listed(one, entries).values()), {WANT}, "answers")
        for i in range(1, 11):
            hollow(one, i, 1)
            hollow(one, i, 15 * MIB)
            one.send("SYNC")
            if one.expect("DURABLE", "FILE_ERROR", "ABORT").kind == "ABORT":
                break
    ends_when_told(listener)
    check(bytes_in(fence.dest) <= 20 * MIB, f"{bytes_in(fence.dest)} bytes came")


@each(["tcp", "vsock-mux"])
def peers_that_nobody_tells_apart_share_what_they_may_use(ws, scheme):
    """Or each session would begin anew."""
    fence, port = Fence(ws), lib.free_port()
    path = f"{ws.path}/vm.sock"
    address = f"tcp://127.0.0.1:{port}" if scheme == "tcp" else f"vsock-mux:{path}:{port}"
    listener = ws.receiver(address, fence.dest, *rig.ONE_TRY, "--quota", "1M", once=False)
    said = []
    for i in range(3):
        if scheme == "tcp":
            one = Peer(socket.create_connection(("127.0.0.1", port)))
        else:
            one = Peer.dial(f"{path}_{port}")
        with one:
            one.greet(SENDER)
            one.send("START", start(0))
            data = noise(700 << 10, i)
            check_equal(listed(one, Entries().add(FILE, f"file{i}", len(data))), {1: WANT}, "the answer")
            one.send("BUNDLE", bundle([(1, data)]), data)
            one.send("SYNC")
            message = one.expect("DURABLE", "ABORT")
            said.append(message.code() if message.kind == "ABORT" else 0)
    check_equal(said, [0, 41, 41], "how the sessions ended")
    ends_when_told(listener)


@case
def what_is_left_unfinished_counts(ws):
    """Session after session, a copy of another name each."""
    fence, address = Fence(ws), ws.unix()
    listener = ws.receiver(address, fence.dest, *rig.ONE_TRY, "--quota", "40M", "--max-files", "7", once=False)
    codes = []
    for i in range(10):
        with greeted(address) as one:
            one.send("START", start(0))
            one.send("ENTRIES", Entries().add(FILE, f"file{i}", LARGE).parts)
            one.send("FILE_BEGIN", file_begin(1, LARGE, 0))
            data = noise(MIB, i)
            one.send("CHUNK", chunk(data, 1, LARGE - MIB), data)
            one.send("START", start(0))  # not a second time
            codes.append(one.ended_with()[0])
    check_equal(codes, [12] * 4 + [41] * 6, "how the sessions ended")
    check(bytes_in(fence.dest) <= 40 * MIB, f"{bytes_in(fence.dest)} bytes are left")
    ends_when_told(listener)


def add(one, file_id, pieces):
    """A file of noise, MiB by MiB. Whether it was taken."""
    data = noise(MIB, file_id)
    size = pieces * MIB
    one.send("FILE_BEGIN", file_begin(file_id, size, size))
    for i in range(pieces):
        one.send("CHUNK", chunk(data, file_id, i * MIB), data)
    one.send("FILE_END", file_end(file_id, size, pieces, file_digest([(i * MIB, data) for i in range(pieces)], size)))
    one.send("SYNC")
    return one.expect("DURABLE", "FILE_ERROR", "ABORT").kind == "DURABLE"


def put_small(one, file_id):
    one.send("BUNDLE", bundle([(file_id, b"x")]), b"x")
    one.send("SYNC")
    return one.expect("DURABLE", "FILE_ERROR", "ABORT").kind == "DURABLE"


def names_below(dest):
    return sum(len(names) + len(files) for _, names, files in os.walk(dest))


@case
def what_cannot_be_removed_counts_on(ws):
    """The directory of files that wait to be committed is made read-only, again and again."""
    dest, address = ws.dir("dest"), ws.unix()
    _, hvrecv, user = ws.for_nobody()
    dest.chmod(0o777)
    ws.path.chmod(0o777)
    options = [*rig.ONE_TRY, "--max-files", "10"]
    listener = ws.listen(address, hvrecv, "--listen", address, *options, dest, **user)
    with greeted(address) as one:
        one.send("START", start(PERMS))
        for first in range(1, 100, 10):
            entries = Entries().add(DIR, "dir", mode=0o755, file_id=first)
            for i in range(6):
                entries.add(FILE, f"dir/file{i}", 1, file_id=first + 2 + i)
            one.send("ENTRIES", entries.parts)
            one.verdicts(7)
            files = bundle([(first + 2 + i, b"x") for i in range(6)])
            closed = Entries().add(DIR_END, "dir", mode=0o555, file_id=first + 1).parts
            one.write(one.bytes_of("BUNDLE", files, b"x" * 6) + one.bytes_of("ENTRIES", closed) + one.bytes_of("SYNC"))
            if "ABORT" in (one.expect("VERDICTS", "FILE_ERROR", "ABORT").kind for _ in range(7)):
                break
    lib.wait_until(lambda: rig.sessions_of(listener) == 0, "it is over")
    check(names_below(dest) <= 10, f"{names_below(dest)} names, of which 10 are allowed")
    ends_when_told(listener)


@case
def a_file_that_has_other_names_gives_nothing_back(ws):
    """Who replaces one of its names frees nothing."""
    fence, address = Fence(ws), ws.unix()
    lib.put(fence.dest / "old", noise(8 * MIB))
    for i in range(4):
        os.link(fence.dest / "old", fence.dest / f"link{i}")
    listener = ws.receiver(address, fence.dest, *rig.ONE_TRY, "--quota", "20M", once=False)
    entries = Entries()
    for i in range(4):
        entries.add(FILE, f"new{i}", 8 * MIB).add(FILE, f"link{i}", 1)
    with greeted(address) as one:
        one.send("START", start(0))
        listed(one, entries)
        taken = 0
        while taken < 4 and add(one, 2 * taken + 1, 8) and put_small(one, 2 * taken + 2):
            taken += 1
    check_equal(taken, 2, "files of 8 MiB within 20 MiB")
    ends_when_told(listener)


@case
def a_file_that_is_replaced_while_it_is_written_is_given_back_once(ws):
    """--inplace: a link takes its name, then the file itself becomes short."""
    fence, address = Fence(ws), ws.unix()
    lib.put(fence.dest / "file", noise(16 * MIB))
    listener = ws.receiver(address, fence.dest, *rig.ONE_TRY, "--quota", "40M", once=False)
    entries = Entries().add(FILE, "first", 8 * MIB).add(FILE, "second", 8 * MIB).add(FILE, "third", 8 * MIB)
    with greeted(address) as one:
        one.send("START", start(LINKS | INPLACE))
        listed(one, entries.add(FILE, "fourth", 8 * MIB).add(FILE, "file", 0))
        check(all(add(one, i, 8) for i in (1, 2, 3, 4)), "32 MiB fit")
        one.send("FILE_BEGIN", file_begin(5, 0, 0))
        one.send("ENTRIES", Entries().add(SYMLINK, "file", file_id=6, tags=[(LINK_TARGET, b"x")]).parts)
        check_equal(one.verdicts(1), {6: MADE}, "the link")
        one.send("FILE_END", file_end(5, 0, 0, file_digest([], 0)))
        one.send("SYNC")
        check_equal(one.expect("DURABLE", "FILE_ERROR").kind, "FILE_ERROR", "what became of the file")
        one.send("ENTRIES", Entries().add(FILE, "fifth", 32 * MIB, file_id=7).parts)
        one.verdicts(1)
        check(not add(one, 7, 32), "what was given back once counts twice")
    ends_when_told(listener)


@case
def no_acknowledgement_is_for_a_file_that_another_session_replaced(ws):
    """--inplace: the other one was acknowledged before, and its file is what is there."""
    fence, address = Fence(ws), ws.unix()
    lib.put(fence.dest / "file", b"old")
    listener = ws.receiver(address, fence.dest, *rig.ONE_TRY, once=False)
    data = noise(2 * MIB)
    with greeted(address) as one, greeted(address) as other:
        one.send("START", start(INPLACE))
        listed(one, Entries().add(FILE, "file", 2 * MIB))
        one.send("FILE_BEGIN", file_begin(1, 2 * MIB, 2 * MIB))
        one.send("CHUNK", chunk(data[:MIB], 1), data[:MIB])
        lib.wait_until(lambda: (fence.dest / "file").stat().st_size >= MIB, "the first half is there")
        other.send("START", start(0))
        listed(other, Entries().add(FILE, "file", 1))
        check(put_small(other, 1), "the other file is committed")
        one.send("CHUNK", chunk(data[MIB:], 1, MIB), data[MIB:])
        digest = file_digest([(0, data[:MIB]), (MIB, data[MIB:])], 2 * MIB)
        one.send("FILE_END", file_end(1, 2 * MIB, 2, digest))
        one.send("SYNC")
        check_equal(one.expect("DURABLE", "FILE_ERROR").kind, "FILE_ERROR", "what is said of the file that is gone")
    check_equal((fence.dest / "file").read_bytes(), b"x", "the file")
    ends_when_told(listener)


def put_hollow(one, file_id, name, size):
    """Lists it, and sends one large hole. The kind of the answer."""
    one.send("ENTRIES", Entries().add(FILE, name, size + 1, file_id=file_id).parts)
    one.verdicts(1)
    hollow(one, file_id, size, claimed=size)
    one.send("SYNC")
    return one.expect("DURABLE", "FILE_ERROR", "ABORT").kind


def replace_by_little(one, file_id, name):
    one.send("ENTRIES", Entries().add(FILE, name, 1, file_id=file_id).parts)
    one.verdicts(1)
    check(put_small(one, file_id), f"{name} is replaced")


def hold_in_place(one, path):
    """Begins to write into it, and waits until that is seen."""
    one.send("START", start(INPLACE))
    listed(one, Entries().add(FILE, path.name, 1))
    one.send("FILE_BEGIN", file_begin(1, HELD, 0))
    data = noise(4096)
    one.send("CHUNK", chunk(data, 1), data)
    lib.wait_until(lambda: path.stat().st_blocks > 0, "it is open")


def hold_as_basis(one, path):
    """Has more of it digested than it takes at a time."""
    one.send("START", start(0))
    one.send("ENTRIES", Entries().add(FILE, path.name, HELD + 1).parts)
    one.expect("VERDICTS")
    one.expect("BASIS")


@each([("in place", hold_in_place), ("as a basis", hold_as_basis)])
def what_another_session_holds_open_is_not_given_back_before_it_goes(ws, how):
    """Without its name a file takes its room all the same."""
    fence, address = Fence(ws), ws.unix()
    listener = ws.receiver(address, fence.dest, *rig.ONE_TRY, "--quota", "200M", once=False)
    with greeted(address) as one:
        one.send("START", start(0))
        check_equal(put_hollow(one, 1, "held", HELD), "DURABLE", "the first")
        with greeted(address, SENDER, features=FEATURE_DELTA) as other:
            how[1](other, fence.dest / "held")
            replace_by_little(one, 2, "held")
            check_equal(put_hollow(one, 3, "more", HELD), "ABORT", "the second, while the first is there still")
    lib.wait_until(lambda: rig.sessions_of(listener) == 0, "nobody holds it")
    with greeted(address) as one:
        one.send("START", start(0))
        check_equal(put_hollow(one, 1, "more", HELD), "DURABLE", "the second, when the first is gone")
    ends_when_told(listener)


@case
def holes_that_were_there_before_count_when_they_are_filled(ws):
    fence, address = Fence(ws), ws.unix()
    lib.put_sparse(fence.dest / "image", 32 * MIB)
    listener = ws.receiver(address, fence.dest, *rig.ONE_TRY, "--quota", "10M", once=False)
    with greeted(address) as one:
        one.send("START", start(INPLACE))
        listed(one, Entries().add(FILE, "image", 32 * MIB + 1))
        check(not add(one, 1, 32), "32 MiB within 10")
    used = (fence.dest / "image").stat().st_blocks * 512
    check(used <= 10 * MIB, f"{used} bytes came into it")
    ends_when_told(listener)


@case
def holes_that_were_there_before_are_not_given_back(ws):
    fence, address = Fence(ws), ws.unix()
    lib.put_sparse(fence.dest / "image", 200 * MIB)
    listener = ws.receiver(address, fence.dest, *rig.ONE_TRY, "--quota", "10M", once=False)
    entries = Entries().add(FILE, "first", 8 * MIB).add(FILE, "image", 1).add(FILE, "second", 8 * MIB)
    with greeted(address) as one:
        one.send("START", start(0))
        listed(one, entries)
        check(add(one, 1, 8) and put_small(one, 2), "8 MiB fit, and what is smaller")
        check(not add(one, 3, 8), "16 MiB within 10")
    ends_when_told(listener)


@each([("whole", ["-W"]), ("delta", []), ("in place", ["--inplace"])])
def who_updates_its_own_tree_never_runs_out(ws, how):
    """Full files, hollow ones, and some that are neither."""
    fence, address, source = Fence(ws), ws.unix(), ws.dir("source")
    listener = ws.receiver(address, fence.dest, *rig.ONE_TRY, "--quota", "70M", once=False)
    for i in range(8):
        lib.put(source / "small", noise(1000, i))
        lib.put(source / "full", noise(9 * MIB, i))
        lib.put_sparse(source / "hollow", 15 * MIB, [(i * MIB, noise(MIB, i))])
        lib.put_sparse(source / "begun", 6 * MIB, [(0, noise(2 * MIB, i))])
        done = ws.run(lib.HVSEND, "-rI", *how[1], f"{source}/", address)
        check_equal(done.code, 0, f"update {i} ({done})")
    ends_when_told(listener)


@case
def an_unfinished_copy_of_what_became_small_goes_and_is_given_back(ws):
    fence, address, source = Fence(ws), ws.unix(), ws.dir("source")
    listener = ws.receiver(address, fence.dest, *rig.ONE_TRY, "--quota", "30M", once=False)
    with greeted(address) as one:
        one.send("START", start(0))
        listed(one, Entries().add(FILE, "file", 20 * MIB))
        one.send("FILE_BEGIN", file_begin(1, 20 * MIB, 0))
        data = noise(MIB)
        one.send("CHUNK", chunk(data, 1, 19 * MIB), data)
        one.send("START", start(0))  # not a second time
        one.ended_with()
    lib.wait_until(lambda: rig.sessions_of(listener) == 0, "it is over")
    check_equal(len(list(fence.dest.glob(".hvferry.part.*"))), 1, "unfinished copies")
    lib.put(source / "file", b"small")
    check_equal(ws.run(lib.HVSEND, "-rt", f"{source}/", address).code, 0, "the small one")
    check_equal(list(fence.dest.glob(".hvferry.*")), [], "what is left beside it")
    lib.put(source / "other", noise(25 * MIB))
    check_equal(ws.run(lib.HVSEND, "-rt", f"{source}/", address).code, 0, "25 MiB within 30")
    ends_when_told(listener)


def free_in(path):
    st = os.statvfs(path)
    return st.f_bavail * st.f_frsize


def limited_space(ws, room):
    """A listener that may take so many bytes of its file system; its address and root."""
    dest, address = ws.tmpfs("small", "size=32m") / "dest", ws.unix()
    dest.mkdir()
    least = free_in(dest) - room
    return ws.receiver(address, dest, *rig.ONE_TRY, "--min-free", str(least), once=False), address, dest, least


@case
def sizes_that_are_not_told_leave_what_must_stay_free(ws):
    listener, address, dest, least = limited_space(ws, MIB)
    with greeted(address) as one:
        one.send("START", start(0))
        check_equal(listed(one, Entries().add(FILE, "file", 3 * MIB)), {1: WANT}, "answer")
        one.send("FILE_BEGIN", file_begin(1, 3 * MIB, 0))
        data = noise(MIB // 2)
        for i in range(6):
            one.send("CHUNK", chunk(data, 1, i * len(data)), data)
        one.send("SYNC")
        check_equal(one.ended_with()[0], 41, "the code of ABORT")
    check(free_in(dest) >= least, f"{free_in(dest)} bytes are free, and {least} were to stay so")
    ends_when_told(listener)


def have_old_blocks_written(one, claimed):
    """Begins a file of so many bytes, of which the receiver has OLD, and waits until all of those were looked at."""
    one.send("START", start(0))
    one.send("ENTRIES", Entries().add(FILE, "file", OLD).parts)
    one.send("FILE_BEGIN", file_begin(1, claimed, 0))
    looked_at = 0
    while looked_at < OLD:
        message = one.expect("VERDICTS", "BASIS", "ABORT")
        check(message.kind != "ABORT", f"{message.kind}: {message}")
        if message.kind == "BASIS":
            block_size, first, count = struct.unpack_from("<4xIQI", message.body, 16)
            looked_at = (first + count) * block_size


@each([OLD, 1])
def blocks_that_nobody_sent_yet_count(ws, claimed):
    """They are written when they are digested, before the sender says which of them it means."""
    fence, address = Fence(ws), ws.unix()
    lib.put(fence.dest / "file", noise(OLD))
    before = bytes_in(fence.dest)
    listener = ws.receiver(address, fence.dest, *rig.ONE_TRY, "--quota", "1M", once=False)
    with greeted(address, SENDER, features=FEATURE_DELTA) as one:
        have_old_blocks_written(one, claimed)
        added = bytes_in(fence.dest) - before
    check(added <= MIB, f"{added} bytes were added")
    ends_when_told(listener)


@case
def blocks_that_nobody_sent_yet_leave_what_must_stay_free(ws):
    """The file claims to be short, so that all of it would fit."""
    dest, address = ws.tmpfs("small", "size=64m") / "dest", ws.unix()
    dest.mkdir()
    lib.put(dest / "file", noise(OLD))
    least = free_in(dest) - MIB
    listener = ws.receiver(address, dest, *rig.ONE_TRY, "--min-free", str(least), once=False)
    with greeted(address, SENDER, features=FEATURE_DELTA) as one:
        have_old_blocks_written(one, 1)
        check(free_in(dest) >= least, f"{free_in(dest)} bytes are free, and {least} were to stay so")
    ends_when_told(listener)


@case
def links_leave_what_must_stay_free(ws):
    listener, address, dest, least = limited_space(ws, 64 * 1024)
    entries = Entries()
    for i in range(100):
        entries.add(SYMLINK, f"link{i}", tags=[(LINK_TARGET, b"x" * 2000)])
    with greeted(address) as one:
        one.send("START", start(LINKS))
        one.send("ENTRIES", entries.parts)
        check_equal(one.ended_with()[0], 41, "the code of ABORT")
    check(free_in(dest) >= least, f"{free_in(dest)} bytes are free, and {least} were to stay so")
    ends_when_told(listener)


lib.main()
