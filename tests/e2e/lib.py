"""What the end-to-end tests share: programs that always end, directories that always go, trees and their comparison.

A test file has functions with @case, whose names are the sentences that they prove, and ends with lib.main().
Each gets a fresh Workspace. HVSEND and HVRECV name the programs; HVFERRY_TEST_SCHEME=vsock lets the cases that name no
address of their own use that instead of Unix sockets; HVFERRY_TEST_SCALE=small makes the sizes fit
slow (sanitized) builds. No bound on time here says how fast something must be: they only keep a test that
hangs from hanging for ever.
"""

import concurrent.futures
import contextlib
import ctypes
import itertools
import os
import random
import re
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import NamedTuple

HVSEND = os.environ.get("HVSEND", "hvsend")
HVRECV = os.environ.get("HVRECV", "hvrecv")
SCHEME = os.environ.get("HVFERRY_TEST_SCHEME", "unix")  # vsock: in a kernel of the lab (tests/lab)
SMALL = os.environ.get("HVFERRY_TEST_SCALE") == "small"
PATIENCE = 120  # seconds for anything that is to happen by itself
NOBODY = 65534
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
AF_VSOCK, NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST_DUMP = 40, 4, 20, 0x301
SANITIZER = re.compile(r"(Address|Thread|Leak|UndefinedBehavior)Sanitizer|runtime error:")


# meson lets malloc fill what it gives and takes (MALLOC_PERTURB_). That is for the programs, which inherit it; Python has
# large blocks filled over and over, and a test takes minutes instead of seconds.
M_PERTURB = -6
with contextlib.suppress(AttributeError):  # a C library without it
    ctypes.CDLL(None).mallopt(M_PERTURB, 0)

# ThreadSanitizer lets every program sleep for a second at its end, unless it is told not to.
os.environ["TSAN_OPTIONS"] = ":".join(filter(None, [os.environ.get("TSAN_OPTIONS"), "atexit_sleep_ms=0"]))

