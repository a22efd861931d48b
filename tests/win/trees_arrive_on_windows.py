#!/usr/bin/env python3
"""The Windows programs against each other and against this system's, over TCP: what arrives is what was sent.

Under Wine where this is not Windows. HVSEND_NATIVE and HVRECV_NATIVE name programs of this system; without
them the cases that need both sorts are skipped. With HVFERRY_TEST_FULL as many files go to Windows as come from there.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "e2e"))

import lib
import wine
from lib import KIB, MIB, Failed, Pair, Skipped, case, check, check_equal, each, failed, good, noise, prose, put

SENDER, RECEIVER = os.environ["HVSEND_WIN"], os.environ["HVRECV_WIN"]
NATIVE = {"send": os.environ.get("HVSEND_NATIVE"), "recv": os.environ.get("HVRECV_NATIVE")}
FULL = bool(os.environ.get("HVFERRY_TEST_FULL"))
UNIT_NS = 100  # Windows keeps times in these

NAMES = [
    "plain", "with space", " leading", "-leading-dash", "--help", "quote's", "umlaut-äöü-漢字-\U0001f6a2", "[a]", "$(id)`id`",
    "~", "#", "%s%n", "..a", ".hidden", ".hvferry", "hvferry.x", "CONSOLE", "com", "COM10", "nul_", "x" * 255, "ä" * 127,
    "\u0301combining", "e\u0301", "é", "PROGRA~1", "a;b,c=d+e&f",
]  # fmt: skip
MTIMES_NS = [0, 100, -100, -1_000_000_100, 1_700_000_000_123_456_700, 7_258_118_400_000_000_100]
REFUSED = [
    b"CON", b"nul.txt", b"Aux", b"COM1", b"lpt9.log", b"trailing.", b"trailing ", b"a:b", b"what?", b"st*r", b"pi|pe", b"lt<gt>",
    b"quote\"d", b"tab\ttab", b"new\nline", b"not-utf8-\xff", b"cut-\xe2\x82", b"back\\slash",
]  # fmt: skip


# ---- both sorts of programs ------------------------------------------------------------------------------------


class End:
    """How to call one program, and what a path is to it."""

    def __init__(self, kind, which):
        self.native = kind == "native"
        program = NATIVE[which] if self.native else {"send": SENDER, "recv": RECEIVER}[which]
        if not program:
            raise Skipped("HVSEND_NATIVE and HVRECV_NATIVE name no programs of this system")
        self.argv = [program] if self.native else wine.command(program)

    def path(self, path, slash=False):
        text = str(path) if self.native else wine.path(path)
        return text + ("/" if self.native else "\\") * slash


WAYS = [
    ("Windows to Windows", "win", "win"),
    ("Windows to this system", "win", "native"),
    ("this system to Windows", "native", "win"),
]


def transfer(ws, way, source, dest, send=("-a",), recv=(), pull=False, patience=lib.PATIENCE):
    """The contents of `source` to `dest`."""
    _, from_kind, to_kind = way
    sender, receiver = End(from_kind, "send"), End(to_kind, "recv")
    address = f"tcp://127.0.0.1:{lib.free_port()}"
    send_argv = [*sender.argv, *send, sender.path(source, slash=True)]
    if pull:
        first = ws.listen(address, *sender.argv, "--once", "--listen", address, *send_argv[len(sender.argv) :])
        result = ws.run(*receiver.argv, "--connect", address, *recv, receiver.path(dest))
        return Pair(first.wait(), result)
    first = ws.listen(address, *receiver.argv, "--once", "--listen", address, *recv, receiver.path(dest))
    result = ws.start(*send_argv, address).wait(patience)
    return Pair(result, first.wait(patience))


def status(root):
    """What Windows keeps of a tree: names, kinds, sizes, times to 100 ns, and whether a file may be written."""
    found = {}
    for path, (mode, what, mtime_ns) in lib.status_of_tree(root).items():
        kind = mode >> 12
        writable = bool(mode & 0o200) if kind == 0o10 else None
        found[path] = (kind, what, writable, mtime_ns // UNIT_NS)
    return found


def same_tree(source, dest):
    """rsync, which is not ours, finds no difference in content; lstat none in what Windows keeps."""
    done = subprocess.run(["rsync", "-rlnc", "--delete", "--itemize-changes", f"{source}/", f"{dest}/"],
                          capture_output=True, check=False)  # fmt: skip
    check(done.returncode == 0, f"rsync: {done.stderr.decode(errors='replace')}")
    lines = [line for line in done.stdout.splitlines() if not line.startswith(b".")]
    check(not lines, f"rsync finds differences:\n{lines[:20]}")
    ours, theirs = status(source), status(dest)
    names = [name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)]
    if names:
        raise Failed("\n".join(f"{n!r}: {ours.get(n)} became {theirs.get(n)}" for n in sorted(names)[:20]))
    lib.no_temporary_names(dest)


# ---- trees -----------------------------------------------------------------------------------------------------


def make_tree(root):
    for i, name in enumerate(NAMES):
        put(root / name, b"contents of %d" % i, mtime_ns=MTIMES_NS[i % len(MTIMES_NS)])
        below = root / "dirs" / name
        below.mkdir(parents=True)
        put(below / name, name.encode())
    for size in (0, 1, 4095, 65536, 128 * KIB, 128 * KIB + 1, MIB - 1, MIB, MIB + 1, 3 * MIB + 7):
        put(root / f"noise-{size}", noise(size, size))
        put(root / f"prose-{size}", prose(size, size))
    put(root / "read-only", b"read-only", 0o444)
    (root / "empty").mkdir()
    deep = root
    for i in range(14):
        deep = deep / f"a directory of thirty bytes-{i:03}"
        deep.mkdir()
        put(deep / "file", b"%d" % i)
    check(len(str(deep)) > 400, "the path is not long")
    for directory, _, _ in os.walk(root, topdown=False):
        os.utime(directory, ns=(1_600_000_000_000_000_000, 1_600_000_000_987_654_300))


@each([(*way, hundreds) for way, hundreds in zip(WAYS, (20, 1000, 1000 if FULL else 100))])
def many_small_files_arrive(ws, way_and_hundreds):
    *way, hundreds = way_and_hundreds
    source, dest = ws.dir("source"), ws.dir("dest")
    for d in range(hundreds):
        (source / f"d{d}").mkdir()
        for f in range(100):
            put(source / f"d{d}" / f"f{f}", noise(1 + d * f % 700, f) if f % 4 == 0 else b"")
    good(transfer(ws, way, source, dest, patience=5 * lib.PATIENCE))
    same_tree(source, dest)


@each(WAYS)
def tree_arrives_whole(ws, way):
    source, dest = ws.dir("source"), ws.dir("dest")
    make_tree(source)
    good(transfer(ws, way, source, dest))
    same_tree(source, dest)
    pair = transfer(ws, way, source, dest, send=("-a", "--stats"))
    check(pair.sender.code == 0 and "files: 0 transferred" in pair.sender.err, f"a second run sends files\n{pair}")
    same_tree(source, dest)


@each(WAYS)
def tree_is_pulled_whole(ws, way):
    source, dest = ws.dir("source"), ws.dir("dest")
    make_tree(source)
    good(transfer(ws, way, source, dest, pull=True))
    same_tree(source, dest)


@each(WAYS)
def changed_and_read_only_files_are_replaced(ws, way):
    source, dest = ws.dir("source"), ws.dir("dest")
    for name, old, new, mode in (("f", b"old", b"newer", 0o644), ("ro", b"old", b"newer", 0o444), ("same", b"=", b"=", 0o644)):
        put(dest / name, old, mode, mtime_ns=10**18)
        put(source / name, new, mode, mtime_ns=10**18 + 500)
    good(transfer(ws, way, source, dest))
    same_tree(source, dest)


def attributes(path):
    """What Wine keeps of hidden and system: a number in the way of Samba."""
    try:
        return int(os.getxattr(path, "user.DOSATTRIB"), 16) & 6
    except OSError:
        return 0


@each(WAYS[:2])
def hidden_and_system_files_stay_so_or_it_is_said(ws, way):
    with tempfile.TemporaryDirectory(dir=os.environ.get("WINEPREFIX")) as place:  # a memory file system keeps none
        source, dest = Path(place, "source"), Path(place, "dest")
        dest.mkdir()
        (source / "dir").mkdir(parents=True)
        send_attributes(ws, way, source, dest)


def send_attributes(ws, way, source, dest):
    for name, flags in (("hidden", ["+h"]), ("both", ["+h", "+s"]), ("plain", []), ("dir", ["+h"])):
        if name != "dir":
            put(source / name, name.encode())
        for flag in flags:
            ws.run(*wine.command("attrib", flag, wine.path(source / name)))
    if attributes(source / "both") != 6:
        raise Skipped("the file system below Wine keeps no attributes")
    pair = transfer(ws, way, source, dest, recv=("-v",))
    check_equal((pair.sender.code, pair.receiver.code), (0, 0), f"exit codes\n{pair}")
    same_tree(source, dest)
    if way[2] == "native":
        check_equal(pair.receiver.err.count("hidden and system files become plain ones"), 1, f"lines about it\n{pair}")
        return
    for name, wanted in (("hidden", 2), ("both", 6), ("plain", 0), ("dir", 2)):
        check_equal(attributes(dest / name), wanted, f"attributes of {name}")
    ws.run(*wine.command("attrib", "-h", wine.path(source / "both")))
    good(transfer(ws, way, source, dest))  # nothing else has changed
    check_equal(attributes(dest / "both"), 4, "attributes of both")


@each(WAYS)
def times_decide_to_100_ns(ws, way):
    source, dest = ws.dir("source"), ws.dir("dest")
    put(source / "unit", b"1", mtime_ns=10**18 + 100)
    put(dest / "unit", b"2", mtime_ns=10**18)  # the same size, one unit apart
    good(transfer(ws, way, source, dest))
    check_equal((dest / "unit").read_bytes(), b"1", "the file whose time differs by 100 ns")
    same_tree(source, dest)


@each(WAYS)
def files_that_are_verified_arrive(ws, way):
    """Read back from storage, with sizes around those that reads past the cache can have."""
    source, dest = ws.dir("source"), ws.dir("dest")
    for size in (0, 1, 4095, 4096, 4097, MIB - 1, MIB + 1, 3 * MIB + 5):
        put(source / str(size), noise(size, size))
    put(source / "read-only", b"text", 0o444)
    pair = transfer(ws, way, source, dest, send=("-a", "--verify"), recv=("-v",))
    check_equal((pair.sender.code, pair.receiver.code), (0, 0), f"exit codes\n{pair}")
    check("every file was read back " in pair.receiver.err, f"it was not\n{pair}")
    same_tree(source, dest)


@each(WAYS)
def files_with_holes_arrive(ws, way):
    source, dest = ws.dir("source"), ws.dir("dest")
    lib.put_sparse(source / "middle", 64 * MIB, [(0, b"first"), (48 * MIB + 3, b"then")])
    lib.put_sparse(source / "end", 32 * MIB, [(0, b"only")])
    lib.put_sparse(source / "nothing", 16 * MIB)
    good(transfer(ws, way, source, dest))
    same_tree(source, dest)
    if way[1] == "native":  # a Windows that tells where its holes are is not at hand
        for name in ("middle", "end", "nothing"):
            check(os.stat(dest / name).st_blocks * 512 < 4 * MIB, f"{name} is not sparse any more")


# ---- what Windows cannot hold ----------------------------------------------------------------------------------

TO_WINDOWS = WAYS[2]


@case
def names_that_windows_cannot_hold_are_refused_and_the_rest_arrives(ws):
    source, dest = ws.dir("source"), ws.dir("dest")
    for name in REFUSED:
        put(os.path.join(os.fsencode(source), name), b"x")
        directory = os.path.join(os.fsencode(source), b"d", name)
        os.makedirs(directory)
        put(os.path.join(directory, b"inside"), b"x")
    put(source / "good", b"good")
    pair = transfer(ws, TO_WINDOWS, source, dest)
    failed(pair.sender, 23, "Windows")
    failed(pair.receiver, 23, "refused: .*Windows")
    for reason in ("name of a device", "stream of another file", "dot or blank", "control characters", "not UTF-8", "any of <"):
        check(reason in pair.receiver.err, f"nothing says '{reason}'\n{pair.receiver}")
    check_equal(sorted(os.listdir(dest)), ["d", "good"], "what was made")
    check_equal(os.listdir(dest / "d"), [], "what was made below d")


@each(WAYS[:2])
def names_that_windows_cannot_open_are_reported_by_a_sender_there(ws, way):
    """They may be there all the same: made past Windows's own rules, or by another system."""
    source, dest = ws.dir("source"), ws.dir("dest")
    names = [name for name in REFUSED if name.isascii()]
    for name in names:
        put(os.path.join(os.fsencode(source), name), b"x")
    put(source / "good", b"good")
    pair = transfer(ws, way, source, dest)
    failed(pair.sender, 23, "Windows")
    for reason in ("name of a device", "stream of another file", "dot or blank", "control characters", "any of <"):
        check(reason in pair.sender.err, f"nothing says '{reason}'\n{pair.sender}")
    check_equal(sorted(os.listdir(dest)), ["good"], "what arrived")


