#!/usr/bin/env python3
"""Runs a command on a kernel that seems to lack some system calls: they fail with ENOSYS, in its children too.

usage: without.py CALL... -- COMMAND...        CALL: openat2, landlock, seccomp
"""

import ctypes
import errno
import os
import struct
import sys

NUMBERS = {
    "x86_64": {"openat2": 437, "landlock": 444, "seccomp": 317},
    "aarch64": {"openat2": 437, "landlock": 444, "seccomp": 277},
}.get(os.uname().machine)
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
RET_ERRNO, RET_ALLOW = 0x00050000, 0x7FFF0000
LOAD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06  # of classic BPF


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]


def install(calls):
    steps = [(LOAD, 0, 0, 0)]  # the number of the system call
    for call in calls:
        steps += [(JUMP_EQUAL, 0, 1, NUMBERS[call]), (RETURN, 0, 0, RET_ERRNO | errno.ENOSYS)]
    steps.append((RETURN, 0, 0, RET_ALLOW))
    program = Program(len(steps), b"".join(struct.pack("HBBI", *step) for step in steps))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0
    ):
        raise OSError(ctypes.get_errno(), "no seccomp filter can be set")


def main(arguments):
    at = arguments.index("--")
    if NUMBERS is None:
        print(f"skipped: the numbers of system calls on {os.uname().machine} are not known here")
        sys.exit(77)
    install(arguments[:at])
    os.execvp(arguments[at + 1], arguments[at + 1 :])


main(sys.argv[1:])
