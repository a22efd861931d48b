#!/usr/bin/env python3
"""A hostile sender's names: whatever they are, nothing outside the root is made, changed or read."""

import itertools
import os
from contextlib import contextmanager

import peer
import lib
import rig
from golden_build import Entries, bundle, file_begin, path_value, start, totals
from lib import case, check, check_equal, each, no_temporary_names, put
from peer import DIR, DIR_END, FILE, MADE, SYMLINK, WANT
from rig import Fence, ends_when_told, greeted, is_served, listed

OPT_RECURSIVE, OPT_LINKS, OPT_PERMS, OPT_TIMES = 1, 2, 4, 8
ALL = OPT_RECURSIVE | OPT_LINKS | OPT_PERMS | OPT_TIMES


def single_names():
    """One component each."""
    yield from (b"", b".", b"..", b"/", b"//", b"../", b"/..", b"a/b", b"a/../b", b"../secret", b"/etc/passwd")
    yield from (b"\0", b"a\0b", b"..\0", b"\0..", b"secret\0.txt", b".hvferry.", b".HVFERRY.x", b".hvferry.0.1")
    yield from (b"..\\secret", b"\\", b"C:", b"C:\\x", b"\\\\server\\share", b"\\\\?\\C:\\x", b"//server/share")
    yield from (b"CON", b"NUL.txt", b"a:stream", b"a::$DATA", b"trailing.", b"trailing ", b"... ", b"...", b". .")
    yield from (b"n" * 255, b"\xff\xfe", b"\xc0\xae\xc0\xae", b"\xc0\xaf", b"%2e%2e%2f", b"~", b"~root", b"-rf")
    yield from (b"$(id)", b"`id`", b"a;b", b"a|b", b"*", b"?", b"\x1b[2J", b"a\nb", b"\r", b"\x7f", b"\xc2\x9b31m")
    yield from ("\u202egnp.exe".encode(), "\u2024\u2024".encode(), "\uff0e\uff0e\u2215".encode(), b"\xed\xa0\x80")
    yield from (bytes([i]) for i in range(1, 256) if i != 0x2F)
    yield from (b".." + bytes([i]) for i in range(256))
    yield from (bytes([i]) + b".." for i in range(256))


def names():
    """Lists of components."""
    yield from ([name] for name in single_names())
    yield from (["sub", name] for name in (b"..", b"", b".", b"a/b", b"\0", b".hvferry.x"))
    for link in (b"up", b"absolute", b"tosecret"):
        for rest in ([b"secret"], [b"new"], [b"etc", b"passwd"], [b"dest2", b"file"], [b"..", b"x"]):
            yield [link, *rest]
    for depth in (1, 2, 5, 31):
        yield [b".."] * 2 * depth + [b"x"]
        yield [b"d"] * depth + [b".."] * (depth + 1)
    yield from ([a, b, b"x"] for a, b in itertools.product((b"..", b".", b"", b"up", b"a/.."), repeat=2))


CORPUS = [[n if isinstance(n, bytes) else n.encode() for n in name] for name in names()]


def is_bad(name):
    """By docs/protocol.md."""
    return any(n in (b"", b".", b"..") or b"/" in n or b"\0" in n or n.lower().startswith(b".hvferry.") for n in name)


def entries_of(kind):
    entries = Entries()
    for name in CORPUS:
        tags = [(0x8001, b"../../secret")] if kind == SYMLINK else []
        entries.last = []  # nothing is shared, so that a bad name spoils no other
        entries.add(kind, "", names=name, tags=tags, mode=0o777)
    return entries


@case
def the_corpus_is_large(_):
    check(len(CORPUS) >= 500, f"only {len(CORPUS)} names")
    check(sum(map(is_bad, CORPUS)) >= 40, "few of them are bad")


