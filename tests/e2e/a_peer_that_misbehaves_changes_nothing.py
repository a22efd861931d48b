#!/usr/bin/env python3
"""Whatever the other end says, or does not say: this end ends by itself with the right code and a message, and what
was not complete is not at the destination."""

import os
import socket
import threading

import lib
from lib import HVRECV, HVSEND, KIB, SMALL, case, check, check_equal, each, failed, noise, put
from proxy import ONE_STREAM, TO_DIALLER, TO_LISTENER, Before, session

MAGIC = b"\x89HVF\r\n\x1a\n"
# Preambles with other versions. The check is the low half of XXH3-64 of the 12 bytes before it:
#   xxhash.xxh3_64_intdigest(MAGIC + struct.pack("<HH", low, high)) & 0xFFFFFFFF
OURS = MAGIC + bytes.fromhex("0100 0100 f5195acf")
ONLY_2 = MAGIC + bytes.fromhex("0200 0200 c24a2c12")
FROM_0 = MAGIC + bytes.fromhex("0000 0100 6461daac")
UP_TO_7 = MAGIC + bytes.fromhex("0100 0700 321cadb2")
DAMAGED = OURS[:-1] + b"\xce"

HELLO, WELCOME = 1, 2
START, ENTRIES, LIST_END, FILE_BEGIN, CHUNK = 16, 17, 18, 19, 20
BUNDLE, FILE_END, SYNC, FINISH, BYE = 22, 23, 28, 30, 31
REQUEST, VERDICTS, DURABLE, FINISH_ACK = 32, 33, 34, 39

