#!/usr/bin/env python3
"""Directories and files of the destination are exchanged with links that lead out of it.

Another process does that as fast as it goes, while sessions write there: nothing outside is made, changed or removed.
With openat2, and with the walk that takes its place where that is missing. A run is one exchange.
"""

import contextlib
import ctypes
import itertools
import os
import shutil
import stat
import struct
import subprocess
import sys
import time
from pathlib import Path

import module
from module import lib
from lib import HVRECV, HVSEND, Failed, Skipped, Workspace, check, prose, put

CASE = "flipper"
QUICK_RUNS = 30000
SYS_OPENAT2 = 437  # on every architecture
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
RET_ALLOW, RET_ERRNO, ENOSYS = 0x7FFF0000, 0x00050000, 38
LOAD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06  # of classic BPF
AT_FDCWD, RENAME_EXCHANGE = -100, 2
SESSION_OPTIONS = ["--timeout", "60", "--contimeout", "60"]
WALKS = ["openat2", "openat"]
TOPS = [f"d{i}" for i in range(16)]
BELOW = ["e", "f"]  # in each of them, one in the other
PATHS = [path for top in TOPS for path in (top, f"{top}/e", f"{top}/e/f")]
INTO = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
FLIPS = 8


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]


def without_openat2():
    """For the child before exec: from then on openat2 is a system call that this kernel does not have."""
    steps = [
        (LOAD, 0, 0, 0),
        (JUMP_EQUAL, 0, 1, SYS_OPENAT2),
        (RETURN, 0, 0, RET_ERRNO | ENOSYS),
        (RETURN, 0, 0, RET_ALLOW),
    ]
    code = b"".join(struct.pack("HBBI", *step) for step in steps)
    program = Program(len(steps), code)
    libc = ctypes.CDLL(None, use_errno=True)

    def install():
        if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
            PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0
        ):
            raise OSError(ctypes.get_errno(), "no seccomp filter can be set")

    return install


def before_receiver(walk):
    """It yields to the flipper, so that what it sees changes as often as can be."""
    block = without_openat2() if walk == "openat" else lambda: None

    def prepare():
        os.nice(10)
        block()

    return prepare


# ---- the other user: a process of its own -----------------------------------------------------------------------


def flip(dest, outside, count_path):
    """Exchanges until it is killed, each name of the destination with the link beside it, and never follows one itself.
    What a session made of a link becomes one again. The number of exchanges that were done is written where the other
    process finds it."""
    rename = ctypes.CDLL(None, use_errno=True).renameat2
    root = os.open(dest, os.O_RDONLY | os.O_DIRECTORY)
    done = 0
    with open(count_path, "wb", buffering=0) as count:
        for turn in itertools.count():
            at = root
            for name in [TOPS[turn % len(TOPS)], *BELOW]:
                exchange = [os.fsencode(name), b"0"] if at != root else [os.fsencode(name)]
                for here in exchange:
                    there = here + b"-link"
                    for _ in range(FLIPS + turn % 2):  # the last one stays for a while
                        done += rename(at, here, at, there, RENAME_EXCHANGE) == 0
                    with contextlib.suppress(OSError):
                        lay_again(at, there, outside, turn)
                with contextlib.suppress(OSError):  # a link stands there now, or nothing does
                    below = os.open(name, INTO, dir_fd=at)
                    if at != root:
                        os.close(at)
                    at = below
            if at != root:
                os.close(at)
            os.pwrite(count.fileno(), b"%d" % done, 0)


def lay_again(at, name, outside, turn):
    found = os.lstat(name, dir_fd=at)
    if stat.S_ISDIR(found.st_mode):
        os.rename(name, b"old-%d" % turn, src_dir_fd=at, dst_dir_fd=at)
    elif not stat.S_ISLNK(found.st_mode):
        os.unlink(name, dir_fd=at)
    else:
        return
    os.symlink(outside if stat.S_ISDIR(found.st_mode) else f"{outside}/0", name, dir_fd=at)


def start_flipper(ws, dest, outside, count_path):
    return ws.start(sys.executable, __file__, "--flip", dest, outside, count_path)


# ---- the sessions -----------------------------------------------------------------------------------------------


def look(root):
    """Everything about what is outside: any change shows, and so does reading, where access times are kept."""
    found = {}
    for directory, directories, files in os.walk(root):
        for name in ["", *directories, *files]:
            path = os.path.join(directory, name)
            st = os.lstat(path)
            content = open(path, "rb").read() if os.path.isfile(path) and not os.path.islink(path) else None
            found[path] = (st.st_mode, st.st_ino, st.st_uid, st.st_mtime_ns, st.st_ctime_ns, st.st_size, content)
    return found


def make_source(root, version):
    """The same names as outside: what went there would change something."""
    for directory in PATHS:
        (root / directory).mkdir(parents=True)
        for i in range(4):
            put(root / directory / f"{i}", prose(50 + i * 400, f"{version}{directory}{i}"), 0o604)
        os.symlink("target", root / directory / "new-link")