@case
def names_that_differ_only_in_case_do_not_become_one(ws):
    """Which of the two is first is the source's order; it stays as it is, whatever comes for the other."""
    source, dest = ws.dir("source"), ws.dir("dest")
    for name in ("File", "file"):
        put(source / name, name.encode(), mtime_ns=10**18)  # the same size and time
    for name in ("Dir", "dir"):
        (source / name / "below").mkdir(parents=True)
        put(source / name / "both", name.encode(), mtime_ns=10**18)
        put(source / name / "below" / f"in-{name}", name.encode())
    put(source / "other", b"other")
    came = None
    for options in ((), (), ("--checksum",), ("--inplace", "--ignore-times")):
        pair = transfer(ws, TO_WINDOWS, source, dest, send=("-a", *options))
        failed(pair.receiver, 23, "upper and lower case differ")
        check_equal(pair.sender.code, 23, f"the sender's exit code with {options}")
        came = came or sorted(os.listdir(dest), key=str.lower)
        check_equal([name.lower() for name in came], ["dir", "file", "other"], "names that were made")
        check_equal(sorted(os.listdir(dest), key=str.lower), came, f"names after a run with {options}")
        directory, file, _ = came
        for name in {"File", "file", "Dir", "dir"} - {file, directory}:
            check(f"hvrecv: {name}: " in pair.receiver.err, f"nothing says that {name} is not there\n{pair.receiver}")
        check_equal((dest / file).read_bytes(), file.encode(), f"the content of {file}")
        check_equal((dest / directory / "both").read_bytes(), directory.encode(), f"what is below {directory}")
        check_equal(os.listdir(dest / directory / "below"), [f"in-{directory}"], f"the names below {directory}/below")
        lib.no_temporary_names(dest)


