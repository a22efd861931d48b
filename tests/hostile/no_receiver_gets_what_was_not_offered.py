#!/usr/bin/env python3
"""A hostile receiver asks for ids, ranges, names and orders that were never offered: no byte of them leaves the sender."""

import os

import peer  # first: it finds the others
import lib
import rig
from golden_build import INT64_MAX, ack, basis, coded_text, path_value, run, start, totals, u, xxh128
from lib import HVSEND, case, check, check_equal, each, failed, noise, put
from peer import CHECK, GONE, MADE, RECEIVER, SKIP, WANT, Listener

SECRET = b"nobody may read this " * 100


def make_source(ws):
    """What is offered, and a secret beside it that links lead to."""
    put(ws.path / "secret", SECRET)
    source = ws.dir("source")
    put(source / "file", noise(200_000))
    put(source / "small", b"small")
    os.symlink("../secret", source / "link")
    os.symlink("..", source / "up")
    return source  # ids: 1 the root, then file, link, small, up in the order of the directory


def pushed_to(ws, source, *options):
    """hvsend that pushes to a hostile receiver: the process, the peer, and the ids by name."""
    address = ws.unix()
    with Listener(address) as listener:
        sender = ws.start(HVSEND, "-rl", *options, *rig.ONE_TRY, f"{source}/", address)
        one = listener.accept()
    one.welcome(RECEIVER, codecs=1)
    one.expect("START")
    return sender, one, ids_in(one.expect("ENTRIES").body)


def ids_in(body):
    """By path."""
    ids, at = {}, 0
    while at < len(body):
        size = int.from_bytes(body[at + 36 : at + 40], "little")
        file_id, added = int.from_bytes(body[at : at + 8], "little"), body[at + 10]
        at += 48
        names = []
        for _ in range(added):
            names.append(body[at + 1 : at + 1 + body[at]])
            at += 1 + body[at]
        ids[b"/".join(names).decode()] = file_id
        at += size
    return ids


def wrong_answers(ids):
    """(name, messages): the last message breaks the session with 12."""
    file, small, link, never = ids["file"], ids["small"], ids["link"], 99
    held = max(ids.values()) + 1  # the root's own
    top = (1 << 64) - 1
    want_both = ("VERDICTS", run(1, 1, MADE) + run(file, 1, WANT) + run(small, 1, WANT))
    yield "an id that was never offered", [("VERDICTS", run(never, 1, WANT))]
    yield "the id 2^64-1", [("VERDICTS", run(top, 1, WANT))]
    yield "the id 0", [("VERDICTS", run(0, 1, WANT))]
    yield "a run that goes too far", [("VERDICTS", run(1, 16384, MADE))]
    yield "a run of none", [("VERDICTS", run(1, 0, WANT))]
    yield "a run beyond what any may have", [("VERDICTS", run(1, 16385, WANT))]
    yield "a run that wraps around", [("VERDICTS", run(top - 1, 3, WANT))]
    yield "a directory as if it were a file", [("VERDICTS", run(1, 1, WANT))]
    yield "a link as if it were a file", [("VERDICTS", run(link, 1, WANT))]
    yield "a file as if it were a link", [("VERDICTS", run(file, 1, MADE))]
    yield "an unknown verdict", [("VERDICTS", run(file, 1, 6))]
    yield "a file twice", [want_both, ("VERDICTS", run(file, 1, WANT))]
    yield "to skip a file that was wanted", [want_both, ("VERDICTS", run(file, 1, SKIP))]
    yield "to settle a file twice", [("VERDICTS", run(file, 1, SKIP)), ("VERDICTS", run(file, 1, SKIP))]
    yield "GONE for a file that was not given up", [want_both, ("VERDICTS", run(file, 1, GONE))]
    yield "DURABLE for a file that nobody wanted", [("DURABLE", run(file, 1, 0))]
    yield "DURABLE for an id that was never offered", [("DURABLE", run(never, 1, 0))]
    yield "DURABLE with a verdict", [want_both, ("DURABLE", run(file, 1, WANT))]
    yield "FILE_ERROR for an id that was never offered", [("FILE_ERROR", [u(8, "id", never)] + coded_text(23, "x"))]
    yield "FILE_ERROR for the end of a directory that is held", [("FILE_ERROR", [u(8, "id", held)] + coded_text(23, "x"))]
    yield "REFUSED for START", [("REFUSED", [u(8, "refused_order", 1)])]
    yield "REFUSED for what was never sent", [("REFUSED", [u(8, "refused_order", 1000)])]
    yield "REFUSED for the largest order", [("REFUSED", [u(8, "refused_order", top)])]
    wrong = basis(1, 100, 1 << 20, 0, [xxh128(b"")])
    yield "digests for an id that was never offered", [("BASIS", [u(8, "id", never)] + wrong[1:])]
    yield "digests of blocks", [("BASIS", [u(8, "id", file)] + basis(2, 4096, 4096, 0, [bytes(16)])[1:])]
    yield "CHECK and then SKIP and then WANT", [("VERDICTS", run(file, 1, CHECK) + run(file, 1, SKIP)),
                                               ("VERDICTS", run(file, 1, WANT))]
    yield "FINISH_ACK before FINISH", [("FINISH_ACK", totals(0, 0, 0, 0, 0, 0))]
    yield "REQUEST of a receiver that listened", [("REQUEST", start(0))]
    yield "a message of senders", [("START", start(0))]
    yield "names of a directory", [("NAMES", [u(8, "id", 1), u(1, "last", 1), u(3, "-", 0), u(4, "count", 0)])]
    yield "credit above all limits", [("ACK", ack(0, INT64_MAX + 1, 0))]