# For the environment of a program under strace: LeakSanitizer traces, too, and only one can.
TRACED = {"ASAN_OPTIONS": ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"), "detect_leaks=0"]))}

# The vsock device of a machine may lead anywhere.
if SCHEME == "vsock" and "labvsock" not in Path("/proc/cmdline").read_text().split():
    sys.exit("HVFERRY_TEST_SCHEME=vsock is for kernels of the lab only: their command lines have the word labvsock")


class Failed(Exception):
    """What a test found wrong."""


class Skipped(Exception):
    """What a case needs and this machine does not have."""


def check(condition, message):
    if not condition:
        raise Failed(message)


def check_equal(got, wanted, what):
    check(got == wanted, f"{what}: {got!r}, but {wanted!r} is right")


def wait_until(condition, what, patience=PATIENCE):
    """Polls; its result is what `condition` returned."""
    end = time.monotonic() + patience
    while not (value := condition()):
        check(time.monotonic() < end, f"waited in vain: {what}")
        time.sleep(0.005)
    return value


# ---- programs ---------------------------------------------------------------------------------------------


def is_stopped(pid):
    """All threads of it."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        stats = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/stat")]
        return all(stat.rpartition(")")[2].split()[0] in "TtZX" for stat in stats)
    return False


class Result(NamedTuple):
    code: int
    out: bytes
    err: str

    def __str__(self):
        return f"exit {self.code}, stderr:\n{self.err}"


def new_file(prefix, directory):
    descriptor, path = tempfile.mkstemp(prefix=prefix, dir=directory)
    os.close(descriptor)
    return Path(path)


class Process:
    """A program with its output in files, so that it never waits for who reads it."""

    def __init__(self, argv, directory, **options):
        self.argv = [os.fsdecode(word) for word in argv]
        name = os.path.basename(self.argv[0])
        self.out_path, self.err_path = (new_file(f"{what}-{name}-", directory) for what in ("out", "err"))
        options.setdefault("stdin", subprocess.DEVNULL)
        with open(self.out_path, "wb") as out, open(self.err_path, "wb") as err:
            options.setdefault("stdout", out)
            self.popen = subprocess.Popen(self.argv, stderr=err, **options)
        self.pid = self.popen.pid

    def err(self):
        return self.err_path.read_bytes().decode("utf-8", "backslashreplace")

    def ended(self):
        return self.popen.poll() is not None

    def signal(self, number):
        self.popen.send_signal(number)
        if number == signal.SIGSTOP:  # one thread hears it, and stops the others when it comes to run
            wait_until(lambda: self.ended() or is_stopped(self.popen.pid), f"{self.argv} stops")

    def kill(self):
        if not self.ended():
            self.popen.kill()
        self.popen.wait()

    def wait(self, patience=PATIENCE):
        try:
            code = self.popen.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failed(f"{self.argv} did not end in {patience} s; stderr:\n{self.err()}") from None
        self.check_report()
        return Result(code, self.out_path.read_bytes(), self.err())

    def check_report(self):
        err = self.err()
        check(not SANITIZER.search(err), f"{self.argv}: a sanitizer reports:\n{err}")


class Pair(NamedTuple):
    sender: Result
    receiver: Result

    def __str__(self):
        return f"sender: {self.sender}\nreceiver: {self.receiver}"


def good(pair):
    """Both ends did what was asked, and had nothing to say."""
    check((pair.sender.code, pair.receiver.code) == (0, 0), f"it failed\n{pair}")
    for result in pair:
        check(not result.out and not result.err, f"a good run printed something\n{pair}")
    return pair


def failed(result, codes, pattern):
    """It ended with that code (or one of those), and stderr says why."""
    codes = (codes,) if isinstance(codes, int) else codes
    check(result.code in codes, f"not exit {codes}: {result}")
    check(re.search(pattern, result.err), f"stderr does not say /{pattern}/: {result}")


# ---- listening --------------------------------------------------------------------------------------------


def is_listening(address):
    """Asks the kernel: a connection to try it out would be a session."""
    scheme, _, rest = address.partition(":")
    if scheme == "tcp":
        wanted = f":{int(rest.rpartition(':')[2]):04X}"
        rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
        return any(row[1].endswith(wanted) and row[3] == "0A" for row in rows)
    if scheme == "vsock":
        return vsock_is_listening(int(rest.rpartition(":")[2]))
    path = os.fsencode(rest if scheme == "unix" else rest.replace(".sock:", ".sock_"))
    rows = (line.split(b" ") for line in Path("/proc/net/unix").read_bytes().splitlines()[1:])
    return any(row[-1] == path and row[3] == b"00010000" for row in rows)


def vsock_is_listening(port):
    """linux/vm_sockets_diag.h: a dump of the sockets in the state LISTEN."""
    listen = 10
    request = struct.pack("=BBHIII8x", AF_VSOCK, 0, 0, 1 << listen, 0, 0)
    header = struct.pack("=IHHII", 16 + len(request), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST_DUMP, 0, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as dump:
        dump.send(header + request)
        found = set()
        while True:
            data = dump.recv(1 << 16)
            while data:
                length, kind = struct.unpack_from("=IH", data)
                if kind != SOCK_DIAG_BY_FAMILY:
                    return port in found
                found.add(struct.unpack_from("=I", data, 16 + 8)[0])
                data = data[length + 3 & ~3 :]


def free_port():
    """Below those that the system hands out by itself."""
    while True:
        port = random.SystemRandom().randrange(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


# ---- workspace --------------------------------------------------------------------------------------------


vsock_ports = itertools.count(10000)  # of which no case takes one again


class Workspace:
    """A directory in memory, where that is to be had, and the processes that were started in it."""

    def __enter__(self):
        where = "/dev/shm" if os.access("/dev/shm", os.W_OK | os.X_OK) else None
        self.path = Path(tempfile.mkdtemp(prefix="hvferry-e2e-", dir=where))
        self.path.chmod(0o755)
        self.logs = self.dir("logs")
        self.numbers = itertools.count(1)
        self.processes = []
        self.mounts = []
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
        for mount in self.mounts:
            subprocess.run(["umount", "-l", mount], check=False)
        remove_tree(self.path)

    def check_reports(self):
        """Also of those that nobody waited for."""
        for process in self.processes:
            process.check_report()

    def dir(self, name):
        made = self.path / name
        made.mkdir()
        return made

    def unix(self):
        return f"unix:{self.path}/{next(self.numbers)}.sock"

    def address(self):
        """A new one, of the kind that HVFERRY_TEST_SCHEME chose."""
        return f"vsock://local:{next(vsock_ports)}" if SCHEME == "vsock" else self.unix()

    def start(self, *argv, **options):
        process = Process(argv, self.logs, **options)
        self.processes.append(process)
        return process

    def run(self, *argv, **options):
        return self.start(*argv, **options).wait()

    def listen(self, address, *argv, **options):
        """Start a program that listens on `address`, and wait until it does."""
        process = self.start(*argv, **options)
        wait_until(lambda: process.ended() or is_listening(address), f"{argv} listens")
        if process.ended():
            raise Failed(f"{argv} ended and does not listen: {process.wait()}")
        return process

    def receiver(self, address, dest, *options, once=True, **how):
        first = [HVRECV, "--once"] if once else [HVRECV]
        return self.listen(address, *first, "--listen", address, *options, dest, **how)

    def push(self, send, dest, recv=(), address=None, **how):
        """hvsend `send` to a listening hvrecv, which gets `how` too (user=...)."""
        address = address or self.address()
        receiver = self.receiver(address, dest, *recv, **how)
        sender = self.run(HVSEND, *send, address)
        return Pair(sender, receiver.wait())

    def pull(self, send, dest, recv=(), address=None):
        """hvrecv from a listening hvsend `send`."""
        address = address or self.address()
        sender = self.listen(address, HVSEND, "--once", "--listen", address, *send)
        receiver = self.run(HVRECV, "--connect", address, *recv, dest)
        return Pair(sender.wait(), receiver)

    def tmpfs(self, name, options):
        """Mounts one, with the mode of any directory; Skipped where that is not allowed."""
        return self.mount(name, "tmpfs", "-t", "tmpfs", "-o", f"mode=755,{options}", "hvferry-test")

    def whole_seconds(self, name, size):
        """A file system whose times are whole seconds: ext4 with small inodes. Skipped where that is not allowed."""
        return self.ext4(name, self.path / f"{name}.img", size, "-I", "128")

    def ext4(self, name, image, size, *options):
        return self.image("ext4", name, image, size, "-F", *options)

    def xfs(self, name, size):
        """One that takes room behind the end of a file that grows. Skipped where that is not allowed."""
        return self.image("xfs", name, self.path / f"{name}.img", size)

    def image(self, kind, name, image, size, *options):
        with open(image, "wb") as f:
            f.truncate(size)
        try:
            made = subprocess.run([f"mkfs.{kind}", "-q", *options, image], capture_output=True)
        except FileNotFoundError:
            raise Skipped(f"no {kind} can be made here") from None
        if made.returncode != 0:
            raise Skipped(f"no {kind} can be made: {made.stderr.decode().strip()}")
        return self.mount(name, "image", "-o", "loop", image)

    def mount(self, name, what, *how):
        at = self.dir(name)
        done = subprocess.run(["mount", *how, at], capture_output=True)
        if done.returncode != 0:
            raise Skipped(f"no {what} can be mounted: {done.stderr.decode().strip()}")
        self.mounts.append(at)
        return at

    def for_nobody(self):
        """The programs where a user without rights can run them, and how: for permission errors. As that user
        already, there is nothing to do."""
        if os.geteuid() != 0:
            return HVSEND, HVRECV, {}
        there = self.dir("programs")
        copies = [shutil.copy(program, there) for program in (HVSEND, HVRECV)]
        return *copies, {"user": NOBODY, "group": NOBODY, "extra_groups": []}


def remove_tree(path):
    if os.geteuid() != 0:  # directories without rights can be in the way
        for _, names, _, at in os.fwalk(path):
            for name in names:
                if stat.S_ISDIR(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode):
                    os.chmod(name, 0o700, dir_fd=at)
    shutil.rmtree(path)


# ---- trees --------------------------------------------------------------------------------------------------


def put(path, data=b"", mode=0o644, mtime_ns=None):
    with open(path, "wb") as f:
        f.write(data)
    os.chmod(path, mode)
    if mtime_ns is not None:
        os.utime(path, ns=(mtime_ns, mtime_ns))


def put_sparse(path, size, runs=()):
    """A file of `size` bytes with nothing but `runs` of (offset, data) in it."""
    with open(path, "wb") as f:
        f.truncate(size)
        for offset, data in runs:
            f.seek(offset)
            f.write(data)


def noise(n, seed=0):
    """Bytes that do not become smaller."""
    return random.Random(seed).randbytes(n)


def prose(n, seed=0):
    """Bytes that do."""
    rng = random.Random(seed)
    words = [b"ferry", b"guest", b"host", b"chunk", b"digest", b"socket", b"%d" % rng.randrange(1 << 30), b"\n"]
    line = b" ".join(rng.choice(words) for _ in range(4096))
    return (line * (n // len(line) + 1))[:n]


def status_of_tree(root):
    """Everything below `root`, and `root` itself as '': what kind, mode, size or target, and time to the ns."""
    found = {}
    stack = [b""]
    root = os.fsencode(root)
    while stack:
        path = stack.pop()
        st = os.lstat(os.path.join(root, path) if path else root)
        what = st.st_size if stat.S_ISREG(st.st_mode) else None
        if stat.S_ISLNK(st.st_mode):
            what = os.readlink(os.path.join(root, path))
        found[path] = (st.st_mode, what, st.st_mtime_ns)
        if stat.S_ISDIR(st.st_mode):
            stack += [os.path.join(path, name) for name in os.listdir(os.path.join(root, path))]
    return found


def no_temporary_names(root):
    """Nothing unfinished was left below `root`."""
    for directory, inner, names in os.walk(os.fsencode(root)):
        left = [name for name in inner + names if name.lower().startswith(b".hvferry.")]
        check(not left, f"{directory!r} holds {left}")


def same_tree(source, dest):
    """rsync, which is not ours, finds no difference in content, and lstat none in modes and times."""
    rsync = ["rsync", "-anc", "--delete", "--itemize-changes", "--no-o", "--no-g", f"{source}/", f"{dest}/"]
    done = subprocess.run(rsync, capture_output=True, check=False)
    check(done.returncode == 0, f"rsync: {done.stderr.decode(errors='replace')}")
    check(done.stdout == b"", f"rsync finds differences:\n{done.stdout[:4000].decode(errors='backslashreplace')}")
    ours, theirs = status_of_tree(source), status_of_tree(dest)
    if ours != theirs:
        names = [name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)]
        lines = [f"{name!r}: {ours.get(name)} became {theirs.get(name)}" for name in sorted(names)[:20]]
        raise Failed(f"{len(names)} entries differ in mode or time:\n" + "\n".join(lines))
    no_temporary_names(dest)


# ---- cases --------------------------------------------------------------------------------------------------

cases = []
common = Workspace()  # for what several cases use and none changes; there while main() runs


def case(function):
    cases.append((function.__name__.replace("_", " "), function))
    return function


def each(values):
    """One case for each value, which the function gets after the workspace. A tuple begins with its name."""

    def add(function):
        for value in values:
            name = value[0] if isinstance(value, tuple) else value
            cases.append((f"{function.__name__.replace('_', ' ')}: {name}", lambda ws, v=value: function(ws, v)))
        return function

    return add


def run_case(number, name, function):
    """Its lines of TAP."""
    start = time.monotonic()
    try:
        with Workspace() as workspace:
            function(workspace)
            workspace.check_reports()
    except Skipped as reason:
        return f"ok {number} - {name} # SKIP {' '.join(str(reason).split())}\n"  # one line, for TAP
    except Exception as error:  # a test that breaks has failed
        text = str(error) if isinstance(error, Failed) else traceback.format_exc()
        return f"not ok {number} - {name}\n" + "".join(f"# {line}\n" for line in text.splitlines())
    return f"ok {number} - {name}\n# {time.monotonic() - start:.1f} s\n"


def need(*programs):
    """Ends the test as skipped when a program is missing."""
    missing = [program for program in programs if not shutil.which(program)]
    if missing:
        print(f"1..0 # SKIP {', '.join(missing)} is not installed", flush=True)
        sys.exit(0)


def main(parallel=1):
    """Runs the cases, or those whose names hold the words that are given, and never returns. Prints TAP.
    parallel: so many at once, for cases that mostly wait."""
    need("rsync")
    os.umask(0o022)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that workspaces go
    wanted = " ".join(sys.argv[1:])
    chosen = [(name, function) for name, function in cases if wanted in name]
    print(f"1..{len(chosen)}", flush=True)
    good_so_far = True
    with common, concurrent.futures.ThreadPoolExecutor(parallel) as pool:
        for lines in pool.map(lambda i: run_case(i + 1, *chosen[i]), range(len(chosen))):
            print(lines, end="", flush=True)
            good_so_far = good_so_far and lines.startswith("ok")
    sys.exit(0 if good_so_far else 1)
