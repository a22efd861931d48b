#!/usr/bin/env python3
"""One bit of what passes is turned: data is sent again over the same stream; a frame that cannot be believed costs the
stream, and the session goes on over another, or ends with 12 where nobody may come back."""

import json

import lib
from lib import HVRECV, HVSEND, KIB, Pair, check, check_equal, each, failed, noise, prose, put, same_tree
from meddler import Fault, Meddler
from proxy import HEADER_SIZE, TO_DIALLER, TO_LISTENER

PATIENT = ["--timeout", "100", "--contimeout", "100", "--grace", "100"]
COME_BACK, NOBODY = ["--retry", "5", "--retry-delay", "0.01"], ["--retry", "0"]
HELLO, ENTRIES, CHUNK, BUNDLE, VERDICTS, DURABLE = 1, 17, 20, 22, 33, 34


def make_trees(ws):
    source, dest = ws.dir("source"), ws.dir("dest")
    for i in range(20):
        put(source / f"{i}", prose(i * 300, i))
        put(dest / f"{i}", b"old")
    put(source / "large", noise(300 * KIB))
    return source, dest


def run(ws, source, dest, pull, come_back, faults):
    address, middle = ws.unix(), ws.unix()
    send = [HVSEND, "-a", "--json", "--zc", "none", "--chunk-size", "64K", *PATIENT]
    receive = [HVRECV, "--json", *PATIENT]
    if pull:
        listener = ws.listen(address, *send, "--once", "--listen", address, f"{source}/")
        dial = [*receive, *come_back, "--connect", middle, dest]
    else:
        listener = ws.listen(address, *receive, "--once", "--listen", address, dest)
        dial = [*send, *come_back, f"{source}/", middle]
    with Meddler(middle.removeprefix("unix:"), address.removeprefix("unix:"), faults) as meddler:
        dialler = ws.run(*dial)
        listened = listener.wait()
    return (Pair(listened, dialler) if pull else Pair(dialler, listened)), meddler


def turned(bit, message, part, pull):
    """The Fault that turns this bit in a part of the first message of that type."""
    from_sender = message not in (VERDICTS, DURABLE)
    way = TO_LISTENER if message == HELLO or from_sender != pull else TO_DIALLER
    return Fault("flip", way, {"header": 20, "body": HEADER_SIZE, "data": -3}[part], bit, message)


def summary_of(result):
    return [e for e in map(json.loads, result.out.splitlines()) if e["type"] == "summary"][-1]


@each([(f"{name}, {role}", message, role) for name, message in (("chunk", CHUNK), ("bundle", BUNDLE))
       for role in ("push", "pull")])  # fmt: skip
def data_is_sent_again_over_the_same_stream(ws, value):
    _, message, role = value
    source, dest = make_trees(ws)
    fault = turned(3, message, "data", role == "pull")
    pair, meddler = run(ws, source, dest, role == "pull", NOBODY, [fault])
    check_equal((pair.sender.code, pair.receiver.code), (0, 0), f"the exit codes\n{pair}")
    check_equal(len(meddler.ways[fault.way].hits), 1, "the bits that were turned")
    check_equal(meddler.streams, 1, "the streams")
    check_equal(summary_of(pair.sender)["chunks_resent"], 1, "the chunks that were sent again")
    same_tree(source, dest)


MESSAGES = [("entries", ENTRIES), ("chunk", CHUNK), ("bundle", BUNDLE), ("verdicts", VERDICTS), ("durable", DURABLE)]


@each([(f"{part} of {name}, {role}", part, message, role) for part in ("header", "body")
       for name, message in MESSAGES for role in ("push", "pull")])  # fmt: skip
def control_costs_the_stream(ws, value):
    _, part, message, role = value
    source, dest = make_trees(ws)
    pull = role == "pull"
    for bit, come_back in ((0, COME_BACK), (7, NOBODY)):
        fault = turned(bit, message, part, pull)
        pair, meddler = run(ws, source, dest, pull, come_back, [fault])
        check_equal(len(meddler.ways[fault.way].hits), 1, "the bits that were turned")
        if come_back == COME_BACK:
            check_equal((pair.sender.code, pair.receiver.code), (0, 0), f"the exit codes\n{pair}")
            check_equal(meddler.streams, 2, "the streams")
            same_tree(source, dest)
            lib.remove_tree(dest)
            dest.mkdir()
        else:
            for result in pair:
                failed(result, 12, "check is wrong|closed the stream|seq is")
            for path in dest.iterdir():
                check_equal(path.read_bytes(), (source / path.name).read_bytes(), f"contents of {path.name}")


@each(["push", "pull"])
def a_greeting_is_refused(ws, role):
    source, dest = make_trees(ws)
    pull = role == "pull"
    address, middle = ws.unix(), ws.unix()
    if pull:
        listener = ws.listen(address, HVSEND, "--listen", address, "-a", *PATIENT, f"{source}/")
        words = [HVRECV, *PATIENT, *NOBODY, "--connect", middle, dest]
    else:
        listener = ws.listen(address, HVRECV, "--listen", address, *PATIENT, dest)
        words = [HVSEND, "-a", *PATIENT, *NOBODY, f"{source}/", middle]
    with Meddler(middle.removeprefix("unix:"), address.removeprefix("unix:"), [turned(1, HELLO, "body", pull)]):
        failed(ws.run(*words), 12, "HELLO: body_check is wrong")
    check_equal((dest / "1").read_bytes(), b"old", "the old file")
    listener.signal(lib.signal.SIGTERM)
    listener.wait()


lib.main(parallel=4)