@each([("file", FILE), ("directory", DIR), ("symbolic link", SYMLINK), ("end of a directory", DIR_END)])
def no_entry_leads_out(ws, value):
    """Every bad name fails alone, with 23; what is good but leads through a link fails where it would be made."""
    fence, address = Fence(ws), ws.unix()
    listener = ws.receiver(address, fence.dest, once=False)
    entries = entries_of(value[1])
    with greeted(address) as one:
        one.send("START", start(ALL))
        answers = listed(one, entries)
        for number, name in enumerate(CORPUS, 1):
            if is_bad(name):
                check_equal(answers[number], -23, f"answer to {name}")
        wanted = [i for i, answer in answers.items() if answer == WANT]
        check_equal(bool(wanted), value[1] == FILE, "files are asked for")
        for batch in (wanted[i : i + 500] for i in range(0, len(wanted), 500)):
            members = [(i, b"%d" % i) for i in batch]
            one.send("BUNDLE", bundle(members), b"".join(content for _, content in members))
        one.send("SYNC")
        settled = 0
        while settled < len(wanted):
            message = one.expect("DURABLE", "FILE_ERROR")
            settled += sum(n for _, n, _ in message.runs()) if message.kind == "DURABLE" else 1
    fence.check_nothing_changed()
    ends_when_told(listener)
    fence.check_nothing_changed()
    no_temporary_names(fence.dest)
    for directory, dirs, files in os.walk(os.fsencode(fence.dest)):
        for name in dirs + files:
            mode = os.lstat(os.path.join(directory, name)).st_mode
            check(mode & 0o7000 == 0, f"{name!r} has the mode {mode:o}")


@each([("parents", "../x"), ("parent in the middle", "a/../b"), ("reserved", ".hvferry.x/y"), ("link", "up"),
       ("link and more", "up/etc"), ("absolute link", "absolute/new")])  # fmt: skip
def no_into_leads_out(ws, value):
    """TAG_INTO: a link in its place is replaced or refused, but never followed."""
    fence, address = Fence(ws), ws.unix()
    listener = ws.receiver(address, fence.dest, once=False)
    with greeted(address) as one:
        one.send("START", start(ALL, tags=[(0x8202, path_value(value[1]))]))
        one.send("ENTRIES", Entries().add(FILE, "secret", size=1).parts)
        one.send("BUNDLE", bundle([(1, b"x")]), b"x")
        one.send("SYNC")
        for message in iter(lambda: one.expect("VERDICTS", "DURABLE", "FILE_ERROR", "ABORT"), None):
            if message.kind != "VERDICTS":
                break
    fence.check_nothing_changed()
    is_served(ws, address, fence.dest)
    ends_when_told(listener)


@each([("zeroes", b"\0\0"), ("cut", b"\x02\x01"), ("65 names", bytes([65]) + b"\x01a" * 65), ("empty value", b"")])
def malformed_paths_of_into_end_the_session(ws, value):
    fence, address = Fence(ws), ws.unix()
    listener = ws.receiver(address, fence.dest, once=False)
    with greeted(address) as one:
        one.send("START", start(ALL, tags=[(0x8202, value[1])]))
        check(one.ended_with()[0] in (12, 23), "the code of the refusal")
    fence.check_nothing_changed()
    ends_when_told(listener)


@each([("set-user-ID", 0o4755), ("set-group-ID", 0o2755), ("sticky", 0o1777), ("all", 0o7777)])
def no_bit_of_a_mode_is_taken_that_gives_rights(ws, value):
    fence, address = Fence(ws), ws.unix()
    listener = ws.receiver(address, fence.dest, once=False)
    with greeted(address) as one:
        one.send("START", start(ALL))
        entries = Entries().add(DIR, "d", mode=value[1]).add(FILE, "d/f", size=1, mode=value[1])
        check_equal(listed(one, entries.add(SYMLINK, "l", mode=value[1], tags=[(0x8001, b"x")]))[2], WANT, "the file")
        one.send("BUNDLE", bundle([(2, b"x")], mode=value[1]), b"x")
        one.send("SYNC")
        one.expect("DURABLE")
        one.send("ENTRIES", Entries().add(DIR_END, "d", mode=value[1], file_id=4).parts)
        one.expect("VERDICTS")
    for name in ("d", "d/f"):
        check_equal((fence.dest / name).stat().st_mode & 0o7777, value[1] & 0o777, f"mode of {name}")
    ends_when_told(listener)


