"""The ways to copy the tree `source` into the directory `dest`.

A contender listens, sends and finishes, in three steps, so that several can be at work at once. Its time goes from the
start of the first sending program to the exit of the last one; where nothing is acknowledged (pipes), to the exit of
the last receiving program.
"""

import os
import subprocess
from typing import NamedTuple

from . import net
from .data import Comparison
from .processes import Usage, has_children, tcp_listens, unix_listens, usage_of, wait_until

PIPE_BLOCK = str(1 << 20)


class Run(NamedTuple):
    started: float
    ended: float
    sender: Usage
    receiver: Usage | None  # None: there is only one end
    wire: dict | None = None  # what a relay counted

    @property
    def seconds(self):
        return self.ended - self.started

    @property
    def cpu(self):
        return self.sender.cpu + (self.receiver.cpu if self.receiver else 0)


class Contender:
    """`check`: what the copy is held to. `runs`: at most so many, and no uncounted one before, when it is slow."""

    acknowledges = True

    def __init__(self, bench, name, check=None, runs=None):
        self.bench = bench
        self.name = name
        self.check = check or Comparison()
        self.runs = runs
        self.measured = []  # of Run

    @property
    def processes(self):
        return self.bench.processes

    def command(self):
        """How a person would write it, for the report."""
        raise NotImplementedError

    def listen(self, dest):
        """Programs of the receiving end."""
        raise NotImplementedError

    def send(self, source):
        """Programs of the sending end, started."""
        raise NotImplementedError

    def finish(self, receiving, sending):
        """Waits for all: Run."""
        sent = [self.processes.wait(process) for process in sending]
        received = [self.processes.wait(process) for process in receiving]
        timed = sent if self.acknowledges else received
        started, ended = min(s.started for s in sent), max(s.ended for s in timed)
        return Run(started, ended, usage_of(sent), usage_of(received))

    def run(self, source, dest):
        self.bench.warm(source)
        receiving = self.listen(dest)
        return self.finish(receiving, self.send(source))

    def verify(self, source, dest):
        """BenchError when the copy is not what it is held to."""
        self.check.check(source, dest)

    def start(self, command, **options):
        return self.processes.start(command, prefix=self.bench.prefix, **options)


class Wire:
    """Where an end listens and where the other one dials: an address each, with a relay between them or none."""

    def __init__(self, processes, kind, bench, link, cuts=(), relay=False):
        self.processes = processes
        self.kind = kind
        self.link = link
        self.cuts = cuts
        self.wants_relay = relay or bool(cuts) or link.relay_rate is not None
        self.listening = self.address(bench)
        self.dialled = self.address(bench) if self.wants_relay else self.listening
        self.relay = None

    def address(self, bench):
        return f"unix:{bench.socket_path()}" if self.kind == "unix" else f"tcp:{net.free_port()}"

    @staticmethod
    def where(address):
        return address.partition(":")[2]

    def url(self, address):
        """As hvferry spells it."""
        return address if self.kind == "unix" else f"tcp://{self.link.host}:{self.where(address)}"

    def is_open(self, address, pid):
        where = self.where(address)
        return unix_listens(where) if self.kind == "unix" else tcp_listens(int(where), pid)

    def wait(self, process, what):
        wait_until(lambda: self.is_open(self.listening, process.pid), f"{what} to listen")
        if self.wants_relay:
            self.relay = net.RelayProcess(self.processes, self.dialled, self.listening, self.cuts, self.link.relay_rate)
            wait_until(lambda: self.is_open(self.dialled, os.getpid()), "the relay to listen")

    def finish(self):
        return self.relay.finish() if self.relay else None


