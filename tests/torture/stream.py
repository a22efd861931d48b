#!/usr/bin/env python3
"""Sessions through a proxy that harms the stream at random places.

It cuts, stalls, delays, splits into single bytes, turns bits, duplicates and drops bytes and frames. What is damaged is
mended or reported, never taken as good, and a break costs one window at most.
"""

import random
import shutil
import signal
import subprocess
import sys

import module
from lib import HVRECV, HVSEND, KIB, MIB, Failed, Pair, Workspace, check, noise, prose, put, same_tree
from meddler import KINDS, Fault, Meddler
from proxy import TO_DIALLER, TO_LISTENER

CASE = "stream"
QUICK_RUNS = 60
WINDOW = 8 * MIB  # what a receiver grants
GREETING = 64 * KIB  # handshake, ACKs and heartbeats of one stream more
LARGE_EVERY, LONG_STALL_EVERY = 10, 50
SMALL_FILES, LARGE_BYTES = 40, 24 * MIB
FAULTS_MAX = 4
PATIENT = ["--timeout", "20", "--contimeout", "20"]
LOSSY_GREETING = ["--timeout", "20", "--contimeout", "1"]  # nobody waits long for a HELLO that does not come
HASTY = ["--timeout", "2", "--contimeout", "2"]
LONG_STALL = 3  # seconds
GREETING_ENDS = 700  # bytes
COME_BACK = ["--retry", "14", "--retry-delay", "0.01"]
LONGEST = 300  # seconds: a stream that stalls is silent until the timeout, and the pauses between tries grow
GREETINGS, GOODBYES = (None, 1, 2, 3, 4), (30, 31, 39)  # types of messages; None: the preamble
HARMLESS = ("stall", "delay", "split")


def make_tree(root, which):
    rng = random.Random(which)
    (root / "a/b").mkdir(parents=True)
    for i in range(SMALL_FILES):
        put(root / "a" / f"{i}", prose(rng.randrange(4000), f"{which}{i}"), mtime_ns=rng.randrange(10**18))
    for i, size in enumerate((150, 200, 300)):
        put(root / "a/b" / f"{i}", noise(size * KIB, f"{which}{i}"), mtime_ns=rng.randrange(10**18))
    return root


def make_large(root):
    put(root / "image", noise(LARGE_BYTES, "image"))
    return root


class Trees:
    """Two sources with what is at the destination before (None: nothing), and how many bytes a session takes."""

    def __init__(self, ws):
        self.small, self.old = make_tree(ws.dir("small"), "new"), make_tree(ws.dir("old"), "old")
        self.large = make_large(ws.dir("large"))
        self.contents = {path: module.read_files(path) for path in (self.small, self.old, self.large)}
        self.lengths = {}

    def bytes_of(self, source, pull):
        """Of a session to which nothing is done: in each direction."""
        if (source, pull) not in self.lengths:
            with Workspace() as ws:
                dest = ws.path / "dest"
                self.prepare(source, dest)
                pair, meddler = run_session(ws, source, dest, [], pull, PATIENT)
                check((pair.sender.code, pair.receiver.code) == (0, 0), f"a session that nobody harms failed\n{pair}")
                self.lengths[source, pull] = [way.passed for way in meddler.ways]
        return self.lengths[source, pull]

    def prepare(self, source, dest):
        if source == self.small:
            shutil.copytree(self.old, dest)
        else:
            dest.mkdir()


def run_session(ws, source, dest, faults, pull, options):
    """The Pair, and the Meddler that was between them."""
    address, middle = ws.unix(), ws.unix()
    send = ["-a", "--json", "--zc", "none", "--chunk-size", "64K" if "small" in source.name else "1M", *options]
    receive = ["--json", *options]
    if pull:
        listener = ws.listen(address, HVSEND, "--once", "--listen", address, "--grace", "60", *send, f"{source}/")
        dial = [HVRECV, *receive, *COME_BACK, "--connect", middle, dest]
    else:
        listener = ws.receiver(address, dest, "--grace", "60", *receive)
        dial = [HVSEND, *send, *COME_BACK, f"{source}/", middle]
    with Meddler(middle.removeprefix("unix:"), address.removeprefix("unix:"), faults) as meddler:
        dialler = ws.start(*dial).wait(LONGEST)
        stopped = (dialler.code != 0 or not in_the_middle(meddler)) and stop_waiting(listener)
        listened = listener.wait(LONGEST)
        if stopped and listened.code == 0 or listened.code == 20:  # idle at that moment, or not
            listened = listened._replace(code=20, err="told to stop")
    pair = Pair(listened, dialler) if pull else Pair(dialler, listened)
    return pair, meddler


def stop_waiting(listener):
    """The dialler is gone: a listener that is at its end ends, one that waits for the dialler is told to (True)."""
    try:
        listener.popen.wait(1)
        return False
    except subprocess.TimeoutExpired:
        listener.signal(signal.SIGTERM)
        return True


