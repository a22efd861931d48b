#!/usr/bin/env python3
"""SRC, the slash at its end, and where things go: what rsync does with the same words is what hvferry does."""

import json
import os
import re
import shlex
import socket
import stat
import subprocess
from pathlib import Path
from random import Random

import lib
from lib import HVRECV, HVSEND, Pair, case, check, check_equal, each, failed, good, noise, put, same_tree

def make_area(ws):
    """The directory that the commands run in."""
    area = ws.dir("area")
    for i, name in enumerate(("d", "d/sub", "d/sub/deep", "d/empty", "e", "e/sub")):
        (area / name).mkdir(mode=0o755 - i)
    for i, name in enumerate(("file", "d/file", "d/sub/x", "d/sub/deep/y", "e/other", "e/sub/z", "-dash", "a b")):
        put(area / name, name.encode() * (i + 1), 0o644 - i, i * 1_000_000_001)
    (area / "d/to-dir").symlink_to("sub")
    (area / "d/dangling").symlink_to("nowhere")
    for i, name in enumerate(("d/to-dir", "d/dangling")):
        os.utime(area / name, ns=(0, i * 1_000_000_003), follow_symlinks=False)
    for i, (directory, _, _) in enumerate(os.walk(area, topdown=False)):
        os.utime(directory, ns=(0, i * 1_000_000_007))
    return area


def sends_a_root(sources):
    return any(s.endswith("/") or os.path.basename(s) in (".", "..") for s in sources)


def same_as_rsync(ws, sources, into="", send=("-a",), address=None, add_into=None):
    area, rsyncs, ours = make_area(ws), ws.dir("rsync"), ws.dir("ours")
    target = rsyncs / into
    target.mkdir(parents=True, exist_ok=True)
    words = ["rsync", "-rlpt", "--", *sources, f"{target}/"]
    subprocess.run(words, cwd=area, check=True, capture_output=True)
    address = address or ws.unix()
    receiver = ws.receiver(address, ours)
    sender = ws.run(HVSEND, *send, *(["--into", into] if into and not add_into else []), "--", *sources,
                    address + (add_into or ""), cwd=area)  # fmt: skip
    good(Pair(sender, receiver.wait()))
    # Directories that are no part of what was sent have the times of their making.
    parts = [rsyncs.joinpath(*into.split("/")[:i]) for i in range(into.count("/") + 2 if into else 1)]
    for path in parts if not sends_a_root(sources) else parts[:-1]:
        for root in (path, ours / path.relative_to(rsyncs)):
            os.utime(root, ns=(0, 0))
    same_tree(rsyncs, ours)


@each([(" ".join(sources), sources) for sources in (
    ["d"], ["d/"], ["d/."], ["./d"], ["./d/"], ["d//"], ["d", "e"], ["d/", "e"], ["e", "d/"], ["file"],
    ["d/file"], ["./file"], ["file", "d"], ["d/sub"], ["d/sub/"], ["d/sub/deep"], ["."], ["./"], ["d/.."], ["d/sub/.."],
    ["d/to-dir"], ["d/to-dir/"], ["d/dangling"], ["./-dash"], ["-dash"], ["a b"], ["d/empty"], ["d/empty/"],
    ["file", "a b", "-dash"], ["d/../e"], ["../area/d"], ["../area/d/"],
)])  # fmt: skip
def the_same_sources_give_the_same_tree(ws, value):
    same_as_rsync(ws, value[1])


def make_overlap(area):
    """Three sources with much in common, of every kind."""
    for i, root in enumerate(("one", "two", "three")):
        for directory in ("", "sub", "sub/deep", f"sub/only{i}", "sub/empty"):
            (area / root / directory).mkdir()
        for name in ("same", "sub/x", "sub/deep/y", f"sub/only{i}/z", f"sub/{i}"):
            put(area / root / name, f"{root}/{name}".encode() * 9, 0o644 - i, (i + 1) * 1_000_000_001)
        put(area / root / "sub/large", noise(300_000 + i, i), 0o600 + i, (i + 1) * 1_000_000_003)
        (area / root / "link").symlink_to(root)
        kinds = ["file", "link", "directory"]
        for j, kind in enumerate(kinds[i:] + kinds[:i]):
            path = area / root / f"sub/kind{j}"
            if kind == "file":
                put(path, root.encode(), mtime_ns=i)
            elif kind == "link":
                path.symlink_to("x")
            else:
                path.mkdir()
                put(path / "in", root.encode(), mtime_ns=i)
        for j, (directory, names, files) in enumerate(os.walk(area / root, topdown=False)):
            for name in names + files:
                if os.path.islink(f"{directory}/{name}"):
                    os.utime(f"{directory}/{name}", ns=(0, i * 1_000_000_009), follow_symlinks=False)
            os.chmod(directory, 0o755 - i)
            os.utime(directory, ns=(0, (i * 100 + j) * 1_000_000_007))


