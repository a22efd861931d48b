"""Children, what they took, and waiting for them to listen.

Every program is started by tests/bench/spent.c, which tells when it began and ended, its CPU seconds and its own
peak memory.
"""

import os
import shlex
import signal
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from .base import KIB, BenchError

WAIT_SECONDS = 20


class Spent(NamedTuple):
    """What one program took: seconds of the monotonic clock, CPU seconds, bytes."""

    started: float
    ended: float
    cpu: float
    peak: int


class Usage(NamedTuple):
    """What one end took: CPU seconds of all its programs, and the peak of the largest."""

    cpu: float
    peak: int


def usage_of(spents):
    return Usage(sum(s.cpu for s in spents), max((s.peak for s in spents), default=0))


def parse_spent(line):
    """(Spent, exit code) of the line that `spent` prints at the end."""
    started, ended, user, system, peak, code = line.split()
    return Spent(float(started), float(ended), float(user) + float(system), int(peak) * KIB), int(code)


class Process:
    """A program that runs, in a group of its own together with what it starts. `pid` is its own, not that of `spent`,
    which leads the group."""

    def __init__(self, command, spent, prefix, **options):
        self.command = [str(word) for word in command]
        self.pid = self.code = None
        report, told = os.pipe()
        self.report = os.fdopen(report, encoding="ascii")
        try:
            self.popen = subprocess.Popen(
                [*prefix, spent, str(told), *self.command],
                pass_fds=(told,),
                start_new_session=True,
                **{"stdin": subprocess.DEVNULL, **options},
            )
        except BaseException:
            self.report.close()
            raise
        finally:
            os.close(told)

    @property
    def stdout(self):
        return self.popen.stdout

    def read_pid(self):
        line = self.report.readline()
        if not line:
            raise BenchError(f"did not start: {shlex.join(self.command)}")
        self.pid = int(line)

    def wait(self, good=(0,)):
        """Spent; BenchError when the exit code is none of `good` (None: any is)."""
        line = self.report.readline()
        self.report.close()
        self.popen.wait()
        if not line:
            raise BenchError(f"was killed: {shlex.join(self.command)}")
        spent, self.code = parse_spent(line)
        if good is not None and self.code not in good:
            raise BenchError(f"exit code {self.code}: {shlex.join(self.command)}")
        return spent

    def terminate(self):
        self.popen.terminate()  # spent passes it on

    def signal_group(self, number):
        """False when nobody is left in it."""
        try:
            os.killpg(self.popen.pid, number)
        except ProcessLookupError:
            return False
        return True

    def end(self):
        """Whatever it is at, and with all that it has started."""
        self.signal_group(signal.SIGTERM)
        try:
            self.popen.wait(timeout=3)
        except subprocess.TimeoutExpired:
            pass
        self.signal_group(signal.SIGKILL)
        self.popen.wait()
        wait_until(lambda: not self.signal_group(signal.SIGKILL), "a group of processes to end")
        self.report.close()


class Processes:
    """The children that run; ends what is left of them by pid."""

    def __init__(self, spent):
        self.spent = spent
        self.running = []

    def start(self, command, prefix=(), **options):
        process = Process(command, self.spent, prefix, **options)
        self.running.append(process)
        process.read_pid()
        return process

    def wait(self, process, good=(0,)):
        spent = process.wait(good)
        self.running.remove(process)
        return spent

    def stop(self, process, good=(0, 20, 143)):
        """Ends one that serves for ever: Spent."""
        process.terminate()
        return self.wait(process, good)

    def end_all(self):
        while self.running:
            self.running.pop().end()


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


def tcp_listens(port, pid):
    """In the network namespace of `pid`."""
    wanted = f":{port:04X}"
    try:
        with open(f"/proc/{pid}/net/tcp", encoding="ascii") as sockets:
            rows = (line.split() for line in list(sockets)[1:])
            return any(row[1].endswith(wanted) and row[3] == "0A" for row in rows)
    except OSError as error:
        raise BenchError(f"process {pid} has ended: {error}") from error


def has_children(pid):
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return any(path.read_text().strip() for path in tasks)