@case
def links_are_refused_where_they_cannot_be_made(ws):
    source, dest = ws.dir("source"), ws.dir("dest")
    put(source / "f", b"x")
    os.symlink("f", source / "link")
    pair = transfer(ws, TO_WINDOWS, source, dest)
    check_equal((dest / "f").read_bytes(), b"x", "the file beside the link")
    if pair.receiver.code == 0:
        check_equal(os.readlink(dest / "link"), "f", "the link")
    else:
        failed(pair.receiver, 23, "link: cannot create the link")
        check_equal(os.listdir(dest), ["f"], "what was made")


# ---- ends that break -------------------------------------------------------------------------------------------


def old_or_new(source, dest, old):
    """Every file below `dest` is one or the other; how many are new."""
    new = 0
    for path in source.iterdir():
        there = (dest / path.name).read_bytes()
        check(there in (old, path.read_bytes()), f"{path.name} is neither the old file nor the new one")
        new += there != old
    return new


class Cutter:
    """A TCP port that leads to another one: the first stream ends after `after` bytes to the listener, later ones pass."""

    def __init__(self, target, after):
        self.target, self.left = target, after
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.target))
            for way in ((near, far, True), (far, near, False)):
                threading.Thread(target=self.pump, args=way, daemon=True).start()

    def pump(self, source, target, counts):
        try:
            while data := source.recv(65536):
                if counts and self.left is not None:
                    self.left -= len(data)
                    if self.left <= 0:
                        self.left = None
                        break
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


