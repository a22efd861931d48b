#!/usr/bin/env python3
"""What a peer says is printed: no byte of it is a control character, begins a line, or breaks a JSON event."""

import json

import peer  # first: it finds the others
import lib
import rig
from golden_build import Entries, file_begin, joined, note, preamble, run, start, u
from lib import HVRECV, HVSEND, case, check, check_equal, each, put
from peer import FILE, RECEIVER, WANT, Listener, Peer
from rig import Fence, ends_when_told, greeted, wait_until

C0 = bytes(range(1, 32)) + b"\x7f"
C1 = b"".join(chr(i).encode() for i in range(0x80, 0xA0)) + bytes(range(0x80, 0xA0))
EVIL = b"\x1b]0;title\x07\x1b[2J\r\nhvrecv: all is well\n" + C0 + C1 + b"\xe2\x80\xae\xff\xc0\x80"


def check_printed(err_bytes, out_bytes=b""):
    """One line for each message of ours, and nothing that steers."""
    lines = err_bytes.split(b"\n")
    check_equal(lines.pop(), b"", "what follows the last line")
    check(lines, "something is said")
    for line in lines:
        check(line.startswith((b"hvrecv: ", b"hvsend: ")), f"a line of somebody else's: {line!r}")
        check(b"hvrecv: all is well" not in line[8:10], f"a forged line: {line!r}")
        text = line.decode("utf-8")  # what is no UTF-8 was escaped
        bad = [c for c in text if ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0]
        check(not bad, f"controls {bad} in {line!r}")
    for line in out_bytes.splitlines():
        check(isinstance(json.loads(line), dict), f"no event: {line!r}")
        check(not any(byte < 0x20 or byte == 0x7F for byte in line), f"controls in {line!r}")


def said_by(process):
    process.wait()
    return process.err_path.read_bytes(), process.out_path.read_bytes()


@case
def names_of_entries(ws):
    """As files that fail, files that arrive, and names that are refused; with -v and --json all are printed."""
    fence, address = Fence(ws), ws.unix()
    listener = ws.receiver(address, fence.dest, "-vv", "--json", *rig.ONE_TRY[2:], once=False)
    short = EVIL.replace(b"/", b"")[:200]
    with greeted(address, tags=[(0x0101, EVIL[:250])]) as one:
        one.send("START", start(0))
        entries = Entries().add(FILE, "", names=[short], size=1).add(FILE, "", names=[b"missing" + short, b"x"])
        entries.add(7, "", names=[b"socket" + short]).add(FILE, "", names=[b".hvferry." + short])
        check_equal(rig.listed(one, entries), {1: WANT, 2: WANT, 3: -23, 4: -23}, "answers")
        one.send("FILE_FAIL", [u(8, "file_id", 1)] + bytes_of_text(23, EVIL))
        one.expect("VERDICTS")
        path = b"\x01" + bytes([len(short)]) + short
        one.send("UNLISTED", [note(path, "path")] + bytes_of_text(23, EVIL))
        one.send("FILE_BEGIN", file_begin(file_id=2, size=1, data_size=1))
        one.expect("FILE_ERROR")
        one.send("ABORT", bytes_of_text(12, EVIL))
    ends_when_told(listener)
    check_printed(*said_by(listener))


def bytes_of_text(code, words):
    return [u(2, "code", code), note(len(words).to_bytes(2, "little"), "length"), note(words, "text")]


@each(["REJECT", "ABORT"])
def texts_of_a_listener(ws, kind):
    address = ws.unix()
    dest = ws.dir("dest")
    for argv in ([HVSEND, ws.path, address], [HVRECV, "--connect", address, dest]):
        with Listener(address) as listener:
            process = ws.start(*argv[:1], "--json", *rig.ONE_TRY, *argv[1:])
            with listener.accept() as one:
                one.write(joined(preamble(1, 1)))
                one.read(peer.PREAMBLE)
                one.expect("HELLO")
                one.send(kind, bytes_of_text(5, EVIL))
                check_printed(*said_by(process))
        (ws.path / address.removeprefix("unix:")).unlink()


