"""The driver's end of the serial line to a lab kernel; tests/lab/agent.c is the other end and says what goes over
it."""

import contextlib
import itertools
import socket
import threading
import time

import guest
from guest import PATIENCE
from lib import Failed, Result

FRAME_WORDS = (b"out", b"err", b"exit")


class Job(guest.Job):
    """A script that runs in a guest."""

    def __init__(self, line, number, script):
        self.line, self.number, self.script = line, number, script
        self.texts = {b"out": bytearray(), b"err": bytearray()}
        self.code = None
        self.lost = None  # why its end will never be known

    def err(self):
        return bytes(self.texts[b"err"]).decode("utf-8", "backslashreplace")

    def ended(self):
        return self.code is not None

    def signal(self, number):
        """To all processes of the script."""
        self.line.send(b"signal %d %d\n" % (self.number, number))

    def wait(self, patience=PATIENCE):
        with self.line.news:
            self.line.news.wait_for(lambda: self.ended() or self.lost, patience)
            if not self.ended():
                why = self.lost or f"did not end in {patience} s"
                raise Failed(f"{self.line.name}: {self.script!r} {why}; stderr:\n{self.err()}")
        return Result(self.code, bytes(self.texts[b"out"]), self.err())


class Line:
    """A connected socket, read by a thread of its own until it ends. What comes before the greeting of the boot
    that is waited for is dropped: it is of the boot before."""

    def __init__(self, sock, name):
        self.sock, self.name = sock, name
        self.numbers = itertools.count(1)
        self.jobs = {}
        self.greeting = None  # of the boot; None: nothing is expected to speak
        self.ready = False
        self.closed = False
        self.news = threading.Condition()  # held for all of the above, and told of every change
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def expect(self, boot):
        with self.news:
            self.greeting = b"\nlab agent %d\n" % boot
            self.ready = False

    def assume_ready(self, *numbers):
        """An agent that was saved and restored does not speak first. The Jobs of those numbers still run there."""
        with self.news:
            self.ready = True
            self.jobs = {number: Job(self, number, "(saved)") for number in numbers}
            self.numbers = itertools.count(max(numbers, default=0) + 1)
            return list(self.jobs.values())

    def wait_ready(self, still_alive, patience):
        """Until the agent of the expected boot has spoken."""
        end = time.monotonic() + patience
        with self.news:
            while not self.ready:
                self.news.wait(0.2)
                if not still_alive():
                    raise Failed(f"{self.name} ended while it booted")
                if time.monotonic() > end:
                    raise Failed(f"{self.name} did not boot in {patience} s")

    def lose(self, why):
        """The guest is gone, and with it whatever ran there."""
        with self.news:
            self.ready = False
            self.greeting = None
            for job in self.jobs.values():
                job.lost = why
            self.jobs = {}
            self.news.notify_all()

    def start(self, script):
        text = script.encode()
        with self.news:
            if not self.ready:
                raise Failed(f"{self.name} is not there to run {script!r}")
            job = Job(self, next(self.numbers), script)
            self.jobs[job.number] = job
            self.send(b"run %d %d\n%s" % (job.number, len(text), text))
        return job

    def send(self, data):
        with self.news, contextlib.suppress(OSError):  # the reader says that the line was cut
            self.sock.sendall(data)

    def close(self):
        """May be called twice."""
        with self.news:
            if self.closed:
                return
            self.closed = True
        with contextlib.suppress(OSError):  # the other end may be gone
            self.sock.shutdown(socket.SHUT_RDWR)
        self.reader.join()
        self.sock.close()

    def _read(self):
        waiting = b""
        try:
            while piece := self.sock.recv(65536):
                with self.news:
                    waiting = self._take(waiting + piece)
                    self.news.notify_all()
        except ConnectionError:
            pass
        except ValueError as error:
            self.lose(f"was lost: the line brought {error}")
        self.lose("was lost: the line was cut")

    def _take(self, data):
        """Takes all that is whole; returns the rest."""
        if not self.ready:
            at = data.find(self.greeting) if self.greeting else -1
            if at < 0:
                return data[-64:]
            data = data[at + len(self.greeting) :]
            self.ready = True
        while True:
            head, newline, rest = data.partition(b"\n")
            if not newline:
                return data
            word, number, value = head.split(b" ")
            job, value = self.jobs.get(int(number)), int(value)
            if word not in FRAME_WORDS or job is None:
                raise ValueError(head)
            if word == b"exit":
                job.code = value
                del self.jobs[job.number]
            elif len(rest) < value:
                return data
            else:
                job.texts[word] += rest[:value]
                rest = rest[value:]
            data = rest
