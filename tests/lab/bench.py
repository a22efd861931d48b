"""Measures hvferry over vsock in one boot of the pair, and prints Markdown.

usage: bench.py [ROUNDS]      5 unless told

The contenders of a table take turns, run by run. The bare stream is a loop of writes and reads (stream.c), at the
best of the sizes of the first table. The bare copy is the same loop with a file read at one end and written at the
other, and nothing checked: the least that carrying a file takes. hvsend is timed to its exit, which follows the
receiver's acknowledgement, the tar pipe to the exit of the receiving tar.

All trees are in memory, which each kernel has used once before: its first use costs the machine more than copying. The
first copy of each contender is compared with the source and not counted. Beside the time by the clock stands that of
the processors, which says where it goes, and means something on a busy machine, too. User-mode Linux is no machine:
only the ratios mean anything.
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
CHUNKS = (128 * KIB, 512 * KIB, MIB, 4 * MIB)
TABLE_MIB = 96  # of a run of the tables by sizes
TABLE_ROUNDS = 3
LARGE_MIB = 1024
WARM_MIB = 2048  # of the memory of each kernel, used before anything is measured
THOUSANDS = 10  # of small files
BARS = {("large", "bare stream"): 0.8, ("large", "tar over socat"): 1.5, ("small", "tar over socat"): 1.5}
CLOCK = "/bin/date +%s%N"  # of both kernels: user-mode Linux takes it from the machine


def size_text(n):
    return f"{n >> 20}M" if n >= MIB else f"{n >> 10}K" if n else "kernel's own"


# ---- one run: its seconds by the clock, and those of the processors for (host, guest, switch) ------------------------


def run_both(lab, name, receiver, command):
    """The sending command to its end, then the receiver: what each printed, and what the processors did meanwhile."""
    pids = [owner.process.pid for owner in (lab.host, lab.guest, lab.switch)]
    before = [runner.processor_seconds(pid) for pid in pids]
    sender = lab.host.run(command)
    done = receiver.wait()
    used = [runner.processor_seconds(pid) - start for pid, start in zip(pids, before)]
    check((sender.code, done.code) == (0, 0), f"{name} failed: {sender}\n{done}")
    return sender.out, done.out, used


def wait_for_listener(lab, port):
    lab.guest.run(f"until ss -l --vsock | grep -q ':{port} '; do sleep 0.05; done")


def run_stream(lab, mib, write, buffer, streams, files=((), ())):
    port = next(ends.ports)
    sink = lab.guest.start([STREAM, "sink", port, streams, buffer, *files[1]])
    source = [STREAM, "source", lab.guest.cid, port, streams, buffer, write, mib, *files[0]]
    out, _, used = run_both(lab, "the bare stream", sink, source)
    return float(out), used


def run_ferry(lab, source, dest, *options):
    port = next(ends.ports)
    receiver = lab.guest.start(["hvrecv", "--once", *options, "--listen", f"vsock://:{port}", dest])
    wait_for_listener(lab, port)
    command = shlex.join(["hvsend", "-a", *options, f"{source}/", lab.guest.address(port)])
    out, _, used = run_both(lab, "hvferry", receiver, f"{CLOCK}; {command} || exit; {CLOCK}")
    start, end = map(int, out.split())
    return (end - start) / 1e9, used


def run_tar(lab, source, dest):
    port = next(ends.ports)
    receiver = lab.guest.start(f"socat -u -b 65536 VSOCK-LISTEN:{port} STDOUT | /bin/tar -xf - -C {dest} && {CLOCK}")
    wait_for_listener(lab, port)
    pipe = f"/bin/tar -cf - -C {source} . | socat -u -b 65536 STDIN VSOCK-CONNECT:{lab.guest.cid}:{port}"
    start, end, used = run_both(lab, "the tar pipe", receiver, f"{CLOCK}; {pipe}")
    return (int(end) - int(start)) / 1e9, used


def run_into_new(lab, contender, source, compare=False):
    dest = trees.empty(lab.guest)
    run = contender(lab, source, dest)
    if compare:
        check(trees.digests(lab.host, source) == trees.digests(lab.guest, dest), "what has arrived is not what was sent")
    trees.do(lab.guest, f"rm -rf {shlex.quote(dest)}")
    return run


# ---- tables ------------------------------------------------------------------------------------------------------


def table_by_sizes(title, heads, rows, columns, run):
    """Prints the speed of each cell, the best is 1; its (row, column). heads: names for the words of a row."""
    cells = [(row, column) for row in rows for column in columns]
    seconds = {cell: [] for cell in cells}
    for _ in range(TABLE_ROUNDS):
        for row, column in cells:
            seconds[row, column].append(run(*row, column)[0])
    medians = {cell: statistics.median(values) for cell, values in seconds.items()}
    best = min(cells, key=medians.get)
    print(f"### {title} ({TABLE_ROUNDS} rounds of {TABLE_MIB} MiB, best = 1)\n")
    print(f"| {' | '.join(heads)} | " + " | ".join(map(size_text, columns)) + " |")
    print("|---:" * (len(heads) + len(columns)) + "|")
    for row in rows:
        words = [str(row[0]), *map(size_text, row[1:])]
        speeds = (f"{medians[best] / medians[row, column]:.2f}" for column in columns)
        print("| " + " | ".join([*words, *speeds]) + " |")
    print(flush=True)
    return best


def compare(kind, title, contenders, rounds):
    """contenders: name -> function of whether to compare what has arrived; hvferry among them. Prints a table."""
    runs = {name: [] for name in contenders}
    for turn in range(rounds + 1):
        for name, contender in contenders.items():
            run = contender(turn == 0)
            if turn:
                runs[name].append(run)
    ours = statistics.median(seconds for seconds, _ in runs["hvferry"])
    print(f"### {title} ({rounds} runs each, in turn)\n")
    print("| | median s | spread | processors s: sender, receiver, switch | hvferry is so many times as fast | bar |")
    print("|---|---:|---:|---|---:|---|")
    for name, values in runs.items():
        seconds = [value for value, _ in values]
        median = statistics.median(seconds)
        used = ", ".join(f"{statistics.median(part):.2f}" for part in zip(*(used for _, used in values)))
        bar = BARS.get((kind, name))
        verdict = "" if bar is None else f"≥ {bar}: {'reached' if median / ours >= bar else 'missed'}"
        spread = f"{(max(seconds) - min(seconds)) / median:.0%}"
        print(f"| {name} | {median:.3f} | {spread} | {used} | {median / ours:.2f} | {verdict} |")
    print(flush=True)


def print_stats(lab, source):
    """What both ends say about one more run, which is not counted: --stats takes time of its own."""
    pair = ends.push(lab.host, lab.guest, source, trees.empty(lab.guest), send=["--stats"], recv=["--stats"]).end()
    check((pair.sender.code, pair.receiver.code) == (0, 0), f"hvferry failed: {pair}")
    print(f"What `--stats` says:\n\n```\n{pair.sender.err}{pair.receiver.err}```\n", flush=True)


def warm_up(lab):
    command = f"/bin/dd if=/dev/zero of=room-0 bs=1M count={WARM_MIB} && rm room-0"
    for job in [end.start(f"cd {end.data} && {command}") for end in (lab.host, lab.guest)]:
        trees.good_output(job, command)


def use(lab, words):
    rounds = int(words or 5)
    print("## Over vsock, between two kernels of user-mode Linux\n")
    print("Emulated kernels on one machine, `scripts/lab.sh bench`: only the ratios mean anything.\n")
    warm_up(lab)
    (streams, buffer), write = table_by_sizes(
        "The bare stream by streams, buffer and write", ("streams", "buffer"),
        [(streams, buffer) for streams in STREAMS for buffer in BUFFERS], WRITES,
        lambda streams, buffer, write: run_stream(lab, TABLE_MIB, write, buffer, streams),
    )  # fmt: skip
    source = trees.make_large(lab.host, TABLE_MIB)

    def ferry_by(streams, chunk):
        options = "--streams", streams, "--chunk-size", chunk
        return run_into_new(lab, lambda *at: run_ferry(*at, *map(str, options)), source)

    table_by_sizes("hvferry by streams and chunk", ("streams",), [(n,) for n in STREAMS], CHUNKS, ferry_by)
    lab.clear()

    source = trees.make_large(lab.host, LARGE_MIB)

    def bare_copy(_, source, dest):
        return run_stream(lab, LARGE_MIB, write, buffer, 1, ([f"{source}/large"], [f"{dest}/large"]))

    bare = f"bare: {streams} of writes of {size_text(write)}, buffer {size_text(buffer)}"
    compare("large", f"One random file, {LARGE_MIB} MiB; {bare}", {
        "bare stream": lambda _: run_stream(lab, LARGE_MIB, write, buffer, streams),
        "bare copy": lambda _: run_into_new(lab, bare_copy, source),
        "hvferry": lambda first: run_into_new(lab, run_ferry, source, first),
        "tar over socat": lambda first: run_into_new(lab, run_tar, source, first),
    }, rounds)  # fmt: skip
    print_stats(lab, source)
    lab.clear()
    many = trees.make_many(lab.host, THOUSANDS)
    compare("small", f"{THOUSANDS}000 small files", {
        "hvferry": lambda first: run_into_new(lab, run_ferry, many, first),
        "tar over socat": lambda first: run_into_new(lab, run_tar, many, first),
    }, rounds)  # fmt: skip
    print_stats(lab, many)
    return 0


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].isdecimal():
        sys.exit(f"bench.py: '{sys.argv[1]}' is no number of rounds")
    runner.main(pair.boot, use)
