#!/usr/bin/env python3
"""Who connects first tries again, as often as it was told and no longer, until the other end is there."""

import os
import signal
import sys
from pathlib import Path

import lib
from lib import HVRECV, HVSEND, case, check, check_equal, each, failed, put, wait_until

SOON = ["--retry-delay", "0.02"]


def trees(ws):
    source, dest = ws.dir("source"), ws.dir("dest")
    put(source / "file", b"data")
    return source, dest


def waits(process, tries=2):
    """It has tried in vain so often already, and goes on."""
    wait_until(lambda: process.ended() or f"try {tries}: " in process.err(), "it tries again")
    check(not process.ended(), f"it ended instead: {process.err()}")


@each(["push", "pull"])
def a_listener_that_starts_later_is_reached(ws, role):
    source, dest = trees(ws)
    address = ws.unix()
    send, receive = ["-a", f"{source}/"], [dest]
    if role == "push":
        first = ws.start(HVSEND, "-v", "--retry", "forever", *SOON, *send, address)
        second = [HVRECV, "--once", "--listen", address, *receive]
    else:
        first = ws.start(HVRECV, "-v", "--retry", "forever", *SOON, "--connect", address, *receive)
        second = [HVSEND, "--once", "--listen", address, *send]
    waits(first)
    late = ws.run(*second)
    check_equal((late.code, first.wait().code), (0, 0), f"exit codes; {late}")
    lib.same_tree(source, dest)


@case
def a_guest_that_boots_is_reached_without_asking_for_it(ws):
    """vsock-mux: the monitor comes after hvsend, and what listens in the guest after the monitor."""
    source, dest = trees(ws)
    guest = ws.dir("guest")
    sender = ws.start(HVSEND, "-av", *SOON, "--retry", "forever", f"{source}/", f"vsock-mux:{ws.path}/vm.sock:77")
    waits(sender)
    check("no VMM serves this socket" in sender.err(), f"what it waits for: {sender.err()}")
    vmm = ws.start(sys.executable, Path(__file__).with_name("fake_vmm.py"), "--uds", ws.path / "vm.sock",
                   "--guest-dir", guest)  # fmt: skip
    wait_until(lambda: "nobody in the guest listens on port 77" in sender.err(), "it reaches the monitor")
    receiver = ws.start(HVRECV, "--once", "--listen", f"unix:{guest}/77", dest)
    check_equal((sender.wait().code, receiver.wait().code), (0, 0), "exit codes")
    vmm.signal(signal.SIGTERM)
    vmm.wait()
    lib.same_tree(source, dest)


@case
def a_vm_is_tried_six_times_unless_told_otherwise(ws):
    source, _ = trees(ws)
    address = f"vsock-mux:{ws.path}/no.sock:5"
    result = ws.run(HVSEND, "-av", *SOON, source, address)
    failed(result, 10, r"no VMM serves this socket.*\(tried 6 times in \d+\.\d s\)")
    check_equal([f"try {n}: " in result.err for n in range(1, 8)], [True] * 5 + [False] * 2, "lines of tries")


@case
def tries_are_counted_and_without_v_only_the_end_is_told(ws):
    _, dest = trees(ws)
    result = ws.run(HVRECV, "--retry", "3", *SOON, "--connect", ws.unix(), dest)
    failed(result, 10, r"\(tried 4 times in ")
    check_equal(len(result.err.splitlines()), 1, "lines")
    result = ws.run(HVRECV, "--connect", ws.unix(), dest)
    failed(result, 10, "no such socket")
    check("tried" not in result.err, f"it was tried once: {result}")


@case
def the_timeout_ends_trying_for_ever(ws):
    source, _ = trees(ws)
    words = ["--retry", "forever", *SOON, "--timeout", "2", "--contimeout", "1"]
    failed(ws.run(HVSEND, "-a", *words, source, ws.unix()), 10, r"\(tried \d+ times in ")


@each([signal.SIGINT, signal.SIGTERM])
def a_signal_ends_the_waiting(ws, number):
    source, _ = trees(ws)
    sender = ws.start(HVSEND, "-av", "--retry", "forever", "--retry-delay", "3600", "--timeout", "0", source, ws.unix())
    waits(sender, 1)
    os.kill(sender.pid, number)
    failed(sender.wait(), 20, "interrupted while waiting to try again: .*no such socket")


lib.main(parallel=4)
