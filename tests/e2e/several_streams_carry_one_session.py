#!/usr/bin/env python3
"""Several streams carry the data of one session, whoever opens them; when one breaks, all of the session goes on; and
where no more can be had, it goes on with those there are."""

import json

import lib
from cutter import WHEN_ALL_STAND, Cutter
from lib import HVRECV, HVSEND, KIB, MIB, SMALL, Pair, case, check, check_equal, each, failed, noise, prose, put, same_tree

SIZE = (24 if SMALL else 64) * MIB
WINDOW = 9 * MIB  # data that a receiver holds at most, and what goes with it
HELD = 5 * MIB + 256 * KIB  # after the first stream has carried 4 MiB, and the message that crosses them, more are opened
SOON = ["--retry-delay", "0.02", "--timeout", "100", "--contimeout", "100", "--grace", "100"]


def make_tree(ws):
    source = ws.dir("source")
    put(source / "image", noise(SIZE, "image"))
    for i in range(200):
        put(source / f"small{i}", prose(i * 61 % 5000, f"{i}"))
    return source


def session(ws, direction, cuts=(), streams=4, granted=None, hold=True, options=()):
    """(pair, cutter) of one session through a Cutter. The first stream waits until the others stand."""
    source, dest = make_tree(ws), ws.dir("dest")
    address, middle = ws.unix(), ws.unix()
    pull = direction == "pull"
    granted = ["--streams", str(granted)] if granted else []
    ours, theirs = [*SOON, "--streams", str(streams), *options], [*SOON, *granted, *options]
    send = ["--json", "-a", "--zc", "none"]
    if pull:
        listener = ws.listen(address, HVSEND, "--once", "--listen", address, *send, *theirs, f"{source}/")
    else:
        listener = ws.listen(address, HVRECV, "--once", "--json", "--listen", address, *theirs, dest)
    others = min(streams, int(granted[1]) if granted else streams) - 1
    cutter = Cutter(middle.removeprefix("unix:"), address.removeprefix("unix:"), cuts, (HELD, others) if hold else None)
    if pull:
        dialler = ws.run(HVRECV, "--json", "--connect", middle, *ours, dest)
    else:
        dialler = ws.run(HVSEND, *send, *ours, f"{source}/", middle)
    pair = Pair(listener.wait(), dialler) if pull else Pair(dialler, listener.wait())
    cutter.close()
    check_equal((pair.sender.code, pair.receiver.code), (0, 0), f"the exit codes\n{pair}")
    same_tree(source, dest)
    return pair, cutter


def summary_of(result):
    return [e for e in map(json.loads, result.out.splitlines()) if e["type"] == "summary"][-1]


@each(["push", "pull"])
def data_goes_by_all_streams(ws, direction):
    pair, cutter = session(ws, direction)
    check_equal(cutter.accepted, 4, "the streams")
    check(all(n > MIB for n in cutter.carried), f"they carried {cutter.carried} bytes")
    check_equal(summary_of(pair.sender)["retries"], 0, "the breaks")
    # Nothing is sent twice.
    check(sum(cutter.carried) < SIZE + 2 * MIB, f"they carried {cutter.carried} bytes")


@each([f"{direction}, stream {n}" for direction in ("push", "pull") for n in range(4)])
def a_stream_of_several_breaks(ws, value):
    """Whichever it is: at most a window is sent again, and there are four streams again."""
    direction, which = value.split(", stream ")
    cuts = [None] * 4
    cuts[int(which)] = WHEN_ALL_STAND if which == "0" else MIB // 4  # in its first chunk, should it get no second one
    pair, cutter = session(ws, direction, cuts)
    summary = summary_of(pair.sender)
    check_equal(summary["retries"], 1, "the breaks")
    check(summary["bytes_resent"] <= WINDOW, f"more than a window was sent again: {summary}")
    check(cutter.accepted > 4, f"{cutter.accepted} streams")


@each(["push", "pull"])
def streams_break_again_and_again(ws, direction):
    cuts = [WHEN_ALL_STAND, None, MIB, None, 3 * MIB, MIB, None, 70000, 5 * MIB, None, 80000, 2 * MIB]
    pair, _ = session(ws, direction, cuts)
    summary = summary_of(pair.sender)
    check(summary["retries"] > 1, f"it was broken {summary['retries']} times only")
    check(summary["bytes_resent"] <= summary["retries"] * WINDOW, f"more than a window for each break: {summary}")


@each(["push", "pull"])
def no_other_stream_can_be_had(ws, direction):
    """Each is cut before it stands, or while it introduces itself: the session goes on with one, and is not broken."""
    pair, cutter = session(ws, direction, [None] + [40] * 100, hold=False)
    check_equal(summary_of(pair.sender)["retries"], 0, "the breaks")
    check_equal(cutter.accepted, 2, "the streams: after one that could not be had no more is tried")


@each(["push", "pull"])
def the_listener_says_how_many_there_may_be(ws, direction):
    _, cutter = session(ws, direction, granted=2)
    check_equal(cutter.accepted, 2, "the streams")


@case
def one_stream_is_enough_unless_more_are_asked_for(ws):
    source, dest = make_tree(ws), ws.dir("dest")
    address, middle = ws.unix(), ws.unix()
    receiver = ws.receiver(address, dest)
    cutter = Cutter(middle.removeprefix("unix:"), address.removeprefix("unix:"), [])
    check_equal(ws.run(HVSEND, "-a", f"{source}/", middle).code, 0, "the exit code")
    check_equal(receiver.wait().code, 0, "the receiver's")
    cutter.close()
    check_equal(cutter.accepted, 1, "the streams")


@case
def a_command_is_one_stream(ws):
    """Another one would be another receiver."""
    source, dest = make_tree(ws), ws.dir("dest")
    command = f"exec:{HVRECV} --stdio {dest}"
    result = ws.run(HVSEND, "-a", "-v", "--streams", "4", f"{source}/", command)
    check_equal(result.code, 0, f"the exit code\n{result}")
    check("stream 2" not in result.err, f"it tried another stream: {result.err}")
    same_tree(source, dest)


@case
def every_stream_has_to_prove_the_key(ws):
    key = ws.path / "key"
    check_equal(ws.run(HVRECV, "--generate-key", key).code, 0, "making a key")
    pair, cutter = session(ws, "push", options=["--key-file", str(key)])
    check_equal(cutter.accepted, 4, "the streams")
    check(all(n > MIB for n in cutter.carried), f"they carried {cutter.carried} bytes")
    check_equal(summary_of(pair.sender)["retries"], 0, "the breaks")


@case
def a_receiver_that_fails_says_why_to_a_sender_of_several_streams(ws):
    """Its last word comes by the first stream, whatever the others show before."""
    source = make_tree(ws)
    address = ws.unix()
    receiver = ws.receiver(address, ws.dir("dest"), "--quota", "20M")
    result = ws.run(HVSEND, "-a", "--zc", "none", "--streams", "4", f"{source}/", address)
    failed(result, 41, "quota")
    check_equal(receiver.wait().code, 41, "the receiver's exit code")


if __name__ == "__main__":
    lib.main()
