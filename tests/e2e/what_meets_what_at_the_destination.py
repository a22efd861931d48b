#!/usr/bin/env python3
"""Each kind of entry on each kind of thing that may be in its place: replaced or refused as promised, never followed,
and nothing outside of the root changes."""

import os
import socket
import stat

import lib
from lib import HVSEND, Pair, case, check, check_equal, each, failed, good, noise, put, same_tree, status_of_tree

LARGE = noise(400_000, 1)


def small_file(path):
    put(path, b"new small", 0o640, 123_456_789)


def large_file(path):
    put(path, LARGE, 0o640, 123_456_789)


def directory(path):
    path.mkdir()
    put(path / "inside", b"new inside", 0o640, 5)
    os.utime(path, ns=(0, 123_456_789))


def link(path):
    path.symlink_to("new target")
    os.utime(path, ns=(0, 123_456_789), follow_symlinks=False)


def nothing(_):
    pass


def old_file(path):
    put(path, b"old", 0o600)


def empty_directory(path):
    path.mkdir()


def full_directory(path):
    path.mkdir()
    put(path / "old", b"old")
    (path / "sub").mkdir()


def link_to_file(path):
    path.symlink_to(path.parent.parent / "outside/file")


def link_to_directory(path):
    path.symlink_to("../outside")


def dangling_link(path):
    path.symlink_to("../outside/not there")


def fifo(path):
    os.mkfifo(path)


def unix_socket(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(path))


def device(path):
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    except PermissionError:
        fifo(path)


LINKS = [link_to_file, link_to_directory, dangling_link]
SPECIALS = [fifo, unix_socket, device]
REPLACED = "replaced"
REFUSED = "refused"

# What the product promises: new kind, what is there, what becomes of it.
NO_DIRECTORIES = [small_file, large_file, link]
YIELDING = [nothing, old_file, empty_directory, *LINKS]
TABLE = [(new, old, REPLACED) for new in NO_DIRECTORIES for old in YIELDING]
TABLE += [(new, old, REFUSED) for new in NO_DIRECTORIES for old in (full_directory, *SPECIALS)]
TABLE += [(directory, old, REPLACED) for old in (nothing, empty_directory, *LINKS)]
TABLE += [(directory, old, REFUSED) for old in (old_file, *SPECIALS)]


def words(function):
    return function.__name__.replace("_", " ")


@each([(f"{words(new)} on {words(old)} is {outcome}{', one thread' * serial}", new, old, outcome, serial)
       for new, old, outcome in TABLE for serial in (0, 1)])  # fmt: skip
def a_new(ws, value):
    _, new, old, outcome, serial = value
    source, dest, outside = ws.dir("source"), ws.dir("dest"), ws.dir("outside")
    put(outside / "file", b"precious", 0o600, 1)
    new(source / "name")
    put(source / "other", b"other")
    (source / "zdir").mkdir()
    put(source / "zdir/other", b"other")
    old(dest / "name")
    was_outside = status_of_tree(outside)
    was_there = status_of_tree(dest / "name") if outcome == REFUSED else None
    pair = ws.push(["-a", *["--serial"] * serial, f"{source}/"], dest, ["--serial"] * serial)
    check_equal(status_of_tree(outside), was_outside, "what is outside")
    check_equal((outside / "file").read_bytes(), b"precious", "the file outside")
    if outcome == REPLACED:
        good(pair)
        same_tree(source, dest)
        return
    for result in pair:
        failed(result, 23, "name: .*in its place")
    check_equal(status_of_tree(dest / "name"), was_there, "what was there")
    check_equal((dest / "other").read_bytes(), b"other", "the other file")
    same_tree(source / "zdir", dest / "zdir")
    lib.no_temporary_names(dest)


@case
def all_of_that_happens_in_one_session(ws):
    source, dest, outside = ws.dir("source"), ws.dir("dest"), ws.dir("outside")
    put(outside / "file", b"precious", 0o600, 1)
    refused, kept = [], source.with_name("kept")
    for new, old, outcome in TABLE:
        name = f"{new.__name__}-on-{old.__name__}"
        new(source / name)
        old(dest / name)
        if outcome == REFUSED:
            refused.append(name)
    was_outside = status_of_tree(outside)
    was_there = {name: status_of_tree(dest / name) for name in refused}
    for result in ws.push(["-a", f"{source}/"], dest):
        for name in refused:
            failed(result, 23, f"{name}: .*in its place")
    check_equal(status_of_tree(outside), was_outside, "what is outside")
    check_equal((outside / "file").read_bytes(), b"precious", "the file outside")
    check_equal({name: status_of_tree(dest / name) for name in refused}, was_there, "what was there")
    kept.mkdir()
    for name in refused:  # what is left is as it was sent
        (source / name).rename(kept / f"new-{name}")
        (dest / name).rename(kept / f"old-{name}")
    os.utime(dest, ns=(0, 0))
    os.utime(source, ns=(0, 0))
    same_tree(source, dest)


