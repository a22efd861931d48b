#!/usr/bin/env python3
"""Every field of every message of a sender, at its limit and one beyond: what is beyond ends the session, and nothing
outside of the root changes."""

import zlib

import peer  # first: it finds the others
import lib
from golden_build import (
    Entries, INT64_MAX, MIB, ack, bundle, chunk, file_begin, file_digest, file_end, file_same, frame, hello, hole, joined,
    note, preamble, start, totals, u, unlisted,
)  # fmt: skip
from lib import case, check, check_equal, each
from peer import DIR, FILE, SYMLINK, WANT, Peer
from rig import Fence, ends_when_told, greeted, is_served, listed

U32, U64 = (1 << 32) - 1, (1 << 64) - 1
CHUNK_SIZE = 65536
ONE = b"x"


def zeros(n, level=9):
    """zlib of so many zero bytes, made bit by bit."""
    packer, block = zlib.compressobj(level), bytes(MIB)
    packed = b"".join(packer.compress(block[: min(MIB, n - at)]) for at in range(0, n, MIB))
    return packed + packer.flush()


def zstd_zeros(blocks, window):
    """A Zstandard frame of RLE blocks of 128 KiB each (RFC 8878, 3.1.1); `window`: its Window_Descriptor."""
    block = 128 * 1024 << 3 | 1 << 1
    return (b"\x28\xb5\x2f\xfd\x00" + bytes([window]) + (block.to_bytes(3, "little") + b"\0") * (blocks - 1)
            + (block | 1).to_bytes(3, "little") + b"\0")  # fmt: skip


def frames():
    """(name, what is sent in the place of SYNC, codes)"""
    for name, wrong in (("header_check", {"header_check_xor": 1}), ("body_check", {"body_check_xor": 1 << 63}),
                        ("reserved", {"reserved": 1}), ("flag 2", {"flags": 4}), ("flag 7", {"flags": 128}),
                        ("seq + 1", {"seq": 4}), ("seq - 1", {"seq": 2}), ("seq 0", {"seq": 0}), ("seq", {"seq": U32}),
                        ("order + 1", {"order": 4}), ("order - 1", {"order": 2}), ("order 0", {"order": 0}),
                        ("order 2^64-1", {"order": U64}), ("resent", {"flags": 1}), ("body_length", {"body_length": 262145}),
                        ("body_length 2^32-1", {"body_length": U32}), ("data_length", {"data_length": 1}),
                        ("data_length 2^32-1", {"data_length": U32})):  # fmt: skip
        yield f"frame, {name}", "SYNC", [], b"", wrong
    for kind in (0, 1, 2, 4, 5, 15, 25, 26, 27, 29, 31, 32, 33, 39, 40, 47, 51, 63, 64, 255):
        yield f"type {kind}", kind, [], b"", {}
    for kind in ("ACK", "HEARTBEAT"):
        yield f"{kind} with an order", kind, ack(0, 0, 0) if kind == "ACK" else [], b"", {"order": 3}


