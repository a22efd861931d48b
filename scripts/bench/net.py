"""Links between two ends: this machine's loopback, or two network namespaces with a limited rate between them."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from .base import BenchError, NotHere
from .processes import wait_until

SENDER_IP, RECEIVER_IP = "10.83.0.1", "10.83.0.2"
BURST = "256kb"  # whole offloaded packets pass
LATENCY = "50ms"  # the longest queue of the link
RELAY = Path(__file__).parent / "relay.py"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Loopback:
    """TCP on 127.0.0.1, as fast as it goes."""

    host = "127.0.0.1"
    sender_prefix = receiver_prefix = ()
    relay_rate = None
    words = "the loopback"


class Relayed(Loopback):
    """The loopback through a relay that lets only so much pass: where namespaces are not to be had."""

    def __init__(self, rate):
        self.relay_rate = rate
        self.words = f"the loopback through a relay of {rate / 1e6:g} MB/s (network namespaces cannot be made here)"


def ran(*command):
    result = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if result.returncode != 0:
        words = " ".join(word for word in command if word != "nsenter" and not word.startswith("--net="))
        raise NotHere(f"`{words}`: {result.stderr.strip() or result.returncode}")


class Namespaces:
    """Two namespaces with a veth pair, and `tc tbf` at the sender's end unless rate is None.

    A sleeping process holds each of them, so that nothing is left when they end, however they do.
    """

    relay_rate = None
    host = RECEIVER_IP

    def __init__(self, rate=None, delay_ms=0):
        """rate: bytes per second, both ways alike."""
        self.holders = []
        self.words = "a pair of network namespaces" + (f", tc tbf {rate * 8 / 1e6:g} Mbit/s" if rate else "")
        try:
            self.make(rate, delay_ms)
        except BaseException:
            self.close()
            raise

    def make(self, rate, delay_ms):
        for _ in range(2):
            self.holders.append(self.hold())
        sender, receiver = (["nsenter", f"--net=/proc/{holder.pid}/ns/net"] for holder in self.holders)
        ran(*sender, "ip", "link", "add", "hva", "type", "veth", "peer", "name", "hvb", "netns", str(self.holders[1].pid))
        for prefix, name, ip in ((sender, "hva", SENDER_IP), (receiver, "hvb", RECEIVER_IP)):
            ran(*prefix, "ip", "address", "add", f"{ip}/30", "dev", name)
            ran(*prefix, "ip", "link", "set", name, "up")
            if rate:
                bits = str(int(rate * 8))
                ran(*prefix, "tc", "qdisc", "add", "dev", name, "root", "tbf", "rate", bits, "burst", BURST,
                    "latency", LATENCY)  # fmt: skip
            elif delay_ms:
                ran(*prefix, "tc", "qdisc", "add", "dev", name, "root", "netem", "delay", f"{delay_ms}ms")
        self.sender_prefix, self.receiver_prefix = sender, receiver

    @staticmethod
    def hold():
        own = os.readlink("/proc/self/ns/net")
        if not shutil.which("unshare") or not shutil.which("nsenter"):
            raise NotHere("unshare and nsenter are not installed")
        # cat ends when this process, which holds the other end of its stdin, is gone.
        holder = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, start_new_session=True)  # fmt: skip
        try:
            wait_until(lambda: holder.poll() is not None or os.readlink(f"/proc/{holder.pid}/ns/net") != own,
                       "a network namespace")  # fmt: skip
        except OSError:
            pass
        if holder.poll() is not None:
            holder.stdin.close()
            raise NotHere("a network namespace cannot be made")
        return holder

    def close(self):
        for holder in self.holders:
            holder.stdin.close()
            holder.kill()
            holder.wait()
        self.holders.clear()


def capped(rate):
    """A link of so many bytes a second, by what this machine can do."""
    try:
        return Namespaces(rate)
    except BenchError:
        return Relayed(rate)


class RelayProcess:
    """relay.py, as a child of `processes`."""

    def __init__(self, processes, listen, target, cuts=(), rate=None):
        self.processes = processes
        words = [sys.executable, str(RELAY)]
        words += ["--rate", str(rate)] if rate else []
        words += [word for cut in cuts for word in ("--cut", str(cut))]
        self.process = processes.start([*words, listen, target], stdout=subprocess.PIPE, text=True)

    def finish(self):
        """{"there": bytes, "back": bytes, "streams": count}"""
        self.process.terminate()
        counts = json.loads(self.process.stdout.read())
        self.process.stdout.close()
        self.processes.wait(self.process)
        return counts
