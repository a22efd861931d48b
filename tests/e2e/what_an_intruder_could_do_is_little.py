#!/usr/bin/env python3
"""A process that a peer has taken over reaches the files that it works on, and nothing else.

intruder.c is preloaded into the programs and tries from inside; strace shows which paths reach the kernel once the
programs have started; without.py makes the kernel lack what confines them.
"""

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import lib
from lib import HVRECV, HVSEND, case, check, check_equal, each, put, wait_until

INTRUDER = os.environ.get("HVFERRY_INTRUDER", "")
WITHOUT = [sys.executable, Path(__file__).with_name("without.py")]
OUTSIDE = ["read-out", "list-out", "write-out", "make-out", "remove-out"]
NO_CALLS = ["set-id", "make-udp", "make-inet", "run-memory", "make-process"]
NO_CALLS += ["share-memory", "name-owner", "name-signal", "ask-signals", "take-lease", "set-limit", "leave-whiteout"]
ENDS_PROCESS = ["run-program", "trace", "make-device", "change-root"]
CONFINED = "files: confined by landlock"


def need_landlock(err):
    if CONFINED not in err:
        raise lib.Skipped(f"this kernel cannot confine: {err.splitlines()[:2]}")


def folders(ws):
    """What is offered, where it goes, and what is neither's business."""
    for name in ("source", "dest", "other"):
        put(ws.dir(name) / "old", name.encode())
    return ws.path / "source", ws.path / "dest", ws.path / "other"


def intruding(words, inside, outside):
    wanted = {"INTRUDE": " ".join(words), "INTRUDE_IN": str(inside), "INTRUDE_OUT": str(outside)}
    return {"env": {**os.environ, "LD_PRELOAD": INTRUDER, **wanted}}


def commands(ws, role, source, dest):
    """Both ends: (listening, connecting), with their arguments."""
    address = f"unix:{ws.dir('run')}/socket"  # what lies beside it can be removed, too
    if role == "push":
        sender = [HVSEND, "-av", "--retry", "0", f"{source}/", address]
        return address, [HVRECV, "-v", "--once", "--listen", address, dest], sender
    listening = [HVSEND, "-av", "--once", "--listen", address, f"{source}/"]
    return address, listening, [HVRECV, "-v", "--retry", "0", "--connect", address, dest]


def run_both(ws, role, who, words, folders_of):
    """Runs them with the intruder in `who`; (its result, the other's)."""
    source, dest, other = folders_of
    address, listening, connecting = commands(ws, role, source, dest)
    program = HVRECV if who == "receiver" else HVSEND
    how = intruding(words, dest if who == "receiver" else source, other)
    first = ws.listen(address, *listening, **(how if listening[0] == program else {}))
    second = ws.start(*connecting, **(how if connecting[0] == program else {}))
    results = second.wait(), first.wait()
    return results if connecting[0] == program else results[::-1]


def outcome(err):
    return {word: int(sys_error) for word, sys_error in re.findall(r"intruder: ([a-z-]+): (\d+)", err)}


FOUR = [("the listening receiver", "push", "receiver"), ("the connecting sender", "push", "sender"),
        ("the listening sender", "pull", "sender"), ("the connecting receiver", "pull", "receiver")]  # fmt: skip


def need_intruder():
    if not INTRUDER:
        raise lib.Skipped("programs with a sanitizer are not confined (HVFERRY_INTRUDER is not set)")


@each(FOUR)
def files_elsewhere_are_out_of_reach(ws, value):
    need_intruder()
    there = folders(ws)
    result, other = run_both(ws, *value[1:], ["read-in", "write-in", "make-thread", *OUTSIDE], there)
    need_landlock(result.err)
    check_equal((result.code, other.code), (0, 0), f"exit codes ({result})")
    got = outcome(result.err)
    writes = 0 if value[2] == "receiver" else errno.EACCES
    wanted = {"read-in": 0, "write-in": writes, "make-thread": 0} | {word: errno.EACCES for word in OUTSIDE}
    check_equal(got, wanted, "what the intruder was told")
    check_equal(os.listdir(there[2]), ["old"], "what is there outside")