def random_fault(rng, lengths, kinds=KINDS):
    kind = rng.choice(kinds)
    way = rng.choice([TO_LISTENER, TO_DIALLER])
    total = lengths[way]
    at = rng.randrange(total)
    if rng.random() < 0.2:  # where handshake and goodbye are
        near = rng.randrange(GREETING_ENDS) % total
        at = rng.choice([near, total - 1 - near])
    amounts = {"stall": rng.random() / 5, "flip": rng.randrange(8)}
    return Fault(kind, way, at, amounts.get(kind, rng.choice([1, 1, rng.randrange(1, 3000)])))


def in_the_middle(meddler):
    """True when nothing was done to the handshake or the goodbye, which cannot be gone on with."""
    for way in meddler.ways:
        for fault, kind in way.hits:
            harmless = fault.kind in HARMLESS and fault.amount != LONG_STALL
            if not harmless and kind in GREETINGS + GOODBYES:
                return False
    return True


def judge(trees, source, dest, pair, meddler, data_way, resumable):
    """What must hold after any of these sessions."""
    codes = (pair.sender.code, pair.receiver.code)
    for result in pair:
        check(result.code >= 0 and result.code < 128, f"it was killed\n{pair}")
        check(result.code == 0 or result.err.strip(), f"it ended without a word\n{pair}")
    old = trees.contents[trees.old] if source == trees.small else {}
    failed = any(result.code for result in pair)
    module.old_or_new(module.read_files(dest), old, trees.contents[source], may_leave_partial=failed)
    if 0 in codes:  # who says so has heard that all is committed
        same_tree(source, dest)
    if resumable and in_the_middle(meddler):
        check(codes == (0, 0), f"a session that could go on did not\n{pair}")
    whole = trees.bytes_of(source, data_way != TO_LISTENER)[data_way]
    most = whole + (meddler.streams - 1) * (WINDOW + GREETING) + GREETING
    extra = sum(f.amount for f, _ in meddler.ways[data_way].hits if f.kind == "duplicate")
    # What arrives damaged is sent again, also by a session that ends because of it.
    extra += sum(1 for f, _ in meddler.ways[data_way].hits if f.kind not in HARMLESS) * 2 * MIB
    passed = meddler.ways[data_way].passed
    check(passed <= most + extra, f"{passed} bytes for {whole} after {meddler.streams - 1} breaks: more than a window")
    return meddler.streams - 1


class Torture:
    def __init__(self, common, kinds=KINDS, large_every=LARGE_EVERY):
        self.trees, self.kinds, self.large_every = Trees(common), kinds, large_every
        self.breaks = self.failed_sessions = 0
        self.hits = dict.fromkeys(kinds, 0)

    def plan(self, rng, number):
        pull = rng.random() < 0.5
        source = self.trees.large if number % self.large_every == self.large_every - 1 else self.trees.small
        lengths = self.trees.bytes_of(source, pull)
        faults = [random_fault(rng, lengths, self.kinds) for _ in range(rng.randrange(1, FAULTS_MAX + 1))]
        lost = any(f.kind not in HARMLESS and f.at < GREETING_ENDS for f in faults)
        options = LOSSY_GREETING if lost else PATIENT
        if number % LONG_STALL_EVERY == LONG_STALL_EVERY - 1 and "stall" in self.kinds:
            options = HASTY  # longer than the deadline: that is a break
            faults = [Fault("stall", rng.choice([TO_LISTENER, TO_DIALLER]), rng.randrange(min(lengths)), LONG_STALL)]
        if rng.random() < 0.1:
            options = [*options, "--serial"]
        elif rng.random() < 0.3:
            options = [*options, "--streams", "3"]
        return pull, source, faults, options

    def run(self, rng, number):
        pull, source, faults, options = self.plan(rng, number)
        with Workspace() as ws:
            dest = ws.path / "dest"
            self.trees.prepare(source, dest)
            try:
                pair, meddler = run_session(ws, source, dest, faults, pull, options)
                data_way = TO_DIALLER if pull else TO_LISTENER
                resumable = "--serial" not in options
                self.breaks += judge(self.trees, source, dest, pair, meddler, data_way, resumable)
                again = ws.push(["-a", *PATIENT, f"{source}/"], dest, PATIENT)
                check((again.sender.code, again.receiver.code) == (0, 0), f"the next run failed\n{again}")
                same_tree(source, dest)
            except Failed as error:
                done = "; ".join(map(str, faults))
                raise Failed(f"{'pull' if pull else 'push'} {' '.join(options)}: {done}\n{error}") from None
        self.failed_sessions += any(result.code for result in pair)
        for way in meddler.ways:
            for fault, _ in way.hits:
                self.hits[fault.kind] += 1

    def note(self):
        done = ", ".join(f"{kind} {n}" for kind, n in self.hits.items())
        return f"{self.breaks} breaks gone on from, {self.failed_sessions} sessions reported a failure; {done}"


def main():
    args = module.arguments(runs=10000)
    with Workspace() as common:
        torture = Torture(common)
        count, failures = module.each_run(args, torture.run)
    module.finish(CASE, count, failures, torture.note())


if __name__ == "__main__":
    sys.exit(main())
