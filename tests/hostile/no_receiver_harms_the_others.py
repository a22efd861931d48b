#!/usr/bin/env python3
"""hvsend --to: one of the receivers is hostile. The others get all of it, the sender says of which it failed, and ends."""

import contextlib
import json
import socket
import threading

import peer  # first: it finds the others
import lib
import rig
from golden_build import KIB64, INT64_MAX, ack, basis, coded_text, run, totals, u
from lib import HVSEND, MIB, case, check, check_equal, each, noise, prose, put, same_tree, wait_until
from peer import CHECK, MADE, RECEIVER, WANT, Closed, Listener

FEATURE_DELTA = 8
HUGE = 1 << 62
LARGE, SMALL = 24 * MIB, 200
FILES = SMALL + 2


def make_source(ws):
    source = ws.dir("source")
    put(source / "noise", noise(LARGE))
    put(source / "prose", prose(2 * MIB))
    for number in range(SMALL):
        put(source / f"small{number}", prose(number * 20, number))
    return source


# ---- hostile receivers: each gets a stream, and does what it likes until the sender ends it -----------------------------


def listed(one, **fields):
    """Greets, and takes the list: the ids of files, and of the large one."""
    one.welcome(RECEIVER, **{"codecs": 3, "window": HUGE, **fields})
    one.expect("START")
    files, large = [], None
    while len(files) < FILES:
        body, at = one.expect("ENTRIES").body, 0
        while at < len(body):
            file_id, kind, added = int.from_bytes(body[at : at + 8], "little"), body[at + 8], body[at + 10]
            tags, size = int.from_bytes(body[at + 36 : at + 40], "little"), int.from_bytes(body[at + 40 : at + 48], "little")
            if kind == peer.FILE:
                files.append(file_id)
                large = file_id if size == LARGE else large
            at += 48
            for _ in range(added):
                at += 1 + body[at]
            at += tags
    one.went.set()
    return sorted(files), large


def want_all(one, **fields):
    files, large = listed(one, **fields)
    one.send("VERDICTS", run(1, 1, MADE) + run(files[0], len(files), WANT))
    return files, large


def takes_nothing(one):
    """It wants all, and reads no more."""
    want_all(one)
    one.ended.wait()


def grants_nothing(one):
    """The least window, and no credit beyond it; it reads on."""
    want_all(one, window=2 * (256 + 262144) + 2 * KIB64, chunk_size=KIB64)
    one.drain()


def refuses_all(one):
    """Every chunk and bundle comes again as often as it may."""
    want_all(one)
    while True:
        message = one.recv()
        if message.kind in ("CHUNK", "BUNDLE"):
            one.send("REFUSED", [u(8, "refused_order", message.order)])


def has_all_at_once(one):
    """All is durable before a byte of it was sent, and the totals say so."""
    files, _ = want_all(one)
    one.send("DURABLE", run(files[0], len(files), 0))
    while (message := one.recv()).kind not in ("FINISH", "ABORT"):
        if message.kind == "ENTRIES":
            one.send("VERDICTS", run(files[-1] + 1, 1, MADE))
    one.send("FINISH_ACK", totals(FILES + 2, 0, FILES, 2, 0, 0))
    one.drain()


def asks_for_what_there_is_not(one):
    files, _ = want_all(one)
    one.recv()
    one.send("VERDICTS", run(files[-1] + 1000, 1, WANT))
    one.drain()


def keeps_the_reader_waiting(one):
    """Of a block of the largest file it has said something, and of the next it will: never."""
    files, large = listed(one, features=FEATURE_DELTA)
    one.send("VERDICTS", run(1, 1, MADE) + run(large, 1, CHECK))
    one.send("BASIS", [u(8, "id", large)] + basis(2, LARGE, 4096, 0, [bytes(16)])[1:])
    one.drain()


def takes_what_it_wants_in_small_pieces(one):
    """A chunk for others is sixteen for it, and none of them is like one of theirs."""
    files, _ = want_all(one, chunk_size=KIB64)
    one.send("ACK", ack(0, INT64_MAX, 0))
    while one.recv().kind != "SYNC":
        pass
    one.send("HEARTBEAT", order=7)
    one.drain()