def bodies():
    """(name, type, body, data)"""
    def entry(**fields):
        names = fields.pop("path", "new")
        return Entries().add(fields.pop("kind", FILE), names, file_id=fields.pop("file_id", 5), **fields).parts

    yield "entry, none", "ENTRIES", []
    yield "entry, file_id 0", "ENTRIES", entry(file_id=0)
    yield "entry, file_id used", "ENTRIES", entry(file_id=1)
    yield "entry, file_id too far", "ENTRIES", entry(file_id=1 + 16384)
    yield "entry, file_id 2^64-1", "ENTRIES", entry(file_id=U64)
    yield "entry, type 0", "ENTRIES", entry(kind=0)
    yield "entry, type 10", "ENTRIES", entry(kind=10)
    yield "entry, shared with nothing", "ENTRIES", entry(shared=1, added=1)
    yield "entry, added + 1", "ENTRIES", entry(added=2)
    yield "entry, added 255", "ENTRIES", entry(added=255)
    yield "entry, mode", "ENTRIES", entry(mode=0o10000)
    yield "entry, mode 2^32-1", "ENTRIES", entry(mode=U32)
    yield "entry, mtime_nsec", "ENTRIES", entry(mtime_nsec=10**9)
    yield "entry, reserved", "ENTRIES", entry(reserved=1)
    yield "entry, tags_length + 1", "ENTRIES", entry(tags_length=1)
    yield "entry, tags_length 2^32-1", "ENTRIES", entry(tags_length=U32)
    yield "entry, size", "ENTRIES", entry(size=1 << 63)
    yield "entry, size of a directory", "ENTRIES", entry(kind=DIR, size=1)
    yield "entry, the root as a file", "ENTRIES", entry(path="")
    yield "entry, the root as a link", "ENTRIES", entry(path="", kind=SYMLINK)
    yield "entry, cut", "ENTRIES", entry()[:-3]
    yield "begin, file_id 0", "FILE_BEGIN", file_begin(file_id=0)
    yield "begin, file_id not listed", "FILE_BEGIN", file_begin(file_id=3)
    yield "begin, file_id 2^64-1", "FILE_BEGIN", file_begin(file_id=U64)
    yield "begin, size", "FILE_BEGIN", file_begin(file_id=1, size=1 << 63)
    yield "begin, data_size", "FILE_BEGIN", file_begin(file_id=1, size=100, data_size=101)
    yield "begin, mtime_nsec", "FILE_BEGIN", file_begin(file_id=1, mtime_nsec=10**9)
    yield "begin, mode", "FILE_BEGIN", file_begin(file_id=1, mode=0o10000)
    yield "begin, cut", "FILE_BEGIN", file_begin(file_id=1)[:-1]
    yield "begin, one more", "FILE_BEGIN", file_begin(file_id=1) + [note(b"\0", "")]
    yield "chunk of no open file", "CHUNK", chunk(ONE, file_id=1), ONE
    yield "end of no open file", "FILE_END", file_end(file_id=1)
    yield "hole of no open file", "HOLE", hole(file_id=1)
    yield "bundle of none", "BUNDLE", bundle([])
    for what in (0, 2, 1025, U32):
        yield f"bundle, count {what}", "BUNDLE", bundle([(1, ONE)], count=what), ONE
    yield "bundle, a file that is not listed", "BUNDLE", bundle([(9, ONE)]), ONE
    yield "bundle, raw_length + 1", "BUNDLE", bundle([(1, ONE)], raw_length=2), ONE
    yield "bundle, raw_length 2^32-1", "BUNDLE", bundle([(1, ONE)], raw_length=U32), ONE
    yield "bundle, sizes that wrap around", "BUNDLE", joined_sizes(U32, 2), ONE
    yield "bundle, mode", "BUNDLE", bundle([(1, ONE)], mode=0o10000), ONE
    yield "bundle, codec", "BUNDLE", bundle([(1, ONE)], codec=3), ONE
    yield "same, not asked for", "FILE_SAME", file_same(file_id=9)
    yield "fail, not listed", "FILE_FAIL", [u(8, "id", 9), u(2, "code", 23), u(2, "length", 0)]
    yield "fail, code 0", "FILE_FAIL", [u(8, "id", 1), u(2, "code", 0), u(2, "length", 0)]
    yield "fail, code 256", "FILE_FAIL", [u(8, "id", 1), u(2, "code", 256), u(2, "length", 0)]
    yield "fail, text too long", "FILE_FAIL", [u(8, "id", 1), u(2, "code", 23), u(2, "length", 1025), note(ONE * 1025, "")]
    yield "fail, text cut", "FILE_FAIL", [u(8, "id", 1), u(2, "code", 23), u(2, "length", 2), note(ONE, "")]
    yield "unlisted, no path", "UNLISTED", []
    yield "unlisted, a path that is cut", "UNLISTED", [u(1, "names", 2), u(1, "length", 1), note(ONE, "")]
    yield "unlisted, code 0", "UNLISTED", unlisted("a", 0, "")
    yield "unlisted, code 256", "UNLISTED", unlisted("a", 256, "")
    yield "unlisted, text too long", "UNLISTED", unlisted("a", 23, "x" * 1025)
    yield "unlisted, a name that leads upwards", "UNLISTED", unlisted("a/../b", 23, "")
    yield "finish before all is settled", "FINISH", totals(1, 1, 0, 0, 0, 0)
    yield "finish, sum", "FINISH", totals(1, 0, 0, 0, 0, 0)
    yield "finish, sum that wraps around", "FINISH", totals(0, U64, 1, 0, 0, 0)
    yield "start again", "START", start(0)
    yield "list end with a body", "LIST_END", [note(ONE, "")]
    yield "void in the place of nothing", "VOID", []
    yield "ack, credit", "ACK", ack(0, 1 << 63, 0)
    yield "ack, of what was never sent", "ACK", ack(99, 0, 0)
    yield "ack, cut", "ACK", ack(0, 0, 0)[:-1]
    yield "heartbeat with a body", "HEARTBEAT", [note(ONE, "")]


