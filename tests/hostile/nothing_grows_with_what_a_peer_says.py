#!/usr/bin/env python3
"""What an end keeps for its peer has bounds of its own: no window that a peer claims, no answer that it does not take and no
question that it repeats makes more of it; and none of it makes a thread wait that reads the stream."""

import itertools
import json
import os
import struct
import time
from pathlib import Path

import peer  # first: it finds the others
import lib
import rig
from golden_build import KIB64, MIB, RESENT, Entries, ack, basis, bundle, chunk, joined, run, start, u, xxh128
from lib import HVRECV, HVSEND, Skipped, case, check, check_equal, each, noise, put, wait_until
from peer import FILE, MADE, RECEIVER, SENDER, WANT, Closed, Listener, NoWord, Peer
from rig import Fence, ends_when_told, greeted, is_served

PER_MESSAGE = 4000
HUGE = 1 << 62
FEATURE_RESUME, FEATURE_DELTA = 2, 8


def bad_names(n, count=PER_MESSAGE, kind=FILE, name=b"."):
    """ENTRIES, each of whose names is refused with a message of its own."""
    fields = struct.Struct("<QBBBBIIIqIIQ")
    ids = range(1 + n * count, 1 + (n + 1) * count)
    named = bytes([len(name)]) + name
    return [(b"".join(fields.pack(i, kind, 0, 1, 0, 0o644, 0, 0, 0, 0, 0, 0) + named for i in ids), "")]