@each(FOUR)
def calls_that_a_transfer_does_not_need_are_refused(ws, value):
    need_intruder()
    result, _ = run_both(ws, *value[1:], ["make-unix", *NO_CALLS], folders(ws))
    need_landlock(result.err)
    check_equal(result.code, 0, f"exit code ({result})")
    connects = "connecting" in value[0]  # and may have to connect again
    wanted = {"make-unix": 0 if connects else errno.ENOSYS} | {word: errno.ENOSYS for word in NO_CALLS}
    check_equal(outcome(result.err), wanted, "what the intruder was told")


def run_to_several(ws, words, *more):
    """A sender with the intruder, to a Unix socket and two TCP ports, and `more`: its result, the receivers, the folders."""
    there = source, dest, other = folders(ws)
    addresses = [ws.unix(), *(f"tcp://127.0.0.1:{lib.free_port()}" for _ in range(2)), *more]
    receivers = [ws.receiver(address, dest, "--timeout", "5") for address in addresses[:3]]
    to = [word for address in addresses for word in ("--to", address)]
    result = ws.run(HVSEND, "-av", f"{source}/", *to, **intruding(words, source, other))
    need_landlock(result.err)
    return result, receivers, there


@case
def a_sender_to_several_keeps_what_their_addresses_need(ws):
    need_intruder()
    result, receivers, there = run_to_several(ws, ["read-in", "make-unix", "make-inet", "connect-inet", "make-udp",
                                               "run-memory", "make-process", *OUTSIDE])  # fmt: skip
    check_equal((result.code, *(receiver.wait().code for receiver in receivers)), (0,) * 4, f"exit codes ({result})")
    bounds_ports = int(re.search(f"{CONFINED}, version (\\d+)", result.err)[1]) >= 4
    wanted = {"read-in": 0, "make-unix": 0, "make-inet": 0}
    wanted |= {"connect-inet": errno.EACCES if bounds_ports else errno.ECONNREFUSED}
    wanted |= dict.fromkeys(["make-udp", "run-memory", "make-process"], errno.ENOSYS)
    check_equal(outcome(result.err), wanted | dict.fromkeys(OUTSIDE, errno.EACCES), "what the intruder was told")
    check_equal(os.listdir(there[2]), ["old"], "what is there outside")


@case
def a_sender_to_several_cannot_start_another_command(ws):
    need_intruder()
    command = f"exec:unset LD_PRELOAD; exec {HVRECV} --timeout 5 --stdio {ws.dir('far')}"
    result, receivers, _ = run_to_several(ws, ["run-program"], command)
    check_equal(result.code, -signal.SIGSYS, f"exit code ({result})")
    for receiver in receivers:  # one that has heard nothing still waits for its session
        check(not receiver.ended() or receiver.wait().code != 0, "an end believes that all went well")


@each([(f"{word} in {end[0]}", word, end) for word in ENDS_PROCESS for end in FOUR[::2]])
def what_only_an_intruder_would_call_ends_the_process(ws, value):
    need_intruder()
    result, other = run_both(ws, *value[2][1:], [value[1]], folders(ws))
    need_landlock(result.err)
    check_equal(result.code, -signal.SIGSYS, f"exit code ({result})")
    check(other.code != 0, f"the other end believes that all went well: {other}")


@case
def every_thread_is_under_the_filter(ws):
    _, dest, _ = folders(ws)
    address = ws.unix()
    receiver = ws.listen(address, HVRECV, "-v", "--listen", address, dest)
    wait_until(lambda: "listening" in receiver.err(), "it has said so")
    if "system calls: confined" not in receiver.err():
        raise lib.Skipped(f"not confined here: {receiver.err()}")
    states = [(task / "status").read_text() for task in Path(f"/proc/{receiver.pid}/task").iterdir()]
    check(len(states) >= 2, f"{len(states)} threads")
    for state in states:
        check(re.search(r"^Seccomp:\s*2$", state, re.M), f"no filter: {state}")
        check(re.search(r"^NoNewPrivs:\s*1$", state, re.M), f"may gain rights: {state}")
        caps = int(re.search(r"^CapPrm:\s*([0-9a-f]+)$", state, re.M)[1], 16)
        check(caps & ~0xF == 0, f"capabilities {caps:#x}, of which only those for files are needed")


