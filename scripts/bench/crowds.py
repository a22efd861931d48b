"""Contenders that are many at once, or meet many."""

import os
import resource
import signal
import socket
import subprocess
import time

from .contenders import Contender, Hvferry, Run
from .processes import Usage, usage_of


class AtOnce(Contender):
    """Several contenders of a kind, each to a directory of its own, all at once."""

    def __init__(self, bench, name, members):
        super().__init__(bench, name)
        self.members = members

    def command(self):
        return f"{len(self.members)} at once of: {self.members[0].command()}"

    def dests(self, dest):
        return [dest / str(number) for number, _ in enumerate(self.members)]

    def verify(self, source, dest):
        for folder in self.dests(dest):
            self.check.check(source, folder)

    def listen_all(self, source, dest):
        """What each member's listen() gives."""
        dests = self.dests(dest)
        for folder in dests:
            folder.mkdir()
        self.bench.warm(source, len(dests))
        return [member.listen(folder) for member, folder in zip(self.members, dests)]

    def run(self, source, dest):
        receiving = self.listen_all(source, dest)
        sending = [member.send(source) for member in self.members]
        runs = [member.finish(*ends) for member, ends in zip(self.members, zip(receiving, sending))]
        return Run(
            min(run.started for run in runs),
            max(run.ended for run in runs),
            Usage(sum(run.sender.cpu for run in runs), max(run.sender.peak for run in runs)),
            Usage(sum(run.receiver.cpu for run in runs), max(run.receiver.peak for run in runs)),
        )


class FanOut(AtOnce):
    """hvferry: a receiver each, and one sender for all."""

    def command(self):
        receiver, sender = self.members[0].command().split("; ")
        head, _, address = sender.rpartition(" ")
        return f"{len(self.members)} of: {receiver}; one {head} --to {address} --to ..."

    def run(self, source, dest):
        receiving = self.listen_all(source, dest)
        first = self.members[0]
        to = [word for member in self.members for word in ("--to", member.wire.url(member.wire.dialled))]
        sender = first.start_sender([self.bench.hvsend, *first.options, f"{source}/", *to])
        return self.finish([process for programs in receiving for process in programs], [sender])


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
    """hvferry beside 1,000 hostile streams, which come again when they are shown out."""

    STREAMS = 1000

    def __init__(self, bench):
        super().__init__(bench, "hvferry in a crowd")
        self.child = 0

    def command(self):
        return f"{self.STREAMS} streams of a byte a second; " + super().command().replace("--once ", "")

    def listen(self, dest):
        wire = self.new_wire()
        words = [self.bench.hvrecv, "-q", "--listen", wire.url(wire.listening), str(dest)]
        receiver = self.start_receiver(words, stderr=subprocess.DEVNULL)
        wire.wait(receiver, "hvrecv")
        self.child = os.fork()
        if self.child == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            try:
                crowd(wire.where(wire.listening), self.STREAMS)
            finally:
                os._exit(1)
        time.sleep(1)  # all of them are there
        return [receiver]

    def finish(self, receiving, sending):
        sent = self.processes.wait(sending[0])
        received = self.processes.stop(receiving[0])
        return Run(sent.started, sent.ended, usage_of([sent]), usage_of([received]))

    def run(self, source, dest):
        try:
            return super().run(source, dest)
        finally:
            if self.child:
                os.kill(self.child, signal.SIGKILL)
                os.waitpid(self.child, 0)
                self.child = 0
