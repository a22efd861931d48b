"""Trees inside the guests: made there, listed there, compared here. labtree.c does most of it."""

import itertools
import os
import shlex
import subprocess
import sys

from lib import Failed, check
from runner import REPOSITORY

MAKE_TREE = REPOSITORY / "tests/lab/make_tree.py"

rooms = itertools.count(1)

EVERYTHING = """
mkdir -p {path} && cd {path} && mkdir -p a/b/c/d empty modes
echo text >text && : >nothing && head -c 300000 /dev/urandom >a/noise && head -c 3000000 /dev/zero >a/b/zeros
echo x >' a name of (words) & "signs"' && ln -s text link && ln -s nowhere a/dangling
for mode in 600 640 755 444; do echo $mode >modes/$mode; chmod $mode modes/$mode; done
touch -d '2001-02-03 04:05:06' text a/b && chmod 700 a/b/c
"""


def good_output(job, script):
    result = job.wait()
    check(result.code == 0, f"{script}\n{result}")
    return result.out


def do(guest, script):
    return good_output(guest.start(script), script)


def new_room(guest):
    """The name of a directory that is not there yet."""
    return f"{guest.data}/room-{next(rooms)}"


def empty(guest):
    """A new directory."""
    path = new_room(guest)
    do(guest, f"mkdir {path}")
    return path


def make_large(guest, mib, path=None, names="large"):
    """Files of about so many MiB each that do not become smaller."""
    path = path or new_room(guest)
    do(guest, f"labtree large {path} {mib} {names}")
    return path


def make_many(guest, directories, files=1000):
    """So many directories of so many files, the files of each of another size."""
    path = new_room(guest)
    do(guest, f"labtree many {path} {directories} {files}")
    return path


def make_everything(lab, guest):
    """All that a tree can hold. It is made once for all cases, which only read it. Where the machine's / is the guests'
    root, it is what the end-to-end tests send, and made outside."""
    if lab.directory:
        path = lab.directory / "everything"
        if not path.exists():
            path.mkdir()
            env = {**os.environ, "HVFERRY_TEST_SCALE": "small"}
            subprocess.run([sys.executable, MAKE_TREE, path], env=env, check=True)
        return path
    path = f"{guest.data}/everything"
    if guest.run(f"test -d {path}").code != 0:
        do(guest, EVERYTHING.format(path=path))
    return path


def listed(guest, path):
    """What `labtree list` says of it, by lines."""
    return do(guest, f"labtree list {shlex.quote(str(path))}").splitlines()


def digests(guest, path):
    """(digest, path) of each file; not of what is unfinished."""
    entries = (line.split(b" ") for line in listed(guest, path))
    return {(content, name) for mode, _, _, content, name in entries if mode[:2] == b"10" and b"/.hvferry." not in name}


def check_same(one, path, other, other_path):
    """Two trees, in one guest or two, do not differ in names, kinds, modes, sizes, targets, times or content."""
    commands = [f"labtree list {tree}" for tree in (path, other_path)]
    jobs = [guest.start(command) for guest, command in zip((one, other), commands)]
    ours, theirs = (set(good_output(*job).splitlines()) for job in zip(jobs, commands))
    if ours != theirs:
        lines = "\n".join(map(repr, sorted(ours ^ theirs)[:20]))
        raise Failed(f"{len(ours ^ theirs)} lines of the listings differ, as:\n{lines}")
