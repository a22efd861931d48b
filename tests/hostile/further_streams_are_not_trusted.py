#!/usr/bin/env python3
"""A further stream is let in only to a session of its own peer that has room for it, and what comes by it is checked
like all else."""

import struct
from typing import NamedTuple

import peer  # first: it finds the others
import lib
from golden_build import Entries, MIB, RESENT, SESSION_ID, chunk, file_begin, hello, joined, preamble, start
from lib import case, check, check_equal, each
from peer import FILE, PREAMBLE, SENDER, Peer
from rig import ONE_TRY, Fence, ends_when_told, greeted, is_served

JOIN, FEATURE_STREAMS = 2, 1
DATA = b"x" * 65536


class Session(NamedTuple):
    """A receiver, its address and fence, and the first stream of a session that may have four."""

    receiver: object
    address: str
    fence: Fence
    one: Peer


def opened(ws, *options):
    fence, address = Fence(ws), ws.unix()
    receiver = ws.listen(address, *(lib.HVRECV, "--listen", address, *ONE_TRY, *options, fence.dest))
    one = Peer.dial(address)
    answer = one.greet(SENDER, features=FEATURE_STREAMS, streams=4)
    features, = struct.unpack_from("<Q", answer.body, 4)
    streams, = struct.unpack_from("<H", answer.body, 46)
    check_equal((features & FEATURE_STREAMS, streams), (FEATURE_STREAMS, 4), "what was granted")
    return Session(receiver, address, fence, one)


def joining(address, **fields):
    """A stream that asks to join, before the answer."""
    further = Peer.dial(address)
    further.write(joined(preamble(1, 1)))
    further.read(PREAMBLE)
    words = {"role": SENDER, "intent": JOIN, "features": FEATURE_STREAMS, "stream": 1, "streams": 4} | fields
    session_id = words.pop("session_id", SESSION_ID)
    body = joined(hello(**words))
    further.send("HELLO", [(body[:12] + session_id + body[28:], "")])
    return further


def in_a_file(one):
    """A file of 1 MiB is begun."""
    entries = Entries().add(FILE, "new", size=MIB)
    one.send("START", start(0))
    one.send("ENTRIES", entries.parts)
    one.verdicts(1)
    one.send("FILE_BEGIN", file_begin(file_id=1, size=MIB, data_size=MIB))


def violated(ws, session, words=""):
    """The receiver ends that session, says so, and serves others; nothing is changed."""
    code, text = session.one.ended_with()
    check_equal(code, 12, f"the code of ABORT ({text})")
    check(words in text, text)
    is_served(ws, session.address, session.fence.dest)
    ends_when_told(session.receiver)
    session.fence.check_nothing_changed()


def part(n):
    return chunk(DATA, file_id=1, offset=n * len(DATA))


STRANGERS = {
    "another session": {"session_id": b"\x55" * 16},
    "the role of the other end": {"role": 2, "window": 64 * MIB},
    "a stream more than were granted": {"stream": 4, "streams": 5},
}


@each(STRANGERS)
def who_does_not_belong_is_told_so(ws, name):
    receiver, address, fence, one = opened(ws)
    further = joining(address, **STRANGERS[name])
    code, text = further.ended_with()
    check_equal(code, 5, f"the code of REJECT ({text})")
    one.stream.close()
    is_served(ws, address, fence.dest)
    ends_when_told(receiver)
    fence.check_nothing_changed()


@case
def a_stream_joins_once(ws):
    receiver, address, fence, one = opened(ws)
    one.recv()  # HEARTBEAT: the session is known
    first = joining(address)
    first.expect("WELCOME")
    code, text = joining(address).ended_with()
    check_equal(code, 5, f"the code of REJECT ({text})")
    one.stream.close()
    ends_when_told(receiver)
    fence.check_nothing_changed()


@case
def a_session_of_one_stream_lets_none_join(ws):
    fence, address = Fence(ws), ws.unix()
    receiver = ws.listen(address, *(lib.HVRECV, "--listen", address, *ONE_TRY, fence.dest))
    alone = greeted(address)
    code, text = joining(address).ended_with()
    check_equal(code, 5, f"the code of REJECT ({text})")
    alone.stream.close()
    ends_when_told(receiver)


@each(["START", "ENTRIES", "FILE_END", "BYE", "ACK", "ABORT", "FINISH", 99])
def nothing_but_data_comes_by_a_further_stream(ws, kind):
    session = opened(ws)
    one, address = session.one, session.address
    in_a_file(one)
    further = joining(address)
    further.expect("WELCOME")
    further.order = one.order
    further.send(kind)
    violated(ws, session)


@case
def an_order_that_comes_twice_ends_the_session(ws):
    """By two streams, while what is before it is missing."""
    session = opened(ws)
    one, address = session.one, session.address
    in_a_file(one)
    further = joining(address)
    further.expect("WELCOME")
    further.send("CHUNK", part(1), DATA, order=one.order + 2)
    one.send("CHUNK", part(1), DATA, order=one.order + 2)
    violated(ws, session)


@each([1 << 20, (1 << 64) - 1])
def an_order_beyond_all_credit_ends_the_session(ws, order):
    session = opened(ws)
    one, address = session.one, session.address
    in_a_file(one)
    further = joining(address)
    further.expect("WELCOME")
    further.send("CHUNK", part(0), DATA, order=order)
    violated(ws, session)


@case
def credit_is_for_all_streams_together(ws):
    """What comes first is missing: nothing is processed, and no more is taken than was granted."""
    session = opened(ws)
    one, address = session.one, session.address
    in_a_file(one)
    streams = [one]
    for i in range(1, 4):
        streams.append(joining(address, stream=i))
        streams[-1].expect("WELCOME")
    order = one.order + 1
    for i in range(64):  # far more than the window has room for
        if not streams[i % 4].send("CHUNK", part(1), DATA, order=order + 1 + i):
            break
    violated(ws, session, "credit")


@case
def a_goodbye_before_all_has_come_is_none(ws):
    session = opened(ws)
    one = session.one
    in_a_file(one)
    one.send("BYE", order=one.order + 2)
    violated(ws, session)


@case
def a_goodbye_is_none_though_another_message_came_twice(ws):
    """Data that is refused may come twice, which must not stand in for what is missing: nobody would wait for that."""
    session = opened(ws)
    one = session.one
    in_a_file(one)
    order = one.order + 2
    damaged = chunk(DATA, file_id=1, offset=len(DATA), digest=bytes(16))
    for _ in range(2):
        one.send("CHUNK", damaged, DATA, order=order)
        one.expect("REFUSED")
    one.send("CHUNK", part(1), DATA, order=order, flags=RESENT)
    one.send("BYE", order=order + 1)
    violated(ws, session)


if __name__ == "__main__":
    lib.main()
