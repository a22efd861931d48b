#!/usr/bin/env python3
"""SIGINT, SIGTERM and SIGHUP end a session with exit 20, its other end says so and ends too, an idle listener ends
with 0, and old files stay."""

import os
import re
import shlex
import signal
import socket
import time
from pathlib import Path

import lib
from lib import HVRECV, HVSEND, MIB, case, check, check_equal, each, failed, good, noise, put, wait_until
from proxy import TO_DIALLER, TO_LISTENER, Before, session

CHUNK, WELCOME = 20, 2
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def names_a_signal(process, number):
    """The program has its handlers: the signal is blocked, as /proc says, for its thread that waits for it."""
    mask = re.search(r"SigBlk:\s*([0-9a-f]+)", Path(f"/proc/{process.pid}/status").read_text())[1]
    return bool(int(mask, 16) >> (number - 1) & 1)


def make_trees(ws):
    """New files, and old ones of the same names."""
    source, dest = ws.dir("source"), ws.dir("dest")
    for i in range(4):
        put(source / f"large{i}", noise(3 * MIB, i))
        put(dest / f"large{i}", b"old")
    return source, dest


def only_old_or_new(source, dest):
    lib.no_temporary_names(dest)
    for name in os.listdir(dest):
        content = (dest / name).read_bytes()
        check(content in (b"old", (source / name).read_bytes()), f"{name} is neither the old nor the new file")


@each([(f"{number.name} to the {end}, {role}{', one thread' * serial}", number, end, role, serial)
       for number, serial in ((signal.SIGINT, 0), (signal.SIGTERM, 0), (signal.SIGHUP, 0), (signal.SIGTERM, 1))
       for end in ("sender", "receiver") for role in ("push", "pull")])  # fmt: skip
def a_signal_in_mid_transfer_ends_both(ws, value):
    _, number, end, role, serial = value
    source, dest = make_trees(ws)
    pull = role == "pull"
    rule = Before(TO_DIALLER if pull else TO_LISTENER, CHUNK, inside=True)
    options = ["--serial"] * serial
    with session(ws, rule, ["-a", *options, "--zc", "none", f"{source}/"], dest, options, pull) as s:
        check(s.stands(), "the session came to the data")
        hit, other = (s.sender, s.receiver) if end == "sender" else (s.receiver, s.sender)
        hit.signal(number)
        failed(hit.wait(), 20, "interrupted")
        s.proxy.go_on()
        failed(other.wait(), (10, 12), "closed the stream|stream failed|ended the session|broken|reset")
    only_old_or_new(source, dest)


@each([("sender", "sender"), ("receiver", "receiver")])
def a_signal_in_the_handshake_ends_both(ws, value):
    source, dest = make_trees(ws)
    with session(ws, Before(TO_DIALLER, WELCOME), ["-a", f"{source}/"], dest) as s:
        check(s.stands(), "the session came to the handshake")
        hit, other = (s.sender, s.receiver) if value[1] == "sender" else (s.receiver, s.sender)
        hit.signal(signal.SIGTERM)
        failed(hit.wait(), 20, "interrupted")
        s.proxy.go_on()
        failed(other.wait(), (10, 12), "closed the stream|stream failed|ended the session|broken|reset")
    only_old_or_new(source, dest)


@case
def who_is_told_to_ignore_hangups_lives_on(ws):
    """As nohup does it."""
    source, dest = make_trees(ws)
    address = ws.unix()
    receiver = ws.start("/bin/sh", "-c", "trap '' HUP; exec \"$@\"", "sh", HVRECV, "--listen", address, dest)
    wait_until(lambda: receiver.ended() or lib.is_listening(address), "it listens")
    receiver.signal(signal.SIGHUP)
    check_equal(ws.run(HVSEND, "-a", f"{source}/", address).code, 0, "exit code of the sender")
    receiver.signal(signal.SIGTERM)
    check_equal(receiver.wait().code, 0, "exit code")
    lib.same_tree(source, dest)


@case
def a_signal_passes_through_to_what_exec_started(ws):
    source, dest = make_trees(ws)
    pid_file = ws.path / "pid"
    fifo = ws.path / "fifo"
    os.mkfifo(fifo)  # nobody ever writes to it
    waits = f"echo $$ >{pid_file}.new; mv {pid_file}.new {pid_file}; read -r go <{fifo}"
    command = f"{waits}; exec {shlex.quote(HVRECV)} --stdio {dest}"
    sender = ws.start(HVSEND, "-a", f"{source}/", f"exec:{command}")
    wait_until(lambda: pid_file.exists() or sender.ended(), "the command runs")
    pid = int(pid_file.read_text())
    sender.signal(signal.SIGTERM)
    failed(sender.wait(), 20, "interrupted")
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), "the command ended")
    only_old_or_new(source, dest)


# ---- listeners ----------------------------------------------------------------------------------------------


@each([(f"{program}{' --once' * once}, {number.name}", program, once, number)
       for program in ("hvsend", "hvrecv") for once in (0, 1) for number in SIGNALS])  # fmt: skip
def an_idle_listener_ends_well(ws, value):
    _, program, once, number = value
    source, dest = make_trees(ws)
    address = ws.unix()
    words = [HVSEND, "-a", "--listen", address, source] if program == "hvsend" else [HVRECV, "--listen", address, dest]
    listener = ws.listen(address, *words, *["--once"] * once)
    wait_until(lambda: listener.ended() or names_a_signal(listener, number), "it waits for signals")
    listener.signal(number)
    result = listener.wait()
    check_equal((result.code, result.out, result.err), (0, b"", ""), "code, stdout and stderr")
    check(not os.path.exists(address.removeprefix("unix:")), "its socket is still there")


