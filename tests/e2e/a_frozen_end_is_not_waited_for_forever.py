#!/usr/bin/env python3
"""An end that is stopped (SIGSTOP, a paused VM) for longer than the other one's deadline: that one ends with 30, and a
later run completes the tree."""

import signal

import lib
from lib import MIB, case, check, check_equal, each, failed, good, noise, put, same_tree
from meddler import FOREVER, Fault, Meddler
from proxy import ONE_STREAM, TO_DIALLER, TO_LISTENER, Before, session

CHUNK = 20
COME_BACK = ["--retry", "3", "--retry-delay", "0.01"]
SHORT, LONG = ["--timeout", "1", "--contimeout", "1"], ["--timeout", "100", "--contimeout", "100"]
FROZEN = ["--timeout", "5", "--contimeout", "5"]  # how long it looks for the other end afterwards


def make_trees(ws):
    source, dest = ws.dir("source"), ws.dir("dest")
    for i in range(4):
        put(source / f"large{i}", noise(3 * MIB, i))
        put(dest / f"large{i}", b"old")
    return source, dest


@each([(f"{end}, {role}, {how}", end, role, how) for end in ("sender", "receiver") for role in ("push", "pull")
       for how in ("one stream", "comes back")])  # fmt: skip
def the_other_end_says_so_and_a_later_run_completes(ws, value):
    """The frozen one does nothing until the other has ended; then it goes on, and finds nobody."""
    _, end, role, how = value
    source, dest = make_trees(ws)
    pull = role == "pull"
    rule = Before(TO_DIALLER if pull else TO_LISTENER, CHUNK, inside=True)
    send, receive = ["-a", "--zc", "none"], []
    (receive if end == "sender" else send).extend(SHORT)
    (send if end == "sender" else receive).extend(FROZEN)
    again = [] if how == "one stream" else COME_BACK + ["--grace", "1"]
    with session(ws, rule, [*send, f"{source}/"], dest, receive, pull, ends=again or ONE_STREAM) as s:
        check(s.stands(), "the session came to the data")
        frozen, other = (s.sender, s.receiver) if end == "sender" else (s.receiver, s.sender)
        frozen.signal(signal.SIGSTOP)
        s.proxy.go_on()
        failed(other.wait(), 30, "nothing was heard from|(took|sent) nothing for")
        s.proxy.cut()
        frozen.signal(signal.SIGCONT)
        result = frozen.wait()
        check(result.code in (10, 12, 30), f"the frozen end does not say that the stream is gone: {result}")
        check(result.err.strip(), f"the frozen end ended without a word: {result}")
    lib.no_temporary_names(dest)
    for file in source.iterdir():
        check((dest / file.name).read_bytes() in (b"old", file.read_bytes()), f"{file.name} is neither old nor new")
    good(ws.push(["-a", f"{source}/"], dest))
    same_tree(source, dest)


@case
def a_stream_that_takes_nothing_is_a_broken_one(ws):
    """One direction is stuck while the other one is alive: the sender, who hears heartbeats, cannot send. It comes back,
    and both succeed."""
    source, dest = make_trees(ws)
    address, middle = ws.unix(), ws.unix()
    receiver = ws.receiver(address, dest, *LONG, "--grace", "100")
    stuck = [Fault("stall", TO_LISTENER, 2 * MIB, FOREVER)]
    with Meddler(middle.removeprefix("unix:"), address.removeprefix("unix:"), stuck) as meddler:
        sender = ws.run(lib.HVSEND, "-a", "--zc", "none", "--timeout", "1", *COME_BACK, f"{source}/", middle)
        check_equal((sender.code, receiver.wait().code), (0, 0), f"the exit codes; {sender}")
        check_equal(meddler.streams, 2, "the streams")
    same_tree(source, dest)


lib.main(parallel=4)
