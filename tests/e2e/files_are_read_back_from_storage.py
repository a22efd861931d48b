#!/usr/bin/env python3
"""With --verify a file replaces the old one only when storage gives back what was written."""

import os

import lib
from lib import HVRECV, HVSEND, MIB, Pair, Skipped, case, check, check_equal, each, failed, noise, put, same_tree, wait_until

READ_BACK = "every file was read back (past|after) "


def make_source(ws):
    source = ws.dir("source")
    put(source / "small", b"new small")
    put(source / "empty")
    put(source / "large", noise(3 * MIB + 5))
    lib.put_sparse(source / "sparse", 5 * MIB, [(2 * MIB, noise(70_000, 1))])
    put(source / "not readable", b"x" * 5000, 0o200 if os.geteuid() == 0 else 0o400)
    return source


@each([("the sender asks", ["--verify"], []), ("the receiver asks", [], ["--verify"]),
       ("one thread", ["--verify", "--serial"], ["--serial"]),
       ("nothing else is flushed", ["--verify", "--durable", "none"], [])])  # fmt: skip
def a_tree_arrives_and_is_read_back_when(ws, value):
    _, send, recv = value
    source, dest = make_source(ws), ws.dir("dest")
    pair = ws.push(["-a", *send, f"{source}/"], dest, [*recv, "-v"])
    check_equal((pair.sender.code, pair.receiver.code), (0, 0), f"exit codes\n{pair}")
    failed(pair.receiver, 0, READ_BACK)
    same_tree(source, dest)


@case
def nothing_is_read_back_unless_asked_for(ws):
    source, dest = make_source(ws), ws.dir("dest")
    pair = ws.push(["-a", f"{source}/"], dest, ["-v"])
    check("read back" not in pair.receiver.err, f"it was\n{pair}")


def damage_reads(ws, pid):
    """From now on all that the process reads by pread begins with other bytes."""
    tracer = ws.start("strace", "-f", "-e", "trace=pread64", "-e", "inject=pread64:poke_exit=@arg2=5a17", "-p", str(pid))
    wait_until(lambda: tracer.ended() or "attached" in tracer.err(), "strace is attached")
    if tracer.ended():
        raise Skipped(f"strace cannot attach: {tracer.err().strip()}")
    return tracer


@each(["small", "large"])
def a_file_that_storage_damages_is_reported_and_the_old_one_stays(ws, name):
    source, dest = ws.dir("source"), ws.dir("dest")
    put(source / name, noise(300 if name == "small" else 3 * MIB))
    put(dest / name, b"old")
    address = ws.address()
    receiver = ws.listen(address, HVRECV, "--once", "--listen", address, dest, env={**os.environ, **lib.TRACED})
    tracer = damage_reads(ws, receiver.pid)
    sender = ws.run(HVSEND, "-a", "--verify", f"{source}/", address)
    for result in Pair(sender, receiver.wait()):
        failed(result, 40, f"{name}: storage gives back other bytes than were written")
    tracer.wait()
    check_equal((dest / name).read_bytes(), b"old", "the old file")
    lib.no_temporary_names(dest)


lib.need("strace")
lib.main(parallel=2)
