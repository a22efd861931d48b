#!/usr/bin/env python3
"""A hole costs its sender some bytes and would cost who reads it hours. Whatever an end is made to read so, it ends when it
is told to, or when its peer has gone."""

import os
import struct

import peer  # first: it finds the others
import lib
import rig
from golden_build import Entries, basis, file_begin, file_digest, file_end, hole, run, start, xxh128
from lib import HVSEND, case, each, put_sparse
from peer import CHECK, DIR, FILE, MADE, RECEIVER, WANT
from rig import Fence, ends_when_told, greeted, is_served, listed, sessions_of, wait_until

HUGE = 8 << 40  # what ext4 can hold, and minutes to read even where it is only zeros
CHECKSUM, INPLACE, VERIFY = 1 << 5, 1 << 9, 1 << 10
RESUME, DELTA, BY_CONTENT = 1 << 1, 1 << 3, 1 << 6


def whole_hole(one, file_id=1):
    one.send("FILE_BEGIN", file_begin(file_id, HUGE, 0))
    one.send("HOLE", hole(file_id, 0, HUGE))
    one.send("FILE_END", file_end(file_id, HUGE, 0, file_digest([], HUGE)))


def compared(one):
    """-c, with what is there."""
    one.send("START", start(CHECKSUM))
    one.send("ENTRIES", Entries().add(FILE, "old", HUGE).parts)


def taken_over(one, flags=0):
    """Blocks of what is there."""
    one.send("START", start(flags))
    lib.check_equal(listed(one, Entries().add(FILE, "old", HUGE)), {1: CHECK}, "answer")
    one.expect("BASIS")
    one.send("FILE_BEGIN", file_begin(1, HUGE, 0))
    one.send("REUSE", hole(1, 0, HUGE))


def taken_over_in_place(one):
    taken_over(one, INPLACE)


def unfinished(dest):
    return dest / f".hvferry.part.{xxh128(b'old').hex()}"


@each([(f"{f.__name__}, {how}", f, how) for f in (compared, taken_over, taken_over_in_place)
       for how in ("the break is the end", "it may come back")])  # fmt: skip
def a_hole_is_no_work_for_ever(ws, value):
    _, attack, how = value
    waits = how == "it may come back"
    fence, address = Fence(ws), ws.unix()
    put_sparse(fence.dest / "old", HUGE)
    os.utime(fence.dest / "old", (1, 1))
    if attack is taken_over:
        (fence.dest / "old").rename(unfinished(fence.dest))  # so that nothing is copied
    options = ["--timeout", "5", *(["--grace", "1"] if waits else rig.ONE_TRY)]
    listener = ws.receiver(address, fence.dest, *options, once=False)
    with greeted(address, features=DELTA | BY_CONTENT | (RESUME if waits else 0)) as one:
        attack(one)
        for _ in range(2):
            while one.recv().kind != "HEARTBEAT":
                pass
    wait_until(lambda: sessions_of(listener) == 0, "it is given up")
    is_served(ws, address, fence.dest)
    ends_when_told(listener)
    unfinished(fence.dest).unlink(missing_ok=True)
    lib.no_temporary_names(fence.dest)


@case
def a_hole_is_not_read_back(ws):
    """--verify, of what came."""
    fence, address = Fence(ws), ws.unix()
    listener = ws.receiver(address, fence.dest, *rig.ONE_TRY, once=False)
    with greeted(address) as one:
        one.send("START", start(VERIFY))
        lib.check_equal(listed(one, Entries().add(FILE, "huge", HUGE)), {1: WANT}, "answer")
        whole_hole(one)
        one.send("LIST_END", b"")
        lib.check_equal(one.recv().kind, "DURABLE", "answer, before any sign of life")
    lib.check_equal((fence.dest / "huge").stat().st_size, HUGE, "size")
    is_served(ws, address, fence.dest)
    ends_when_told(listener)


@case
def a_receiver_lets_its_sender_read_a_hole_and_goes(ws):
    source, address = ws.dir("source"), ws.unix()
    put_sparse(source / "huge", HUGE)
    sender = ws.listen(address, HVSEND, "-r", *rig.ONE_TRY, "--timeout", "5", "--listen", address, f"{source}/")
    with greeted(address, RECEIVER, features=BY_CONTENT) as one:
        one.send("REQUEST", start(CHECKSUM | 1))
        one.expect("START")
        one.expect("ENTRIES")
        one.send("VERDICTS", run(1, 1, MADE))
        one.send("BASIS", basis(1, HUGE, 1 << 20, 0, [bytes(16)]))
        for _ in range(2):
            while one.recv().kind != "HEARTBEAT":
                pass
    ends_when_told(sender)


def one_directory(first, count):
    """ENTRIES that list `d` so many times."""
    fields = struct.Struct("<QBBBBIIIqIIQ")
    again = b"".join(fields.pack(first + i, DIR, 1, 0, 0, 0o755, 0, 0, 0, 0, 0, 0) for i in range(1, count))
    return [(fields.pack(first, DIR, 0, 1, 0, 0o755, 0, 0, 0, 0, 0, 0) + b"\x01d" + again, "")]


@case
def a_directory_that_is_listed_again_and_again_keeps_nobody(ws):
    """Each time all of it is looked at, for what dead sessions left there."""
    fence, address = Fence(ws), ws.unix()
    (fence.dest / "d").mkdir()
    for i in range(100_000):
        (fence.dest / "d" / str(i)).touch()
    listener = ws.receiver(address, fence.dest, *rig.ONE_TRY, once=False)
    with greeted(address) as one:
        one.send("START", start(0))
        for i in range(30):  # as many as fit into a window
            one.send("ENTRIES", one_directory(1 + 5000 * i, 5000))
    is_served(ws, address, fence.dest)
    ends_when_told(listener)


if __name__ == "__main__":
    lib.main()