@each([("the agent", 0x0101), ("an unknown tag", 0x01F0)])
def tags_of_hello(ws, value):
    fence, address = Fence(ws), ws.unix()
    listener = ws.receiver(address, fence.dest, "-vv", "--json", "--grace", "0", once=False)
    with greeted(address, tags=[(value[1], EVIL[:250])]):
        pass
    ends_when_told(listener)
    check_printed(*said_by(listener))


@each([("terminal", EVIL[:16]), ("nearly the magic", b"\x89HVF\r\n\x1a\r\x1b[2Jabcd"), ("C1", C1[:16])])
def what_comes_in_the_place_of_a_preamble(ws, value):
    fence, address = Fence(ws), ws.unix()
    listener = ws.receiver(address, fence.dest, "--json", "--grace", "0", once=False)
    with Peer.dial(address) as one:
        one.write(value[1])
        one.drain()
    wait_until(lambda: listener.err(), "the listener says so")
    ends_when_told(listener)
    check_printed(*said_by(listener))


def told_of_a_file(ws, code, words):
    """An hvsend to which its receiver says this of a file, and of the session."""
    source, address = ws.dir("source"), ws.unix()
    put(source / "file", b"x")
    with Listener(address) as listener:
        sender = ws.start(HVSEND, "-r", "--json", *rig.ONE_TRY, f"{source}/", address)
        with listener.accept() as one:
            one.welcome(RECEIVER)
            one.expect("START")
            one.expect("ENTRIES")
            one.send("FILE_ERROR", [u(8, "file_id", 2)] + bytes_of_text(code, words))
            one.send("VERDICTS", run(1, 1, 3))
            one.send("ABORT", bytes_of_text(12, words))
            sender.wait()
    return sender


@case
def errors_of_a_receiver(ws):
    """FILE_ERROR with any text: hvsend prints it."""
    check_printed(*said_by(told_of_a_file(ws, 23, EVIL)))


@case
def names_that_a_receiver_asks_for(ws):
    """TAG_SELECT of what is not offered: hvsend says so."""
    source, address = ws.dir("source"), ws.unix()
    put(source / "file", b"x")
    words = EVIL.replace(b"/", b"").replace(b"\0", b"")[:200]
    listener = ws.listen(address, HVSEND, "-r", "--json", "--grace", "0", "--listen", address, f"{source}/")
    with greeted(address, RECEIVER) as one:
        one.send("REQUEST", start(0, tags=[(0x8201, bytes([1, len(words)]) + words)]))
        while one.recv().kind != "LIST_END":
            pass
    wait_until(lambda: "asked for" in listener.err(), "it says so")
    ends_when_told(listener)
    check_printed(*said_by(listener))


@each([1, 20, 43, 139, 255])
def codes_of_a_receiver(ws, code):
    """Scripts get what a receiver says of a file with a code of ours."""
    events = [json.loads(line) for line in told_of_a_file(ws, code, b"x").wait().out.splitlines()]
    check_equal([event["code"] for event in events if event.get("path") == "file"], [12], "the codes of the file")


@case
def a_name_is_escaped_once_on_its_way_through_both_ends(ws):
    """The sender's file cannot be written: its name comes back in the receiver's text, readable."""
    source, dest = ws.dir("source"), ws.dir("dest")
    put(source / "n\u00e4me\nline", b"x")
    (dest / "n\u00e4me\nline").mkdir()
    put(dest / "n\u00e4me\nline" / "in the way", b"")
    pair = ws.push(["-r", f"{source}/"], dest)
    check_equal(pair.sender.code, 23, "exit code")
    check("n\u00e4me\\012line" in pair.sender.err and "\\\\" not in pair.sender.err, pair.sender.err)

lib.main(parallel=4)