OVERLAPS = [["one/", "two/"], ["two/", "one/", "three/"], ["three/", "one/sub", "two/"], ["one/sub", "two/sub"],
            ["one/same", "two/same", "three/"], ["one", "two/", "one"]]  # fmt: skip


@each([(" ".join(sources), sources) for sources in OVERLAPS])
def of_what_several_sources_have_the_first_counts(ws, value):
    """Directories are merged, and one counts more than what is none. Another run changes nothing."""
    area, rsyncs, pushed, pulled = (ws.dir(name) for name in ("area", "rsync", "pushed", "pulled"))
    make_overlap(area)
    sources = [f"{area}/{name}" for name in value[1]]
    subprocess.run(["rsync", "-rlpt", *sources, f"{rsyncs}/"], check=True, capture_output=True)
    for way, dest in ((ws.push, pushed), (ws.pull, pulled)):
        for _ in range(2):
            before = {name: os.lstat(dest / os.fsdecode(name)).st_ctime_ns for name in lib.status_of_tree(dest)}
            good(way(["-a", *sources], dest))
        after = {name: os.lstat(dest / os.fsdecode(name)).st_ctime_ns for name in lib.status_of_tree(dest)}
        check_equal(after, before, "times of change after another run")
        if not sends_a_root(sources):
            for root in (rsyncs, dest):
                os.utime(root, ns=(0, 0))
        same_tree(rsyncs, dest)


def make_random(random, path, depth=0):
    """Files, links and directories whose names are few, so that several sources have them, or many."""
    path.mkdir()
    for name in ["a", "b", "c", "A", "ä"] + random.sample([f"n{i}" for i in range(99)], random.randrange(20)):
        kind = random.choice(["file", "file", "link", "directory", "nothing"])
        if kind == "directory" and depth < 3:
            make_random(random, path / name, depth + 1)
        elif kind == "link":
            (path / name).symlink_to(random.choice(["x", "/y", ".."]))
        elif kind == "file":
            put(path / name, os.fsencode(path))
    for entry in [*path.iterdir(), path]:
        os.utime(entry, ns=(0, random.randrange(10**9) * 1000), follow_symlinks=False)


@each([("side by side", ["-a"]), ("in one thread", ["-a", "--serial"])])
def sources_of_any_kind_are_merged_as_in_rsync(ws, value):
    for seed in range(12):
        random = Random(seed)
        area, rsyncs, dest = (ws.dir(f"{name}{seed}") for name in ("area", "rsync", "dest"))
        sources = [f"{area}/{i}/" for i in range(random.choice([2, 2, 3, 6]))]
        for source in sources:
            make_random(random, Path(source))
        subprocess.run(["rsync", "-rlpt", *sources, f"{rsyncs}/"], check=True, capture_output=True)
        good(ws.push([*value[1], *sources], dest))
        same_tree(rsyncs, dest)


@case
def what_is_not_sent_hides_nothing(ws):
    area, dest = ws.dir("area"), ws.dir("dest")
    for name in ("one", "two", "two/d", "one/d"):
        (area / name).mkdir()
    (area / "one/name").symlink_to("nowhere")
    os.mkfifo(area / "one/d/name")
    for name in ("name", "d/name"):
        put(area / "two" / name, b"two")
    pair = ws.push(["-rpt", f"{area}/one/", f"{area}/two/"], dest)
    check_equal((pair.sender.code, pair.receiver.code), (0, 0), "exit codes")
    check_equal([(dest / name).read_bytes() for name in ("name", "d/name")], [b"two"] * 2, "what arrived")


@case
def a_receiver_gets_what_it_asks_for_from_several_sources(ws):
    area, dest = ws.dir("area"), ws.dir("dest")
    make_overlap(area)
    good(ws.pull(["-a", f"{area}/two/", f"{area}/one/"], dest, recv=["sub/deep", "sub/only0"]))
    found = sorted(os.fsdecode(name) for name in lib.status_of_tree(dest) if name)
    check_equal(found, ["sub", "sub/deep", "sub/deep/y", "sub/only0", "sub/only0/z"], "what arrived")
    check((dest / "sub/deep/y").read_bytes().startswith(b"two"), "the first counts")