@each([(f"{words(old)} stays, {' '.join(options)}", old, options)
       for old in SPECIALS for options in (["-a", "-c"], ["-a", "-I"], ["-r", "--inplace"])])  # fmt: skip
def in_a_pull_too_a(ws, value):
    """Somebody is at its other end, and a file in its place would cut that off."""
    _, old, options = value
    source, dest = ws.dir("source"), ws.dir("dest")
    small_file(source / "small")
    large_file(source / "large")
    put(source / "other", b"other")
    old(dest / "small")
    old(dest / "large")
    was_there = {name: status_of_tree(dest / name) for name in ("small", "large")}
    for result in ws.pull([*options, f"{source}/"], dest):
        for name in was_there:
            failed(result, 23, f"{name}: a FIFO, a socket or a device is in its place")
    check_equal({name: status_of_tree(dest / name) for name in was_there}, was_there, "what was there")
    check_equal((dest / "other").read_bytes(), b"other", "the other file")
    lib.no_temporary_names(dest)


@case
def a_directory_that_may_stay_keeps_what_it_has(ws):
    """Nothing is deleted from it unless that is asked for."""
    source, dest = ws.dir("source"), ws.dir("dest")
    directory(source / "name")
    full_directory(dest / "name")
    good(ws.push(["-a", f"{source}/"], dest))
    check_equal(sorted(os.listdir(dest / "name")), ["inside", "old", "sub"], "what is there")
    check_equal(os.stat(dest / "name").st_mtime_ns, 123_456_789, "its time")


@case
def a_link_deep_in_the_way_is_replaced_and_not_followed(ws):
    source, dest, outside = ws.dir("source"), ws.dir("dest"), ws.dir("outside")
    (source / "a/b/c").mkdir(parents=True)
    put(source / "a/b/c/file", b"new")
    put(source / "a/b/c/large", LARGE)
    (outside / "c").mkdir()
    put(outside / "c/file", b"precious")
    (dest / "a").mkdir()
    (dest / "a/b").symlink_to(outside)
    before = status_of_tree(outside)
    good(ws.push(["-a", f"{source}/"], dest))
    check_equal(status_of_tree(outside), before, "what is outside")
    same_tree(source, dest)


@case
def links_that_were_just_sent_are_not_followed_either(ws):
    """The tree itself has a link where a second source has a directory."""
    one, two, dest, outside = ws.dir("one"), ws.dir("two"), ws.dir("dest"), ws.dir("outside")
    (one / "name").symlink_to(outside)
    (two / "name").mkdir()
    put(two / "name/file", b"new")
    ws.push(["-a", f"{one}/", f"{two}/"], dest)
    check_equal(os.listdir(outside), [], "what is outside")


@case
def the_root_itself_may_be_a_link(ws):
    """It is the user's own word, not the peer's."""
    source, real = ws.dir("source"), ws.dir("real")
    directory(source / "name")
    (ws.path / "link").symlink_to("real")
    good(ws.push(["-a", f"{source}/"], ws.path / "link"))
    same_tree(source, real)
    check((ws.path / "link").is_symlink(), "the link stays")


@case
def a_root_that_is_moved_away_takes_the_files_along(ws):
    """The listener holds the directory, not its name."""
    source, dest, outside = ws.dir("source"), ws.dir("dest"), ws.dir("outside")
    directory(source / "name")
    address = ws.address()
    receiver = ws.receiver(address, dest)
    dest.rename(ws.path / "moved")
    (ws.path / "dest").symlink_to(outside)
    good(Pair(ws.run(HVSEND, "-a", f"{source}/", address), receiver.wait()))
    same_tree(source, ws.path / "moved")
    check_equal(os.listdir(outside), [], "what is outside")


@case
def hard_links_at_the_destination_are_cut_not_written_through(ws):
    source, dest, outside = ws.dir("source"), ws.dir("dest"), ws.dir("outside")
    small_file(source / "small")
    large_file(source / "large")
    for name in ("small", "large"):
        put(outside / name, b"precious")
        os.link(outside / name, dest / name)
    good(ws.push(["-a", f"{source}/"], dest))
    for name in ("small", "large"):
        check_equal((outside / name).read_bytes(), b"precious", "the file outside")
    same_tree(source, dest)


lib.main(parallel=2)
