#!/usr/bin/env python3
"""No program makes an AF_VSOCK socket unless the user names a vsock:// address.

A seccomp filter ends every process under it, and under its children, that asks for a socket of one family, before
there is one. So no case here can ever make a vsock socket, whatever is wrong with the programs. That the filter
works is shown with AF_UNIX.
"""

import ctypes
import os
import re
import signal
import socket
import struct
from pathlib import Path

import lib
from lib import HVRECV, HVSEND, case, check, check_equal, each, put, wait_until

AF_VSOCK = 40
SYS_SOCKET = {"x86_64": 41, "aarch64": 198}.get(os.uname().machine)
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
RET_KILL_PROCESS, RET_ALLOW = 0x80000000, 0x7FFF0000
LOAD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06  # of classic BPF
TOP = Path(__file__).resolve().parents[2]


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]


def forbid(family):
    """A function for the child before exec: from then on, socket(family, ...) ends the process with SIGSYS."""
    steps = [
        (LOAD, 0, 0, 0),  # the number of the system call
        (JUMP_EQUAL, 0, 3, SYS_SOCKET or 0),
        (LOAD, 0, 0, 16),  # the lower half of its first argument
        (JUMP_EQUAL, 0, 1, family),
        (RETURN, 0, 0, RET_KILL_PROCESS),
        (RETURN, 0, 0, RET_ALLOW),
    ]
    code = b"".join(struct.pack("HBBI", *step) for step in steps)
    program = Program(len(steps), code)
    libc = ctypes.CDLL(None, use_errno=True)

    def install():
        if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
            PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0
        ):
            raise OSError(ctypes.get_errno(), "no seccomp filter can be set")

    return install


def start(ws, family, *words):
    if SYS_SOCKET is None:
        raise lib.Skipped(f"the number of socket() on {os.uname().machine} is not known here")
    return ws.start(*words, preexec_fn=forbid(family))


def source_and_dest(ws):
    source, dest = ws.dir("source"), ws.dir("dest")
    put(source / "file", b"data")
    return source, dest


@each([("hvsend", HVSEND), ("hvrecv", HVRECV)])
def the_filter_ends_who_makes_a_socket_of_its_family(ws, value):
    source, dest = source_and_dest(ws)
    words = ["-a", source, ws.unix()] if value[0] == "hvsend" else ["--listen", ws.unix(), dest]
    check_equal(start(ws, socket.AF_UNIX, value[1], *words).wait().code, -signal.SIGSYS, "exit code")


@each([("hvsend", HVSEND), ("hvrecv", HVRECV)])
def doctor_makes_none_without_an_address(ws, value):
    result = start(ws, AF_VSOCK, value[1], "doctor").wait()
    check_equal(result.code, 0, f"exit code ({result})")
    check(b"vsock: " in result.out, f"doctor looked at vsock: {result.out}")


@case
def doctor_makes_none_for_other_addresses(ws):
    for address in (ws.unix(), f"tcp://127.0.0.1:{lib.free_port()}", f"vsock-mux:{ws.path}/no:5"):
        check_equal(start(ws, AF_VSOCK, HVSEND, "doctor", address).wait().code, 10, f"exit code for {address}")
        listens = start(ws, AF_VSOCK, HVRECV, "doctor", "--listen", address).wait()
        check_equal(listens.code, 0, f"exit code for listening at {address} ({listens})")


@each([("with help", ["--help"]), ("with version", ["--version"]), ("with nothing", []), ("with nonsense", ["--no"])])
def what_needs_no_peer_makes_none(ws, value):
    for program in (HVSEND, HVRECV):
        code = start(ws, AF_VSOCK, program, *value[1]).wait().code
        check_equal(code, 0 if value[0] in ("with help", "with version") else 1, "exit code")


@each(["unix", "tcp", "exec", "vsock-mux"])
def sessions_over_other_addresses_make_none(ws, kind):
    source, dest = source_and_dest(ws)
    listening = dialled = ws.unix()
    if kind == "tcp":
        listening = dialled = f"tcp://127.0.0.1:{lib.free_port()}"
    elif kind == "vsock-mux":  # from a guest: the monitor connects to PATH_PORT
        listening, dialled = f"vsock-mux:{ws.path}/vm.sock:5", f"unix:{ws.path}/vm.sock_5"
    elif kind == "exec":
        dialled = f"exec:exec {HVRECV} --stdio {dest}"
    if kind == "exec":
        check_equal(start(ws, AF_VSOCK, HVSEND, "-a", f"{source}/", dialled).wait().code, 0, "exit code")
    else:
        receiver = start(ws, AF_VSOCK, HVRECV, "--once", "--listen", listening, dest)
        wait_until(lambda: receiver.ended() or lib.is_listening(listening), "it listens")
        check_equal(start(ws, AF_VSOCK, HVSEND, "-a", f"{source}/", dialled).wait().code, 0, "the sender's exit code")
        check_equal(receiver.wait().code, 0, "the receiver's exit code")
    lib.same_tree(source, dest)


@case
def only_the_vsock_transport_names_the_family_when_it_makes_a_socket(ws):
    """In the sources, and in the tests but for those of the lab, which run in kernels of their own."""
    makes = re.compile(r"\b(socket|socketpair|sock_open)\s*\(\s*(socket\.)?(AF|PF)_VSOCK\b")
    found = []
    for folder in ("common", "sender", "receiver", "tests/unit", "tests/e2e", "tests/fuzz", "tests/golden"):
        for path in sorted((TOP / folder).rglob("*")):
            if path.suffix in (".c", ".h", ".py") and makes.search(path.read_text(errors="replace")):
                found.append(str(path.relative_to(TOP)))
    check_equal(found, ["common/transport/vsock.c"], "files that make such sockets")


lib.main()