@each([(f"{way[0]}, after {after // KIB} KiB", way, after) for way in WAYS for after in (40 * KIB, 3 * MIB)])
def cut_stream_is_gone_on_with(ws, what):
    _, way, after = what
    source, dest = ws.dir("source"), ws.dir("dest")
    put(source / "large", noise(20 * MIB))
    for i in range(300):
        put(source / f"f{i}", noise(2 * KIB, i))
    sender, receiver = End(way[1], "send"), End(way[2], "recv")
    port = lib.free_port()
    address = f"tcp://127.0.0.1:{port}"
    listening = ws.listen(address, *receiver.argv, "--once", "--listen", address, receiver.path(dest))
    with Cutter(port, after) as cutter:
        argv = [*sender.argv, "-a", "--retry", "5", "--retry-delay", "0", sender.path(source, slash=True)]
        sent = ws.run(*argv, f"tcp://127.0.0.1:{cutter.port}")
        pair = Pair(sent, listening.wait())
        check(cutter.left is None, "the stream was not cut")
    check_equal((pair.sender.code, pair.receiver.code), (0, 0), f"exit codes\n{pair}")
    same_tree(source, dest)


@each([(f"{way[0]}, the {end}", way, killed) for way in WAYS for killed, end in enumerate(("receiver", "sender"))])
def killed_end_leaves_old_or_new_files(ws, what):
    _, way, killed = what
    source, dest = ws.dir("source"), ws.dir("dest")
    old, files = b"old", 600
    for i in range(files):
        put(source / f"f{i}", noise(20 * KIB, i), mtime_ns=10**18)
        put(dest / f"f{i}", old, mtime_ns=10**17)
    address = f"tcp://127.0.0.1:{lib.free_port()}"
    ends = End(way[1], "send"), End(way[2], "recv")
    silence = ["--timeout", "10"]  # the server of Wine may hold the socket of a dead program
    first = [*ends[1].argv, "--once", *silence, "--durable", "file"]
    receiver = ws.listen(address, *first, "--listen", address, ends[1].path(dest))
    sender = ws.start(*ends[0].argv, "-a", *silence, ends[0].path(source, slash=True), address)
    lib.wait_until(lambda: sender.ended() or os.stat(dest / "f0").st_mtime_ns == 10**18, "the first file is committed")
    (receiver, sender)[killed].kill()
    survivor = (sender, receiver)[killed].wait()
    done = old_or_new(source, dest, old)
    check(survivor.code != 0 or done == files, f"not all is there, and yet: {survivor}")
    good(transfer(ws, way, source, dest))
    check_equal(old_or_new(source, dest, old), files, "new files after the next run")


