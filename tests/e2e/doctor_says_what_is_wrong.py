#!/usr/bin/env python3
"""doctor tells what the machine can do, and of an address that cannot be reached the cause and the remedy."""

import os
import re
import signal
import socket
import sys
import threading
from pathlib import Path

import lib
from lib import HVRECV, HVSEND, case, check, check_equal, each, put, wait_until

LINE = re.compile(r"(ok  |warn|fail)  [a-z ]+: .+|      do: .+")


def doctor(ws, code, *words, program=HVSEND):
    """Its lines; it must end with that code and print nothing but lines of its form."""
    result = ws.run(program, "doctor", *words)
    check_equal(result.code, code, f"exit code of doctor {words} ({result.out.decode()}, {result.err})")
    lines = result.out.decode().splitlines()
    check(lines and all(LINE.fullmatch(line) for line in lines), f"lines of another form: {lines}")
    return lines


def check_failure(lines, start, remedy):
    """The last finding is this failure, and below it stands this remedy."""
    check(lines[-2].startswith("fail  ") and start in lines[-2], f"the last finding is not '{start}': {lines[-2]}")
    check(lines[-1].startswith("      do: ") and remedy in lines[-1], f"the remedy is not '{remedy}': {lines[-1]}")
    check_equal(sum(line.startswith("fail") for line in lines), 1, "failures")


@each([("hvsend", HVSEND), ("hvrecv", HVRECV)])
def without_an_address_the_machine_is_described(ws, value):
    lines = doctor(ws, 0, program=value[1])
    for what in ("system: Linux ", "vsock: ", "systemd: "):
        check(any(line[6:].startswith(what) for line in lines), f"nothing about {what} in {lines}")
    check(os.uname().release in lines[0], f"not this kernel: {lines[0]}")


@case
def an_end_that_listens_is_recognised(ws):
    dest = ws.dir("dest")
    for address in (ws.unix(), f"tcp://127.0.0.1:{lib.free_port()}"):
        receiver = ws.receiver(address, dest, once=False)
        lines = doctor(ws, 0, address)
        check(lines[-2].startswith("ok    connect: "), f"not connected: {lines}")
        check_equal(lines[-1], "ok    peer: hvferry, protocol 1", "the last finding")
        receiver.kill()


@case
def a_command_that_runs_hvrecv_is_recognised(ws):
    dest = ws.dir("dest")
    lines = doctor(ws, 0, f"exec:exec {HVRECV} --stdio {dest} 2>/dev/null")
    check_equal(lines[-1], "ok    peer: hvferry, protocol 1", "the last finding")


@case
def an_address_that_is_none_is_a_usage_error(ws):
    lines = doctor(ws, 1, "unix:")
    check("fail  address: unix:: the path of the socket is missing" in lines[-1], f"the last finding is {lines[-1]}")
    result = ws.run(HVSEND, "doctor", "unix:/a", "unix:/b")
    lib.failed(result, 1, "give one ADDR")


@case
def nobody_there_names_who_should_be(ws):
    gone = f"unix:{ws.path}/no.sock"
    check_failure(doctor(ws, 10, gone), f"connect: there is no socket {ws.path}/no.sock", f"hvrecv --listen {gone} DIR")
    stale = ws.path / "stale.sock"
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(stale))
    check_failure(doctor(ws, 10, f"unix:{stale}"), f"connect: the socket {stale} is a leftover", "hvrecv --listen")
    put(ws.path / "file")
    check_failure(doctor(ws, 10, f"unix:{ws.path}/file"), "route: ", "correct the path")
    port = lib.free_port()
    check_failure(doctor(ws, 10, f"tcp://127.0.0.1:{port}"), f"nobody listens on port {port}",
                  f"hvrecv --listen tcp://127.0.0.1:{port} DIR")  # fmt: skip


def answer_with(ws, what, hold):
    """A Unix socket that says `what` to each who connects, and then closes, or holds the stream."""
    path = str(ws.path / f"{len(os.listdir(ws.path))}.foreign")
    door = socket.socket(socket.AF_UNIX)
    door.bind(path)
    door.listen(8)
    held = []

    def serve():
        while True:
            stream, _ = door.accept()
            stream.sendall(what)
            held.append(stream)
            if not hold:
                stream.recv(4096)
                stream.close()

    threading.Thread(target=serve, daemon=True).start()
    return path


@case
def what_is_no_hvferry_is_told_apart(ws):
    web = answer_with(ws, b"HTTP/1.1 400 Bad Request\r\n\r\n", hold=True)
    check_failure(doctor(ws, 2, f"unix:{web}"), "peer: what answers is no hvferry", "correct the address")
    silent = answer_with(ws, b"", hold=True)
    check_failure(doctor(ws, 30, "--contimeout", "1", f"unix:{silent}"), "peer: what answers says nothing", "which program")
    closing = answer_with(ws, b"", hold=False)
    check_failure(doctor(ws, 12, f"unix:{closing}"), "peer: what answers closed at once", "the other end")
    lines = doctor(ws, 10, "exec:exit 3")
    check_failure(lines, "peer: the command runs no hvferry with --stdio", "hvrecv --stdio DIR")


@case
def the_parts_of_a_vm_are_told_apart(ws):
    guest = ws.dir("guest")
    uds = f"{ws.path}/vm.sock"
    address = f"vsock-mux:{uds}:77"
    check_failure(doctor(ws, 10, address), f"there is no socket {uds}", f"socket={uds}")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(uds)
    check_failure(doctor(ws, 10, address), "is a leftover: no VM serves it", f"rm {uds}")
    vmm = ws.start(sys.executable, Path(__file__).with_name("fake_vmm.py"), "--uds", uds, "--guest-dir", guest)
    wait_until(lambda: vmm.out_path.read_bytes() == b"ready\n", "the monitor listens")
    check_failure(doctor(ws, 10, address), "nobody in the guest listens on port 77", "hvrecv --listen vsock://:77 DIR")
    receiver = ws.receiver(f"unix:{guest}/77", ws.dir("dest"), once=False)
    check_equal(doctor(ws, 0, address)[-1], "ok    peer: hvferry, protocol 1", "the last finding")
    receiver.kill()
    vmm.signal(signal.SIGTERM)
    vmm.wait()
    foreign = answer_with(ws, b"220 ready\n", hold=True)
    check_failure(doctor(ws, 10, f"vsock-mux:{foreign}:5"), f"what serves {foreign} is no VM", f"unix:{foreign}")
    silent = answer_with(ws, b"", hold=True)
    check_failure(doctor(ws, 35, "--contimeout", "1", f"vsock-mux:{silent}:5"), "the VM does not answer", "wait")


@case
def a_listening_address_is_tried_and_left_free(ws):
    for address in (ws.unix(), f"tcp://127.0.0.1:{lib.free_port()}"):
        for _ in range(2):
            check_equal(doctor(ws, 0, "--listen", address)[-1], f"ok    listen: {address} can be listened on", "the end")
        busy = ws.receiver(address, ws.path / "dest", "--mkpath", once=False)
        lines = doctor(ws, 10, "--listen", address)
        check(any(line.startswith("fail  listen: ") for line in lines), f"it listens on what is in use: {lines}")
        busy.kill()


lib.main(parallel=2)
