#!/usr/bin/env python3
"""Measures hvferry beside its peers; scripts/bench.sh builds first and then runs this.

All trees lie on a tmpfs (/dev/shm) in a directory that is removed at the end. The contenders of a case take
turns, run by run, so that what else the machine does meets them alike. A run's time goes from the start of the
sending program to its exit; for the tar pipe, which acknowledges nothing, to the exit of the receiving tar. The
receiving end listens already. The first copy of each contender is compared with the source and not counted.
"""

import argparse
import os
import random
import resource
import shlex
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
MEMORY_LIMIT = 64 * MIB
WAIT_SECONDS = 20
SEED = 20240607

# What hvferry is to reach: how many times as fast as the peer.
BARS = {
    ("W1", "rsync"): 1.5,
    ("W1", "tar pipe"): 1.0,
    ("W2", "rsync"): 2.0,
    ("W2", "tar pipe"): 1.0,
    ("W7", "rsync"): 1.0,
    ("W7 -c", "rsync"): 1.0,
    ("W11", "rsync"): 1.0,
    ("crowd", "hvferry"): 0.8,
}


class BenchError(Exception):
    """Something that makes the numbers worthless."""


# ---- processes ---------------------------------------------------------------------------------------------


class Usage:
    """CPU seconds and peak memory of one end."""

    def __init__(self, rusages):
        self.cpu = sum(r.ru_utime + r.ru_stime for r in rusages)
        self.rss = max(r.ru_maxrss * KIB for r in rusages)


def rss_floor():
    """A child counts the peak of the process that started it, so less than this cannot be told."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB


def apart(function, *arguments, **options):
    """Calls it in a child, so that its memory does not raise rss_floor(). BenchError when it fails."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            function(*arguments, **options)
            code = 0
        except (BenchError, OSError) as error:
            print(f"bench.py: {error}", file=sys.stderr)
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if status != 0:
        raise BenchError(f"{function.__name__} failed")


