"""Kernels of user-mode Linux, as processes of this machine: no KVM, no root.

The machine's / is their root, read only, so that every installed program runs inside. A directory of the driver is
shared with each (hostfs, /run/lab inside): jobs come and their results go through it. The kernel's console is a pair
of pipes, on which the driver names the jobs (init.sh).
"""

import ctypes
import itertools
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from guest import LABTREE, PATIENCE, Guest, Job, script
from lib import HVRECV, HVSEND, Failed, Result, Skipped, wait_until
from runner import REPOSITORY

LINUX = "linux.uml"
INIT = REPOSITORY / "tests/lab/init.sh"
MARK = "labvsock"
MEMORY = 3 << 30  # bytes at most; only what is used is taken from the machine
COMMON_MODULES = ("vsock", "vmw_vsock_virtio_transport_common")
READY = "lab: ready"
PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
SHARE = "/run/lab"  # in the guest


def prepare():
    """Once, before the first kernel. Skipped where something is missing."""
    missing = [name for name in (LINUX, "busybox") if not shutil.which(name)]
    if missing:
        raise Skipped(f"{', '.join(missing)} is not installed (scripts/setup.sh lab)")
    adopt_orphans()


def memory_directory():
    """For the file that is the kernels' memory, which has no name: /dev/shm, if it has the room and allows code."""
    st = os.statvfs("/dev/shm")
    if st.f_bavail * st.f_frsize >= MEMORY and not st.f_flag & os.ST_NOEXEC and os.access("/dev/shm", os.W_OK):
        return "/dev/shm"
    return "/tmp"


def adopt_orphans():
    """From now on, processes whose parent ends become children of this one, which can take their exit status: not
    every machine's init does."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise Failed(f"prctl: {os.strerror(ctypes.get_errno())}")


def is_of_session(pid, sid):
    """Zombies too."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[3]) == sid
    except (OSError, ValueError):
        return False


def end_session(process):
    """Kills all processes of the session that `process` leads, and returns when none is left: a kernel's helpers hold
    its sockets."""
    sid = process.pid

    def left():
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit() and is_of_session(name, sid)]
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
                if process.poll() is not None:  # only then are the others children of this program
                    os.waitpid(pid, os.WNOHANG)
            except (ProcessLookupError, ChildProcessError):
                pass
        return pids

    wait_until(lambda: not left(), f"the processes of session {sid} end", PATIENCE)
    process.wait()


class UmlJob(Job):
    def __init__(self, guest, number, command):
        self.guest, self.command = guest, command
        self.base = guest.share / str(number)

    def _read(self, ending):
        try:
            return Path(f"{self.base}.{ending}").read_bytes()
        except FileNotFoundError:
            return b""

    def err(self):
        return self._read("err").decode("utf-8", "backslashreplace")

    def ended(self):
        return bool(self._read("code"))

    def signal(self, number):
        pid = wait_until(lambda: self._read("pid"), f"{self.command!r} starts", PATIENCE)
        self.guest.run(f"kill -{int(number)} -- -{int(pid)}")

    def wait(self, patience=PATIENCE):
        end = time.monotonic() + patience
        while not self.ended():
            if not self.guest.alive():
                raise Failed(f"{self.guest.name} ended while it ran {self.command!r}; stderr:\n{self.err()}")
            if time.monotonic() > end:
                raise Failed(f"{self.guest.name}: {self.command!r} did not end in {patience} s; stderr:\n{self.err()}")
            time.sleep(0.005)
        return Result(int(self._read("code")), self._read("out"), self.err())


class UmlGuest(Guest):
    data = "/dev/shm"
    kept = f"{SHARE}/kept"

    def __init__(self, name, cid, directory, module, *words):
        """directory: of the driver, for the share and the log. module: the transport's. words: for the kernel."""
        super().__init__(name, cid)
        self.share = Path(directory) / name
        (self.share / "kept").mkdir(parents=True)
        self.console = Path(directory) / f"{name}.console"
        self.modules = [*COMMON_MODULES, module, "vsock_diag"]
        self.words = words
        self.numbers = itertools.count(1)
        self.process = None

    def boot(self):
        """Begins to boot; wait_ready() waits for it. Also after kill()."""
        path = ":".join(str(Path(program).resolve().parent) for program in (HVSEND, HVRECV, LABTREE))
        scratch = self.share.with_name(f"{self.name}.uml")
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        argv = [
            "setpriv", "--pdeathsig", "KILL",  # it does not outlive this program, however that ends
            LINUX, f"mem={MEMORY >> 20}M", "rootfstype=hostfs", "rootflags=/", "ro", f"init={INIT}",
            f"uml_dir={scratch}", "umid=kernel", "con=null", "con0=fd:0,fd:1", "con1=null", "ssl=null", "quiet",
            "panic=-1", MARK, f"labshare={self.share}", f"labpath={path}", *(f"labmodule={name}" for name in self.modules),
            *self.words,
        ]  # fmt: skip
        with open(self.console, "wb") as console:
            self.process = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=console, stderr=subprocess.STDOUT, start_new_session=True,
                env={**os.environ, "TMPDIR": memory_directory()},
            )  # fmt: skip

    def log(self):
        return self.console.read_text(errors="replace") if self.console.exists() else ""

    def wait_ready(self):
        wait_until(lambda: READY in self.log() or not self.alive(), f"{self.name} boots:\n{self.log()}", PATIENCE)
        if not self.alive():
            raise Failed(f"{self.name} ended while it booted:\n{self.log()}")

    def start(self, command):
        number = next(self.numbers)
        job = UmlJob(self, number, command)
        Path(f"{job.base}.sh").write_text(script(command))
        try:
            self.process.stdin.write(b"%d\n" % number)
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Failed(f"{self.name} is not there to run {command!r}") from None
        return job

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        if self.process is None:
            return
        end_session(self.process)
        self.process.stdin.close()
        self.process = None

    def freeze(self):
        """The kernel's process: those of its user space wait for it anyway, and must not see the signal."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def close(self):
        self.kill()
