#!/usr/bin/env python3
"""Peers that drip, or are alive and do not go on: they are shown out, however much they say to be alive."""

import errno
import os
import re
import socket
import threading
import time

import peer  # first: it finds the others
import lib
import rig
from golden_build import Entries, ack, frame, hello, joined, preamble, run, start, totals
from lib import HVSEND, MIB, case, check, check_equal, each, failed, noise, put, wait_until
from peer import FILE, MADE, WANT, Listener, Peer
from rig import Fence, ends_when_told, greeted, is_served

FEATURE_RESUME = 2


def drip(one, data, step, patience):
    """So many bytes every tenth of a second, until the other end takes no more."""
    began = time.monotonic()
    for at in range(0, len(data), step):
        if not one.write(data[at : at + step]):
            break
        time.sleep(0.1)
        check(time.monotonic() - began < patience, "it is still served")


@each([("the preamble", joined(preamble(1, 1))),
       ("HELLO", joined(preamble(1, 1)) + joined(frame("HELLO", hello(tags=[(0x0101, b"a" * 255)]))))])  # fmt: skip
def no_drip_extends_the_handshake(ws, value):
    """A byte every tenth of a second, for ever: the deadline is absolute."""
    fence, address = Fence(ws), ws.unix()
    listener = ws.receiver(address, fence.dest, "--contimeout", "3", once=False)
    data = value[1] + bytes(100000)
    with Peer.dial(address) as one:
        drip(one, data, 1, 30)
    wait_until(lambda: "said nothing" in listener.err() or "silent" in listener.err(), "the listener says why")
    is_served(ws, address, fence.dest)
    ends_when_told(listener)


@case
def a_frame_that_drips_ends_the_session(ws):
    """After the handshake: each byte comes well before --timeout, and the frame would take an hour."""
    fence, address = Fence(ws), ws.unix()
    listener = ws.receiver(address, fence.dest, "--timeout", "4", "--grace", "0", once=False)
    with greeted(address) as one:
        one.send("START", start(0))
        data = one.bytes_of("ENTRIES", Entries().add(FILE, "file", size=1, tags=[(5, b"u" * 60000)]).parts)
        drip(one, data, 1, 60)
    wait_until(lambda: "fewer than 100 bytes a second" in listener.err(), "the listener says why")
    ends_when_told(listener)


@case
def a_frame_that_drips_after_a_violation_keeps_no_session(ws):
    """It is above the least rate, and would take half an hour; ABORT is looked for in it for a second."""
    fence, address = Fence(ws), ws.unix()
    listener = ws.receiver(address, fence.dest, "--timeout", "60", "--grace", "0", once=False)
    with greeted(address) as one:
        one.send("START", start(0))
        one.send("START", start(0))
        data = one.bytes_of(200, [(bytes(262144), "body")], flags=2)
        drip(one, data, 30, 20)
    ends_when_told(listener)


@case
def a_slow_frame_above_the_least_rate_is_taken(ws):
    fence, address = Fence(ws), ws.unix()
    listener = ws.receiver(address, fence.dest, "--timeout", "4", "--grace", "0", once=False)
    with greeted(address) as one:
        one.send("START", start(0))
        data = one.bytes_of("ENTRIES", Entries().add(FILE, "file", size=1, tags=[(5, b"u" * 60000)]).parts)
        for at in range(0, len(data), 1000):
            check(one.write(data[at : at + 1000]), "it is served")
            time.sleep(0.1)
        check_equal(one.verdicts(1), {1: peer.WANT}, "the answer")
    ends_when_told(listener)


def heartbeats(one, what):
    """Sends them until the other end ends the session, which it must; the code and text of that."""
    def keep_beating():
        while one.send("HEARTBEAT"):
            time.sleep(0.2)

    beating = threading.Thread(target=keep_beating)
    beating.start()
    try:
        return one.ended_with()
    finally:
        one.stream.shutdown(socket.SHUT_RDWR)
        beating.join()