def check_no_secret(one, sender, what):
    """All that the sender said up to its ABORT, after which nothing comes; its code and the reason at both ends."""
    data, said = b"", None
    try:
        while True:
            message = one.recv()
            data += message.body
            if message.kind == "ABORT":
                said = message
                break
    except peer.Closed:
        pass
    one.stream.close()
    result = sender.wait()
    check_equal(result.code, 12, f"exit code for {what} ({result})")
    check(said and said.code() == 12, f"ABORT for {what}: {said}")
    check(SECRET[:20] not in data, f"the secret came for {what}")


@case
def no_wrong_answer_is_served(ws):
    """One session each."""
    source = make_source(ws)
    sender, one, ids = pushed_to(ws, source)
    sender.kill()
    for name, messages in wrong_answers(ids):
        sender, one, same = pushed_to(ws, source, "--serial") if "twice" in name else pushed_to(ws, source)
        check_equal(same, ids, "ids")
        with one:
            for kind, body in messages:
                one.send(kind, body)
            check_no_secret(one, sender, name)


SIGNS_OF_LIFE = 3  # heartbeats in a row: nothing more can leave, and what could be read meanwhile is read


def waits_for_credit(ws, sizes):
    """A sender of these files, of which the last is read (or found to be gone: None), and cannot be sent to its end for
    want of credit: the process, the peer, and the last one's id."""
    source, address, last = ws.dir("source"), ws.unix(), 1 + len(sizes)
    for i, size in enumerate(sizes):
        put(source / f"{i:02}", noise(size or 700_000))
    with Listener(address) as listener:
        sender = ws.start(HVSEND, "-r", "--json", "--zc", "none", *rig.ONE_TRY, f"{source}/", address)
        one = listener.accept()
    one.welcome(RECEIVER, codecs=1, chunk_size=65536, window=2 * (256 + 262144) + 2 * 65536)
    one.expect("START")
    names = {file_id: name for name, file_id in ids_in(one.expect("ENTRIES").body).items()}
    if None in sizes:
        (source / names[last]).unlink()
    one.send("VERDICTS", run(1, 1, MADE) + run(2, len(sizes), WANT))
    kinds = []
    while kinds[-SIGNS_OF_LIFE:] != ["HEARTBEAT"] * SIGNS_OF_LIFE:
        kinds.append(one.recv().kind)
    came = kinds.count("BUNDLE") + kinds.count("FILE_END") + kinds.count("FILE_FAIL")
    check(came < len(sizes), f"the last file did not come: {kinds}")
    return sender, one, last