# What a stranger says, whether it then hangs up, and what that is for us: code and message.
STRANGERS = [
    ("an HTTP client", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", False, 2, "HTTP"),
    ("an HTTP server", b"HTTP/1.1 400 Bad Request\r\n\r\n", True, 2, "HTTP"),
    ("an SSH server", b"SSH-2.0-OpenSSH_9.2p1\r\n", False, 2, "SSH"),
    ("random bytes", noise(4096, 5), False, 2, "not hvferry|something else|no hvferry"),
    ("a few bytes", b"hi\n", False, 2, "not hvferry|something else|no hvferry"),
    ("a few bytes and hangs up", b"hi\n", True, 2, "not hvferry|something else|no hvferry"),
    ("nothing and hangs up", b"", True, 12, "closed the stream"),
    ("nothing at all", b"", False, 30, "said nothing|silent"),
    ("the first bytes of a preamble and hangs up", OURS[:5], True, 12, "closed the stream"),
    ("half a preamble", OURS[:9], False, 30, "."),
    ("half a preamble and hangs up", OURS[:9], True, 12, "closed the stream"),
    ("a damaged preamble", DAMAGED, False, 12, "."),
    ("a newer version", ONLY_2, False, 2, "this end is older"),
    ("version 0", FROM_0, False, 2, "."),
    ("a newer version that knows ours, and then nothing", UP_TO_7, False, 30, "silent"),
    ("our version and then nothing", OURS, False, 30, "silent"),
    ("our version and hangs up", OURS, True, 12, "closed the stream"),
    ("our version and then noise", OURS + noise(4096, 6), False, 12, "."),
    ("our version and then zeros", OURS + bytes(4096), False, 12, "."),
]


def talk(stream, words, hangs_up):
    """The stranger. When it does not hang up it stays until the other end closes."""
    try:
        stream.sendall(words)
        if hangs_up:
            stream.shutdown(socket.SHUT_WR)
        while stream.recv(65536):
            pass
    except OSError:
        pass
    stream.close()


def source_and_dest(ws):
    source, dest = ws.dir("source"), ws.dir("dest")
    put(source / "file", b"data")
    return source, dest


def run_against(ws, end, source, dest, words, hangs_up):
    """One of our ends, dialling or listening, and the stranger at the other. Its Result."""
    address = ws.unix()
    path = address.removeprefix("unix:")
    # Long enough not to pass before the stranger has said what it says.
    wait = ["--contimeout", "3" if SMALL else "1", *ONE_STREAM]
    program, what = (HVSEND, ["-a", source]) if "hvsend" in end else (HVRECV, [dest])
    if "listens" in end:
        process = ws.listen(address, program, "--once", *wait, "--listen", address, *what)
        stream = socket.socket(socket.AF_UNIX)
        stream.connect(path)
        talk(stream, words, hangs_up)
        return process.wait()
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(path)
        door.listen()
        to = [*what, address] if program == HVSEND else ["--connect", address, *what]
        process = ws.start(program, *wait, *to)
        stream, _ = door.accept()
        talk(stream, words, hangs_up)
        return process.wait()


ENDS = ("hvsend", "hvrecv", "hvsend listens", "hvrecv listens")


@each([f"{end}: {stranger[0]}" for end in ENDS for stranger in STRANGERS])
def a_stranger_is_told_apart(ws, value):
    end, _, name = value.partition(": ")
    _, words, hangs_up, code, pattern = next(stranger for stranger in STRANGERS if stranger[0] == name)
    source, dest = source_and_dest(ws)
    result = run_against(ws, end, source, dest, words, hangs_up)
    failed(result, code, pattern)
    check_equal(os.listdir(dest), [], "what is at the destination")
    check("\x1b" not in result.err, "the stranger's bytes are on the terminal")


@case
def a_listener_outlives_strangers(ws):
    """All of them at once, and a good session after them."""
    source, dest = source_and_dest(ws)
    address = ws.unix()
    receiver = ws.receiver(address, dest, "--contimeout", "3", once=False)
    threads = []
    for _, words, hangs_up, _, _ in STRANGERS:
        stream = socket.socket(socket.AF_UNIX)
        stream.connect(address.removeprefix("unix:"))
        threads.append(threading.Thread(target=talk, args=(stream, words, hangs_up)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    check_equal(ws.run(HVSEND, "-a", f"{source}/", address).code, 0, "the exit code of a good session after them")
    lib.same_tree(source, dest)
    receiver.signal(lib.signal.SIGTERM)
    check_equal(receiver.wait().code, 0, "the listener's exit code")


# ---- peers that vanish --------------------------------------------------------------------------------------

# Where, which way, which message: for a push, where the sender dials.
PHASES = [
    ("before the sender's preamble", TO_LISTENER, "preamble"),
    ("before the receiver's preamble", TO_DIALLER, "preamble"),
    ("before HELLO", TO_LISTENER, HELLO),
    ("before WELCOME", TO_DIALLER, WELCOME),
    ("before START", TO_LISTENER, START),
    ("before the first entries", TO_LISTENER, ENTRIES),
    ("before the end of the list", TO_LISTENER, LIST_END),
    ("before the first verdicts", TO_DIALLER, VERDICTS),
    ("before FILE_BEGIN", TO_LISTENER, FILE_BEGIN),
    ("before the first chunk", TO_LISTENER, CHUNK),
    ("before the first bundle", TO_LISTENER, BUNDLE),
    ("before FILE_END", TO_LISTENER, FILE_END),
    ("before SYNC", TO_LISTENER, SYNC),
    ("before the first acknowledgement", TO_DIALLER, DURABLE),
    ("before FINISH", TO_LISTENER, FINISH),
    ("before FINISH_ACK", TO_DIALLER, FINISH_ACK),
]
INSIDE = [("inside a chunk", TO_LISTENER, CHUNK), ("inside a bundle", TO_LISTENER, BUNDLE),
          ("inside a header", TO_LISTENER, LIST_END), ("inside an answer", TO_DIALLER, VERDICTS)]  # fmt: skip


def all_phases():
    return [(*phase, False) for phase in PHASES] + [(*phase, True) for phase in INSIDE]


def make_source(ws):
    source = ws.dir("source")
    put(source / "large", noise(600 * KIB))
    for i in range(50):
        put(source / f"small{i}", noise(1000, i))
    return source


def only_complete_files(source, dest):
    for name in os.listdir(dest):
        check_equal((dest / name).read_bytes(), (source / name).read_bytes(), f"contents of {name}")
    lib.no_temporary_names(dest)


@each(all_phases())
def both_ends_report_a_stream_that_ends(ws, value):
    name, way, message, inside = value
    source, dest = make_source(ws), ws.dir("dest")
    with session(ws, Before(way, message, inside), ["-a", "--chunk-size", "64K", f"{source}/"], dest) as s:
        check(s.stands(), f"the session never came to: {name}")
        s.proxy.cut()
        for result in s.wait():
            failed(result, (10, 12), "closed the stream|stream failed|broken|reset")
    only_complete_files(source, dest)


@each([
    ("before REQUEST", TO_LISTENER, REQUEST),
    ("before START", TO_DIALLER, START),
    ("before a chunk", TO_DIALLER, CHUNK),
])  # fmt: skip
def both_ends_of_a_pull_report_a_stream_that_ends(ws, value):
    name, way, message = value
    source, dest = make_source(ws), ws.dir("dest")
    with session(ws, Before(way, message), ["-a", f"{source}/"], dest, pull=True) as s:
        check(s.stands(), f"the session never came to: {name}")
        s.proxy.cut()
        for result in s.wait():
            failed(result, (10, 12), "closed the stream|stream failed|broken|reset")
    only_complete_files(source, dest)


@case
def a_receiver_that_misses_the_last_word_says_so_but_has_all(ws):
    """The sender may know; the receiver cannot know that it does."""
    source, dest = make_source(ws), ws.dir("dest")
    with session(ws, Before(TO_LISTENER, BYE), ["-a", f"{source}/"], dest) as s:
        check(s.stands(), "the session came to BYE")
        s.proxy.cut()
        pair = s.wait()
        check_equal(pair.sender.code, 0, "the sender's exit code")
        failed(pair.receiver, 12, "closed the stream")
    lib.same_tree(source, dest)


@each([(phase[0], *phase[1:]) for phase in all_phases() if phase[0] in (
    "before HELLO", "before WELCOME", "before START", "before the first verdicts", "inside a chunk",
    "before the first acknowledgement", "before FINISH_ACK")])  # fmt: skip
def both_ends_report_a_stream_that_stands_still(ws, value):
    name, way, message, inside = value
    source, dest = make_source(ws), ws.dir("dest")
    seconds = "4" if SMALL else "2"
    bounds = ["--timeout", seconds, "--contimeout", seconds]
    send = ["-a", "--chunk-size", "64K", *bounds, f"{source}/"]
    with session(ws, Before(way, message, inside), send, dest, bounds) as s:
        check(s.stands(), f"the session never came to: {name}")
        for result in s.wait():
            failed(result, 30, "nothing was heard|sent nothing|took nothing|silent|in time")
    only_complete_files(source, dest)


@case
def one_threaded_ends_report_them_too(ws):
    source, dest = make_source(ws), ws.dir("dest")
    send = ["-a", "--serial", "--chunk-size", "64K", "--timeout", "4", f"{source}/"]
    for way, message in ((TO_LISTENER, CHUNK), (TO_DIALLER, DURABLE)):
        with session(ws, Before(way, message), send, dest, ["--serial", "--timeout", "4"]) as s:
            check(s.stands(), "the session came there")
            s.proxy.cut()
            for result in s.wait():
                failed(result, (10, 12), "closed the stream|stream failed|broken|reset")
    with session(ws, Before(TO_DIALLER, DURABLE), [*send, "-I"], dest, ["--serial", "--timeout", "4"]) as s:
        check(s.stands(), "the session came there")
        for result in s.wait():
            failed(result, 30, "nothing was heard|sent nothing|took nothing|silent|in time")
    only_complete_files(source, dest)


lib.main(parallel=12)  # most of the time they wait for a timeout