HOW = [("pipeline", []), ("serial", ["--serial"])]


@each(HOW)
def a_message_that_drips_does_not_put_off_the_start(ws, how):
    fence, address = Fence(ws), ws.unix()
    listener = ws.receiver(address, fence.dest, "--timeout", "3", "--grace", "0", *how[1], once=False)
    with greeted(address) as one:
        data = one.bytes_of("START", [(bytes(262144), "body")])
        drip(one, data, 30, 20)
    wait_until(lambda: "did not begin" in listener.err(), "the listener says why")
    ends_when_told(listener)


@each(HOW)
def a_sender_that_never_starts_is_shown_out(ws, how):
    fence, address = Fence(ws), ws.unix()
    listener = ws.receiver(address, fence.dest, "--timeout", "3", "--grace", "0", *how[1], once=False)
    with greeted(address) as one:
        code, text = heartbeats(one, "START")
        check_equal(code, 30, "code")
        check("did not begin" in text, text)
    ends_when_told(listener)


@each(HOW)
def a_sender_that_never_says_bye_is_shown_out(ws, how):
    fence, address = Fence(ws), ws.unix()
    listener = ws.receiver(address, fence.dest, "--timeout", "3", "--grace", "0", *how[1], once=False)
    with greeted(address) as one:
        one.send("START", start(0))
        one.send("LIST_END")
        one.send("FINISH", totals(0, 0, 0, 0, 0, 0))
        one.expect("FINISH_ACK")
        code, text = heartbeats(one, "BYE")
        check_equal(code, 30, "code")
        check("did not say BYE" in text, text)
    ends_when_told(listener)


@case
def a_receiver_that_never_asks_is_shown_out(ws):
    source, address = ws.dir("source"), ws.unix()
    listener = ws.listen(address, HVSEND, "--contimeout", "3", "--listen", address, f"{source}/")
    with greeted(address, peer.RECEIVER) as one:
        code, text = heartbeats(one, "REQUEST")
        check_equal(code, 30, "code")
        check("asks for" in text, text)
    ends_when_told(listener)


@each(HOW)
def a_request_that_drips_does_not_put_off_the_end(ws, how):
    """Nor on a second stream."""
    source, address = ws.dir("source"), ws.unix()
    words = ["--contimeout", "2", "--timeout", "60", "--grace", "60", *how[1]]
    listener = ws.listen(address, HVSEND, *words, "--listen", address, f"{source}/")
    with Peer.dial(address) as one:
        session = one.greet(peer.RECEIVER, features=FEATURE_RESUME, codecs=1).body[12:28]
        drip(one, one.bytes_of("REQUEST", [(bytes(262144), "body")]), 30, 20)
    if how[0] == "pipeline":  # the other has one stream only
        with Peer.dial(address) as another:
            back = joined(hello(role=peer.RECEIVER, intent=3, features=FEATURE_RESUME, codecs=1, processed=0))
            another.write(joined(preamble(1, 1)))
            another.read(peer.PREAMBLE)
            another.send("HELLO", [(back[:12] + session + back[28:], "")])
            another.expect("WELCOME")
            drip(another, another.bytes_of("REQUEST", [(bytes(262144), "body")]), 30, 20)
    wait_until(lambda: "asks for" in listener.err(), "the listener says why")
    ends_when_told(listener)


