#!/usr/bin/env python3
"""--quota, --max-files, --min-free against a peer that counts on gaps between them: files that come twice, copies that were
left unfinished, sizes that it does not tell, blocks of an old file that nobody has sent yet, links instead of files."""

import os
import struct

import peer  # first: it finds the others
import lib
import rig
from golden_build import Entries, chunk, file_begin, file_digest, file_end, hole, start
from lib import MIB, case, check, check_equal, each, noise
from peer import FILE, SENDER, SYMLINK, WANT
from rig import Fence, ends_when_told, greeted, listed

LINK_TARGET = 0x8001
LINKS = 1 << 1
LARGE = 9 * MIB  # more than a window: it is kept when it is interrupted
FEATURE_DELTA = 8
OLD = 24 * MIB


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
