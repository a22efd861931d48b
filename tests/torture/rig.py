"""What the torture cases share: scenarios, one run of both ends in which something is done to one of them, what has to
be true afterwards, and the loop over all points.

HVSEND, HVRECV name the programs, in a build directory that also has killat and failpoint.so.
"""

import argparse
import concurrent.futures
import hashlib
import itertools
import os
import random
import select
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "e2e"))

import lib  # noqa: E402
from lib import Failed, check  # noqa: E402

HELPERS = Path(lib.HVSEND).resolve().parents[1] / "tests/torture"
PATIENCE = 100  # seconds until what has not ended hangs
TIMEOUT = ["--timeout", "40", "--contimeout", "40"]  # an end that waits so long for the other has missed something
ONE_STREAM = ["--retry", "0", "--grace", "0"]
COME_BACK = ["--retry", "10", "--retry-delay", "0.02", "--grace", "20"]

# An end that was killed leaves its temporary names; the next run is to remove them. False: they are counted only.
ORPHANS_GO = True


# ---- trees -----------------------------------------------------------------------------------------------------------


class Entry(NamedTuple):
    kind: str  # file, dir, link
    data: bytes  # digest of the content, or the target
    mode: int
    mtime_ns: int


def read_entry(at):
    st = os.lstat(at)
    if stat.S_ISLNK(st.st_mode):
        return Entry("link", os.fsencode(os.readlink(at)), 0, st.st_mtime_ns)
    if stat.S_ISDIR(st.st_mode):
        return Entry("dir", b"", st.st_mode & 0o7777, st.st_mtime_ns)
    with open(at, "rb") as f:  # a session that lost its peer may still be at work
        st = os.fstat(f.fileno())
        return Entry("file", hashlib.file_digest(f, "blake2b").digest(), st.st_mode & 0o7777, st.st_mtime_ns)


def read_tree(root):
    """What is below root by its path, and root as ''."""
    found = {}
    stack = [""]
    while stack:
        path = stack.pop()
        at = os.path.join(root, path) if path else str(root)
        try:
            found[path] = read_entry(at)
        except FileNotFoundError:
            check(is_temporary(path), f"{path} is gone")
            continue
        if found[path].kind == "dir":
            stack += [os.path.join(path, name) for name in os.listdir(at)]
    return found


def is_temporary(path):
    """A file, or a new directory that has no name yet, and what is in it."""
    return any(part.startswith(".hvferry.") for part in path.split(os.sep))


def is_partial(path):
    """What the next session goes on with; an end that fails leaves it on purpose."""
    return os.path.basename(path).startswith(".hvferry.part.")


def set_times(root, which):
    rng = random.Random(which)
    for directory, names, files in os.walk(root, topdown=False):
        for name in [*names, *files]:
            ns = (1 if which == "old" else 2) * 10**18 + rng.randrange(10**9)
            os.utime(os.path.join(directory, name), ns=(ns, ns), follow_symlinks=False)


def put(root, path, data, mode=0o644):
    at = root / path
    at.parent.mkdir(parents=True, exist_ok=True)
    lib.put(at, data, mode)


def small_tree(root, which):
    rng = random.Random(which)
    for i, size in enumerate((0, 1, 3000, 70_000, 140_000, 300_000)):
        put(root, f"d/{i}", lib.noise(size + rng.randrange(100) * (i > 1), f"{which}{i}"), 0o640)
    put(root, "text", lib.prose(200_000, which))
    put(root, f"only-{which}", b"alone")


def new_tree(root, which):
    if which == "new":
        small_tree(root, which)


def many_small(root, which):
    for i in range(40):
        put(root, f"many/{i}", lib.prose(20 + i * 37, f"{which}{i}"), 0o644 if i % 2 else 0o600)


def sparse(root, which):
    shift = 0 if which == "old" else 4096
    lib.put_sparse(root / "holes", 3 << 20, [(65536 + shift, lib.noise(5000, which)), (2 << 20, b"x" * 4096)])
    lib.put_sparse(root / "empty", (1 << 20) + shift)


def deep(root, which):
    for depth in range(1, 13):
        put(root, "/".join("abcdefghijkl"[:depth]) + "/file", which.encode() * depth)