@case
def a_read_only_directory_gets_what_all_sources_have(ws):
    """It has its mode only when nothing more is to come into it."""
    one, two, dest, sockets = (ws.dir(name) for name in ("one", "two", "dest", "sockets"))
    sockets.chmod(0o777)
    for source in (one, two):
        (source / "sub").mkdir()
    put(one / "sub/first", b"first")
    for i in range(100):
        put(two / f"sub/{i}", noise(300_000, i))
    (one / "sub").chmod(0o555)
    _, hvrecv, as_nobody = ws.for_nobody()
    if as_nobody:
        os.chown(dest, lib.NOBODY, lib.NOBODY)
    address = f"unix:{sockets}/s"
    receiver = ws.listen(address, hvrecv, "--once", "--listen", address, dest, **as_nobody)
    sender = ws.run(HVSEND, "-rpt", f"{one}/", f"{two}/", address)
    good(Pair(sender, receiver.wait()))
    check_equal(len(os.listdir(dest / "sub")), 101, "files that arrived")
    check_equal(stat.S_IMODE((dest / "sub").stat().st_mode), 0o555, "mode")
    check_equal((dest / "sub").stat().st_mtime_ns, (one / "sub").stat().st_mtime_ns, "time")


@case
def absolute_sources_give_the_same_tree(ws):
    same_as_rsync(ws, [f"{ws.path}/area/d", f"{ws.path}/area/e/", f"{ws.path}/area/file"])


@each(["one", "one/two", "one/two/three"])
def into_puts_everything_below(ws, into):
    same_as_rsync(ws, ["d", "e/", "file"], into=into)


@case
def into_may_end_in_a_slash(ws):
    same_as_rsync(ws, ["d/"], into="one/two", add_into=None, send=("-a",))
    source, dest = ws.dir("source"), ws.dir("dest")
    put(source / "file", b"file")
    good(ws.push(["-a", "--into", "one/two/", f"{source}/"], dest))
    same_tree(source, dest / "one/two")


@case
def an_address_can_name_the_directory(ws):
    address = f"tcp://127.0.0.1:{lib.free_port()}"
    same_as_rsync(ws, ["d", "e/"], into="one/two", address=address, add_into="/one/two")


@case
def into_never_follows_a_link_out_of_the_root(ws):
    source, dest, outside = ws.dir("source"), ws.dir("dest"), ws.dir("outside")
    put(source / "file", b"file")
    (dest / "way").symlink_to(outside)
    pair = ws.push(["-a", "--into", "way/out", f"{source}/"], dest)
    check_equal(os.listdir(outside), [], "what is outside")
    if pair.sender.code == 0:  # the link was replaced, as any link in the place of a directory
        same_tree(source, dest / "way/out")
        check(not (dest / "way").is_symlink(), "the link is replaced")
    else:
        failed(pair.sender, (11, 23), "way")


# ---- what is passed over ------------------------------------------------------------------------------------


@case
def directories_are_skipped_without_r(ws):
    area, dest = make_area(ws), ws.dir("dest")
    address = ws.unix()
    receiver = ws.receiver(address, dest)
    sender = ws.run(HVSEND, "-lpt", "d", "file", "e/", address, cwd=area)
    failed(sender, 0, r"warning: d: skipping directory")
    failed(sender, 0, r"warning: \.: skipping directory")
    good(Pair(lib.Result(0, b"", ""), receiver.wait()))
    check_equal(os.listdir(dest), ["file"], "what arrived")


@case
def a_pull_that_brings_nothing_without_r_says_so(ws):
    area, dest = make_area(ws), ws.dir("dest")
    for source in ("d", "e/"):
        for result in ws.pull(["-lpt", f"{area}/{source}"], dest):
            failed(result, 0, r"warning: .*-r enters")
    for source, options in (("file", []), ("d", ["-r"])):
        good(ws.pull(["-lpt", f"{area}/{source}"], dest, options))


@case
def links_are_skipped_without_l(ws):
    area, dest = make_area(ws), ws.dir("dest")
    pair = ws.push(["-rpt", f"{area}/d/"], dest)
    failed(pair.sender, 0, "warning: to-dir: skipping symbolic link")
    failed(pair.sender, 0, "warning: dangling: skipping symbolic link")
    check_equal(pair.sender.err.count("\n"), 2, "lines")
    check_equal(sorted(os.listdir(dest)), ["empty", "file", "sub"], "what arrived")