def resident(process, what="VmRSS"):
    """MiB."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1]) >> 10
    raise lib.Failed("it has ended")


def bad_names_for_ever(one, granted, **what):
    """Within the credit, until it is shown out: the code and text of that."""
    spent = 256 + 16
    for n in itertools.count():
        body = bad_names(n, **what)
        spent += 256 + len(joined(body))
        while granted < spent:
            message = one.recv()
            if message.kind == "ABORT":
                return message.code(), message.text()
            if message.kind == "ACK":
                granted, = struct.unpack_from("<Q", message.body, 8)
        if not one.send("ENTRIES", body):
            return one.ended_with()


@each(["pipeline", "--serial"])
def what_comes_again_needs_no_more_than_was_paid_for(ws, how):
    """Empty bundles that are refused cost next to nothing, and data in their place costs nothing: there would be no buffer
    left for what all of it waits for."""
    fence, address = Fence(ws), ws.unix()
    options = [] if how == "pipeline" else [how]
    receiver = ws.listen(address, HVRECV, "--listen", address, "--timeout", "3", "--grace", "3", *options, fence.dest)
    data = noise(MIB)
    with Peer.dial(address) as one:
        one.greet(SENDER, features=FEATURE_RESUME)
        one.send("START", start(0))
        for _ in range(60):
            one.send("BUNDLE", bundle([(1, b"")], digest=bytes(16)))
        for _ in range(60):
            one.expect("REFUSED")
        for order in range(3, 62):
            if not one.send("CHUNK", chunk(data, 1), data, order=order, flags=RESENT):
                break
        code, text = one.ended_with()
        check_equal((code, "take the place" in text), (12, True), f"what ABORT says ({text})")
    is_served(ws, address, fence.dest)
    ends_when_told(receiver)


@each([1 << 20, HUGE])
def a_sender_that_takes_no_answers_is_shown_out(ws, window):
    """It has as much credit as it likes for what it sends, for that is done with at once."""
    fence, address = Fence(ws), ws.unix()
    receiver = ws.listen(address, HVRECV, "-q", "--listen", address, *rig.ONE_TRY, fence.dest)
    with Peer.dial(address) as one:
        granted, = struct.unpack_from("<Q", one.greet(SENDER, window=window).body, 36)
        one.send("START", start(0))
        try:
            code, text = bad_names_for_ever(one, granted)
            check_equal((code, "answers" in text), (12, True), f"what ABORT says ({text})")
        except (Closed, NoWord):  # it cannot say anything in the middle of an answer that was not taken whole
            pass
    wait_until(lambda: "answers" in receiver.err(), "the receiver has said why")
    is_served(ws, address, fence.dest)
    ends_when_told(receiver)
    fence.check_nothing_changed()


@case
def answers_that_are_long_are_fewer(ws):
    """Each says a name that takes a kilobyte to be shown, and none of them leaves: the sender has no more credit to give."""
    if lib.SMALL:
        raise Skipped("a sanitizer keeps what is freed")
    unknown_kind, count = 5, 820
    fence, address = Fence(ws), ws.unix()
    receiver = ws.listen(address, HVRECV, "-q", "--listen", address, *rig.ONE_TRY, fence.dest)
    with Peer.dial(address) as one:
        granted, = struct.unpack_from("<Q", one.greet(SENDER, window=2 * (256 + 262144)).body, 36)
        one.send("START", start(0))
        code, text = bad_names_for_ever(one, granted, count=count, kind=unknown_kind, name=b"\x01" * 250)
        check_equal((code, "answers" in text), (12, True), f"what ABORT says ({text})")
    check(resident(receiver, "VmHWM") < 40, f"{resident(receiver, 'VmHWM')} MiB at most")
    ends_when_told(receiver)
    fence.check_nothing_changed()


def descriptors(process):
    return len(os.listdir(f"/proc/{process.pid}/fd"))


@case
def files_that_are_listed_and_not_sent_are_not_kept_open(ws):
    """What there is of each is read for its digests, once."""
    fence, address, count = Fence(ws), ws.unix(), 500
    entries = Entries()
    for i in range(count):
        put(fence.dest / str(i), noise(5000, i))
        entries.add(FILE, str(i), size=200_000)
    receiver = ws.receiver(address, fence.dest, *rig.ONE_TRY, once=False)
    with greeted(address, features=FEATURE_DELTA) as one:
        one.send("START", start(0))
        before = descriptors(receiver)
        one.send("ENTRIES", entries.parts)
        for _ in range(count):
            while one.recv().kind != "BASIS":
                pass
        more = descriptors(receiver) - before
        check(more < 16, f"{more} descriptors more")
    ends_when_told(receiver)


@case
def answers_that_were_acknowledged_are_not_kept(ws):
    if lib.SMALL:
        raise Skipped("a sanitizer keeps what is freed")
    fence, address = Fence(ws), ws.unix()
    receiver = ws.listen(address, HVRECV, "-q", "--listen", address, *rig.ONE_TRY, fence.dest)
    with greeted(address, window=HUGE) as one:
        one.send("START", start(0))
        sizes = []
        for n in range(20):
            one.send("ENTRIES", bad_names(n))
            for _ in range(PER_MESSAGE):
                last = one.expect("FILE_ERROR")
            one.send("ACK", ack(last.order, HUGE, 0))
            sizes.append(resident(receiver))
    check(sizes[-1] - sizes[3] <= 4, f"MiB after each {PER_MESSAGE} answers: {sizes}")
    ends_when_told(receiver)


@each(["lines", "events"])
def a_listener_tells_only_so_much_of_what_fails(ws, what):
    """Whoever asked for a session is told all of it, but a peer that comes by itself would fill the disk with the log."""
    told, count = 1000, 1250
    fence, address = Fence(ws), ws.unix()
    receiver = ws.receiver(address, fence.dest, "-q", *rig.ONE_TRY, *["--json"][: what == "events"], once=False)
    with greeted(address, window=HUGE) as one:
        one.send("START", start(0))
        one.send("ENTRIES", bad_names(0, count))
        for _ in range(count):
            one.expect("FILE_ERROR")
    result = ends_when_told(receiver)
    lines = result.err.splitlines()
    check(told < len(lines) < told + 5, f"{len(lines)} lines")
    more = f"{count - told} more failures and warnings are not shown"
    check_equal(lines[told], f"hvrecv: {more}", "what follows them")
    if what == "events":
        events = [json.loads(line) for line in result.out.splitlines()]
        types = [e["type"] for e in events if e["type"] != "progress"]
        check_equal(types, ["start"] + ["error"] * told + ["warning", "error", "summary"], "types")
        check_equal((events[-3]["message"], events[-1]["failed"]), (more, count), "how many there were")


def asked_for(ws, window, size):
    """hvsend in a session of that window: its process, the peer to whom it sends a file of so many bytes."""
    source, address = ws.dir("source"), ws.unix()
    put(source / "file", noise(size))
    with Listener(address) as listener:
        sender = ws.start(HVSEND, "-r", "--zc", "none", "--chunk-size", "64K", *rig.ONE_TRY, f"{source}/", address)
        one = listener.accept()
    one.welcome(RECEIVER, codecs=1, window=window)
    one.expect("ENTRIES") if one.expect("START") else None
    one.send("VERDICTS", run(1, 1, MADE) + run(2, 1, WANT))
    return sender, one


def orders_of_chunks(one, count):
    orders = []
    while len(orders) < count:
        message = one.expect("FILE_BEGIN", "CHUNK", "LIST_END", "FILE_END", "SYNC")
        if message.kind == "CHUNK":
            orders.append(message.order)
    return orders


def refuse(one, order):
    return one.send("REFUSED", [u(8, "refused_order", order)])


@each([(1 << 48) - 1, HUGE, (1 << 63) - 1])
def no_window_is_too_large_for_a_refusal(ws, window):
    """2^48 - 1 is 2^32 - 1 chunks of 64 KiB."""
    sender, one = asked_for(ws, window, 3 * KIB64)
    with one:
        orders = orders_of_chunks(one, 3)
        refuse(one, orders[1])
        check_equal(orders_of_chunks(one, 1), [orders[1]], "what comes again")
    check(sender.wait().code in (10, 12), "it ends")


@case
def what_is_refused_is_read_again_only_when_it_leaves(ws):
    """It refuses all that is on its way, twice, before it takes any of it again: within its rights, and all of it comes."""
    chunks = 1000
    sender, one = asked_for(ws, HUGE, chunks * KIB64)
    with one:
        orders = 2 * orders_of_chunks(one, chunks)
        before = resident(sender)
        for order in orders:
            check(refuse(one, order), "it is refused")
        again = orders_of_chunks(one, 1)
        grown = resident(sender) - before
        again += orders_of_chunks(one, len(orders) - 1)
        check_equal(again, orders, "what came again")
        check(lib.SMALL or grown < 16, f"{grown} MiB more for {len(orders)} chunks")
    check_equal(sender.wait().code in (10, 12), True, "it ends")


BLOCK = 4096


@case
def what_a_receiver_says_it_has_does_not_pile_up(ws):
    """A file of blocks with a hole behind each. It has all of them, so that no data is sent, and grants no credit for what is."""
    if lib.SMALL:
        raise Skipped("a sanitizer keeps what is freed")
    count = 16384
    source, address = ws.dir("source"), ws.unix()
    with open(source / "image", "wb") as f:
        for i in range(count):
            os.pwrite(f.fileno(), bytes(BLOCK), 2 * i * BLOCK)
        f.truncate(2 * count * BLOCK)
    with Listener(address) as listener:
        sender = ws.start(HVSEND, "-r", "--chunk-size", "64K", *rig.ONE_TRY, f"{source}/", address)
        one = listener.accept()
    with one:
        one.welcome(RECEIVER, codecs=1, features=FEATURE_DELTA, window=2 * (256 + 262144) + 2 * KIB64)
        one.expect("ENTRIES") if one.expect("START") else None
        one.send("VERDICTS", run(1, 1, MADE))
        before, step, digests = resident(sender), 8192, [xxh128(bytes(BLOCK))] * 8192
        for at in range(0, 2 * count, step):
            one.send("BASIS", [u(8, "id", 2)] + basis(2, 2 * count * BLOCK, BLOCK, at, digests)[1:])
            wait_until(lambda: not is_busy(sender), "it has read what it was told of")
        grown = resident(sender) - before
        check(grown < 4, f"{grown} MiB more")
    check(sender.wait().code in (10, 12), "it ends")


@case
def what_is_not_acknowledged_is_kept_without_its_digests(ws):
    """One content under many names, all of it there already; a receiver that grants all credit and acknowledges nothing."""
    if lib.SMALL:
        raise Skipped("a sanitizer keeps what is freed")
    files, blocks = 512, 2048
    source, address = ws.dir("source"), ws.unix()
    put(source / "0", bytes(blocks * BLOCK))
    for i in range(1, files):
        os.link(source / "0", source / str(i))
    with Listener(address) as listener:
        sender = ws.start(HVSEND, "-r", *rig.ONE_TRY, f"{source}/", address)
        one = listener.accept()
    with one:
        one.welcome(RECEIVER, codecs=1, features=FEATURE_DELTA, window=1 << 62)
        one.expect("ENTRIES") if one.expect("START") else None
        one.send("VERDICTS", run(1, 1, MADE))
        digests = [xxh128(bytes(BLOCK))] * blocks
        for i in range(files):
            one.send("BASIS", [u(8, "id", 2 + i)] + basis(2, blocks * BLOCK, BLOCK, 0, digests)[1:])
            while one.recv().kind != "FILE_END":
                pass
            if i == 64:
                before = resident(sender)
        grown = resident(sender) - before
        check(grown < 4, f"{grown} MiB more")
    check(sender.wait().code in (10, 12), "it ends")


def is_busy(process):
    """It used a processor a moment ago."""
    def used():
        return sum(map(int, Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]))
    then = used()
    time.sleep(0.05)
    return used() > then


def ids_of(one, count):
    """Takes START and all ENTRIES; grants just what they cost."""
    one.expect("START")
    credit = 2 * (256 + 262144) + 2 * KIB64
    found = 0
    while found < count:
        message = one.expect("ENTRIES")
        at, credit = 0, credit + 256 + len(message.body)
        while at < len(message.body):
            found, at = found + 1, at + 48 + sum_of_names(message.body, at)
        one.send("ACK", ack(message.order, credit, 0))
    return range(2, count + 1)


def sum_of_names(body, at):
    tags = int.from_bytes(body[at + 36 : at + 40], "little")
    end = at + 48
    for _ in range(body[at + 10]):
        end += 1 + body[end]
    return end - at - 48 + tags


@case
def a_receiver_that_wants_all_at_once_and_goes_is_forgotten(ws):
    """Each file twice, each time with a SYNC behind it, while there is no credit for any."""
    count = 16000
    source, address = ws.dir("source"), ws.unix()
    for i in range(count - 1):
        (source / str(i)).write_bytes(b"some bytes" * 10)
    listener = ws.listen(address, HVSEND, "-r", "--chunk-size", "64K", "--timeout", "10", "--listen", address, f"{source}/")
    window = 2 * (256 + 262144) + 2 * KIB64
    with greeted(address, RECEIVER, features=FEATURE_DELTA | 2, chunk_size=KIB64, window=window) as one:
        one.send("REQUEST", start(1))
        ids = ids_of(one, count)
        one.send("VERDICTS", run(1, 1, MADE))
        for i in ids:
            one.send("BASIS", [u(8, "id", i)] + basis(2, 1000, 4096, 0, [bytes(16)])[1:])
        for i in ids:
            one.send("VERDICTS", run(i, 1, WANT))
        one.stream.shutdown(1)
        one.drain()
    ends_when_told(listener)


if __name__ == "__main__":
    lib.main()
