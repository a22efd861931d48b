"""hvsend in one guest, hvrecv in the other: who listens, who connects, how both end."""

import itertools
import re

from guest import PATIENCE
from lib import Failed, Pair, check, good, wait_until  # noqa: F401

# Who connects may be first: it tries again. So no case has to know when the other end listens.
SOON = ["--retry", "200", "--retry-delay", "0.1"]
PATIENT = ["--contimeout", str(PATIENCE)]  # an emulated kernel on a busy machine is no dead one
PROGRESS = re.compile(r"^([1-9]\d*)/", re.MULTILINE)

STRAGGLING = 90  # seconds that one end may take to notice that the other has failed

ports = itertools.count(5000)


class Session:
    """Both programs were started; end() waits for both."""

    def __init__(self, sender, receiver):
        self.sender, self.receiver = sender, receiver

    def end(self):
        wait_until(lambda: self.sender.ended() or self.receiver.ended(), "one of the ends ends", PATIENCE)
        first, other = (self.sender, self.receiver) if self.sender.ended() else (self.receiver, self.sender)
        result = first.wait()
        try:
            other.wait(PATIENCE if result.code == 0 else STRAGGLING)
        except Failed as error:
            raise Failed(f"{error}\nthe other end: {result}") from None
        return Pair(self.sender.wait(), self.receiver.wait())


def push(sender, receiver, source, dest, send=(), recv=(), port=None):
    """hvrecv listens."""
    port = port or next(ports)
    listening = receiver.start(["hvrecv", "--once", *PATIENT, "--listen", f"vsock://:{port}", *recv, dest])
    dialling = sender.start(["hvsend", "-a", *SOON, *PATIENT, *send, f"{source}/", receiver.address(port)])
    return Session(dialling, listening)


def pull(sender, receiver, source, dest, send=(), recv=()):
    """hvsend listens."""
    port = next(ports)
    listening = sender.start(["hvsend", "-a", "--once", *PATIENT, "--listen", f"vsock://:{port}", *send, f"{source}/"])
    dialling = receiver.start(["hvrecv", *SOON, *PATIENT, "--connect", sender.address(port), *recv, dest])
    return Session(listening, dialling)


def wait_for_progress(job):
    """A program that was started with --progress-fd 2 has moved data."""
    wait_until(lambda: job.ended() or PROGRESS.search(job.err()), "data moves", PATIENCE)
    check(not job.ended(), f"the transfer was over too soon: {job.err()}")