@case
def no_directory_changes_but_the_one_that_was_named(ws):
    """A file of another session lies in it, whose root is looked for so far up that nothing else stays open."""
    fence, address = Fence(ws), ws.unix()
    names = [f"d{i}" for i in range(20)]
    root, deepest = "/".join(names[:9]), "/".join(names)
    for i in range(len(names)):
        (fence.dest / "/".join(names[: i + 1]) / "twig").mkdir(parents=True)
        (fence.dest / "/".join(names[: i + 1]) / "twig").chmod(0o555)
    listener = ws.receiver(address, fence.dest, *rig.ONE_TRY, once=False)
    with greeted(address) as one, greeted(address) as other:
        other.send("START", start(ALL, tags=[(0x8202, path_value(root))]))
        listed(other, Entries().add(FILE, "/".join(names[9:]) + "/twig/file", 1))
        other.send("FILE_BEGIN", file_begin(1, 1, 0))
        lib.wait_until(lambda: os.listdir(fence.dest / deepest / "twig"), "the other session's file is there")
        one.send("START", start(ALL))
        check_equal(listed(one, Entries().add(DIR, f"{deepest}/twig")), {1: MADE}, "the answer")
        changed = [p for p in fence.dest.rglob("twig") if p.stat().st_mode & 0o777 != 0o555]
        check_equal(changed, [fence.dest / deepest / "twig"], "what became writable")
    ends_when_told(listener)


@each([("hard link", 5, [(0x8002, path_value("tosecret"))]), ("FIFO", 6, []), ("socket", 7, []),
       ("character device", 8, [(0x8003, bytes(8))]), ("block device", 9, [(0x8003, bytes(8))])])  # fmt: skip
def no_special_file_is_made(ws, value):
    fence, address = Fence(ws), ws.unix()
    listener = ws.receiver(address, fence.dest, once=False)
    with greeted(address) as one:
        one.send("START", start(ALL))
        check_equal(listed(one, Entries().add(value[1], "special", tags=value[2])), {1: -23}, "answer")
    check(not os.path.lexists(fence.dest / "special"), "it was made")
    fence.check_nothing_changed()
    ends_when_told(listener)


@contextmanager
def asked(ws, dest, *names, tags=()):
    """A sender that an hvrecv --connect has asked for these names: that process, and the stream, on which START is sent."""
    address = ws.unix()
    with peer.Listener(address) as listener:
        receiver = ws.start(rig.HVRECV, *rig.ONE_TRY, "--connect", address, *names, dest)
        with listener.accept() as one:
            one.welcome(peer.SENDER)
            one.expect("REQUEST")
            one.send("START", start(ALL, tags=tags))
            yield receiver, one


def finish(one, entries, made):
    """The end of a session in which no file was sent."""
    one.send("FINISH", totals(entries, 0, 0, made, 0, 0))
    if one.expect("FINISH_ACK", "ABORT").kind == "FINISH_ACK":
        one.send("BYE")
    one.drain()


@case
def a_pull_takes_nothing_that_it_did_not_ask_for(ws):
    """Each is offered to another hvrecv --connect, which asked for wanted/dir: none of it is made, and it ends with 12."""
    fence = Fence(ws)
    beside = [(FILE, "other"), (FILE, "wanted"), (DIR, "wanted/dirt"), (FILE, "wanted/other"), (FILE, ".bashrc"),
              (SYMLINK, "wanted"), (DIR_END, "elsewhere"), (FILE, "wanted/di")]  # fmt: skip
    for kind, path in beside:
        with asked(ws, fence.dest, "wanted/dir") as (receiver, one):
            tags = [(0x8001, b"x")] if kind == SYMLINK else []
            one.send("ENTRIES", Entries().add(kind, path, tags=tags).parts)
            code, text = one.ended_with()
            check_equal(code, 12, f"code for {path}")
            check("was not asked for" in text, text)
        check_equal(receiver.wait().code, 12, f"exit code for {path}")
        check(not os.path.lexists(fence.dest / path.split("/")[0]), f"{path} was made")
    fence.check_nothing_changed()