def joined_sizes(first, second):
    """A bundle of two members with these sizes and one byte."""
    body = bytearray(joined(bundle([(1, ONE), (2, b"")])))
    body[32 + 24 : 32 + 28], body[64 + 24 : 64 + 28] = first.to_bytes(4, "little"), second.to_bytes(4, "little")
    return [note(bytes(body), "")]


def of_open_file():
    """After FILE_BEGIN of file 1 and a chunk of one byte at 10."""
    def one(**fields):
        return chunk(ONE, **{"file_id": 1, "offset": 11, **fields})

    yield "chunk, of another file", "CHUNK", one(file_id=2), ONE
    yield "chunk, offset that goes back", "CHUNK", one(offset=10), ONE
    yield "chunk, offset at the end of all", "CHUNK", one(offset=INT64_MAX), ONE
    yield "chunk, offset 2^64-1", "CHUNK", one(offset=U64), ONE
    yield "chunk, raw_length 0", "CHUNK", one(raw_length=0), ONE
    yield "chunk, raw_length + 1", "CHUNK", one(raw_length=2), ONE
    yield "chunk, raw_length beyond the limit", "CHUNK", one(raw_length=CHUNK_SIZE + 1, codec=1), ONE
    yield "chunk, data_length beyond the limit", "CHUNK", chunk(bytes(CHUNK_SIZE + 1), file_id=1, offset=11), bytes(CHUNK_SIZE + 1)
    yield "chunk, packed and not smaller", "CHUNK", one(codec=1), ONE
    yield "chunk, codec that was not agreed on", "CHUNK", one(codec=2, raw_length=2), ONE
    yield "chunk, codec 3", "CHUNK", one(codec=3, raw_length=2), ONE
    yield "chunk, codec 255", "CHUNK", one(codec=255, raw_length=2), ONE
    yield "chunk, reserved", "CHUNK", one(rest=1), ONE
    yield "chunk without data", "CHUNK", one(), b""
    yield "hole, length 0", "HOLE", hole(file_id=1, offset=11, length=0)
    yield "hole, that goes back", "HOLE", hole(file_id=1, offset=10)
    yield "hole, beyond all", "HOLE", hole(file_id=1, offset=11, length=INT64_MAX)
    yield "hole, that wraps around", "HOLE", hole(file_id=1, offset=11, length=U64)
    yield "end, size that goes back", "FILE_END", file_end(file_id=1, size=10)
    yield "end, size", "FILE_END", file_end(file_id=1, size=1 << 63)
    yield "end, more chunks than bytes", "FILE_END", file_end(file_id=1, size=11, chunks=12)
    yield "end, of another file", "FILE_END", file_end(file_id=2)
    yield "begin of another file", "FILE_BEGIN", file_begin(file_id=2)
    yield "bundle while a file is open", "BUNDLE", bundle([(2, ONE)]), ONE
    yield "same, of the file that is open", "FILE_SAME", file_same(file_id=1)