@case
def q_hides_the_warnings(ws):
    area, dest = make_area(ws), ws.dir("dest")
    good(ws.push(["-rptq", f"{area}/d/"], dest))


def make_specials(source):
    """How many."""
    put(source / "file", b"file")
    os.mkfifo(source / "fifo")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(source / "socket"))
    made = 2
    for name, kind, device in (("char", stat.S_IFCHR, os.makedev(1, 3)), ("block", stat.S_IFBLK, os.makedev(7, 0))):
        try:
            os.mknod(source / name, kind | 0o600, device)
            made += 1
        except PermissionError:  # only root may
            pass
    return made


@case
def special_files_are_skipped_and_counted(ws):
    source = ws.dir("source")
    made = make_specials(source)
    for i, options in enumerate((["--json"], ["--stats"], ["--stats", "--serial"])):
        dest = ws.dir(f"dest{i}")
        pair = ws.push(["-a", *options, f"{source}/"], dest)
        check_equal((pair.sender.code, pair.receiver.code), (0, 0), "exit codes")
        for name in set(os.listdir(source)) - {"file"}:
            failed(pair.sender, 0, f"warning: {name}: skipping special file")
        check_equal(os.listdir(dest), ["file"], "what arrived")
        if "--json" in options:
            check_equal(json.loads(pair.sender.out.splitlines()[-1])["special"], made, "special")
        else:
            failed(pair.sender, 0, f"{made} special skipped")


@case
def a_special_file_as_source_is_skipped(ws):
    source, dest = ws.dir("source"), ws.dir("dest")
    make_specials(source)
    pair = ws.push(["-a", source / "fifo", source / "file"], dest)
    failed(pair.sender, 0, "warning: fifo: skipping special file")
    check_equal(os.listdir(dest), ["file"], "what arrived")


@case
def unfinished_files_of_other_transfers_are_not_sent(ws):
    source, dest = ws.dir("source"), ws.dir("dest")
    put(source / "file", b"file")
    for name in ("0123456789abcdef.1", "0123456789abcdef.1.0", f"part.{'0' * 32}", "live.0123456789abcdef"):
        put(source / f".hvferry.{name}", b"half")
    pair = ws.push(["-a", f"{source}/"], dest)
    failed(pair.sender, 0, "warning: .*skipping the unfinished file")
    check_equal(os.listdir(dest), ["file"], "what arrived")


@each([".hvferry.notes", ".hvferry.", ".HVFERRY.0123456789abcdef.1", ".hvferry.0123456789abcdef.1.0.x", ".hvferry.part.1"])
def what_only_begins_like_an_unfinished_file_is_an_error(ws, name):
    """It is a file of the user's, and no receiver takes that name."""
    source, dest = ws.dir("source"), ws.dir("dest")
    put(source / "file", b"file")
    (source / "sub").mkdir()
    put(source / "sub" / name, b"wanted")
    (source / name).mkdir()
    for pair in (ws.push(["-a", f"{source}/"], dest), ws.pull(["-a", f"{source}/"], dest)):
        for pattern in (re.escape(f"{name}: "), re.escape(f"sub/{name}: ")):
            failed(pair.sender, 23, pattern + "name begins with the reserved prefix")
        failed(pair.receiver, 23, "could not list")
    check_equal(sorted(os.listdir(dest)), ["file", "sub"], "what arrived")


# ---- pulling by name ----------------------------------------------------------------------------------------


@case
def a_receiver_gets_only_what_it_asks_for(ws):
    area, dest = make_area(ws), ws.dir("dest")
    good(ws.pull(["-a", f"{area}/"], dest, recv=["d/sub/", "e/other"]))
    found = sorted(os.fsdecode(name) for name in lib.status_of_tree(dest) if name)
    check_equal(found, ["d", "d/sub", "d/sub/deep", "d/sub/deep/y", "d/sub/x", "e", "e/other"], "what arrived")


@case
def what_is_asked_for_and_not_offered_is_an_error(ws):
    area, dest = make_area(ws), ws.dir("dest")
    pair = ws.pull(["-a", f"{area}/"], dest, recv=["no/such", "file"])
    failed(pair.sender, 23, "'no/such' was asked for, but is not offered")
    check((dest / "file").exists(), "the rest arrives")
    failed(pair.receiver, 23, "no/such: asked for, but the sender does not offer it")


@case
def options_of_the_receiver_that_pulls_count_too(ws):
    """hvsend --listen without -a: who pulls may ask for it."""
    area, dest = make_area(ws), ws.dir("dest")
    good(ws.pull([f"{area}/"], dest, recv=["-a"]))
    same_tree(area, dest)