@case
def interrupted_server_ends_with_0_when_nothing_runs(ws):
    address = f"tcp://127.0.0.1:{lib.free_port()}"
    receiver = ws.listen(address, *wine.command(RECEIVER), "--listen", address, wine.path(ws.dir("dest")))
    receiver.signal(signal.SIGINT)
    result = receiver.wait()
    check_equal(result.code, 0, f"the exit code of {result}")


@each([("sender", 0), ("receiver", 1)])
def ctrl_c_in_mid_transfer_ends_both(ws, what):
    source, dest = ws.dir("source"), ws.dir("dest")
    put(source / "large", noise(64 * MIB))
    put(dest / "large", b"old")
    address = f"tcp://127.0.0.1:{lib.free_port()}"
    receiver = ws.listen(address, *wine.command(RECEIVER), "--once", "--listen", address, wine.path(dest))
    slow = ["--bwlimit", "1M", "--retry", "0"]
    sender = ws.start(*wine.command(SENDER), "-a", *slow, wine.path(source) + "\\", address)
    lib.wait_until(lambda: sender.ended() or any(path.stat().st_size > MIB for path in dest.iterdir()), "data arrive")
    hit, other = (sender, receiver) if what[1] == 0 else (receiver, sender)
    hit.signal(signal.SIGINT)
    failed(hit.wait(), 20, "interrupted")
    failed(other.wait(), (10, 12), "closed the stream|stream failed|ended the session|broken|reset")
    check_equal((dest / "large").read_bytes(), b"old", "the file that was there")
    good(transfer(ws, WAYS[0], source, dest))
    same_tree(source, dest)


# ---- what is printed -------------------------------------------------------------------------------------------


@case
def json_is_lines_of_utf_8_without_carriage_returns(ws):
    source, dest = ws.dir("source"), ws.dir("dest")
    put(source / "umlaut-ä", b"x")
    pair = transfer(ws, WAYS[0], source, dest, send=("-a", "--json"))
    check_equal(pair.sender.code, 0, "the sender's exit code")
    check(b"\r" not in pair.sender.out, "there is a carriage return")
    events = [json.loads(line) for line in pair.sender.out.decode("utf-8").splitlines()]
    check_equal([e["path"] for e in events if e["type"] == "file"], ["umlaut-ä"], "files that were reported")


@case
def loss_of_modes_is_said_once_with_v(ws):
    source, dest = ws.dir("source"), ws.dir("dest")
    for i in range(3):
        put(source / f"f{i}", b"x", 0o755)
    pair = transfer(ws, WAYS[0], source, dest, recv=("-v",))
    check_equal(pair.receiver.code, 0, "the receiver's exit code")
    check_equal(pair.receiver.err.count("read-only"), 1, f"lines about modes in\n{pair.receiver.err}\n")


@case
def errors_name_the_file_and_the_code_is_kept(ws):
    missing = ws.path / "nobody-ä"
    result = ws.run(*wine.command(SENDER), "-a", wine.path(missing), "tcp://127.0.0.1:9")
    failed(result, 3, "nobody-ä: cannot read: No such file or directory")
    failed(ws.run(*wine.command(RECEIVER), "--listen", "tcp://127.0.0.1:9", wine.path(missing)), 11, "--mkpath creates it")
    failed(ws.run(*wine.command(SENDER)), 1, "SRC")


os.environ.update(wine.settings())
lib.main(parallel=2)