@case
def a_sender_that_says_bye_without_taking_the_answers_is_shown_out(ws):
    """They have used up its credit, so that FINISH_ACK has not left. It goes on reading."""
    fence, address, count = Fence(ws), ws.unix(), 3000
    listener = ws.receiver(address, fence.dest, "-q", "--timeout", "600", "--grace", "0", once=False)
    with greeted(address, chunk_size=65536, window=2 * (256 + 262144)) as one:
        one.send("START", start(0))
        entries = Entries()
        for _ in range(count):
            entries.add(FILE, "bad", names=[b"."])
        one.send("ENTRIES", entries.parts)
        one.send("LIST_END")
        one.send("FINISH", totals(count, 0, 0, 0, count, 0))
        wait_until(lambda: listener.err().count("\n") >= 1000, "all are refused of which it tells")
        time.sleep(0.5)  # the others were, and FINISH was looked at by then; if not, that is the reason, and this proves less
        one.send("BYE")
        code, text = one.ended_with()
        check_equal((code, "BYE: it came before" in text), (12, True), f"what ABORT says ({text})")
    ends_when_told(listener)


@each(["BYE", "FINISH"])
def a_receiver_that_leaves_no_credit_for_the_goodbye_is_left(ws, last):
    """It answers everything, and grants what takes the sender up to FINISH, but not to BYE; or nearly up to FINISH."""
    source, address = ws.dir("source"), ws.unix()
    put(source / "file", noise(MIB))
    chunk, chunks, window = 65536, 16, 2 * (256 + 262144) + 2 * 65536
    after = (256 + 40) + 256 + 2 * (256 + 48)  # FILE_END, SYNC, the end of the directory, FINISH
    finish = [(joined(totals(3, 1, 0, 2, 0, MIB)), "")]
    with Listener(address) as listener:
        sender = ws.start(HVSEND, "-r", "--chunk-size", "64K", "--timeout", "600", *rig.ONE_TRY, f"{source}/", address)
        with listener.accept() as one:
            one.welcome(peer.RECEIVER, window=window, codecs=1)
            used, entries, message = 0, 0, None
            while message is None or message.kind != "FINISH" and entries < 2 + (last == "BYE"):
                message = one.recv()
                if not message.order:
                    continue
                used += 256 + len(message.body)
                if message.kind == "ENTRIES":
                    entries += 1
                    one.send("VERDICTS", run(1, 1, MADE) + run(2, 1, WANT) if entries == 1 else run(3, 1, MADE))
                if message.kind == "CHUNK":
                    used, chunks = used + chunk, chunks - 1
                    if used + 256 + 40 + chunk > window:
                        rest = after - (48 if last == "FINISH" else 0)
                        one.send("ACK", ack(0, used + chunks * (256 + 40 + chunk) + rest, 0))
                if message.kind == "SYNC":
                    one.send("DURABLE", run(2, 1, 0))
            one.send("FINISH_ACK", finish)
            beating = threading.Thread(target=heartbeats, args=(one, "BYE"))
            beating.start()
            failed(sender.wait(), 12, "leaves no credit for BYE" if last == "BYE" else "nothing was finished yet")
            beating.join()


def take_back(one):
    """WELCOME for who resumes, of whom nothing was processed."""
    one.write(joined(preamble(1, 1)))
    one.read(peer.PREAMBLE)
    asks = one.expect("HELLO").body
    ours = joined(hello(role=peer.RECEIVER, intent=3, chunk_size=MIB, codecs=1, features=FEATURE_RESUME))
    one.send("WELCOME", [(ours[:12] + asks[12:28] + ours[28:], "")])


@case
def a_receiver_that_takes_the_session_back_and_hangs_up_is_not_dialled_without_a_pause(ws):
    """For ever, as it was told; but not thousands of times a second."""
    source, address, delay, at_once, times = ws.dir("source"), ws.unix(), 0.4, 16, 22
    put(source / "file", noise(MIB))
    with Listener(address) as listener:
        words = ["-r", "--chunk-size", "1M", "--retry", "forever", "--retry-delay", str(delay)]
        sender = ws.start(HVSEND, *words, f"{source}/", address)
        with listener.accept() as one:
            one.welcome(peer.RECEIVER, codecs=1, features=FEATURE_RESUME)
            one.expect("START")
        began = time.monotonic()
        for _ in range(times):
            with listener.accept() as one:
                take_back(one)
        took = time.monotonic() - began
        check(took > delay * (times - at_once - 3) * 3 / 4, f"it came back {times} times in {took} s")
        sender.signal(15)
        failed(sender.wait(), 20, "interrupted")


