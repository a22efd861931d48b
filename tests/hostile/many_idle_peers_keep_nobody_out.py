#!/usr/bin/env python3
"""Peers that are many and say nothing, or have many sessions: they are bounded, and others are served meanwhile."""

import os
import resource
import socket
import threading

import peer  # first: it finds the others
import lib
from golden_build import hello, joined, preamble
from lib import HVSEND, MIB, SMALL, case, check, check_equal, each, failed, noise, put, wait_until
from peer import SENDER, Peer
from rig import Fence, ends_when_told, greeted, is_served, sessions_of

SLOTS = 48  # serve.h: SESSIONS_MAX + GREETINGS_MAX
WAITING_MAX = 16  # serve.h: PEER_WAITING_MAX
FEATURE_STREAMS, FEATURE_RESUME = 1, 2
FDS_MAX = SLOTS * 2 + 32  # descriptors of that many streams, and those of one session


def asking(address, **fields):
    """A stream that has said HELLO; the answer is not awaited."""
    one = Peer.dial(address)
    one.write(joined(preamble(1, 1)))
    one.send("HELLO", hello(**fields))
    return one


def crowd(address, count):
    """So many streams that say nothing."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count + 200:
        if hard < count + 200:
            raise lib.Skipped(f"only {hard} descriptors are allowed here")
        resource.setrlimit(resource.RLIMIT_NOFILE, (count + 200, hard))
    streams = []
    for _ in range(count):
        stream = socket.socket(socket.AF_UNIX)
        stream.connect(address.removeprefix("unix:"))  # waits for room in the backlog, as one with a timeout does not
        stream.settimeout(lib.PATIENCE)
        streams.append(stream)
    return streams


def as_user(user, do):
    os.seteuid(user)
    try:
        return do()
    finally:
        os.seteuid(0)


def descriptors(process):
    return len(os.listdir(f"/proc/{process.pid}/fd"))


def dropped(stream):
    """Waits for the end of the stream; what came before it does not matter."""
    try:
        while stream.recv(4096):
            pass
    except ConnectionResetError:
        pass
    return True


@each([("a thousand", 1000), ("ten thousand", 10000)])
def idle_streams_keep_nobody_out(ws, value):
    """All of them are there before the honest sender comes; none of them is ever told to go."""
    fence, address = Fence(ws), ws.unix()
    listener = ws.receiver(address, fence.dest, "--contimeout", "600", once=False)
    streams = crowd(address, value[1] // (10 if SMALL else 1))
    check(sessions_of(listener) <= SLOTS, f"{sessions_of(listener)} streams are served at once")
    check(descriptors(listener) <= FDS_MAX, f"{descriptors(listener)} descriptors")
    is_served(ws, address, fence.dest)
    gone = streams[: -SLOTS]
    check(all(map(dropped, gone)), "the oldest are dropped")
    for stream in streams:
        stream.close()
    result = ends_when_told(listener)
    check(0 < result.err.count("\n") < 10, f"lines about the crowd ({result})")


@case
def idle_streams_do_not_disturb_a_session_that_runs(ws):
    fence, address = Fence(ws), ws.unix()
    source = ws.dir("source")
    put(source / "large", noise((4 if SMALL else 16) * MIB))
    listener = ws.receiver(address, fence.dest, once=False)
    stop = threading.Event()

    def keep_coming():
        while not stop.is_set():
            for stream in crowd(address, 50):
                stream.close()

    crowds = threading.Thread(target=keep_coming)
    idle = crowd(address, 100 if SMALL else 1000)
    crowds.start()
    try:
        done = ws.run(HVSEND, "-r", "--retry", "100", f"{source}/", address)
    finally:
        stop.set()
        crowds.join()
    check_equal(done.code, 0, f"the session ({done})")
    check_equal((fence.dest / "large").read_bytes(), (source / "large").read_bytes(), "what arrived")
    for stream in idle:
        stream.close()
    ends_when_told(listener)


@case
def a_crowd_of_one_user_drops_none_of_another(ws):
    """One stream of another user stays, whatever the crowd of the first does."""
    _, _, nobody = ws.for_nobody()
    if not nobody:
        raise lib.Skipped("a second user is needed, and only root can be one")
    fence, address = Fence(ws), ws.unix()
    listener = ws.receiver(address, fence.dest, "--contimeout", "600", once=False)
    os.chmod(address.removeprefix("unix:"), 0o777)
    with Peer.dial(address) as early:
        streams = as_user(lib.NOBODY, lambda: crowd(address, 300))
        check(all(map(dropped, streams[:-SLOTS])), "the crowd is thinned")
        early.greet(SENDER)
        for stream in streams:
            stream.close()
    ends_when_told(listener)


@case
def one_peer_has_no_more_sessions_than_it_may(ws):
    fence, address = Fence(ws), ws.unix()
    listener = ws.receiver(address, fence.dest, "--max-sessions", "2", "--contimeout", "3", once=False)
    with greeted(address), greeted(address):
        with Peer.dial(address) as third:
            third.write(joined(preamble(1, 1)))
            third.read(peer.PREAMBLE)
            third.send("HELLO", hello())
            code, text = third.ended_with()
            check_equal(code, 5, "code")
            check("--max-sessions" in text, text)
    is_served(ws, address, fence.dest)
    ends_when_told(listener)


@case
def the_sessions_of_one_user_leave_room_for_others(ws):
    """By default: one user takes all that it may, another is served all the same."""
    hvsend, _, nobody = ws.for_nobody()
    if not nobody:
        raise lib.Skipped("a second user is needed, and only root can be one")
    fence, address = Fence(ws), ws.unix()
    listener = ws.receiver(address, fence.dest, "--contimeout", "3", once=False)
    os.chmod(address.removeprefix("unix:"), 0o777)
    source = ws.dir("of-nobody")
    put(source / "file", b"data")
    held = []
    try:
        for _ in range(12):
            held.append(greeted(address))
        failed(ws.run(HVSEND, "-r", f"{source}/", address), 5, "--max-sessions")
        check_equal(ws.run(hvsend, "-r", f"{source}/", address, **nobody).code, 0, "the other user's sender")
    finally:
        for one in held:
            one.stream.close()
    ends_when_told(listener)


@case
def two_users_that_keep_their_sessions_keep_no_third_out(ws):
    """They have as many as all may that have one: no more for them, a third user is served."""
    if os.geteuid() != 0:
        raise lib.Skipped("two more users are needed, and only root can be them")
    fence, address = Fence(ws), ws.unix()
    listener = ws.receiver(address, fence.dest, "--contimeout", "3", once=False)
    os.chmod(address.removeprefix("unix:"), 0o777)
    held = []
    for user in (lib.NOBODY, lib.NOBODY - 1):
        held += as_user(user, lambda: [greeted(address) for _ in range(6)])
    with as_user(lib.NOBODY, lambda: asking(address)) as one_more:
        one_more.read(peer.PREAMBLE)
        code, text = one_more.ended_with()
        check_equal(code, 5, text)
        check("kept for peers that have none" in text, text)
    is_served(ws, address, fence.dest)
    for one in held:
        one.stream.close()
    ends_when_told(listener)


@case
def who_waits_for_a_session_keeps_nobody_from_one_that_runs(ws):
    """Users take all sessions but one, and as many streams as there may be wait: the one can still be joined."""
    if os.geteuid() != 0:
        raise lib.Skipped("more users are needed, and only root can be them")
    fence, address = Fence(ws), ws.unix()
    listener = ws.receiver(address, fence.dest, "--contimeout", "600", once=False)
    os.chmod(address.removeprefix("unix:"), 0o777)
    held = [greeted(address, features=FEATURE_STREAMS, streams=2)]
    for user, sessions in ((0, 11), (1, 1), (2, 1), (3, 1), (4, 1)):
        held += as_user(lib.NOBODY - user, lambda: [greeted(address) for _ in range(sessions)])
    for user in (0, 1):
        held += as_user(lib.NOBODY - user, lambda: [asking(address) for _ in range(WAITING_MAX)])
    wait_until(lambda: sessions_of(listener) >= SLOTS, "all of them have come")
    with asking(address, intent=2, features=FEATURE_STREAMS, stream=1, streams=2) as further:
        further.read(peer.PREAMBLE)
        further.expect("WELCOME")
    for one in held:
        one.stream.close()
    ends_when_told(listener)


@case
def the_place_of_a_broken_session_is_its_own_users(ws):
    """--once: it waits for its peer, whom another user does not replace. The same user does."""
    if os.geteuid() != 0:
        raise lib.Skipped("a second user is needed, and only root can be one")
    fence, address = Fence(ws), ws.unix()
    listener = ws.receiver(address, fence.dest, "--contimeout", "60", "--grace", "60")
    os.chmod(address.removeprefix("unix:"), 0o777)
    broken = greeted(address, features=FEATURE_RESUME)
    before = descriptors(listener)
    broken.stream.close()
    wait_until(lambda: descriptors(listener) < before, "the stream broke")
    with as_user(lib.NOBODY, lambda: asking(address)) as other:
        other.read(peer.PREAMBLE)
        code, text = other.ended_with()
        check_equal(code, 5, text)
        check("busy with another session" in text, text)
    is_served(ws, address, fence.dest)
    listener.wait()


@case
def who_is_refused_pushes_nobody_out(ws):
    """--allow-peer, and not a slot is free: the streams of the allowed peer, which say nothing yet, all stay."""
    if os.geteuid() != 0:
        raise lib.Skipped("a second user is needed, and only root can be one")
    fence, address = Fence(ws), ws.unix()
    ours = f"uid:{os.getuid()}"
    listener = ws.receiver(address, fence.dest, "--contimeout", "600", "--allow-peer", ours, once=False)
    os.chmod(address.removeprefix("unix:"), 0o777)
    early = crowd(address, SLOTS)
    wait_until(lambda: sessions_of(listener) == SLOTS, "all slots are taken")
    for stream in as_user(lib.NOBODY, lambda: crowd(address, 5)):
        check(dropped(stream), "who is refused is closed")
    check_equal(sessions_of(listener), SLOTS, "streams")
    for stream in early:
        stream.close()
    result = ends_when_told(listener)
    check("are dropped" not in result.err, result.err)


lib.main()