@each([("a large file is durable", [700_000], "DURABLE", 0), ("a small file is durable", [60_000] * 11, "DURABLE", 0),
       ("a file is gone", [700_000, None], "VERDICTS", GONE)])  # fmt: skip
def what_has_not_left_is_not_believed_to_be_there(ws, value):
    _, sizes, kind, verdict = value
    sender, one, last = waits_for_credit(ws, sizes)
    with one:
        one.send(kind, run(last, 1, verdict))
        one.send("FILE_ERROR", [u(8, "file_id", last)] + coded_text(23, "x"))  # ends it in any case
        code, text = one.ended_with()
        check((code, text.startswith(kind)) == (12, True), f"it was believed, and then: {code} {text}")
    result = sender.wait()
    check_equal(result.code, 12, "the exit code")
    check(b'"type":"file"' not in result.out, "no file is said to have arrived")


@each(["secret", "up/secret", "link", "up", "up/source/file", "file/x", "nothing", "source/small"])
def no_name_is_served_that_was_not_offered(ws, name):
    """REQUEST: what is not below the offer, or only through a link, brings no entry but those of links themselves."""
    source, address = make_source(ws), ws.unix()
    listener = ws.listen(address, HVSEND, "-rl", *rig.ONE_TRY[2:], "--listen", address, f"{source}/")
    with rig.greeted(address, RECEIVER) as one:
        one.send("REQUEST", start(3, tags=[(0x8201, path_value(name))]))
        said, kinds = b"", []
        while (message := one.expect("START", "ENTRIES", "LIST_END", "FINISH", "SYNC")).kind != "LIST_END":
            kinds.append(message.kind)
            said += message.body
        check(b"secret" not in said.replace(b"../secret", b""), f"it offers {said}")
        check(b"small" not in said, f"it offers {said}")
    listener.signal(15)
    check(listener.wait().code in (0, 20), "it ends")


@each([("parents", b"\x02\x02..\x06secret"), ("a slash", b"\x01\x09../secret"), ("absolute", b"\x02\x00\x03etc"),
       ("NUL", b"\x01\x02a\x00"), ("cut", b"\x02\x01a"), ("65 names", bytes([65]) + b"\x01a" * 65), ("nothing", b""),
       ("more than it says", b"\x01\x01a\x01b")])  # fmt: skip
def no_malformed_request_is_served(ws, value):
    source, address = make_source(ws), ws.unix()
    listener = ws.listen(address, HVSEND, "-rl", *rig.ONE_TRY[2:], "--listen", address, f"{source}/")
    with rig.greeted(address, RECEIVER) as one:
        one.send("REQUEST", start(3, tags=[(0x8201, value[1])]))
        code, _ = one.ended_with()
        check_equal(code, 12, "code")
    rig.ends_when_told(listener)


@case
def too_many_names_are_refused(ws):
    source, address = make_source(ws), ws.unix()
    listener = ws.listen(address, HVSEND, "-rl", *rig.ONE_TRY[2:], "--listen", address, f"{source}/")
    with rig.greeted(address, RECEIVER) as one:
        one.send("REQUEST", start(3, tags=[(0x8201, path_value("a"))] * 1025))
        check_equal(one.ended_with()[0], 12, "code")
    rig.ends_when_told(listener)


@case
def a_file_that_is_refused_again_and_again_ends_the_session(ws):
    """REFUSED makes the sender read again: at most so often."""
    source = make_source(ws)
    sender, one, ids = pushed_to(ws, source, "--chunk-size", "64K")
    with one:
        one.send("VERDICTS", run(1, 1, MADE) + run(ids["file"], 1, WANT))
        order = None
        for _ in range(50):
            message = one.expect("ENTRIES", "LIST_END", "FILE_BEGIN", "CHUNK", "FILE_END", "SYNC", "VOID", "ABORT")
            if message.kind == "ABORT":
                break
            order = order or (message.order if message.kind == "CHUNK" else None)
            if message.kind == "CHUNK" and message.order == order:
                one.send("REFUSED", [u(8, "refused_order", order)])
        check_equal(message.kind, "ABORT", "the end")
        check(message.code() in (12, 40), message.text())
    failed(sender.wait(), (12, 40), "REFUSED|refused|damaged")


lib.main(parallel=4)