def in_transfer(address):
    """A session in which files 1 and 2 are wanted; the next frame has seq 3 and order 3."""
    one = greeted(address, chunk_size=CHUNK_SIZE, codecs=3)
    one.send("START", start(0))
    answers = listed(one, Entries().add(FILE, "one", size=100).add(FILE, "two", size=100))
    check_equal(answers, {1: WANT, 2: WANT}, "answers")
    return one


def refuse_all(ws, cases, prepare=lambda one: None, codes=(12,)):
    fence, address = Fence(ws), ws.unix()
    listener = ws.receiver(address, fence.dest, "--grace", "0", once=False)
    count = 0
    for name, kind, body, *rest in cases:
        data, wrong = (*rest, b"", {})[:2] if len(rest) < 2 else rest
        with in_transfer(address) as one:
            prepare(one)
            one.send(kind, body, data, **(wrong or {}))
            if "_length" in name and name.startswith("frame"):
                one.write(bytes(64))
            try:
                code, text = one.ended_with()
            except lib.Failed as error:
                raise lib.Failed(f"{name}: {error}") from None
            check(code in codes, f"{name}: {code} {text}")
        count += 1
    check(count > 10, "cases")
    fence.check_nothing_changed()
    is_served(ws, address, fence.dest)
    ends_when_told(listener)
    check_equal(sorted(p.name for p in fence.dest.iterdir()), ["absolute", "honest", "tosecret", "up"], "what is there")


@case
def no_field_of_a_frame(ws):
    refuse_all(ws, frames())


@case
def no_field_of_a_body(ws):
    refuse_all(ws, bodies())


@case
def no_field_of_an_open_file(ws):
    def begin(one):
        one.send("FILE_BEGIN", file_begin(file_id=1, size=100, data_size=100))
        one.send("CHUNK", chunk(ONE, file_id=1, offset=10), ONE)

    refuse_all(ws, of_open_file(), begin)


@case
def what_is_at_the_limit_is_taken(ws):
    """The same fields with the largest values that are allowed."""
    fence, address = Fence(ws), ws.unix()
    listener = ws.receiver(address, fence.dest, "--grace", "0", once=False)
    with in_transfer(address) as one:
        one.send("ENTRIES", Entries().add(FILE, "far", file_id=16384, size=INT64_MAX, mode=0o7777, mtime_nsec=10**9 - 1).parts)
        one.expect("VERDICTS")
        content = bytes(CHUNK_SIZE)
        one.send("FILE_BEGIN", file_begin(file_id=1, size=CHUNK_SIZE, data_size=CHUNK_SIZE))
        one.send("CHUNK", chunk(content, file_id=1), content)
        one.send("FILE_END", file_end(1, CHUNK_SIZE, 1, file_digest([(0, content)], CHUNK_SIZE)))
        members = [(2, b"two"), (16384, b"far")]
        one.send("BUNDLE", bundle(members), b"twofar")
        one.send("SYNC")
        one.send("LIST_END")
        one.send("FINISH", totals(3, 3, 0, 0, 0, CHUNK_SIZE + 6))
        while one.expect("DURABLE", "FINISH_ACK").kind != "FINISH_ACK":
            pass
        one.send("BYE")
        one.drain()
    ends_when_told(listener)
    check_equal(sorted(p.name for p in fence.dest.iterdir()), ["absolute", "far", "one", "tosecret", "two", "up"], "files")