def make_outside(root):
    for directory in (*PATHS, "e", "e/f", "f"):
        (root / directory).mkdir(parents=True, exist_ok=True)
        for i in range(4):
            put(root / directory / f"{i}", b"outside")
    for i in range(4):
        put(root / f"{i}", b"outside")


def lay_links(dest, outside):
    """One of each name that is exchanged, beside it."""
    for name in PATHS:
        (dest / name).mkdir(exist_ok=True)
        put(dest / name / "0", b"inside")
    for name in PATHS:
        os.symlink(outside, dest / f"{name}-link")
        os.symlink(outside / "0", dest / name / "0-link")


class Torture:
    def __init__(self, common):
        self.outside = common.dir("outside")
        make_outside(self.outside)
        self.sources = [common.dir(f"source{i}") for i in range(2)]
        for i, source in enumerate(self.sources):
            make_source(source, i)
        self.before = look(self.outside)
        self.sessions = self.unharmed = 0
        self.exchanges = dict.fromkeys(WALKS, 0)

    def run(self, walk, end):
        """Sessions under one flipper for as long as end(exchanges so far) says no. The number of exchanges."""
        with Workspace() as ws:
            dest, count_path = ws.dir("dest"), ws.path / "count"
            lay_links(dest, self.outside)
            address = ws.unix()
            words = [HVRECV, "--listen", address, *SESSION_OPTIONS, dest]
            listener = ws.listen(address, *words, preexec_fn=before_receiver(walk))
            flipper = start_flipper(ws, dest, self.outside, count_path)
            lib.wait_until(lambda: flipper.ended() or (count_path.exists() and count_path.read_bytes()), "it flips")
            exchanges = 0
            while exchanges == 0 or not end(exchanges):
                self.session(ws, address, listener)
                check(not flipper.ended(), f"the flipper ended: {flipper.err()}")
                exchanges = int(count_path.read_bytes())
                self.begin_again(dest, flipper)
            flipper.kill()
        self.exchanges[walk] += exchanges
        return exchanges

    def session(self, ws, address, listener):
        source = self.sources[self.sessions % 2]
        result = ws.run(HVSEND, "-a", "-I", *SESSION_OPTIONS, f"{source}/", address)
        self.sessions += 1
        self.unharmed += result.code == 0
        check(result.code in (0, 11, 23), f"neither 0, 11 nor 23: {result}")
        check(not listener.ended(), f"the listener ended: {listener.err()[-2000:]}")
        now = look(self.outside)
        changed = sorted(path for path in now.keys() | self.before.keys() if now.get(path) != self.before.get(path))
        check(not changed, f"outside of the destination changed: {changed}\n{result}")

    def begin_again(self, dest, flipper):
        """A session replaces links by what it brings. With the flipper stopped, everything is as in the beginning."""
        flipper.signal(lib.signal.SIGSTOP)
        state = Path(f"/proc/{flipper.pid}/stat")
        lib.wait_until(lambda: state.read_text().rsplit(")", 1)[1].split()[0] in "TZ", "the flipper stands")
        try:
            for name in os.listdir(dest):
                path = dest / name
                if path.is_symlink() or not path.is_dir():
                    path.unlink()
                else:
                    shutil.rmtree(path)
            lay_links(dest, self.outside)
        finally:
            flipper.signal(lib.signal.SIGCONT)


def supported(common):
    try:
        subprocess.run(["true"], preexec_fn=without_openat2(), check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise Skipped(f"no seccomp filter can be set: {error}") from None
    a, b = os.fsencode(common.dir("a")), os.fsencode(common.dir("b"))
    if ctypes.CDLL(None).renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) != 0:
        raise Skipped("the file system does not exchange names")


def main():
    args = module.arguments(runs=1_000_000)
    failures = 0
    with Workspace() as common:
        try:
            supported(common)
        except Skipped as reason:
            module.cannot(CASE, str(reason))
        torture = Torture(common)
        for walk in WALKS if args.only is None else [WALKS[args.only % len(WALKS)]]:
            start = time.monotonic()

            def end(exchanges, start=start):
                if module.Ending.asked:
                    return True
                if args.seconds is not None:
                    return time.monotonic() - start >= args.seconds / len(WALKS)
                return exchanges >= args.runs / len(WALKS)

            try:
                torture.run(walk, end)
            except Failed as error:
                failures += 1
                module.show_failure(args, WALKS.index(walk), str(error))
    note = ", ".join(f"{n} with {walk}" for walk, n in torture.exchanges.items())
    note += f"; {torture.sessions} sessions, {torture.unharmed} of them whole"
    module.finish(CASE, sum(torture.exchanges.values()), failures, note)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--flip"]:
        flip(*sys.argv[2:])
    sys.exit(main())