@case
def signals_still_end_a_confined_process(ws):
    _, dest, _ = folders(ws)
    address = ws.unix()
    receiver = ws.listen(address, HVRECV, "--listen", address, dest)
    receiver.signal(signal.SIGTERM)
    check_equal(receiver.wait().code, 0, "exit code")
    check(not Path(address.removeprefix("unix:")).exists(), "the socket file is still there")


# ---- paths ------------------------------------------------------------------------------------------------

ANNOUNCES = 'write(2, "'  # the line at -v that says that start-up is over
PATH_CALL = re.compile(r'\b(?:open|openat|openat2|stat|lstat|newfstatat|statx|access|faccessat2?|readlink|readlinkat|'
                       r'unlink|unlinkat|rename|renameat2?|mkdir|mkdirat|rmdir|symlink|link|linkat|chmod|fchmodat2?|'
                       r'chown|lchown|fchownat|utimensat|utime|utimes|mknod|mknodat|truncate|statfs|chdir|chroot|'
                       r'getxattr|setxattr|execve)\(([^)]*)')  # fmt: skip


def traced(ws, name, words):
    log = ws.path / f"{name}.strace"
    return log, ["strace", "-f", "-qq", "-s", "256", "-o", log, *words]


def long_paths(log):
    """Paths of several components, in calls that came after the line about listening or confinement."""
    lines = log.read_text(errors="backslashreplace").splitlines()
    started = [i for i, line in enumerate(lines) if ANNOUNCES in line and "system calls: " in line]
    check(len(started) == 1, f"{log}: start-up ends {len(started)} times")
    found = []
    calls = 0
    for line in lines[started[0] + 1 :]:
        match = PATH_CALL.search(line)
        if not match:
            continue
        calls += 1
        names = re.findall(r'"((?:[^"\\]|\\.)*)"', match[1])
        if "symlinkat(" in line:
            names = names[1:]  # what a link points to is text
        elif "readlinkat(" in line:
            names = names[:1]
        found += [line for name in names if "/" in name]
    check(calls > 20, f"{log}: only {calls} calls with paths; was that all?")
    return found


def traced_tree(ws):
    source, dest, _ = folders(ws)
    deep = source / "a" / "b" / "c"
    deep.mkdir(parents=True)
    for number in range(12):
        put(deep / f"small {number}", b"x" * number)
    put(deep / "large", lib.noise(3 * lib.MIB))
    (deep / "link").symlink_to("../../old/x")
    (dest / "a").mkdir()
    put(dest / "a" / "other", b"stays")
    return source, dest


@each([(f"{role}{'' if calls is None else ' without openat2'}", role, calls)
       for role in ("push", "pull") for calls in (None, "openat2")])  # fmt: skip