def says_that_it_was_stopped(one):
    """As one that got a signal does; with words that steer a terminal."""
    want_all(one)
    one.recv()
    one.send("ABORT", coded_text(20, "\x1b[2J\x07hvsend: all is well\r\n" + '"}{"type":"summary","code":0}'))
    one.drain()


def is_silent(one):
    one.drain()


def hangs_up_in_mid_frame(one):
    want_all(one)
    one.expect("FILE_BEGIN")
    one.read(1000)


class Hostile:
    """Takes whoever comes, each in a thread of its own."""

    def __init__(self, address, act):
        self.act, self.listener, self.peers = act, Listener(address), []
        self.ended, self.went, self.faults = threading.Event(), threading.Event(), []
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def accept(self):
        while not self.ended.is_set():
            try:
                one = self.listener.accept()
            except OSError:
                return
            one.ended, one.went = self.ended, self.went
            self.peers.append(one)
            threading.Thread(target=self.serve, args=(one,), daemon=True).start()

    def serve(self, one):
        try:
            self.act(one)
        except (Closed, OSError, lib.Failed):
            pass
        except Exception as fault:  # of this test
            self.faults.append(fault)
        one.stream.close()

    def close(self):
        """Nobody is served any more."""
        self.ended.set()
        with contextlib.suppress(OSError):
            self.listener.socket.shutdown(socket.SHUT_RDWR)
        for one in self.peers:
            with contextlib.suppress(OSError):
                one.stream.shutdown(socket.SHUT_RDWR)


BEHAVIOURS = [takes_nothing, grants_nothing, refuses_all, has_all_at_once, asks_for_what_there_is_not,
              keeps_the_reader_waiting, takes_what_it_wants_in_small_pieces, says_that_it_was_stopped, is_silent,
              hangs_up_in_mid_frame]  # fmt: skip
FOR_EVER = ("takes_nothing", "grants_nothing", "keeps_the_reader_waiting")  # as a slow one would: until --timeout, or longer


@each([(act.__name__, act) for act in BEHAVIOURS])
def the_others_get_all(ws, value):
    name, act = value
    source, dests = make_source(ws), [ws.dir(f"dest{number}") for number in range(2)]
    addresses = [ws.unix() for _ in dests]
    receivers = [ws.receiver(address, dest) for address, dest in zip(addresses, dests)]
    bad = ws.unix()
    hostile = Hostile(bad, act)
    words = ["-a", "--json", "--contimeout", "5", "--retry", "2", "--retry-delay", "0.05"]
    all_of_them = [word for address in (addresses[0], bad, addresses[1]) for word in ("--to", address)]
    sender = ws.start(HVSEND, *words, "--zc", "zlib", f"{source}/", *all_of_them)
    for receiver, dest in zip(receivers, dests):
        check_equal(receiver.wait().code, 0, f"exit code of an honest receiver ({sender.err()})")
        same_tree(source, dest)
    if name in FOR_EVER:
        hostile.close()
    result = sender.wait()
    hostile.close()
    check_equal(hostile.faults, [], "faults of the hostile one")
    check(hostile.went.is_set() or act is is_silent, "the hostile one had no session")
    check_equal(result.code, 43, f"exit code ({result})")
    for line in result.err.splitlines():
        check(line.startswith((f"hvsend: {bad}: ", "hvsend: warning: ", "hvsend: 1 of 3 targets failed")), line)
        check(line.isprintable(), f"{line!r} steers a terminal")
    events = [json.loads(line) for line in result.out.splitlines()]
    ends = {event["target"]: event["code"] for event in events if event["type"] == "summary"}
    check_equal([ends[address] for address in addresses], [0, 0], "codes of the honest ones")
    check(ends.get(bad) != 0, f"the hostile one ended well: {ends}")
    wrong = [e for e in events if e["type"] == "error" and e.get("target") not in (bad, None)]
    check_equal(wrong, [], "errors of others")


lib.main(parallel=2)
