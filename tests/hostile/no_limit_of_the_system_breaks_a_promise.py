#!/usr/bin/env python3
"""Too few descriptors, too little memory, a small or full destination: each end says so, leaves whole files or none, and a
listener goes on."""

import os
import resource
import signal
import struct

import peer  # first: it finds the others
import lib
from golden_build import Entries, file_begin, hello, joined, preamble, start
from lib import HVRECV, HVSEND, KIB, MIB, SMALL, case, check, check_equal, each, failed, no_temporary_names, noise, put
from peer import DIR, FILE, WANT
from rig import Fence, ends_when_told, greeted, is_served, listed, sessions_of, wait_until

NEW, JOIN = 1, 2
STREAMS, DELTA = 1 << 0, 1 << 3
ENOUGH = 64  # descriptors, for one session of either end


def limited(what, n):
    return {"preexec_fn": lambda: resource.setrlimit(what, (n, n))}


def make_source(ws):
    source = ws.dir("source")
    put(source / "large", noise(300 * KIB))
    for i in range(30):
        (source / f"d{i % 5}").mkdir(exist_ok=True)
        put(source / f"d{i % 5}" / f"small{i}", noise(i * 100, i))
    return source


def only_whole_files(source, dest):
    no_temporary_names(dest)
    for path in dest.rglob("*"):
        if path.is_file():
            check_equal(path.read_bytes(), (source / path.relative_to(dest)).read_bytes(), f"{path}")


@each(["sender", "receiver"])
def any_number_of_descriptors(ws, end):
    """From the fewest with which a program starts at all. Between few and enough, the scheduler decides how many are open at once."""
    source = make_source(ws)
    failures = 0
    for n in [*range(4, 40, 3 if SMALL else 1), ENOUGH]:
        dest, address = ws.dir(f"dest{n}"), ws.unix()
        few = limited(resource.RLIMIT_NOFILE, n)
        receiver = ws.start(HVRECV, "--once", "--listen", address, *peer_options, dest, **(few if end == "receiver" else {}))
        wait_until(lambda: receiver.ended() or lib.is_listening(address), "it listens")
        if not receiver.ended():
            sender = ws.run(HVSEND, "-r", *peer_options, f"{source}/", address, **(few if end == "sender" else {}))
            check(sender.code >= 0, f"{n} descriptors: the sender died ({sender})")
            check(sender.code == 0 or sender.err, f"{n} descriptors: it failed and said nothing")
            if not receiver.ended() and sender.code != 0:
                receiver.signal(signal.SIGTERM)
            check(sender.code == 0 or n < ENOUGH, f"{n} descriptors are not enough ({sender})")
            failures += sender.code != 0
        code = receiver.wait()
        check(code.code >= 0, f"{n} descriptors: the receiver died ({code})")
        only_whole_files(source, dest)
        if n == ENOUGH:
            check_equal({p.relative_to(source) for p in source.rglob("*")}, {p.relative_to(dest) for p in dest.rglob("*")}, "names")
    check(failures > 0, "no limit was ever reached")


peer_options = ["--timeout", "10", "--contimeout", "3", "--retry", "0", "--grace", "0"]


@case
def a_listener_without_descriptors_goes_on_when_there_are_some(ws):
    """A crowd takes all of them, and goes."""
    fence, address = Fence(ws), ws.unix()
    listener = ws.receiver(address, fence.dest, "--contimeout", "2", once=False, **limited(resource.RLIMIT_NOFILE, 40))
    held = [peer.Peer.dial(address) for _ in range(60)]
    for one in held:
        one.stream.close()
    source = ws.dir("source")
    put(source / "file", b"data")
    wait_until(lambda: ws.run(HVSEND, "-r", f"{source}/", address).code == 0, "an honest sender is served")
    check_equal((fence.dest / "file").read_bytes(), b"data", "what it sent")
    ends_when_told(listener)


@case
def sessions_that_open_all_they_can_leave_descriptors_for_others(ws):
    """16 streams each, more directories than are kept, an old copy of a file; half of what most processes may open."""
    fence, address = Fence(ws), ws.unix()
    usual = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (512, 4096))}
    options = ["--max-sessions", "16", "--contimeout", "60", *peer_options]
    listener = ws.receiver(address, fence.dest, *options, once=False, **usual)
    entries = Entries()
    for i in range(12):
        (fence.dest / f"d{i}").mkdir()
        put(fence.dest / f"d{i}" / "file", noise(300 * KIB))
        entries.add(DIR, f"d{i}")
    for i in range(12):
        entries.add(FILE, f"d{i}/file", 301 * KIB)
    held = []
    for number in range(15):
        session_id = number.to_bytes(16, "little")
        held.append(join(address, session_id, intent=NEW, streams=16))
        held[-1].send("START", start(0))
        held[-1].send("ENTRIES", entries.parts)
        held[-1].expect("VERDICTS")
        while struct.unpack_from("<Q", held[-1].expect("VERDICTS", "BASIS").body)[0] < 24:
            pass
        held[-1].send("FILE_BEGIN", file_begin(13, 301 * KIB, 0))
        held += [join(address, session_id, intent=JOIN, stream=i, streams=16) for i in range(1, 16)]
    held += [peer.Peer.dial(address) for _ in range(31)]  # that wait to begin
    wait_until(lambda: len(os.listdir(f"/proc/{listener.pid}/fd")) > 512, "more are open than it began with")
    is_served(ws, address, fence.dest)
    for one in held:
        one.stream.close()
    ends_when_told(listener)