@each([("the preamble's magic", joined(preamble(1, 1, magic=b"\x89HVF\r\n\x1a\x0b")), None),
       ("the preamble's check", joined(preamble(1, 1, check_xor=1)), None),
       ("versions the wrong way round", joined(preamble(2, 1)), None),
       ("HELLO of 4057 bytes", joined(preamble(1, 1)) + joined(frame("HELLO", hello(), body_length=4057)), 12),
       ("HELLO of 2^32-1 bytes", joined(preamble(1, 1)) + joined(frame("HELLO", hello(), body_length=U32)), 12),
       ("HELLO with data", joined(preamble(1, 1)) + joined(frame("HELLO", hello(), data_length=1)), 12),
       ("HELLO of a later version", joined(preamble(1, 1)) + joined(frame("HELLO", hello(version=2))), 12),
       ("role 0", joined(preamble(1, 1)) + joined(frame("HELLO", hello(role=0))), 12),
       ("our own role", joined(preamble(1, 1)) + joined(frame("HELLO", hello(role=2))), 5),
       ("intent 4", joined(preamble(1, 1)) + joined(frame("HELLO", hello(intent=4))), 12),
       ("a session that is not there", joined(preamble(1, 1)) + joined(frame("HELLO", hello(
           intent=3, processed=U64))), 5),
       ("a further stream", joined(preamble(1, 1)) + joined(frame("HELLO", hello(
           intent=2, stream=1, streams=2))), 5),
       ("the smallest chunk less one", joined(preamble(1, 1)) + joined(frame("HELLO", hello(chunk_size=65535))), 12),
       ("the largest chunk and one", joined(preamble(1, 1)) + joined(frame("HELLO", hello(chunk_size=16 * MIB + 1))), 12),
       ("the smallest window less one", joined(preamble(1, 1)) + joined(frame("HELLO", hello(window=524799))), 12),
       ("the largest window and one", joined(preamble(1, 1)) + joined(frame("HELLO", hello(window=1 << 63))), 12),
       ("no streams", joined(preamble(1, 1)) + joined(frame("HELLO", hello(streams=0))), 12),
       ("START before HELLO", joined(preamble(1, 1)) + joined(frame("START", start(0))), 12)])  # fmt: skip
def no_handshake(ws, value):
    _, data, code = value
    fence, address = Fence(ws), ws.unix()
    listener = ws.receiver(address, fence.dest, "--contimeout", "2", "--grace", "0", once=False)
    with Peer.dial(address) as one:
        one.write(data)
        one.read(peer.PREAMBLE)
        if code:
            try:
                check_equal(one.ended_with()[0], code, "code")
            except lib.Failed as failure:  # what is no message at all gets no answer
                check("without a word" in str(failure) and code == 12, str(failure))
        else:
            one.drain()
    is_served(ws, address, fence.dest)
    fence.check_nothing_changed()
    ends_when_told(listener)


def peak(process):
    """Bytes that it had in memory at most."""
    lines = open(f"/proc/{process.pid}/status", encoding="ascii").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


@each([("zlib, 128 MiB", 1, lambda: zeros(128 * MIB)), ("zlib, one byte more", 1, lambda: zeros(MIB + 1)),
       ("zstd, four gigabytes", 2, lambda: zstd_zeros(32768, 0x50)), ("zstd, a window of 3.75 TiB", 2, lambda: zstd_zeros(9, 0xFF)),
       ("zlib and something behind it", 1, lambda: zeros(MIB) + b"more")])  # fmt: skip
def no_bomb(ws, value):
    """A chunk that says 1 MiB and unpacks to more: it is refused, and no more memory than a window is used."""
    _, codec, make = value
    packed = make()[: MIB - 1]
    fence, address = Fence(ws), ws.unix()
    listener = ws.receiver(address, fence.dest, "--grace", "0", once=False)
    with greeted(address, chunk_size=MIB, codecs=7) as one:
        one.send("START", start(0))
        listed(one, Entries().add(FILE, "bomb", size=MIB))
        one.send("FILE_BEGIN", file_begin(file_id=1, size=MIB, data_size=MIB))
        body = chunk(bytes(MIB), file_id=1, codec=codec)
        one.send("CHUNK", body, packed)
        order = one.order
        refused = one.expect("REFUSED", "ABORT")
        if refused.kind == "REFUSED":
            for again in range(3):
                one.send("CHUNK", body, packed, order=order, flags=1)
                if again < 2:
                    one.expect("REFUSED")
            code, text = one.ended_with()
            check_equal(code, 40, text)
        else:
            check("was not agreed on" in refused.text() and codec == 2, refused.text())  # a build without zstd
    if not lib.SMALL:
        check(peak(listener) < 48 * MIB, f"{peak(listener)} bytes of memory")
    is_served(ws, address, fence.dest)
    ends_when_told(listener)
    check(not (fence.dest / "bomb").exists(), "the file was made")


lib.main(parallel=4)
