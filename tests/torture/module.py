"""What the modules of the torture share. A module makes many runs of one kind, each with its own random numbers, which
follow from the seed and the run's number alone:

    MODULE.py [--runs N | --seconds N] [--seed S] [--only RUN]

SIGTERM ends it after the run that is on its way, and it says what was done.

Failures go to stderr, each with the command that repeats it. The last line on stdout is CASE, COUNT, FAILED, NOTE with
tabs between. Exit 1: something failed; 77: this machine cannot (the NOTE says why). HVSEND and HVRECV name the programs.
"""

import argparse
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

import lib  # noqa: E402  (found by the line above)

PRIVATE_MOUNTS = "HVFERRY_TORTURE_PRIVATE_MOUNTS"
FAILURES_SHOWN = 20


def arguments(runs):
    """runs: how many there are when nothing is said; None: as many as the module has cases."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    much = parser.add_mutually_exclusive_group()
    much.add_argument("--runs", type=int, metavar="N", help="so many runs")
    much.add_argument("--seconds", type=float, metavar="N", help="runs until so many seconds have passed")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32), metavar="S")
    parser.add_argument("--only", type=int, metavar="RUN", help="repeat this run")
    chosen = parser.parse_args()
    if chosen.runs is None and chosen.seconds is None:
        chosen.runs = runs
    for name, program in (("HVSEND", lib.HVSEND), ("HVRECV", lib.HVRECV)):
        if shutil.which(program) is None:
            sys.exit(f"{name}={program}: there is no such program")
    signal.signal(signal.SIGTERM, end_soon)
    return chosen


class Ending:
    asked = False


def end_soon(*_):
    """The run that is on its way is the last one; asked again, nothing is waited for, but what was mounted and made goes."""
    if Ending.asked:
        sys.exit(1)
    Ending.asked = True


def numbers(args, most=None):
    """The runs to make. most: there are no more."""
    if args.only is not None:
        yield args.only
        return
    end = time.monotonic() + args.seconds if args.seconds is not None else None
    number = 0
    while (args.runs is None or number < args.runs) and (most is None or number < most):
        if Ending.asked or (end is not None and time.monotonic() >= end):
            return
        yield number
        number += 1


def each_run(args, run, most=None):
    """Calls run(rng, number) again and again; how many, and how many failed. Where nothing works any more it ends."""
    count = failures = in_a_row = 0
    for number in numbers(args, most):
        if in_a_row > FAILURES_SHOWN:
            break
        count += 1
        in_a_row += 1
        try:
            run(random.Random(f"{args.seed} {number}"), number)
            in_a_row = 0
        except Exception as error:  # a run that breaks has failed
            failures += 1
            text = str(error) if isinstance(error, lib.Failed) else traceback.format_exc()
            if failures <= FAILURES_SHOWN:
                show_failure(args, number, text)
    return count, failures


def show_failure(args, number, text):
    programs = f"HVSEND={shlex.quote(lib.HVSEND)} HVRECV={shlex.quote(lib.HVRECV)}"
    again = f"{programs} {shlex.quote(sys.executable)} {shlex.quote(sys.argv[0])} --seed {args.seed} --only {number}"
    print(f"FAILED: run {number} of seed {args.seed}: {text}\n  again: {again}", file=sys.stderr, flush=True)


def finish(case, count, failures, note=""):
    """The line, and the end."""
    print(f"{case}\t{count}\t{failures}\t{note}", flush=True)
    sys.exit(1 if failures or count == 0 else 0)


def cannot(case, why):
    print(f"skipped: {why}", file=sys.stderr)
    print(f"{case}\t0\t0\tskipped: {why}", flush=True)
    sys.exit(77)


def with_private_mounts(case):
    """From here on this process sees mounts of its own, which go with it however it ends."""
    if os.environ.get(PRIVATE_MOUNTS) == str(os.getpid()):
        return
    if os.geteuid() != 0:
        cannot(case, "only root can mount")
    tried = subprocess.run(["unshare", "-m", "--propagation", "private", "true"], capture_output=True, check=False)
    if tried.returncode != 0:
        cannot(case, f"no mount namespace of its own: {tried.stderr.decode().strip()}")
    os.environ[PRIVATE_MOUNTS] = str(os.getpid())  # exec keeps the process id
    words = [sys.executable, *sys.argv]
    os.execvp("unshare", ["unshare", "-m", "--propagation", "private", *words])


def mount(*words):
    """mount WORDS; lib.Skipped where that is not possible."""
    done = subprocess.run(["mount", *words], capture_output=True, check=False)
    if done.returncode != 0:
        raise lib.Skipped(f"cannot mount: {done.stderr.decode().strip()}")


def read_files(root):
    """Path below root (bytes) to content, of regular files; links are not followed."""
    found = {}
    root = os.fsencode(root)
    for directory, _, names in os.walk(root):
        for name in names:
            path = os.path.join(directory, name)
            if not os.path.islink(path):
                with open(path, "rb") as f:
                    found[os.path.relpath(path, root)] = f.read()
    return found


def is_temporary(path):
    """A file, or what is in a new directory that has no name yet."""
    return any(part.startswith(b".hvferry.") for part in path.split(b"/"))


def old_or_new(found, old, new, may_leave_temporary=False, may_leave_partial=False):
    """Each name has its whole old or its whole new content, and no old one is lost. A partial is an unfinished file
    that the next session goes on with."""
    for path, content in found.items():
        if is_temporary(path):
            kept = may_leave_partial and os.path.basename(path).startswith(b".hvferry.part.")
            lib.check(may_leave_temporary or kept, f"{path!r} is left")
            continue
        known = [each[path] for each in (old, new) if path in each]
        lib.check(content in known, f"{path!r} is neither the old nor the new file ({len(content)} bytes)")
    lost = old.keys() - found.keys()
    lib.check(not lost, f"gone from the destination: {sorted(lost)}")