# ---- what is not preserved unless it is asked for -------------------------------------------------------------


def modes(root):
    return {name: stat.S_IMODE(mode) for name, (mode, _, _) in lib.status_of_tree(root).items() if name}


@each(["0022", "0077", "0002"])
def without_p_modes_are_those_of_rsync(ws, mask):
    area, rsyncs, ours = make_area(ws), ws.dir("rsync"), ws.dir("ours")
    put(area / "all", b"", 0o777)
    put(area / "setuid", b"", 0o4755)
    for root in (rsyncs, ours):
        put(root / "file", b"old", 0o604)
    subprocess.run(["sh", "-c", f"umask {mask}; exec rsync -rl {area}/ {rsyncs}/"], check=True)
    address = ws.unix()
    command = f"umask {mask}; exec {shlex.quote(HVRECV)} --once --listen {address} {ours}"
    receiver = ws.listen(address, "sh", "-c", command)
    good(Pair(ws.run(HVSEND, "-rl", f"{area}/", address), receiver.wait()))
    check_equal(modes(ours), modes(rsyncs), "modes")


@each(["directory", "file"])
def a_source_in_a_directory_that_may_not_be_listed(ws, what):
    """As /home often is."""
    home, dest, address = ws.dir("home"), ws.dir("dest"), ws.unix()
    (home / "directory").mkdir()
    put(home / "directory/f", b"text")
    put(home / "file", b"text")
    hvsend, _, as_nobody = ws.for_nobody()
    if as_nobody:
        os.chown(home, lib.NOBODY, lib.NOBODY)
        ws.path.chmod(0o777)  # for the socket
    home.chmod(0o311)
    sender = ws.listen(address, hvsend, "--once", "--listen", address, "-a", home / what, **as_nobody)
    receiver = ws.run(HVRECV, "--connect", address, dest)
    good(Pair(sender.wait(), receiver))
    check_equal(lib.status_of_tree(dest / what), lib.status_of_tree(home / what), "what came")


@case
def with_p_set_id_and_sticky_bits_do_not_travel(ws):
    source, dest = ws.dir("source"), ws.dir("dest")
    for mode in (0o4755, 0o2755, 0o1777, 0o7777):
        put(source / f"{mode:o}", b"", mode)
        (source / f"d{mode:o}").mkdir()
        (source / f"d{mode:o}").chmod(mode)
    good(ws.push(["-a", f"{source}/"], dest))
    check_equal(modes(dest), {name: mode & 0o777 for name, mode in modes(source).items()}, "modes")


@each([(f"{was:o} and {mode:o}{serial}", was, mode, becomes, serial) for was, mode, becomes in (
    (0o1777, 0o777, 0o1777), (0o1777, 0o1755, 0o1755), (0o1555, 0o755, 0o1755), (0o1555, 0o555, 0o1555),
    (0o2775, 0o775, 0o2775), (0o2775, 0o4775, 0o2775), (0o3777, 0o777, 0o3777), (0o2775, 0o755, 0o755),
    (0o2555, 0o555, 0o2555 if os.geteuid() == 0 else 0o555))
    for serial in ("", " --serial")])
def with_p_bits_that_a_directory_has_stay(ws, value):
    """The sticky one always, set-id ones where nothing else of the mode changes, not even for as long as a user who is not root
    has to write there: the root's, and one below."""
    _, was, mode, becomes, serial = value
    source, dest = ws.dir("source"), ws.dir("dest")
    for root in (source, dest):
        (root / "d").mkdir()
    put(source / "d/f")
    for path in ("d", ""):
        (source / path).chmod(mode)
        (dest / path).chmod(was)
    for _ in range(2):
        good(ws.push(["-a", *serial.split(), f"{source}/"], dest, serial.split()))
        for path in (dest / "d", dest):
            check_equal(oct(path.stat().st_mode & 0o7777), oct(becomes), f"mode of {path.name}")


@case
def without_t_times_are_those_of_the_transfer(ws):
    source, dest = ws.dir("source"), ws.dir("dest")
    put(source / "small", b"small", mtime_ns=5)
    put(source / "large", noise(300_000), mtime_ns=5)
    before = lib.time.time_ns()
    good(ws.push(["-rlp", f"{source}/"], dest))
    for name in ("small", "large"):
        age = (dest / name).stat().st_mtime_ns - before
        check(age > -1_000_000_000, f"{name} has the time of its source")


lib.main()
