"""Measures hvferry over vsock in one boot of the pair, and prints Markdown.

usage: bench.py [ROUNDS]      5 unless told

The contenders of a table take turns, run by run. The bare stream is a loop of writes and reads (stream.c), at the
best of the sizes of the first table. hvsend is timed to its exit, which follows the receiver's acknowledgement, the
tar pipe to the exit of the receiving tar. All trees are in memory; the first copy of each contender is compared with
the source and not counted. User-mode Linux is no machine: only the ratios mean anything.
"""

import os
import shlex
import statistics
import sys

import runner  # isort: skip  (it says where lib is)

import ends
import pair
import trees
from lib import check

STREAM = os.environ.get("LAB_STREAM", "stream")
KIB, MIB = 1 << 10, 1 << 20
WRITES = (4 * KIB, 64 * KIB, 256 * KIB, MIB)
BUFFERS = (0, MIB, 4 * MIB)  # 0: the kernel's own
STREAMS = (1, 2, 4)
TABLE_MIB = 96  # of a run of the first table
LARGE_MIB = 512
THOUSANDS = 10  # of small files
BARS = {("large", "bare stream"): 0.8, ("large", "tar over socat"): 1.5, ("small", "tar over socat"): 1.5}
CLOCK = "/bin/date +%s%N"  # of both kernels: user-mode Linux takes it from the machine


def size_text(n):
    return f"{n >> 20}M" if n >= MIB else f"{n >> 10}K" if n else "kernel's own"


def stream_seconds(lab, mib, write, buffer, streams):
    port = next(ends.ports)
    sink = lab.guest.start([STREAM, "sink", port, streams, buffer])
    source = lab.host.run([STREAM, "source", lab.guest.cid, port, streams, buffer, write, mib])
    done = sink.wait()
    check((source.code, done.code) == (0, 0), f"the bare stream failed: {source}\n{done}")
    return float(source.out)


def ferry_seconds(lab, source, dest):
    port = next(ends.ports)
    receiver = lab.guest.start(["hvrecv", "--once", "--listen", f"vsock://:{port}", dest])
    lab.guest.run(f"until ss -l --vsock | grep -q ':{port} '; do sleep 0.05; done")
    sender = lab.host.run(f"{CLOCK}; hvsend -a {source}/ {lab.guest.address(port)} || exit; {CLOCK}")
    done = receiver.wait()
    check((sender.code, done.code) == (0, 0), f"hvferry failed: {sender}\n{done}")
    start, end = map(int, sender.out.split())
    return (end - start) / 1e9


def tar_seconds(lab, source, dest):
    port = next(ends.ports)
    receiver = lab.guest.start(f"socat -u -b 65536 VSOCK-LISTEN:{port} STDOUT | /bin/tar -xf - -C {dest} && {CLOCK}")
    lab.guest.run(f"until ss -l --vsock | grep -q ':{port} '; do sleep 0.05; done")
    pipe = f"/bin/tar -cf - -C {source} . | socat -u -b 65536 STDIN VSOCK-CONNECT:{lab.guest.cid}:{port}"
    sender = lab.host.run(f"{CLOCK}; {pipe}")
    done = receiver.wait()
    check((sender.code, done.code) == (0, 0), f"the tar pipe failed: {sender}\n{done}")
    return (int(done.out) - int(sender.out)) / 1e9


def median_text(values):
    spread = (max(values) - min(values)) / statistics.median(values)
    return f"{statistics.median(values):.3f} s | {spread:.0%}"


def table_of_sizes(lab, rounds):
    """Prints it; the best (write, buffer, streams)."""
    cells = [(write, buffer, streams) for streams in STREAMS for buffer in BUFFERS for write in WRITES]
    seconds = {cell: [] for cell in cells}
    for _ in range(rounds):
        for cell in cells:
            seconds[cell].append(stream_seconds(lab, TABLE_MIB, *cell))
    medians = {cell: statistics.median(values) for cell, values in seconds.items()}
    best = min(cells, key=medians.get)
    print(f"### The bare stream: speed by write size, buffer and streams ({rounds} rounds, best = 1)\n")
    print("| streams | buffer | " + " | ".join(map(size_text, WRITES)) + " |")
    print("|---:|---|" + "---:|" * len(WRITES))
    for streams in STREAMS:
        for buffer in BUFFERS:
            row = [f"{medians[best] / medians[write, buffer, streams]:.2f}" for write in WRITES]
            print(f"| {streams} | {size_text(buffer)} | " + " | ".join(row) + " |")
    print(flush=True)
    return best


def run_contender(lab, contender, source, compare=False):
    if source is None:
        return contender()
    dest = trees.empty(lab.guest)
    seconds = contender(lab, source, dest)
    if compare:
        check(trees.digests(lab.host, source) == trees.digests(lab.guest, dest), "what has arrived is not what was sent")
    trees.do(lab.guest, f"rm -rf {shlex.quote(dest)}")
    return seconds


def compare(lab, kind, title, source, contenders, rounds):
    """contenders: name -> (function, whether it copies a tree), hvferry among them. Prints a table."""
    seconds = {name: [] for name in contenders}
    for turn in range(rounds + 1):
        for name, (function, copies) in contenders.items():
            took = run_contender(lab, function, source if copies else None, compare=turn == 0)
            if turn:
                seconds[name].append(took)
    ours = statistics.median(seconds["hvferry"])
    print(f"### {title} ({rounds} runs each, in turn)\n")
    print("| | median | spread | hvferry is so many times as fast | bar |")
    print("|---|---:|---:|---:|---|")
    for name, values in seconds.items():
        ratio = statistics.median(values) / ours
        bar = BARS.get((kind, name))
        verdict = "" if bar is None else f"≥ {bar}: {'reached' if ratio >= bar else 'missed'}"
        print(f"| {name} | {median_text(values)} | {ratio:.2f} | {verdict} |")
    print(flush=True)


def use(lab, words):
    rounds = int(words or 5)
    print("## Over vsock, between two kernels of user-mode Linux\n")
    print("Emulated kernels on one machine, `scripts/lab.sh bench`: only the ratios mean anything.\n")
    best = table_of_sizes(lab, min(rounds, 3))
    write, buffer, streams = best
    peers = {"hvferry": (ferry_seconds, True), "tar over socat": (tar_seconds, True)}
    bare = {"bare stream": (lambda: stream_seconds(lab, LARGE_MIB, write, buffer, streams), False)}
    source = trees.make_large(lab.host, LARGE_MIB)
    best_text = f"bare stream: {streams} of {size_text(write)} writes, buffer {size_text(buffer)}"
    compare(lab, "large", f"One random file, {LARGE_MIB} MiB; {best_text}", source, {**bare, **peers}, rounds)
    lab.clear()
    source = trees.make_many(lab.host, THOUSANDS)
    compare(lab, "small", f"{THOUSANDS}000 small files", source, peers, rounds)
    return 0


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].isdecimal():
        sys.exit(f"bench.py: '{sys.argv[1]}' is no number of rounds")
    runner.main(pair.boot, use)