def links(root, which):
    old = which == "old"
    put(root, "target", which.encode())
    os.symlink("target" if old else "d", root / "changes")
    for name in ("becomes-file", "becomes-link"):
        if (name == "becomes-file") == old:
            os.symlink("target", root / name)
        else:
            put(root, name, which.encode() * 100)
    if old:
        os.symlink("target", root / "becomes-dir")
        (root / "becomes-file-too").mkdir()
    else:
        put(root, "becomes-dir/inside", b"here")
        put(root, "becomes-file-too", b"here")
        (root / "d").mkdir()


def large(root, which):
    """Larger than the 8 MiB that may be on their way."""
    size = (9 << 20) + 4097
    half = lib.noise(size // 2, "same")
    put(root, "large", half + lib.noise(size - len(half), which))


def touched(root, which):
    """Most differ in time and mode only."""
    for i in range(6):
        put(root, f"{i}", lib.noise(40_000 * i, str(i)), 0o600 if which == "old" else 0o640)
    put(root, "changed", which.encode() * 1000)


# ---- scenarios -------------------------------------------------------------------------------------------------------


class Scenario(NamedTuple):
    """What is sent where something else was, and how. A new way to send is one more row of the table."""

    name: str
    build: object  # fn(root, which) fills root with what is "old" or "new"
    send: tuple = ()
    recv: tuple = ()
    how: str = "stdio"  # the sender dials an hvrecv --stdio; serve: it listens; pull: the sender listens; fan: two listen
    comes_back: bool = False  # a listener that died is started again, and the dialler goes on; not for --serial
    in_place: bool = False  # a file may be mixed until the next run
    breaks: str = ""  # the other end's call that fails once, and the stream with it

    @property
    def dialler(self):
        return "receiver" if self.how == "pull" else "sender"

    @property
    def broken(self):
        """How the sender ends when its stream to `receiver` broke."""
        return (43,) if self.how == "fan" else (10, 12)


SCENARIOS = [
    Scenario("new-tree", new_tree),
    Scenario("replace", small_tree, how="serve"),
    Scenario("pull", small_tree, how="pull"),
    Scenario("many-small", many_small),
    Scenario("sparse", sparse),
    Scenario("deep", deep),
    Scenario("links", links),
    Scenario("durable-file", small_tree, send=("--durable", "file")),
    Scenario("large", large, send=("--chunk-size", "256K", "--zc", "none")),
    Scenario("delta", large, send=("--chunk-size", "256K", "--zc", "none", "--delta", "on")),
    Scenario("in-place", large, send=("--chunk-size", "256K", "--zc", "none", "--inplace"), in_place=True),
    Scenario("checksum", touched, send=("-c",)),
    Scenario("streams", large, send=("--chunk-size", "64K", "--zc", "none", "--streams", "4"), how="serve"),
    Scenario("comes-back", small_tree, send=("--chunk-size", "64K"), how="serve", comes_back=True),
    Scenario("resume", small_tree, send=("--chunk-size", "64K"), how="serve", comes_back=True, breaks="sendmsg"),
    Scenario("fan-out", small_tree, send=("--chunk-size", "64K"), how="fan"),
]
ENDS = ("sender", "receiver")


class Trees:
    """The trees of a scenario, and what they hold; made once."""

    def __init__(self, base, scenario):
        self.old_root, self.new_root = base / "old", base / "new"
        for root, which in ((self.old_root, "old"), (self.new_root, "new")):
            root.mkdir(parents=True)
            scenario.build(root, which)
            set_times(root, which)
            ns = (1 if which == "old" else 2) * 10**18
            os.utime(root, ns=(ns, ns))
        self.old, self.new = read_tree(self.old_root), read_tree(self.new_root)


# ---- one run -----------------------------------------------------------------------------------------------------


class End:
    """One program with what it printed."""

    def __init__(self, argv, log, env=None, stream=None):
        self.argv, self.log = argv, log
        stdio = subprocess.DEVNULL if stream is None else stream
        with open(log, "ab") as err:
            self.popen = subprocess.Popen(
                argv, stdin=stdio, stdout=stdio, stderr=err, env={**os.environ, **env} if env else None
            )
        self.pidfd = os.pidfd_open(self.popen.pid)
        self.code = None

    def ended(self):
        if self.code is None and self.popen.poll() is not None:
            self.code = self.popen.returncode
        return self.code is not None

    def wait(self, patience=PATIENCE):
        """Its exit code; Failed when it hangs."""
        if self.code is None:
            if not select.select([self.pidfd], [], [], patience)[0]:
                stacks = self.stacks()
                self.kill()
                raise Failed(f"{' '.join(map(str, self.argv))} hangs\n{self.text()}{stacks}")
            self.code = self.popen.wait()
        return self.code

    def stacks(self):
        threads = Path(f"/proc/{self.popen.pid}/task").glob("*")
        return "".join(f"{t.name} {(t / 'comm').read_text().strip()}: {(t / 'wchan').read_text()}\n" for t in threads)

    def text(self):
        return self.log.read_bytes().decode("utf-8", "backslashreplace")

    def kill(self):
        if not self.ended():
            self.popen.kill()
            self.code = self.popen.wait()

    def close(self):
        self.kill()
        os.close(self.pidfd)


class Fault(NamedTuple):
    """What is done to one end: words before its command, more environment, another program."""

    end: str
    prefix: tuple = ()
    env: dict = {}
    programs: dict = {}


class Run:
    """One destination, and the sessions into it. `threads`: the pipelines; else --serial."""

    def __init__(self, base, scenario, trees, threads=False):
        self.dir = Path(tempfile.mkdtemp(prefix="run-", dir=base))
        self.scenario, self.trees = scenario, trees
        self.dest, self.beside = self.dir / "dest", None  # beside: of a second receiver, to which nothing is done
        self.address, self.second = f"unix:{self.dir}/s", f"unix:{self.dir}/s2"
        if scenario.how == "fan":
            self.beside = self.dir / "beside"
        for dest in self.dests:
            subprocess.run(["cp", "-a", trees.old_root, dest], check=True)
        self.serial = [] if threads or scenario.comes_back else ["--serial"]
        self.ends = []
        self.numbers = itertools.count()
        self.listener = self.second_listener = None

    @property
    def dests(self):
        return [self.dest] if self.beside is None else [self.dest, self.beside]

    def close(self):
        for end in self.ends:
            end.close()
        lib.remove_tree(self.dir)

    def command(self, end, fault):
        s = self.scenario
        program = lib.HVSEND if end == "sender" else lib.HVRECV
        common = [*TIMEOUT, *(COME_BACK if s.comes_back else ONE_STREAM), *self.serial]
        first = [program]
        if fault and fault.end == end:
            first = [*fault.prefix, fault.programs.get(end, program)]
        place = [self.address]
        if end != s.dialler:
            place = ["--stdio"] if s.how == "stdio" else ["--listen", self.address]
        if end == "beside":
            return [*first, *common, *s.recv, "--listen", self.second, str(self.beside)]
        if end == "receiver":
            place = ["--connect", *place] if s.how == "pull" else place
            return [*first, *common, *s.recv, *place, str(self.dest)]
        source = f"{self.trees.new_root}/"
        if s.how == "fan":
            place = ["--to", self.address, "--to", self.second]
        words = [source, *place] if end == s.dialler else [*place, source]
        return [*first, "-a", *common, *s.send, *words]

    def start(self, end, fault=None, stream=None):
        env = dict(fault.env) if fault and fault.end == end else {}
        if fault and fault.end != end and self.scenario.breaks:
            state = str(self.dir / f"break-{next(self.numbers)}")
            env = fail_env(state, "io", 6, "ECONNRESET", call=self.scenario.breaks)
        log = self.dir / f"{end}-{next(self.numbers)}.err"
        self.ends.append(End(self.command(end, fault), log, env, stream))
        return self.ends[-1]

    def listen(self, end, fault=None):
        """A listener that is listening, or has ended."""
        address = self.second if end == "beside" else self.address
        listener = self.start(end, fault)
        lib.wait_until(lambda: listener.ended() or lib.is_listening(address), "listening", PATIENCE)
        return listener

    def both(self, fault):
        """The ends of one session, both running or ended."""
        dialler = self.scenario.dialler
        other = ENDS[1 - ENDS.index(dialler)]
        if self.scenario.how == "stdio":
            return dict(zip((dialler, other), self.stdio_pair(dialler, other, fault)))
        if self.listener is None or self.listener.ended():
            self.listener = self.listen(other, fault)
        if self.beside and self.second_listener is None:
            self.second_listener = self.listen("beside")
        return {other: self.listener, dialler: self.start(dialler, fault)}

    def stdio_pair(self, dialler, other, fault):
        """A dialler whose connection becomes stdin and stdout of the other end. None: it never came."""
        path = self.address.removeprefix("unix:")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(1)
            first = self.start(dialler, fault)
            ready = select.select([listener, first.pidfd], [], [], PATIENCE)[0]
            os.unlink(path)
            if listener not in ready:
                return first, None
            stream, _ = listener.accept()
            with stream:
                return first, self.start(other, fault, stream)

    def session(self, fault):
        """One session, until both ends have ended; a listener that still listens is not waited for. Exit codes by
        end; None: it still listens, or was never started."""
        ends = self.both(fault)
        dialler = self.scenario.dialler
        other = ENDS[1 - ENDS.index(dialler)]
        waits = False
        if self.scenario.how == "stdio":
            return {name: end.wait() if end else None for name, end in ends.items()}
        if self.scenario.comes_back:
            both = [end.pidfd for end in ends.values()]
            while not ends[dialler].ended() and ends[other].ended():
                self.listener = ends[other] = self.listen(other)
            deadline = time.monotonic() + PATIENCE
            while not select.select(both, [], [], 0.2)[0]:
                waits = "trying again" in ends[other].text()
                if waits:  # for memory that will not come
                    ends[other].kill()
                check(time.monotonic() < deadline, f"both hang\n{self.texts()}")
            if ends[other].ended() and not ends[dialler].ended():
                self.listener = self.listen(other)
        codes = {dialler: ends[dialler].wait()}
        codes[other] = ends[other].code if ends[other].ended() and not waits else None
        return codes

    def stop_listener(self, codes=(0, 20)):
        """It is told to end, and does; and so is the second one, which must have nothing to complain about."""
        if self.second_listener is not None:
            self.second_listener.popen.terminate()
            code = self.second_listener.wait()
            check(code in (0, 20), f"the receiver to which nothing was done ends with {code}")
        self.second_listener = None
        if self.listener is not None and not self.listener.ended():
            self.listener.popen.terminate()
            code = self.listener.wait()
            check(code in codes, f"the listener ends with {code} after SIGTERM")
        self.listener = None

    def texts(self):
        return "".join(f"-- {end.log.name} (exit {end.code}):\n{end.text()}" for end in self.ends)


# ---- what has to be true ---------------------------------------------------------------------------------------


def old_or_new(run):
    """At each receiver; what the first one has."""
    return [old_or_new_below(run, dest) for dest in run.dests][0]


def old_or_new_below(run, dest):
    """Each name has its whole old or its whole new content, and a new file its mode and time."""
    found, old, new = read_tree(dest), run.trees.old, run.trees.new
    for path, entry in found.items():
        before, after = old.get(path), new.get(path)
        if entry.kind == "dir" or is_temporary(path):
            check(is_temporary(path) or "dir" in [e.kind for e in (before, after) if e], f"{path} became a directory")
            continue
        known = [e for e in (before, after) if e and (e.kind, e.data) == (entry.kind, entry.data)]
        check(known or run.scenario.in_place, f"{path} is neither the old nor the new one")
        whole = run.scenario.in_place or len(known) == 2 or entry == known[0]
        check(whole, f"{path} is {entry}, but was to be {known}")
    for path in old.keys() - found.keys():
        becomes_another_kind = path in new and "dir" in (old[path].kind, new[path].kind)
        check(becomes_another_kind, f"{path} is gone")
    return found


def is_new(run, found, orphans=False):
    """All of the new tree is there, and nothing else but what was there before. Not looked at are times of directories
    from which a session that lost its peer may remove its unfinished files at any time."""
    for path, entry in run.trees.new.items():
        got = found.get(path)
        if got and got.kind == "dir" and run.scenario.how in ("serve", "fan"):
            got = got._replace(mtime_ns=entry.mtime_ns)
        check(got == entry, f"{path} is {got} at last, but {entry} is right")
    more = found.keys() - run.trees.new.keys() - run.trees.old.keys()
    left = [path for path in more if is_temporary(path)]
    check(orphans or not left, f"left in the destination: {left}")
    check(not more - set(left), f"nobody sent {more - set(left)}")
    return len(left)


def others_are_whole(run, end, codes):
    """A second receiver has all of it, unless something was done to the sender, which then knows that it has not."""
    if run.beside and (end != "sender" or codes["sender"] == 0):
        is_new(run, read_tree(run.beside), orphans=True)


def next_run_completes(run):
    """Without a fault, the same command ends in the right tree. How many temporary names are left."""
    codes = run.session(None)
    check(all(code in (0, None) for code in codes.values()), f"the next run fails: {codes}")
    run.stop_listener()
    return sum(is_new(run, read_tree(dest), orphans=not ORPHANS_GO) for dest in run.dests)


def sanitizers_are_silent(run):
    check(not lib.SANITIZER.search(run.texts()), "a sanitizer reports")


# ---- failing calls ---------------------------------------------------------------------------------------------


def fail_env(state, kind, at, error, on=False, call=None):
    """The environment that makes failpoint.so do this; error is the name of an errno value, or short."""
    import errno

    env = {
        "LD_PRELOAD": str(HELPERS / "failpoint.so"),
        "FAILPOINT_STATE": str(state),
        "FAILPOINT_KIND": kind,
        "FAILPOINT_AT": str(at),
        "FAILPOINT_ERRNO": str(0 if error == "short" else getattr(errno, error)),
    }
    if on:
        env["FAILPOINT_ON"] = "1"
    if call:
        env["FAILPOINT_CALL"] = call
    return env


# ---- points ----------------------------------------------------------------------------------------------------


class Torture:
    """Runs points until what was asked for is done, and prints the line of the table.

    A subclass has CASE, QUICK_RUNS, sweep(rng) -> list of all points, random_point(rng), and run(point) -> a note that
    is counted (None: the fault did not take place). Points are words that --point takes.
    """

    CASE = ""
    QUICK_RUNS = 100

    def __init__(self):
        parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
        parser.add_argument("--seconds", type=float)
        parser.add_argument("--runs", type=int)
        parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
        parser.add_argument("--point", action="append", help="only these, as a failure names them")
        parser.add_argument("--only", default="", help="only points whose names begin so")
        parser.add_argument("--random", action="store_true", help="no sweep: go on where an earlier run had done it")
        self.options = parser.parse_args()
        self.lock = threading.RLock()  # making the points takes it again
        self.trees = {}
        self.counts = {}
        self.failures = 0
        self.done = 0

    def is_wanted(self, prefix):
        """Points that begin so can be among those that --only names."""
        only = self.options.only
        return prefix.startswith(only) or only.startswith(prefix)

    def trees_of(self, scenario):
        with self.lock:
            if scenario.name not in self.trees:
                self.trees[scenario.name] = Trees(self.base / f"trees-{scenario.name}", scenario)
            return self.trees[scenario.name]

    def open_run(self, scenario, threads):
        return Run(self.base, scenario, self.trees_of(scenario), threads)

    def attempt(self, point):
        try:
            note = self.run(point)
        except Failed as error:
            with self.lock:
                self.failures += 1
                self.done += 1
                command = f"HVSEND={lib.HVSEND} HVRECV={lib.HVRECV} python3 {sys.argv[0]}"
                print(f"FAILED {point}: {error}\n  {command} --point {point}\n", file=sys.stderr, flush=True)
            return
        with self.lock:
            if note is not None:
                self.done += 1
                self.counts[note] = self.counts.get(note, 0) + 1

    def points(self):
        """Each of the sweep once, in an order that the seed gives, and then random ones without end."""
        rng = random.Random(self.options.seed)
        sweep = [point for point in self.sweep() if point.startswith(self.options.only)]
        rng.shuffle(sweep)
        if self.options.random:
            sweep = []
        self.sweep_size = len(sweep)
        yield from sweep
        while True:
            yield self.random_point(rng)

    def loop(self):
        runs = self.options.runs
        if runs is None and self.options.seconds is None:
            runs = self.QUICK_RUNS
        end = time.monotonic() + self.options.seconds if self.options.seconds is not None else float("inf")
        points = self.points() if not self.options.point else iter(self.options.point)
        limit = itertools.islice(points, runs)
        self.started = 0

        def worker():
            while time.monotonic() < end and self.failures < 50:
                with self.lock:
                    point = next(limit, None)
                    self.started += 1
                if point is None:
                    return
                self.attempt(point)

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for future in [pool.submit(worker) for _ in range(os.cpu_count())]:
                future.result()

    def main(self):
        os.umask(0o022)
        with lib.Workspace() as workspace:
            self.base = workspace.path
            self.loop()
        sweep = getattr(self, "sweep_size", 0)
        note = []
        if not self.options.point:
            note = [f"{min(self.started, sweep)} of {sweep} points, {max(0, self.started - sweep)} random"]
        note += [f"{n} {what}" for what, n in sorted(self.counts.items())]
        print(f"{self.CASE}\t{self.done}\t{self.failures}\t{'; '.join(note)}", flush=True)
        sys.exit(1 if self.failures else 0)
