#!/usr/bin/env python3
"""Wherever a session breaks, each name at the destination has its whole old or its whole new content, and the
next run completes the tree. HVFERRY_TEST_SEED repeats a run."""

import functools
import os
import random
import shutil

import lib
from lib import KIB, SMALL, check, each, good, noise, prose, put, same_tree
from proxy import AfterBytes, NoRule, session

RUNS = 3 if SMALL else 14  # of each kind and role
SEED = int(os.environ.get("HVFERRY_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
OPTIONS = ["--timeout", "60", "--contimeout", "60"]
SEND = ["-a", "--zc", "none", "--chunk-size", "64K", *OPTIONS]


def write_trees(root, which):
    """`new` and `old` have the same names but two, with different contents, most of other sizes, and other times."""
    rng = random.Random(which)
    old = which == "old"
    for directory in ("", "a", "a/b", "many"):
        (root / directory).mkdir(exist_ok=True)
    for i in range(60):
        size = rng.randrange(20_000) if i % 3 else 5000
        put(root / "many" / f"{i}", prose(size, f"{which}{i}"), 0o644 if i % 2 else 0o600)
    for i, size in enumerate((100, 200, 300, 400, 700)):
        put(root / "a" / f"{i}", noise(size * KIB + rng.randrange(2000) * (i % 2), f"{which}{i}"), 0o640)
    put(root / "a/b/largest", noise(1500 * KIB, which))
    put(root / ("only-old" if old else "only-new"), b"alone")
    for directory, _, files in os.walk(root):
        for name in files:
            ns = (1 if old else 2) * 10**18 + rng.randrange(10**9)
            os.utime(os.path.join(directory, name), ns=(ns, ns))
    return root


@functools.cache
def tree(which):
    return write_trees(lib.common.dir(which), which)


@functools.cache
def contents(which):
    return read_files(tree(which))


def read_files(root):
    found = {}
    for directory, _, names in os.walk(root):
        for name in names:
            path = os.path.join(directory, name)
            with open(path, "rb") as f:
                found[os.path.relpath(path, root)] = f.read()
    return found


def is_temporary(path):
    return os.path.basename(path).startswith(".hvferry.")


def nothing_is_mixed(dest, may_leave_temporary):
    old, new = contents("old"), contents("new")
    found = read_files(dest)
    for path, content in found.items():
        if is_temporary(path) and may_leave_temporary:
            continue
        check(content in (old.get(path), new.get(path)), f"{path} is neither the old nor the new file")
        if content == new.get(path):
            ours, theirs = os.lstat(tree("new") / path), os.lstat(dest / path)
            same = (ours.st_mode, ours.st_mtime_ns) == (theirs.st_mode, theirs.st_mtime_ns)
            check(same, f"{path} is new, but has not its mode and time")
    missing = old.keys() - found.keys()
    check(not missing, f"gone from the destination: {missing}")


@functools.cache
def bytes_of_whole_session():
    with lib.Workspace() as ws:
        dest = shutil.copytree(tree("old"), ws.path / "dest")
        with session(ws, NoRule(), [*SEND, f"{tree('new')}/"], dest, OPTIONS) as s:
            good(s.wait())
            return s.proxy.total


def break_session(s, kind):
    """Returns who survives."""
    if kind == "receiver killed":
        s.receiver.kill()
    if kind == "sender killed":
        s.sender.kill()
    s.proxy.cut()
    return [p for p in (s.sender, s.receiver) if p.popen.returncode != -9]


def survivors_say_so(s, survivors, dest):
    for process in survivors:
        result = process.wait()
        if result.code == 0 and process is s.sender:
            # The goodbye was through: what was acknowledged must be there.
            found = read_files(dest)
            check(all(found[path] == content for path, content in contents("new").items()), "exit 0, but files miss")
            continue
        check(result.code in (10, 12), f"not exit 10 or 12: {result}")
        check(result.err.strip(), f"it ended without a message: {result}")


def one_run(ws, number, kind, pull, position):
    dest = shutil.copytree(tree("old"), ws.path / f"dest{number}")
    with session(ws, AfterBytes(position), [*SEND, f"{tree('new')}/"], dest, OPTIONS, pull) as s:
        if s.stands():
            survivors_say_so(s, break_session(s, kind), dest)
        else:
            good(s.wait())
    nothing_is_mixed(dest, may_leave_temporary=kind == "receiver killed")
    good(ws.push([*SEND, f"{tree('new')}/"], dest, OPTIONS))
    (dest / "only-old").unlink()
    os.utime(dest, ns=(0, os.stat(tree("new")).st_mtime_ns))
    same_tree(tree("new"), dest)
    lib.remove_tree(dest)


@each([f"{kind}, {role}" for kind in ("cut", "receiver killed", "sender killed") for role in ("push", "pull")])
def every_name_is_old_or_new_after(ws, value):
    kind, role = value.split(", ")
    rng = random.Random(f"{SEED} {value}")
    total = bytes_of_whole_session()
    for number in range(RUNS):
        # Some near both ends, where handshake and goodbye are.
        near = rng.randrange(600)
        position = rng.choice([rng.randrange(total), rng.randrange(total), near, total - 1 - near])
        try:
            one_run(ws, number, kind, role == "pull", position)
        except lib.Failed as error:
            place = f"seed {SEED}, run {number}: {kind} after {position} of {total} bytes ({role})"
            raise lib.Failed(f"{place}:\n{error}") from None


print(f"# HVFERRY_TEST_SEED={SEED}")
lib.main()