@each([("as it comes", []), ("with a quota", ["--quota", "1G"])])
def in_place_a_name_that_comes_twice_is_the_last(ws, value):
    """The first waits to be committed, with files of more directories than are kept open: nothing beside it is written into."""
    fence, address = Fence(ws), ws.unix()
    names = [f"dir{i}" for i in range(12)]
    for name in (*names, "same"):
        (fence.dest / name).mkdir()
        put(fence.dest / name / "file", b"nobody sends this" * 9)
    listener = ws.receiver(address, fence.dest, "--inplace", *value[1], once=False)
    with greeted(address) as one:
        one.send("START", start(OPT_RECURSIVE))
        paths = [*(f"{name}/new" for name in names), "same/file", "same/file"]
        contents = [*[b"content"] * 13, b"content" * 2]
        entries = Entries()
        for path, content in zip(paths, contents):
            entries.add(FILE, path, size=len(content))
        one.send("ENTRIES", entries.parts)
        one.expect("VERDICTS")
        members = [(i + 1, content) for i, content in enumerate(contents)]
        for part in (members[:-1], members[-1:]):
            one.send("BUNDLE", bundle(part), b"".join(content for _, content in part))
        one.send("SYNC")
        one.expect("DURABLE")
    beside = {(fence.dest / name / "file").read_bytes() for name in names}
    check_equal(beside, {b"nobody sends this" * 9}, "what lies beside them")
    check_equal((fence.dest / "same" / "file").read_bytes(), b"content" * 2, "the file")
    ends_when_told(listener)


@each([("names", ["config"]), ("all", [])])
def a_pull_goes_where_its_receiver_says(ws, value):
    """START brings TAG_INTO: the file would be another one than that which was asked for."""
    fence = Fence(ws)
    with asked(ws, fence.dest, *value[1], tags=[(0x8202, path_value("elsewhere"))]) as (receiver, one):
        code, text = one.ended_with()
        check_equal((code, "--into elsewhere" in text), (12, True), text)
    check_equal(receiver.wait().code, 12, "exit code")
    fence.check_nothing_changed()
    check(not os.path.lexists(fence.dest / "elsewhere"), "the directory was made")


@case
def a_pull_of_names_leaves_the_directory_itself_alone(ws):
    fence = Fence(ws)
    before = os.lstat(fence.dest).st_mode
    with asked(ws, fence.dest, "wanted") as (receiver, one):
        one.send("ENTRIES", Entries().add(DIR, "", mode=0o777).add(DIR_END, "", mode=0o777).parts)
        one.expect("VERDICTS")
        one.send("LIST_END")
        finish(one, 2, 2)
    result = receiver.wait()
    check_equal(result.code, 23, str(result))
    check_equal(os.lstat(fence.dest).st_mode, before, "the mode of the directory")


@each([("with LIST_END", ["LIST_END"], 23, "wanted/dir"), ("without LIST_END", [], 12, "LIST_END")])
def a_pull_that_got_nothing_of_what_it_asked_for_says_so(ws, value):
    """Whether the sender says that its list is over or not."""
    _, messages, code, part = value
    with asked(ws, Fence(ws).dest, "wanted/dir") as (receiver, one):
        for message in messages:
            one.send(message)
        finish(one, 0, 0)
    result = receiver.wait()
    check_equal(result.code, code, f"exit code ({result})")
    check(part in result.err, result.err)


lib.main(parallel=4)