class Linked(Contender):
    """With a stream between two ends: `kind` of address, `link`, and `relay` settings of Wire."""

    def __init__(self, bench, name, kind="tcp", link=None, **options):
        self.relayed = {key: options.pop(key) for key in ("cuts", "relay") if key in options}
        super().__init__(bench, name, **options)
        self.kind = kind
        self.link = link or net.Loopback()
        self.wire = None

    def new_wire(self):
        self.wire = Wire(self.processes, self.kind, self.bench, self.link, **self.relayed)
        return self.wire

    def start_sender(self, command, **options):
        return self.processes.start(command, prefix=[*self.link.sender_prefix, *self.bench.prefix], **options)

    def start_receiver(self, command, **options):
        return self.processes.start(command, prefix=[*self.link.receiver_prefix, *self.bench.prefix], **options)

    def finish(self, receiving, sending):
        run = super().finish(receiving, sending)
        return run._replace(wire=self.wire.finish())


class Hvferry(Linked):
    """Over a Unix socket, or over TCP as rsync."""

    def __init__(self, bench, name="hvferry", options=("-a",), kind="unix", **more):
        super().__init__(bench, name, kind=kind, **more)
        self.options = list(options)

    def command(self):
        address = "unix:SOCKET" if self.kind == "unix" else f"tcp://{self.link.host}:PORT"
        return f"hvrecv --once --listen {address} DEST; hvsend {' '.join(self.options)} SRC/ {address}"

    def remote(self):
        return ["--allow-remote"] if self.link.sender_prefix else []

    def listen(self, dest):
        wire = self.new_wire()
        words = [self.bench.hvrecv, "--once", "--listen", wire.url(wire.listening), *self.remote(), str(dest)]
        receiver = self.start_receiver(words)
        wire.wait(receiver, "hvrecv")
        return [receiver]

    def send(self, source):
        words = [self.bench.hvsend, *self.options, *self.remote(), f"{source}/", self.wire.url(self.wire.dialled)]
        return [self.start_sender(words)]


class Rsync(Linked):
    """A daemon; --whole-file for full copies. With `fails` its exit code is only noted."""

    def __init__(self, bench, name="rsync", options=("-a", "-W"), fails=False, **more):
        super().__init__(bench, name, **more)
        self.options = list(options)
        self.fails = fails
        self.code = 0

    def command(self):
        return f"rsync --daemon; rsync {' '.join(self.options)} SRC/ rsync://{self.link.host}:PORT/dest/"

    def listen(self, dest):
        wire = self.new_wire()
        port = wire.where(wire.listening)
        config = self.bench.top / f"rsyncd-{port}.conf"
        config.write_text(
            f"use chroot = no\nuid = {os.getuid()}\ngid = {os.getgid()}\nreverse lookup = no\n"
            f"[dest]\npath = {dest}\nread only = no\n",
            encoding="utf-8",
        )
        daemon = self.start_receiver(
            ["rsync", "--daemon", "--no-detach", f"--config={config}", f"--address={self.link.host}", f"--port={port}",
             "--log-file=/dev/null"]
        )  # fmt: skip
        wire.wait(daemon, "the rsync daemon")
        return [daemon]

    def send(self, source):
        port = self.wire.where(self.wire.dialled)
        words = ["rsync", *self.options, f"{source}/", f"rsync://{self.link.host}:{port}/dest/"]
        return [self.start_sender(words, stderr=subprocess.DEVNULL if self.fails else None)]

    def finish(self, receiving, sending):
        sent = self.processes.wait(sending[0], good=None if self.fails else (0,))
        self.code = sending[0].code
        daemon = receiving[0]
        wait_until(lambda: not has_children(daemon.pid), "the rsync daemon to finish")
        received = self.processes.stop(daemon)
        return Run(sent.started, sent.ended, usage_of([sent]), usage_of([received]), self.wire.finish())


