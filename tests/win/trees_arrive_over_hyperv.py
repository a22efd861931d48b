#!/usr/bin/env python3
"""The programs for Windows against each other over hyperv://, in every role and with every fault that the stand-in
for Hyper-V sockets can play. It proves addresses, options, the order of calls, partial I/O and error paths; nothing
about a real Hyper-V."""

import hashlib
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "e2e"))

import lib
import wine
from lib import HVRECV, HVSEND, MIB, Pair, case, check, check_equal, each, failed, noise, prose, put, wait_until

SHIM = Path(os.environ["HVFERRY_SHIM"])
GUEST = "c1f9a3d2-0b4e-4f60-9a77-5d2e8b6c1034"
PORT = 2761
OTHER = "e3b0c442-98fc-4c14-9afb-f4c8996fb924"  # a service that is no port

# name, whether the sender listens, what the listening and the connecting end write before ':SERVICE'
ROLES = [
    ("a host receives from a guest that connects", False, "any", "parent"),
    ("a guest receives from the host that connects", False, "parent", GUEST),
    ("a guest pulls from the host", True, "children", "parent"),
    ("the host pulls from a guest", True, "", GUEST),
]

FAULTS = {
    "no fault": {},
    "short reads": {"HVSHIM_READ_MAX": "1021"},
    "short writes": {"HVSHIM_WRITE_MAX": "1021"},
    "short reads and writes": {"HVSHIM_READ_MAX": "4093", "HVSHIM_WRITE_MAX": "509"},
    "a close that loses data": {"HVSHIM_LOSSY_CLOSE": "1"},
    "no half-close": {"HVSHIM_NO_HALF_CLOSE": "1"},
    "streams that end in a reset": {"HVSHIM_EOF_ERROR": "10054"},
    "streams that end in an abort": {"HVSHIM_EOF_ERROR": "10053"},
    "connects that are refused twice": {"HVSHIM_CONNECT_ERROR": "10061", "HVSHIM_CONNECT_FAILS": "2"},
    "a connect that finds no network": {"HVSHIM_CONNECT_ERROR": "10050", "HVSHIM_CONNECT_FAILS": "1"},
}


def make_tree(root):
    put(root / "empty")
    put(root / "one", b"1")
    put(root / "noise", noise(3 * MIB + 7))
    put(root / "prose", prose(2 * MIB))
    (root / "empty dir").mkdir()
    for i in range(4):
        (root / f"deep/er/{i}").mkdir(parents=True)
    for i in range(60):
        put(root / f"deep/er/{i % 4}/file {i}", noise(i * 97, i))
    put(root / "deep/Grüße 文.txt", "äöü".encode())


def contents(root):
    """Every file's bytes, and None for a directory."""
    return {p.relative_to(root): None if p.is_dir() else p.read_bytes() for p in sorted(root.rglob("*"))}


class Windows:
    """Two programs, a source and a destination."""

    def __init__(self, ws, knobs):
        self.ws = ws
        self.folder = wine.place(ws.dir("windows"), SHIM, [HVSEND, HVRECV])
        self.source, self.dest = ws.dir("source"), ws.dir("dest")
        make_tree(self.source)
        self.log = ws.path / "calls"
        self.env = wine.environment(self.folder, HVSHIM_VM=GUEST, HVSHIM_LOG=wine.path(self.log), **knobs)

    def start(self, program, *arguments):
        return self.ws.start(*wine.command(self.folder / Path(program).name, *arguments), env=self.env)

    def listen(self, port, program, *arguments):
        process = self.start(program, *arguments)
        there = wine.service_file(self.folder, port)
        wait_until(lambda: process.ended() or there.exists(), f"{arguments} listens")
        check(not process.ended(), f"it does not listen: {process.ended() and process.wait()}")
        return process

    def transfer(self, sender_listens, at, to, *options, send=()):
        source, dest = wine.path(self.source) + "/", wine.path(self.dest)
        at, to = f"hyperv://{at}:{PORT}", f"hyperv://{to}:{PORT}"
        if sender_listens:
            sender = self.listen(PORT, HVSEND, "--once", *options, *send, "-rt", "--listen", at, source)
            receiver = self.start(HVRECV, *options, "-rt", "--connect", to, dest).wait()
            return Pair(sender.wait(), receiver)
        receiver = self.listen(PORT, HVRECV, "--once", *options, "--listen", at, dest)
        sender = self.start(HVSEND, *options, *send, "-rt", source, to).wait()
        return Pair(sender, receiver.wait())

    def check_same(self):
        check(contents(self.source) == contents(self.dest), "the trees differ")
        lib.no_temporary_names(self.dest)

    def calls(self):
        return self.log.read_text().splitlines()


@each([(f"{role[0]}, with {fault}", role, knobs) for role in ROLES for fault, knobs in FAULTS.items()])
def a_tree_arrives_whole(ws, what):
    _, (_, sender_listens, at, to), knobs = what
    windows = Windows(ws, knobs)
    pair = windows.transfer(sender_listens, at, to)
    check((pair.sender.code, pair.receiver.code) == (0, 0), f"it failed\n{pair}")
    windows.check_same()


@case
def programs_are_byte_for_byte_those_that_are_built(ws):
    windows = Windows(ws, {})
    windows.transfer(False, "any", "parent")
    for program in (HVSEND, HVRECV):
        built, ran = Path(program), windows.folder / Path(program).name
        check_equal(*(hashlib.sha256(path.read_bytes()).hexdigest() for path in (ran, built)), f"SHA-256 of {program}")