@case
def a_listener_that_served_ends_well(ws):
    source, dest = make_trees(ws)
    address = ws.unix()
    listener = ws.receiver(address, dest, once=False)
    check_equal(ws.run(HVSEND, "-a", f"{source}/", address).code, 0, "the session")
    listener.signal(signal.SIGTERM)
    good(lib.Pair(lib.Result(0, b"", ""), listener.wait()))


@each(["hvrecv", "hvsend"])
def a_listener_with_a_session_ends_with_it(ws, program):
    """Without --once: it was not idle."""
    source, dest = make_trees(ws)
    address, slow = ws.unix(), ["--bwlimit", "1"]
    if program == "hvsend":
        listener = ws.listen(address, HVSEND, "-a", *slow, "--listen", address, f"{source}/")
        other = ws.start(HVRECV, "--connect", address, dest)
    else:
        listener = ws.listen(address, HVRECV, "--listen", address, dest)
        other = ws.start(HVSEND, "-a", *slow, f"{source}/", address)
    wait_until(lambda: [name for name in os.listdir(dest) if name.startswith(".")], "a file has begun")
    listener.signal(signal.SIGTERM)
    failed(listener.wait(), 20, "interrupted")
    failed(other.wait(), 12, "ended the session: interrupted")


@each([f"{program}{once}" for program in ("hvrecv", "hvsend") for once in ("", ", --once")])
def a_stranger_who_only_connects_is_no_session(ws, value):
    program, _, once = value.partition(", ")
    source, dest = make_trees(ws)
    address = ws.unix()
    words = [HVSEND, "-a", "--listen", address, source] if program == "hvsend" else [HVRECV, "--listen", address, dest]
    listener = ws.listen(address, *words, "-vv", *once.split())
    with socket.socket(socket.AF_UNIX) as stream:
        stream.connect(address.removeprefix("unix:"))
        wait_until(lambda: "session with" in listener.err(), "it greets")
        listener.signal(signal.SIGTERM)
        check_equal(listener.wait().code, 0, "the exit code")


# ---- before there is a session, and twice -------------------------------------------------------------------


@case
def a_signal_ends_an_end_that_still_connects(ws):
    source, dest = make_trees(ws)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(ws.path / "full"))
        door.listen(0)
        with socket.socket(socket.AF_UNIX) as first:
            first.connect(str(ws.path / "full"))  # the backlog has room for this one
            for words in ([HVSEND, "-a", source], [HVRECV, dest, "--connect"]):
                process = ws.start(*words, f"unix:{ws.path}/full", "--contimeout", "600")
                wait_until(lambda p=process: p.ended() or names_a_signal(p, signal.SIGTERM), "it waits for signals")
                process.signal(signal.SIGTERM)
                failed(process.wait(), 20, "interrupted")


@case
def a_second_signal_ends_at_once(ws):
    """The first one ends the session, and then waits for a command that does not want to end; it says so when it
    has to stop that. The second one does not wait."""
    source, _ = make_trees(ws)
    pid_file = ws.path / "pid"
    command = f"exec:trap '' TERM; echo $$ >{pid_file}.new; mv {pid_file}.new {pid_file}; exec sleep 600"
    for signals, waited in (([signal.SIGTERM], True), ([signal.SIGTERM, signal.SIGINT], False)):
        process = ws.start(HVSEND, "-avv", source, command)
        wait_until(lambda p=process: pid_file.exists() and "session with" in p.err(), "the session runs")
        for number in signals:
            process.signal(number)
        result = process.wait()
        check_equal(result.code, 20, f"exit code ({result})")
        check_equal("was stopped" in result.err, waited, f"whether it waited for the command ({result})")
        if not waited:
            os.kill(int(pid_file.read_text()), signal.SIGKILL)
        pid_file.unlink()


@each([(f"{words} of {program}", words, program) for program in ("hvsend", "hvrecv")
       for words in ("--json", "--progress-fd 1", "-vv")])  # fmt: skip
def one_signal_is_enough_where_nobody_reads(ws, value):
    """The pipe for what it writes is full. The end waits 15 seconds for a reader, not for ever."""
    _, words, program = value
    source, dest = make_trees(ws)
    read, write = os.pipe()
    os.set_blocking(write, False)
    try:
        while True:
            os.write(write, b"x")
    except BlockingIOError:
        os.set_blocking(write, True)
    both = ("/bin/sh", "-c", 'exec "$@" 2>&1', "sh") if words == "-vv" else ()
    address, slow = ws.unix(), ["--bwlimit", "1"]
    if program == "hvsend":
        other = ws.receiver(address, dest)
        hit = ws.start(*both, HVSEND, "-a", *slow, *words.split(), f"{source}/", address, stdout=write)
    else:
        hit = ws.start(*both, HVRECV, "--connect", address, *words.split(), "--retry", "forever", dest, stdout=write)
        other = ws.listen(address, HVSEND, "-a", *slow, "--once", "--listen", address, f"{source}/")
    os.close(write)
    wait_until(lambda: hit.ended() or names_a_signal(hit, signal.SIGTERM), "it waits for signals")
    time.sleep(1)  # and for a reader
    hit.signal(signal.SIGTERM)
    check_equal(hit.wait().code, 20, "exit code")
    os.close(read)
    other.kill()  # perhaps it had no session yet


lib.main(parallel=6)