class Urged:
    """While it lasts, `one` sends an urgent byte now and then: that wakes who reads, who finds nothing to read."""

    def __init__(self, one):
        self.stream, self.over = one.stream, threading.Event()
        self.thread = threading.Thread(target=self.urge)

    def urge(self):
        try:
            while not self.over.wait(0.2):
                self.stream.send(b"!", socket.MSG_OOB)
        except (BrokenPipeError, ConnectionResetError):  # shown out
            pass

    def __enter__(self):
        try:
            self.stream.send(b"!", socket.MSG_OOB)
        except OSError as why:
            if why.errno != errno.EOPNOTSUPP:
                raise
            raise lib.Skipped("this kernel's Unix sockets have no urgent bytes") from None
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def half_a_hello(one):
    one.write(joined(preamble(1, 1)) + one.bytes_of("HELLO", hello(role=peer.SENDER))[:50])


def welcomed(one):
    one.greet(peer.SENDER)


def started(one):
    welcomed(one)
    one.send("START", start(0))


def violated(one):
    started(one)
    one.send("START", start(0))


@each([("nothing", lambda one: None, "introduced itself|sent nothing|said nothing"),
       ("half a HELLO", half_a_hello, "sent nothing|said nothing|silent"),
       ("up to WELCOME", welcomed, "nothing was heard"), ("START", started, "nothing was heard"),
       ("a violation", violated, "START")])  # fmt: skip
def urgent_bytes_keep_no_listener_waiting(ws, value):
    """They are no word from the peer: silence is measured as if they had not come."""
    _, say, why = value
    fence, address = Fence(ws), ws.unix()
    words = ["-v", "--timeout", "2", "--contimeout", "2", "--grace", "0"]
    listener = ws.receiver(address, fence.dest, *words, once=False)
    with Peer.dial(address) as one:
        say(one)
        with Urged(one):
            one.drain()
    wait_until(lambda: re.search(why, listener.err()), "the listener says why")
    ends_when_told(listener)


def preambled(one):
    one.write(joined(preamble(1, 1)))


def violated_in_answer(one):
    one.welcome(peer.RECEIVER)
    one.send("FINISH_ACK", ack(0, 0, 0))


@each([("nothing", lambda one: None, 30), ("the preamble", preambled, 30),
       ("up to WELCOME", lambda one: one.welcome(peer.RECEIVER), 30), ("a violation", violated_in_answer, 12)])  # fmt: skip
def urgent_bytes_keep_no_dialler_waiting(ws, value):
    _, say, code = value
    source, address = ws.dir("source"), ws.unix()
    put(source / "file", noise(MIB))
    with Listener(address) as listener:
        words = ["-r", "--timeout", "2", "--contimeout", "2", *rig.ONE_TRY]
        sender = ws.start(HVSEND, *words, f"{source}/", address)
        with listener.accept() as one:
            say(one)
            with Urged(one):
                check_equal(sender.wait().code, code, "exit code")


@case
def a_signal_while_connecting_says_so(ws):
    """Nobody accepts: the other end is there, and its backlog full."""
    address = ws.unix()
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(address.removeprefix("unix:"))
        busy.listen(0)
        with socket.socket(socket.AF_UNIX) as first:
            first.connect(address.removeprefix("unix:"))
            sender = ws.start(HVSEND, "-v", ws.path, address)
            wait_until(lambda: "try 1" in sender.err() or sender.ended() or in_connect(sender), "it waits")
            sender.signal(15)
            failed(sender.wait(), 20, "interrupted")


def in_connect(process):
    """It has a socket, and all its threads wait."""
    links = [os.readlink(f"/proc/{process.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{process.pid}/fd")]
    return any(link.startswith("socket:") for link in links)


lib.main(parallel=8)
