#!/usr/bin/env python3
"""Every bit of every frame of one reference session is turned, one bit a session.

Both ends run in one process (frame_bits.c), each on one thread and on all of theirs: nothing harmed passes as good.
Without --runs and --seconds, all of them; --only takes the number of a case.
"""

import concurrent.futures
import random
import subprocess
import sys
import time
from pathlib import Path

import module
from module import lib

CASE = "bits"
QUICK_RUNS = 1000
AT_ONCE = 4  # a BYE that is lost makes its receiver wait for a second
SHARE = 500  # cases of one process


def program():
    """Built beside the programs."""
    found = Path(lib.HVSEND).resolve().parents[1] / "tests/torture/frame_bits"
    if not found.exists():
        module.cannot(CASE, f"{found} is missing: configure with -Dtests=enabled")
    return found


def run_share(argv):
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    *failures, last = done.stdout.splitlines() or [""]
    counts = [int(word) for word in last.split()]
    if len(counts) != 3 or done.returncode not in (0, 1):
        return [0, 1, 0], [f"{argv} ended with {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}"]
    return counts, failures


def shares(argv, total, args):
    """Commands that do all the cases, or so many as are asked for, spread over all of them."""
    if args.only is not None:
        return [[*argv, str(args.only), "1", "1"]]
    count = min(args.runs if args.runs is not None else total, total)
    step = total // count
    offset = random.Random(args.seed).randrange(step)
    firsts = range(0, count, SHARE)
    words = [[*argv, str(offset + first * step), str(step), str(min(SHARE, count - first))] for first in firsts]
    random.Random(args.seed).shuffle(words)  # with --seconds, not the first ones only
    return words


def main():
    args = module.arguments(runs=None)
    argv = [str(program())]
    total = int(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)
    end = time.monotonic() + args.seconds if args.seconds is not None else None
    sums = [0, 0, 0]

    def go(words):
        over = module.Ending.asked or (end is not None and time.monotonic() >= end)
        return ([0, 0, 0], []) if over else run_share(words)

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for counts, failures in pool.map(go, shares(argv, total, args)):
            sums = [a + b for a, b in zip(sums, counts)]
            for line in failures:
                number = line.split(",")[0].removeprefix("case ")
                print(f"FAILED: {line}\n  again: {argv[0]} {number} 1 1", file=sys.stderr, flush=True)
    module.finish(CASE, *sums[:2], f"of {total} bits; {sums[2]} in frames that came in no run (ACK, HEARTBEAT)")


if __name__ == "__main__":
    sys.exit(main())