@case
def sockets_are_made_as_hyper_v_wants_them(ws):
    windows = Windows(ws, {})
    windows.transfer(False, "any", "parent", "--streams", "1")
    calls = windows.calls()
    check("listen backlog=128" in calls, calls)
    check(all("overlapped=1 inherited=0" in line for line in calls if line.startswith("socket")), calls)
    check(calls.count("option 4=1") == 2, calls)  # HVSOCKET_CONNECTED_SUSPEND at both ends
    timeouts = [int(line.partition("=")[2]) for line in calls if line.startswith("option 1=")]
    check(len(timeouts) == 1 and 0 < timeouts[0] <= 10000, calls)  # HVSOCKET_CONNECT_TIMEOUT below --contimeout
    wildcard, connect = calls.index("bind service=00000000"), [c.startswith("connect ") for c in calls].index(True)
    check(wildcard < connect, calls)


@case
def staying_connected_to_a_paused_vm_can_be_turned_off(ws):
    windows = Windows(ws, {})
    windows.transfer(False, "any", "parent", "--streams", "1", "--no-connected-suspend")
    check(windows.calls().count("option 4=0") == 2, windows.calls())


@case
def further_streams_are_opened_like_the_first(ws):
    windows = Windows(ws, {})
    put(windows.source / "much", noise(16 * MIB))
    # Slow enough for all of them to stand before it is over.
    pair = windows.transfer(False, "any", "parent", "--streams", "4", "--chunk-size", "64K", send=("--bwlimit", "4M"))
    check((pair.sender.code, pair.receiver.code) == (0, 0), f"it failed\n{pair}")
    windows.check_same()
    calls = windows.calls()
    check(sum(c.startswith("connect ") for c in calls) == 4, calls)
    check(calls.count("bind service=00000000") == 4 and calls.count("option 4=1") == 5, calls)


@each([
    ("access denied", 10013, 10, "administrator"),
    ("no such VM", 10049, 10, "no such VM"),
    ("VM is off", 10050, 10, "start it"),
    ("no buffers", 10055, 10, "fewer streams"),
    ("no answer", 10060, 35, "registered"),
    ("nobody listens", 10061, 10, "--listen first"),
])
def a_connect_that_fails_says_what_to_do(ws, what):
    _, error, code, says = what
    windows = Windows(ws, {"HVSHIM_CONNECT_ERROR": str(error)})
    source = wine.path(windows.source) + "/"
    failed(windows.start(HVSEND, "--retry", "0", "-r", source, "hyperv://parent:2761").wait(), code, says)


@case
def a_service_need_not_be_a_port(ws):
    windows = Windows(ws, {})
    receiver = windows.start(HVRECV, "--once", "--listen", f"hyperv://any:{OTHER}", wine.path(windows.dest))
    sender = windows.start(HVSEND, "-rt", wine.path(windows.source) + "/", f"hyperv://loopback:{OTHER}/sub").wait()
    check((sender.code, receiver.wait().code) == (0, 0), f"it failed: {sender}")
    check(contents(windows.source) == contents(windows.dest / "sub"), "the trees differ")


@case
def only_the_allowed_vm_is_served(ws):
    windows = Windows(ws, {"HVSHIM_PEER": GUEST})
    source, dest = wine.path(windows.source) + "/", wine.path(windows.dest)
    address = f"hyperv://any:{PORT}"
    receiver = windows.listen(PORT, HVRECV, "--listen", address, "--allow-peer", OTHER, dest)
    failed(windows.start(HVSEND, "-r", source, f"hyperv://parent:{PORT}").wait(), 42, "allow")
    receiver.kill()
    check(contents(windows.dest) == {}, "something was written")
    wait_until(lambda: not wine.service_file(windows.folder, PORT).exists(), "the service is free again")
    receiver = windows.listen(PORT, HVRECV, "--once", "--listen", address, "--allow-peer", GUEST, dest)
    sender = windows.start(HVSEND, "-r", source, f"hyperv://parent:{PORT}").wait()
    check((sender.code, receiver.wait().code) == (0, 0), f"it failed: {sender}")


@case
def what_windows_lacks_says_so(ws):
    windows = Windows(ws, {})
    source = wine.path(windows.source)
    for address in ("unix:/run/x.sock", "vsock://host:2761", "vsock-mux:/run/x:2761"):
        failed(windows.start(HVSEND, "-r", source, address).wait(), 4, "hyperv://VM:SERVICE")


@case
def a_vm_that_cannot_be_looked_up_says_why(ws):
    windows = Windows(ws, {})
    source = wine.path(windows.source)
    failed(windows.start(HVSEND, "-r", source, "hyperv://name:a box:2761").wait(), 4, "no Hyper-V host")
    failed(windows.start(HVSEND, "-r", source, "hyperv://wsl:2761").wait(), 10, "install or update WSL")


@case
def a_windows_without_hyper_v_sockets_says_so(ws):
    windows = Windows(ws, {})
    windows.env["WINEDLLOVERRIDES"] = "ws2_32=b"
    dest = wine.path(windows.dest)
    failed(windows.start(HVRECV, "--listen", "hyperv://any:2761", dest).wait(), 10, "has no Hyper-V sockets")


lib.need("wine")
lib.main(parallel=2)