def no_path_of_several_components_reaches_the_kernel(ws, value):
    if not shutil.which("strace"):
        raise lib.Skipped("strace is not installed")
    if not INTRUDER:
        raise lib.Skipped("a sanitizer reads files in /proc")
    source, dest = traced_tree(ws)
    address, listening, connecting = commands(ws, value[1], source, dest)
    wrap = [] if value[2] is None else [*WITHOUT, value[2], "--"]
    listening[0], connecting[0] = os.path.abspath(listening[0]), os.path.abspath(connecting[0])
    logs = []
    ends = []
    for name, words in (("listening", [*wrap, *listening]), ("connecting", [*wrap, *connecting])):
        log, command = traced(ws, name, words)
        logs.append(log)
        ends.append(ws.listen(address, *command) if name == "listening" else ws.start(*command))
    check_equal([end.wait().code for end in ends], [0, 0], f"exit codes ({[end.err() for end in ends]})")
    for log in logs:
        check_equal(long_paths(log), [], f"paths that {log.stem} gave to the kernel")
        answers = re.findall(r"openat2(?:\(| resumed).*\) += (-?\w+ ?\w*)", log.read_text(errors="replace"))
        lacking = [answer for answer in answers if answer == "-1 ENOSYS"]
        check(answers, f"{log}: openat2 was not tried")
        check_equal(len(lacking), 0 if value[2] is None else len(answers), f"{log}: calls of openat2 that failed")
    (dest / "a" / "other").unlink()
    (dest / "a").touch()
    differences = subprocess.run(["rsync", "-anc", "--delete", "-i", "--omit-dir-times", f"{source}/", f"{dest}/"],
                                 capture_output=True, check=True).stdout  # fmt: skip
    check_equal(differences, b"", "what rsync finds to differ")


# ---- what a kernel lacks ----------------------------------------------------------------------------------


@each([("landlock", "files: not confined: this kernel has no landlock"),
       ("seccomp", "system calls: not confined: this kernel has no seccomp")])  # fmt: skip
def what_the_kernel_lacks_is_told_and_nothing_fails(ws, value):
    if not INTRUDER:
        raise lib.Skipped("programs with a sanitizer are not confined at all")
    source, dest, _ = folders(ws)
    (dest / "old").unlink()
    address, listening, connecting = commands(ws, "push", source, dest)
    receiver = ws.listen(address, *WITHOUT, value[0], "--", *listening)
    sender = ws.run(*WITHOUT, value[0], "--", *connecting)
    for result in (receiver.wait(), sender):
        check_equal(result.code, 0, f"exit code ({result})")
        check(value[1] in result.err, f"{value[1]!r} is not told: {result}")
    lib.same_tree(source, dest)


@case
def a_program_with_a_sanitizer_says_that_it_is_not_confined(ws):
    if INTRUDER:
        raise lib.Skipped("this build has none")
    _, dest, _ = folders(ws)
    address = ws.unix()
    receiver = ws.listen(address, HVRECV, "-v", "--listen", address, dest)
    wait_until(lambda: "not confined: this build has a sanitizer" in receiver.err(), "it says so")


@case
def the_command_of_exec_is_not_confined_and_its_sender_is(ws):
    source, dest, _ = folders(ws)
    (dest / "old").unlink()
    beside = ws.path / "beside"
    command = f"exec:touch {beside}; exec {HVRECV} --stdio {dest}"
    result = ws.run(HVSEND, "-av", f"{source}/", command)
    check_equal(result.code, 0, f"exit code ({result})")
    check(beside.exists(), "the command could not write")
    check("confined" in result.err, f"it does not say whether it is confined: {result}")
    again = ws.run(HVSEND, "-av", "--retry", "1", f"{source}/", command)
    check_equal(again.code, 0, f"exit code ({again})")
    check("not confined" in again.err, f"a child that may be started again: {again}")


@case
def one_file_that_is_offered_does_not_open_its_directory(ws):
    need_intruder()
    source, dest, _ = folders(ws)
    put(source / "offered", b"data")
    address = ws.unix()
    sender = ws.listen(address, HVSEND, "-av", "--once", "--listen", address, source / "offered",
                       **intruding(["read-in", "list-out"], source, source))  # fmt: skip
    receiver = ws.run(HVRECV, "--connect", address, dest)
    sent = sender.wait()
    need_landlock(sent.err)
    check_equal((sent.code, receiver.code), (0, 0), f"exit codes ({sent})")
    check_equal(outcome(sent.err), {"read-in": errno.EACCES, "list-out": errno.EACCES}, "what the intruder was told")
    check_equal((dest / "offered").read_bytes(), b"data", "what arrived")


lib.main()