class Processes:
    """The children that run; ends what is left of them by pid."""

    def __init__(self):
        self.running = []

    def start(self, command, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        process = subprocess.Popen(command, **options)
        process.command = command
        self.running.append(process)
        return process

    def wait(self, process, good=(0,)):
        """Its resource usage; BenchError when its exit code is none of `good`."""
        _, status, rusage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.running.remove(process)
        if process.returncode not in good:
            raise BenchError(f"exit code {process.returncode}: {shlex.join(process.command)}")
        return rusage

    def end_all(self):
        for process in self.running:
            process.terminate()
        for process in self.running:
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.running.clear()


def wait_until(condition, what):
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise BenchError(f"gave up waiting for {what}")
        time.sleep(0.002)


def unix_listens(path):
    """True once a socket at `path` listens (flag 00010000), not merely exists."""
    with open("/proc/net/unix", encoding="utf-8", errors="replace") as sockets:
        return any(" 00010000 " in line and line.rstrip().endswith(f" {path}") for line in sockets)


def tcp_listens(port):
    wanted = f":{port:04X}"
    with open("/proc/net/tcp", encoding="ascii") as sockets:
        rows = (line.split() for line in list(sockets)[1:])
        return any(row[1].endswith(wanted) and row[3] == "0A" for row in rows)


def has_children(pid):
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return any(path.read_text().strip() for path in tasks)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# ---- contenders --------------------------------------------------------------------------------------------


class Contender:
    """One way to copy `source` (a directory) to `dest`; run() returns seconds and both ends' usage."""

    def __init__(self, bench, name):
        self.bench = bench
        self.name = name
        self.times, self.senders, self.receivers = [], [], []

    def command(self):
        """How a person would write it, for the report."""
        raise NotImplementedError

    def run(self, source, dest):
        raise NotImplementedError

    def record(self, source, dest):
        seconds, sender, receiver = self.run(source, dest)
        self.times.append(seconds)
        self.senders.append(sender)
        self.receivers.append(receiver)


class Hvferry(Contender):
    """Over a Unix socket, or over TCP on the loopback as rsync."""

    def __init__(self, bench, options=("-a",), tcp=False):
        super().__init__(bench, "hvferry tcp" if tcp else "hvferry")
        self.options = list(options)
        self.tcp = tcp

    def command(self):
        address = "tcp://127.0.0.1:PORT" if self.tcp else "unix:SOCKET"
        return f"hvrecv --once --listen {address} DEST; hvsend {' '.join(self.options)} SRC/ {address}"

    def run(self, source, dest):
        processes = self.bench.processes
        port = free_port()
        path = str(self.bench.top / "hvferry.sock")
        address = f"tcp://127.0.0.1:{port}" if self.tcp else f"unix:{path}"
        receiver = processes.start([self.bench.hvrecv, "--once", "--listen", address, str(dest)])
        wait_until(lambda: tcp_listens(port) if self.tcp else unix_listens(path), "hvrecv to listen")
        start = time.monotonic()
        sender = processes.start([self.bench.hvsend, *self.options, f"{source}/", address])
        used = processes.wait(sender)
        seconds = time.monotonic() - start
        return seconds, Usage([used]), Usage([processes.wait(receiver)])


def crowd(path, count):
    """Keeps so many streams open that say a byte a second and never ask for a session. Never returns."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(count + 100, hard), hard))
    streams = [None] * count
    magic = b"\x89HVF\r\n\x1a\n"
    while True:
        began = time.monotonic()
        for i, stream in enumerate(streams):
            try:
                if stream is None:
                    streams[i] = stream = socket.socket(socket.AF_UNIX)
                    stream.connect(path)
                stream.send(magic[int(began) % len(magic) :][:1])
            except OSError:
                stream.close()
                streams[i] = None
        time.sleep(max(0.0, 1 - (time.monotonic() - began)))


class Crowded(Hvferry):
    """The same beside 1,000 hostile streams, which come again when they are shown out."""

    STREAMS = 1000

    def __init__(self, bench):
        super().__init__(bench)
        self.name = "hvferry in a crowd"

    def command(self):
        return f"{self.STREAMS} streams of a byte a second; " + super().command().replace("--once ", "")

    def run(self, source, dest):
        processes = self.bench.processes
        path = str(self.bench.top / "crowd.sock")
        receiver = processes.start([self.bench.hvrecv, "-q", "--listen", f"unix:{path}", str(dest)], stderr=subprocess.DEVNULL)
        wait_until(lambda: unix_listens(path), "hvrecv to listen")
        child = os.fork()
        if child == 0:
            try:
                crowd(path, self.STREAMS)
            finally:
                os._exit(1)
        try:
            time.sleep(1)  # all of them are there
            start = time.monotonic()
            used = processes.wait(processes.start([self.bench.hvsend, *self.options, f"{source}/", f"unix:{path}"]))
            seconds = time.monotonic() - start
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        receiver.terminate()
        return seconds, Usage([used]), Usage([processes.wait(receiver, good=(0, 20))])


class Rsync(Contender):
    """A daemon on the loopback; --whole-file for full copies."""

    def __init__(self, bench, options=("-a", "-W")):
        super().__init__(bench, "rsync")
        self.options = list(options)

    def command(self):
        return f"rsync --daemon; rsync {' '.join(self.options)} SRC/ rsync://127.0.0.1:PORT/dest/"

    def run(self, source, dest):
        processes = self.bench.processes
        port = free_port()
        config = self.bench.top / "rsyncd.conf"
        config.write_text(
            f"use chroot = no\nuid = {os.getuid()}\ngid = {os.getgid()}\nreverse lookup = no\n"
            f"[dest]\npath = {dest}\nread only = no\n",
            encoding="utf-8",
        )
        daemon = processes.start(
            ["rsync", "--daemon", "--no-detach", f"--config={config}", "--address=127.0.0.1", f"--port={port}",
             "--log-file=/dev/null"]
        )  # fmt: skip
        wait_until(lambda: tcp_listens(port), "the rsync daemon to listen")
        start = time.monotonic()
        sender = processes.start(["rsync", *self.options, f"{source}/", f"rsync://127.0.0.1:{port}/dest/"])
        used = processes.wait(sender)
        seconds = time.monotonic() - start
        wait_until(lambda: not has_children(daemon.pid), "the rsync daemon to finish")
        daemon.terminate()
        return seconds, Usage([used]), Usage([processes.wait(daemon, good=(0, 20, -signal.SIGTERM))])


class TarPipe(Contender):
    """Verifies nothing and acknowledges nothing: what a bare copy costs."""

    def __init__(self, bench):
        super().__init__(bench, "tar pipe")

    def command(self):
        return (
            "socat -u -b 1048576 UNIX-LISTEN:SOCKET STDOUT | tar -x -C DEST; "
            "tar -c -C SRC . | socat -u -b 1048576 STDIN UNIX-CONNECT:SOCKET"
        )

    def run(self, source, dest):
        processes = self.bench.processes
        path = str(self.bench.top / "tar.sock")
        block = ["-b", "1048576"]
        accept = processes.start(["socat", "-u", *block, f"UNIX-LISTEN:{path}", "STDOUT"], stdout=subprocess.PIPE)
        unpack = processes.start(["tar", "-x", "-f", "-", "-C", str(dest)], stdin=accept.stdout)
        accept.stdout.close()
        wait_until(lambda: unix_listens(path), "socat to listen")
        start = time.monotonic()
        pack = processes.start(["tar", "-c", "-f", "-", "-C", str(source), "."], stdout=subprocess.PIPE)
        connect = processes.start(["socat", "-u", *block, "STDIN", f"UNIX-CONNECT:{path}"], stdin=pack.stdout)
        pack.stdout.close()
        sent = [processes.wait(pack), processes.wait(connect)]
        received = [processes.wait(accept), processes.wait(unpack)]
        seconds = time.monotonic() - start
        return seconds, Usage(sent), Usage(received)


# ---- trees -------------------------------------------------------------------------------------------------


def write_random(path, size, seed):
    source = random.Random(seed)
    with open(path, "wb") as file:
        for offset in range(0, size, MIB):
            file.write(source.randbytes(min(MIB, size - offset)))


def write_files(top, sizes, per_dir, seed):
    """Files of these sizes, cut from a random block at random places."""
    source = random.Random(seed)
    block = source.randbytes(4 * MIB)
    folder = top
    for number, size in enumerate(sizes):
        if per_dir and number % per_dir == 0:
            folder = top / f"dir{number // per_dir:03}"
            folder.mkdir()
        at = source.randrange(len(block) - size)
        (folder / f"file{number:06}").write_bytes(block[at : at + size])


def many_sizes(count, total, seed):
    """`count` sizes as of a source tree: most are small, a few are large; together `total`."""
    source = random.Random(seed)
    raw = [min(source.lognormvariate(0, 1.5), 100.0) for _ in range(count)]
    scale = total / sum(raw)
    sizes = [int(value * scale) for value in raw]
    sizes[-1] += total - sum(sizes)
    return sizes


def write_sparse(path, size, data, seed):
    """`data` bytes in runs of 1 MiB, spread over a file of `size`."""
    runs = data // MIB
    step = size // runs // (4 * KIB) * (4 * KIB)
    source = random.Random(seed)
    with open(path, "wb") as file:
        file.truncate(size)
        for run in range(runs):
            file.seek(run * step)
            file.write(source.randbytes(MIB))


def data_runs(file):
    """The (start, end) of everything in a file that is not a hole."""
    runs, end = [], 0
    while True:
        try:
            start = os.lseek(file.fileno(), end, os.SEEK_DATA)
        except OSError:  # ENXIO: nothing but a hole, or the end
            return runs
        end = os.lseek(file.fileno(), start, os.SEEK_HOLE)
        runs.append((start, end))


def same_content(a, b):
    """True when all bytes are equal; what is a hole in both is not read."""
    with open(a, "rb", buffering=0) as one, open(b, "rb", buffering=0) as two:
        if os.fstat(one.fileno()).st_size != os.fstat(two.fileno()).st_size:
            return False
        runs = data_runs(one)
        if data_runs(two) != runs:
            runs = runs + data_runs(two)
        for start, end in runs:
            for offset in range(start, end, MIB):
                n = min(MIB, end - offset)
                if os.pread(one.fileno(), n, offset) != os.pread(two.fileno(), n, offset):
                    return False
    return True


def check_equal(source, dest, exact_times):
    """Raises BenchError at the first difference of names, contents, modes or times."""
    for folder, dirs, files in os.walk(source):
        other = Path(dest) / Path(folder).relative_to(source)
        if sorted(dirs + files) != sorted(os.listdir(other)):
            raise BenchError(f"{other} has other names than {folder}")
        for name in files:
            a, b = Path(folder) / name, other / name
            mine, theirs = a.lstat(), b.lstat()
            unit = 1 if exact_times else 10**9
            if mine.st_mode != theirs.st_mode or mine.st_mtime_ns // unit != theirs.st_mtime_ns // unit:
                raise BenchError(f"{b} has another mode or time than {a}")
            if not same_content(a, b):
                raise BenchError(f"{b} has other contents than {a}")


# ---- cases -------------------------------------------------------------------------------------------------


class Bench:
    def __init__(self, options, top):
        self.options = options
        self.quick = options.quick
        self.runs = options.runs or (3 if options.quick else 5)
        self.top = top
        self.processes = Processes()
        self.hvsend = str(Path(options.build).resolve() / "sender" / "hvsend")
        self.hvrecv = str(Path(options.build).resolve() / "receiver" / "hvrecv")
        self.failures = []

    def fresh(self, name):
        path = self.top / name
        if path.exists():
            apart(shutil.rmtree, path)
        path.mkdir()
        return path

    def needs(self, size):
        """False, and says so, when the tmpfs cannot take `size` more bytes."""
        free = shutil.disk_usage(self.top).free
        if free >= size:
            return True
        print(f"not measured: needs {size / GIB:.1f} GiB in {self.top.parent}, {free / GIB:.1f} are free\n")
        self.failures.append("a case could not be measured for lack of space")
        return False

    def full_copies(self, source, contenders, runs):
        """Each copies to an empty directory, in turn. The first round checks the copies, and is not counted: it
        also makes the kernel find the memory that later rounds use again."""
        for contender in contenders:
            dest = self.fresh("dest")
            contender.run(source, dest)
            apart(check_equal, source, dest, exact_times=contender.name != "tar pipe")
        for _ in range(runs):
            for contender in contenders:
                contender.record(source, self.fresh("dest"))
        shutil.rmtree(self.top / "dest")

    def case_w1(self):
        size = 256 * MIB if self.quick else 2 * GIB
        if not self.needs(2 * size + 64 * MIB):
            return
        source = self.fresh("source")
        apart(write_random, source / "image", size, SEED)
        contenders = [Hvferry(self), Hvferry(self, tcp=True), Rsync(self), TarPipe(self)]
        self.full_copies(source, contenders, self.runs)
        print_case("W1", f"one random file, {size / GIB:g} GiB", contenders, size)

    def make_many(self):
        source = self.fresh("source")
        sizes = many_sizes(20000, 132_000_000, SEED)
        apart(write_files, source, sizes, 100, SEED)
        return source, sum(sizes)

    def case_w2(self):
        source, size = self.make_many()
        contenders = [Hvferry(self), Hvferry(self, tcp=True), Rsync(self), TarPipe(self)]
        self.full_copies(source, contenders, self.runs)
        print_case("W2", "20,000 files, 132 MB in 200 directories", contenders, size)

    def case_w7(self):
        source, _ = self.make_many()
        for name, extra in (("W7", []), ("W7 -c", ["-c"])):
            contenders = [Hvferry(self, ["-a", *extra]), Rsync(self, ["-a", *extra])]
            dests = {}
            for contender in contenders:
                dests[contender.name] = self.fresh(f"dest-{contender.name}")
                contender.run(source, dests[contender.name])
            for _ in range(self.runs):
                for contender in contenders:
                    contender.record(source, dests[contender.name])
            for dest in dests.values():
                apart(check_equal, source, dest, exact_times=True)
            print_case(name, "the tree of W2 again, nothing changed", contenders)

    def case_w11(self):
        source = self.fresh("source")
        apart(write_random, source / "file", 4 * KIB, SEED)
        contenders = [Hvferry(self), Rsync(self)]
        self.full_copies(source, contenders, 4 * self.runs)
        print_case("W11", "one file of 4 KiB, from the start of the process to its exit", contenders)

    def case_crowd(self):
        size = 256 * MIB if self.quick else GIB
        if not self.needs(2 * size + 64 * MIB):
            return
        source = self.fresh("source")
        apart(write_random, source / "image", size, SEED)
        contenders = [Crowded(self), Hvferry(self)]
        self.full_copies(source, contenders, self.runs)
        print_case("crowd", f"one random file, {size / GIB:g} GiB, beside 1,000 slow streams", contenders, size)

    def case_memory(self):
        scale = 10 if self.quick else 1
        rows = [
            (f"sparse file, {100 // scale} GiB with {1024 // scale} MiB of data", 2 * GIB, self.make_sparse),
            (f"{200_000 // scale:,} files of 100 bytes in one directory", 2 * GIB, self.make_crowd),
            (f"one random file, {4096 // scale} MiB", 8 * GIB, self.make_large),
        ]
        print(f"### memory: peak resident memory of each end; at most {MEMORY_LIMIT // MIB} MiB\n")
        print(f"Figures below {rss_floor() / MIB:.0f} MiB (this script's own) cannot be told and are shown as that.\n")
        print("| tree | hvsend MiB | hvrecv MiB | seconds | |\n|---|---:|---:|---:|---|")
        for title, space, make in rows:
            if not self.needs(space // scale + 64 * MIB):
                continue
            source = self.fresh("source")
            apart(make, source, scale)
            hvferry = Hvferry(self)
            dest = self.fresh("dest")
            hvferry.record(source, dest)
            apart(check_equal, source, dest, exact_times=True)
            peaks = [hvferry.senders[0].rss, hvferry.receivers[0].rss]
            good = max(peaks) <= MEMORY_LIMIT
            if not good:
                self.failures.append(f"memory: {title}: more than {MEMORY_LIMIT // MIB} MiB")
            print(
                f"| {title} | {peaks[0] / MIB:.1f} | {peaks[1] / MIB:.1f} | {hvferry.times[0]:.2f} | "
                f"{'ok' if good else 'above the limit'} |",
                flush=True,
            )
        print()

    @staticmethod
    def make_sparse(source, scale):
        write_sparse(source / "sparse", 100 * GIB // scale, GIB // scale, SEED)

    @staticmethod
    def make_crowd(source, scale):
        write_files(source, [100] * (200_000 // scale), 0, SEED)

    @staticmethod
    def make_large(source, scale):
        write_random(source / "large", 4 * GIB // scale, SEED)


CASES = {
    "W1": Bench.case_w1,
    "W2": Bench.case_w2,
    "W7": Bench.case_w7,
    "W11": Bench.case_w11,
    "crowd": Bench.case_crowd,
    "memory": Bench.case_memory,
}


# ---- report ------------------------------------------------------------------------------------------------


def speed_text(case, peer, ratio):
    bar = BARS.get((case, peer))
    return f"{ratio:.2f}×" + (f" (bar {bar:g}×: {'met' if ratio >= bar else 'missed'})" if bar else "")


def print_case(case, title, contenders, size=None):
    """`size`: bytes that each run copied, or None where a rate says nothing."""
    ours = statistics.median(contenders[0].times)
    runs = len(contenders[0].times)
    print(f"### {case}: {title} ({runs} runs each, in turn)\n")
    print("| | median s | min–max s | MB/s | CPU s, both ends | peak MiB, each end | hvferry is |")
    print("|---|---:|---:|---:|---:|---:|---|")
    for contender in contenders:
        median = statistics.median(contender.times)
        cpu = statistics.median(s.cpu + r.cpu for s, r in zip(contender.senders, contender.receivers))
        peaks = [max(usage.rss for usage in end) / MIB for end in (contender.senders, contender.receivers)]
        ratio = "" if contender is contenders[0] else speed_text(case, contender.name, median / ours)
        print(
            f"| {contender.name} | {median:.4f} | {min(contender.times):.4f}–{max(contender.times):.4f} | "
            f"{f'{size / median / 1e6:.0f}' if size else '–'} | {cpu:.3f} | {peaks[0]:.0f}, {peaks[1]:.0f} | {ratio} |"
        )
    print()
    for contender in contenders:
        print(f"- {contender.name}: `{contender.command()}`")
    print(flush=True)


def first_line(*command):
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    lines = [line.strip() for line in result.stdout.splitlines() if line.strip()]
    return lines[0] if lines else "unknown"


def field(path, name):
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "unknown"


def socat_version():
    lines = subprocess.run(["socat", "-V"], capture_output=True, text=True, check=False).stdout.splitlines()
    return next((line.strip() for line in lines if line.startswith("socat version")), "unknown")


def print_header(bench, arguments):
    memory = int(field("/proc/meminfo", "MemTotal").split()[0]) / MIB
    print("## hvferry, measured\n")
    print(f"- date: {datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC")
    print(f"- command: `{shlex.join(['scripts/bench.sh', *arguments])}`")
    print(f"- tree: {first_line('git', 'describe', '--always', '--dirty', '--tags')}")
    print(f"- machine: {field('/proc/cpuinfo', 'model name')}, {os.cpu_count()} cores, {memory:.1f} GiB")
    print(f"- kernel: {os.uname().sysname} {os.uname().release}")
    print(f"- versions: {first_line(bench.hvsend, '--version')}; {first_line('rsync', '--version')}; "
          f"{first_line('tar', '--version')}; {socat_version()}")  # fmt: skip
    print("- all trees on tmpfs; peak MiB cannot tell less than about "
          f"{rss_floor() / MIB:.0f}, the measuring script's own\n", flush=True)  # fmt: skip


def parse_arguments():
    parser = argparse.ArgumentParser(description="Measures hvferry beside rsync and a tar pipe.")
    parser.add_argument("--build", default="build-release", help="build directory with both programs")
    parser.add_argument("--quick", action="store_true", help="3 runs, and smaller trees in W1 and memory")
    parser.add_argument("--runs", type=int, help="runs of each contender (default 5, 3 with --quick)")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {' '.join(CASES)}; default all")
    options = parser.parse_args()
    for case in options.cases:
        if case not in CASES:
            parser.error(f"'{case}' is none of {' '.join(CASES)}")
    return options


def on_signal(number, _frame):
    sys.exit(128 + number)


def main():
    options = parse_arguments()
    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    top = Path(tempfile.mkdtemp(prefix="hvferry-bench.", dir="/dev/shm"))
    bench = Bench(options, top)
    try:
        print_header(bench, [word for word in sys.argv[1:] if word not in ("--build", options.build)])
        for case in options.cases or CASES:
            CASES[case](bench)
    except BenchError as error:
        bench.failures.append(str(error))
    finally:
        bench.processes.end_all()
        shutil.rmtree(top, ignore_errors=True)
    for failure in bench.failures:
        print(f"bench.py: {failure}", file=sys.stderr)
    return 1 if bench.failures else 0


if __name__ == "__main__":
    sys.exit(main())