def join(address, session_id, intent, **fields):
    one = peer.Peer.dial(address)
    one.write(joined(preamble(1, 1)))
    one.read(peer.PREAMBLE)
    body = joined(hello(role=peer.SENDER, intent=intent, features=STREAMS | DELTA, **fields))
    one.send("HELLO", [(body[:12] + session_id + body[28:], "")])
    one.expect("WELCOME")
    return one


@each([] if SMALL else [("512M", 512), ("256M", 256), ("128M", 128), ("48M", 48), ("16M", 16)])
def any_amount_of_memory(ws, value):
    """An address space of that size, where no sanitizer needs terabytes. The sender may fail, cleanly."""
    source, dest, address = make_source(ws), ws.dir("dest"), ws.unix()
    receiver = ws.start(HVRECV, "--once", "--listen", address, *peer_options, dest, **limited(resource.RLIMIT_AS, value[1] * MIB))
    wait_until(lambda: receiver.ended() or lib.is_listening(address), "it listens")
    if not receiver.ended():
        sender = ws.run(HVSEND, "-r", *peer_options, f"{source}/", address)
        check(sender.code >= 0, f"{sender}")
        if not receiver.ended() and sender.code != 0:
            receiver.signal(signal.SIGTERM)
    result = receiver.wait()
    check(result.code >= 0, f"{result}")
    only_whole_files(source, dest)
    if value[1] >= 512:
        check_equal(result.code, 0, f"with plenty ({result})")


@each(["sender", "receiver"])
def no_signal_can_be_queued(ws, end):
    """By this process, or because others of the same user have queued all that there may be."""
    source, dest, address = make_source(ws), ws.dir("dest"), ws.unix()
    none = limited(resource.RLIMIT_SIGPENDING, 0)
    receiver = ws.receiver(address, dest, **(none if end == "receiver" else {}))
    sender = ws.run(HVSEND, "-r", *peer_options, f"{source}/", address, **(none if end == "sender" else {}))
    check_equal((sender.code, receiver.wait().code), (0, 0), f"codes ({sender})")


@each([] if SMALL else ["sender", "receiver"])
def a_small_stack_is_enough(ws, end):
    """Also for an event with a name that is as long as one may be."""
    source, dest = make_source(ws), ws.dir("dest")
    deep = source / "/".join(["n" * 250] * 15)
    deep.mkdir(parents=True)
    put(deep / "file", b"deep")
    os.symlink("t" * 4000, source / "link")
    small, address = limited(resource.RLIMIT_STACK, 96 * KIB), ws.unix()
    receiver = ws.receiver(address, dest, "--json", **(small if end == "receiver" else {}))
    sender = ws.run(HVSEND, "-r", "--json", f"{source}/", address, **(small if end == "sender" else {}))
    check_equal((sender.code, receiver.wait().code), (0, 0), f"codes ({sender})")


@each([("bytes", "size=1m,nr_inodes=1000"), ("names", "size=64m,nr_inodes=30")])
def a_small_destination(ws, value):
    """Full: 41 at both ends; the old file and what was committed stay, and the service serves what fits."""
    small = ws.tmpfs("small", value[1])
    dest, address = small / "dest", ws.unix()
    dest.mkdir()
    put(dest / "large", b"old")
    source = ws.dir("source")
    put(source / "large", noise(3 * MIB))
    for i in range(60):
        put(source / f"small{i}", noise(100, i))
    receiver = ws.receiver(address, dest, "--grace", "0", once=False)
    sender = ws.run(HVSEND, "-r", *peer_options, f"{source}/", address)
    failed(sender, 41, "ended the session: .*(No space left|needs|destination is full)")
    wait_until(lambda: sessions_of(receiver) == 0, "the session is over")
    check((dest / "large").read_bytes() in (b"old", noise(3 * MIB)), "the old file is damaged")
    only_whole_files(source, dest) if (dest / "large").read_bytes() != b"old" else no_temporary_names(dest)
    for name in os.listdir(dest):
        if name.startswith("small"):
            (dest / name).unlink()
    is_served(ws, address, dest)
    ends_when_told(receiver)


@case
def a_size_that_is_claimed_reserves_nothing(ws):
    """A peer that says 2^63-1 bytes: refused by 41 where it cannot fit, before anything is written."""
    fence, address = Fence(ws), ws.unix()
    listener = ws.receiver(address, fence.dest, "--grace", "0", once=False)
    with greeted(address) as one:
        one.send("START", start(0))
        most = (1 << 63) - 1
        check_equal(listed(one, Entries().add(FILE, "huge", size=most)), {1: WANT}, "answer")
        one.send("FILE_BEGIN", file_begin(file_id=1, size=most, data_size=most))
        code, text = one.ended_with()
        check_equal(code, 41, text)
    no_temporary_names(fence.dest)
    is_served(ws, address, fence.dest)
    ends_when_told(listener)


lib.main()
