#!/usr/bin/env python3
"""Socket activation, notification, lines for the journal, and the units.

No systemd runs here: the tests pass the socket, and listen to what is told to the manager, as sd_listen_fds(3) and
sd_notify(3) say.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import lib
from lib import HVRECV, HVSEND, case, check, check_equal, each, failed, put, wait_until

UNITS = os.environ.get("HVFERRY_UNITS", "")  # "": this build has no libsystemd
SOURCE = Path(__file__).resolve().parents[2] / "scripts" / "systemd"
EXPOSURE_MAX = 5  # tenths


def need_libsystemd():
    if not UNITS:
        raise lib.Skipped("this build has no libsystemd")


def activate(ws, sockets, *words, names=None, **environment):
    """Starts `words` as systemd does: the sockets from descriptor 3 on, and which process they are for."""
    name_list = "" if names is None else f"export LISTEN_FDNAMES={names}; "
    script = f"export LISTEN_PID=$$ LISTEN_FDS={len(sockets)}; {name_list}exec \"$@\""
    numbers = [3 + i for i in range(len(sockets))]

    def place():
        high = [os.dup2(s.fileno(), 50 + i) for i, s in enumerate(sockets)]
        for number, fd in zip(numbers, high):
            os.dup2(fd, number)

    env = {**os.environ, **environment}
    return ws.start("sh", "-c", script, "sh", *words, preexec_fn=place, pass_fds=numbers, env=env)


def unix_listener(path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    return listener


def source_and_dest(ws):
    source, dest = ws.dir("source"), ws.dir("dest")
    put(source / "file", b"data")
    return source, dest


@case
def a_unix_socket_that_is_passed_is_served(ws):
    need_libsystemd()
    source, dest = source_and_dest(ws)
    path = ws.path / "passed.sock"
    with unix_listener(path) as listener:
        receiver = activate(ws, [listener], HVRECV, "--once", "--listen", "systemd:", dest)
        sender = ws.run(HVSEND, "-a", f"{source}/", f"unix:{path}")
        check_equal((sender.code, receiver.wait().code), (0, 0), f"exit codes ({sender}, {receiver.wait()})")
    lib.same_tree(source, dest)
    check(path.exists(), "the socket file is systemd's, and was removed")


@each([("0.0.0.0", socket.AF_INET), ("[::]", socket.AF_INET6)])
def a_tcp_socket_that_others_reach_needs_the_same_word_as_an_address(ws, value):
    need_libsystemd()
    source, dest = source_and_dest(ws)
    host, family = value
    both = family == socket.AF_INET6
    with socket.create_server((host.strip("[]"), 0), family=family, dualstack_ipv6=both) as listener:
        for words in ([HVRECV, "--listen", "systemd:", dest], [HVSEND, "-a", "--listen", "systemd:", source]):
            failed(activate(ws, [listener], *words).wait(), 1, "ListenStream=.*not a loopback address.*--allow-remote")
        receiver = activate(ws, [listener], HVRECV, "--once", "--allow-remote", "--listen", "systemd:", dest)
        sender = ws.run(HVSEND, "-a", f"{source}/", f"tcp://127.0.0.1:{listener.getsockname()[1]}")
        check_equal((sender.code, receiver.wait().code), (0, 0), f"exit codes ({sender}, {receiver.wait()})")
    lib.same_tree(source, dest)


@case
def a_tcp_socket_that_is_passed_is_served_by_a_listening_sender(ws):
    need_libsystemd()
    source, dest = source_and_dest(ws)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sender = activate(ws, [listener], HVSEND, "-a", "--once", "--listen", "systemd:", f"{source}/")
        address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        receiver = ws.run(HVRECV, "--connect", address, dest)
        check_equal((sender.wait().code, receiver.code), (0, 0), f"exit codes ({sender.wait()}, {receiver})")
    lib.same_tree(source, dest)


@case
def one_of_several_sockets_is_chosen_by_name(ws):
    need_libsystemd()
    source, dest = source_and_dest(ws)
    with unix_listener(ws.path / "a.sock") as one, unix_listener(ws.path / "b.sock") as other:
        which = activate(ws, [one, other], HVRECV, "--once", "--listen", "systemd:", dest, names="first:second")
        failed(which.wait(), 1, "2 of the 2 sockets")
        receiver = activate(ws, [one, other], HVRECV, "--once", "--listen", "systemd:second", dest,
                            names="first:second")  # fmt: skip
        sender = ws.run(HVSEND, "-a", f"{source}/", f"unix:{ws.path}/b.sock")
        check_equal((sender.code, receiver.wait().code), (0, 0), f"exit codes ({sender})")
    lib.same_tree(source, dest)


@case
def what_was_not_passed_is_said(ws):
    dest = ws.dir("dest")
    alone = ws.run(HVRECV, "--listen", "systemd:", dest)
    if not UNITS:
        failed(alone, 4, "built without libsystemd")
        raise lib.Skipped("this build has no libsystemd")
    failed(alone, 1, "systemd passed no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
        failed(activate(ws, [datagrams], HVRECV, "--listen", "systemd:", dest).wait(), 1, "no listening stream socket")
    failed(ws.run(HVRECV, "--connect", "systemd:", dest), 1, "can be listened on only")


@case
def an_activated_receiver_makes_no_socket(ws):
    need_libsystemd()
    if not shutil.which("strace"):
        raise lib.Skipped("strace is not installed")
    source, dest = source_and_dest(ws)
    path, log = ws.path / "passed.sock", ws.path / "strace"
    with unix_listener(path) as listener:
        words = ["strace", "-f", "-qq", "-e", "trace=socket,socketpair,bind,connect,accept4", "-o", log, "sh", "-c",
                 'LISTEN_PID=$$ exec "$@"', "sh", HVRECV, "--once", "--listen", "systemd:", dest]  # fmt: skip
        receiver = activate(ws, [listener], *words, **lib.TRACED)
        sender = ws.run(HVSEND, "-a", f"{source}/", f"unix:{path}")
        check_equal((sender.code, receiver.wait().code), (0, 0), f"exit codes ({sender}, {receiver.wait()})")
    calls = set(re.findall(r"\b(\w+)\(", log.read_text()))
    check_equal(calls, {"accept4"}, "what it did with sockets")


@case
def the_manager_is_told_when_it_is_ready_how_many_there_are_and_when_it_ends(ws):
    source, dest = source_and_dest(ws)
    address = ws.unix()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(lib.PATIENCE)
        manager.bind(str(ws.path / "notify"))
        receiver = ws.start(HVRECV, "--listen", address, dest,
                            env={**os.environ, "NOTIFY_SOCKET": str(ws.path / "notify")})  # fmt: skip
        check_equal(manager.recv(4096), b"READY=1\nSTATUS=0 sessions", "what it tells first")
        check(lib.is_listening(address), "it does not listen yet")
        check_equal(ws.run(HVSEND, "-a", f"{source}/", address).code, 0, "the sender's exit code")
        check_equal(manager.recv(4096), b"STATUS=1 session", "when a session runs")
        check_equal(manager.recv(4096), b"STATUS=0 sessions", "when it is over")
        receiver.signal(signal.SIGTERM)
        check_equal(manager.recv(4096), b"STOPPING=1\nSTATUS=stopping", "when it ends")
        check_equal(receiver.wait().code, 0, "exit code")


@case
def a_manager_that_is_gone_and_an_abstract_one_do_no_harm(ws):
    dest = ws.dir("dest")
    for name in ("/nowhere/at/all", "@hvferry-nobody", "vsock:2:1", "", "x"):
        address = ws.unix()
        receiver = ws.listen(address, HVRECV, "--listen", address, dest, env={**os.environ, "NOTIFY_SOCKET": name})
        receiver.signal(signal.SIGTERM)
        result = receiver.wait()
        check_equal((result.code, result.err), (0, ""), f"with NOTIFY_SOCKET={name!r}")


@case
def lines_for_the_journal_have_priorities(ws):
    dest, address = ws.dir("dest"), ws.unix()
    inside = 'JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec "$@"'
    receiver = ws.listen(address, "sh", "-c", inside, "sh", HVRECV, "-v", "--listen", address, dest)
    wait_until(lambda: "listening on" in receiver.err(), "it says so")
    lines = receiver.err().splitlines()
    check(all(line.startswith("<6>hvrecv: ") for line in lines), f"lines of -v: {lines}")
    wrong = ws.run("sh", "-c", inside, "sh", HVRECV, "--listen", address, ws.path / "nowhere")
    check(wrong.err.startswith("<3>hvrecv: "), f"an error: {wrong}")
    other = ws.run("sh", "-c", 'JOURNAL_STREAM=1:1 exec "$@"', "sh", HVRECV, "--listen", address, ws.path / "nowhere")
    check(other.err.startswith("hvrecv: "), f"stderr that is not the journal's: {other}")


@case
def the_units_are_sound_and_hardened(ws):
    need_libsystemd()
    if not shutil.which("systemd-analyze"):
        raise lib.Skipped("systemd-analyze is not installed")
    units = ws.dir("units")
    text = (Path(UNITS) / "hvrecv@.service").read_text()
    runnable = re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={os.path.abspath(HVRECV)}", text)
    check(runnable != text, "there is no ExecStart")
    put(units / "hvrecv@.service", runnable.encode())
    for unit in ("hvrecv@unix.socket", "hvrecv@vsock.socket"):
        shutil.copy(SOURCE / unit, units)
        done = subprocess.run(["systemd-analyze", "--man=no", "verify", units / unit], capture_output=True, check=False)
        check_equal((done.returncode, done.stdout + done.stderr), (0, b""), f"what verify says of {unit}")
    instance = shutil.copy(units / "hvrecv@.service", units / "hvrecv@unix.service")
    done = subprocess.run(["systemd-analyze", "security", "--offline=yes", f"--threshold={EXPOSURE_MAX}", instance],
                          capture_output=True, check=False)  # fmt: skip
    last = done.stdout.decode(errors="replace").strip().splitlines()[-1:]
    if b"unrecognized option" in done.stderr:
        raise lib.Skipped("this systemd-analyze knows no --offline")
    check_equal(done.returncode, 0, f"too much is exposed ({last}, {done.stderr!r}); exit code")


lib.main()