class Pipe(Linked):
    """Programs in a row, socat between two rows. Verifies nothing and acknowledges nothing: what a bare copy costs.

    pack(source) and unpack(dest) give (a row of programs, the file that it begins or ends with, or None).
    """

    acknowledges = False

    def __init__(self, bench, name, pack, unpack, words, **more):
        super().__init__(bench, name, **more)
        self.pack, self.unpack, self.words = pack, unpack, words

    def command(self):
        far = "SOCKET" if self.kind == "unix" else f"{self.link.host}:PORT"
        return self.words.replace("STREAM", f"socat(1) over {self.kind}, {far}")

    def listen(self, dest):
        wire = self.new_wire()
        where = wire.where(wire.listening)
        far = f"UNIX-LISTEN:{where}" if self.kind == "unix" else f"TCP-LISTEN:{where},bind={self.link.host},reuseaddr"
        row, file = self.unpack(dest)
        with open(file or os.devnull, "wb") as last:
            programs = in_a_row(self.start_receiver, [socat(far, "STDOUT"), *row], None, last)
        wire.wait(programs[0], "socat")
        return programs

    def send(self, source):
        where = self.wire.where(self.wire.dialled)
        far = f"UNIX-CONNECT:{where}" if self.kind == "unix" else f"TCP:{self.link.host}:{where}"
        row, file = self.pack(source)
        with open(file or os.devnull, "rb") as first:
            return in_a_row(self.start_sender, [*row, socat("STDIN", far)], first, None)


def socat(source, target):
    return ["socat", "-u", "-b", PIPE_BLOCK, source, target]


def in_a_row(start, row, first, last):
    """Starts them, each with the output of the one before as its input; `first` and `last` are the ends of the row."""
    programs = []
    for number, command in enumerate(row):
        stdin = programs[-1].stdout if programs else first
        out = last if number == len(row) - 1 else subprocess.PIPE
        programs.append(start(command, stdin=stdin or subprocess.DEVNULL, stdout=out))
        if number:
            stdin.close()
    return programs


def tar_pipe(bench, **more):
    return Pipe(
        bench,
        "tar pipe",
        lambda source: ([["tar", "-c", "-f", "-", "-C", str(source), "."]], None),
        lambda dest: ([["tar", "-x", "-f", "-", "-C", str(dest)]], None),
        "tar -c -C SRC . | STREAM | tar -x -C DEST",
        check=Comparison(times="s"),
        **{"kind": "unix", **more},
    )


def file_pipe(bench, **more):
    """The file `image` of the tree."""
    return Pipe(
        bench,
        "socat",
        lambda source: ([], source / "image"),
        lambda dest: ([], dest / "image"),
        "STREAM < SRC/image > DEST/image",
        check=Comparison(times=None),
        **{"kind": "unix", **more},
    )


def zstd_pipe(bench, level, **more):
    options = level.split()
    return Pipe(
        bench,
        f"zstd {level}",
        lambda source: ([["zstd", "-q", *options, "-c", str(source / "image")]], None),
        lambda dest: ([["zstd", "-q", "-d", "-c"]], dest / "image"),
        f"zstd {level} -c SRC/image | STREAM | zstd -d > DEST/image",
        check=Comparison(times=None),
        **more,
    )


class Cp(Contender):
    """cp -a: one program, no stream, nothing verified."""

    def command(self):
        return "cp -a SRC/. DEST"

    def listen(self, dest):
        self.dest = dest
        return []

    def send(self, source):
        return [self.start(["cp", "-a", f"{source}/.", str(self.dest)])]

    def finish(self, receiving, sending):
        return super().finish(receiving, sending)._replace(receiver=None)


class Bare(Contender):
    """tests/bench/bare.c: what two processes and a socket can do at best."""

    def __init__(self, bench):
        super().__init__(bench, "bare loop", check=Comparison(times=None))

    def command(self):
        return "bare receive SOCKET DEST/image; bare send SRC/image SOCKET"

    def listen(self, dest):
        self.path = self.bench.socket_path()
        receiver = self.start([self.bench.bare, "receive", self.path, str(dest / "image")])
        wait_until(lambda: unix_listens(self.path), "bare to listen")
        return [receiver]

    def send(self, source):
        return [self.start([self.bench.bare, "send", str(source / "image"), self.path])]
