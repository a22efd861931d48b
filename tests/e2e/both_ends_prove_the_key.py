#!/usr/bin/env python3
"""--key-file: a session begins, and goes on after a break, only between ends that both have the key. Every other pair
ends with 5 and one line at the end that refused."""

import json
import os
import re
import signal
import socket
import stat
import struct
import threading

import lib
from cutter import Between, pump
from lib import HVRECV, HVSEND, KIB, MIB, SMALL, case, check, check_equal, each, failed, good, noise, prose, put

TOLD = "authentication failed: both ends need the same key"
PREAMBLE_SIZE, HEADER_SIZE = 16, 40
HELLO, WELCOME, REJECT, AUTH, CHALLENGE, ABORT = 1, 2, 3, 4, 5, 50
SOON = ["--retry-delay", "0.02", "--timeout", "100", "--contimeout", "100", "--grace", "100"]


def make_key(ws, name="key"):
    path = ws.path / name
    result = ws.run(HVRECV, "--generate-key", path)
    check((result.code, result.out, result.err) == (0, b"", ""), f"--generate-key: {result}")
    return path


def trees(ws):
    source, dest = ws.dir("source"), ws.dir("dest")
    (source / "d").mkdir()
    for i in range(20):
        put(source / f"d/{i}", prose(i * 1000, i))
    put(source / "large", noise(3 * MIB, "large"))
    return source, dest


def transfer(ws, role, source, dest, send=(), recv=()):
    """A Pair: who listens, and who dials, depends on the role."""
    if role == "push":
        return ws.push(["-a", *send, f"{source}/"], dest, recv)
    return ws.pull(["-a", *send, f"{source}/"], dest, recv)


# ---- keys ---------------------------------------------------------------------------------------------------


@each(["push", "pull"])
def ends_with_the_same_key_transfer(ws, role):
    source, dest = trees(ws)
    key = ["--key-file", make_key(ws)]
    good(transfer(ws, role, source, dest, key, key))
    lib.same_tree(source, dest)
    good(transfer(ws, role, source, dest, [*key, "--serial"], [*key, "--serial"]))


@case
def a_command_and_its_caller_have_the_key(ws):
    source, dest = trees(ws)
    key, other = make_key(ws), make_key(ws, "other")
    far = f"exec:{HVRECV} --stdio --key-file"
    result = ws.run(HVSEND, "-a", "--key-file", key, f"{source}/", f"{far} {key} {dest}")
    check_equal((result.code, result.err), (0, ""), "code and messages")
    lib.same_tree(source, dest)
    failed(ws.run(HVSEND, "-aI", "--key-file", other, f"{source}/", f"{far} {key} {dest}"), 5, TOLD)


@each([f"{role}, {what}" for role in ("push", "pull") for what in ("another", "none", "only the dialler has one")])
def other_ends_are_refused_with_5_at_both(ws, value):
    role, what = value.split(", ")
    source, dest = trees(ws)
    key, other = make_key(ws), make_key(ws, "other")
    dials, listens = {"another": (["--key-file", other], ["--key-file", key]), "none": ([], ["--key-file", key]),
                      "only the dialler has one": (["--key-file", key], [])}[what]  # fmt: skip
    send, recv = (dials, listens) if role == "push" else (listens, dials)
    pair = transfer(ws, role, source, dest, send, recv)
    dialler, listener = (pair.sender, pair.receiver) if role == "push" else (pair.receiver, pair.sender)
    refuses, refused = (dialler, listener) if what.startswith("only") else (listener, dialler)
    why = "it has another key" if what == "another" else "it has no key"
    failed(refuses, 5, rf": refused, because {why}")
    failed(refused, 5, TOLD)
    check_equal([len(result.err.splitlines()) for result in pair], [1, 1], f"lines of each end\n{pair}")
    check_equal(os.listdir(dest), [], "what arrived")


@case
def the_service_goes_on_and_strangers_wait_for_nobody(ws):
    source, dest = trees(ws)
    key, other, address = make_key(ws), make_key(ws, "other"), ws.unix()
    receiver = ws.receiver(address, dest, "--key-file", key, once=False)
    for _ in range(3):
        failed(ws.run(HVSEND, "-a", "--key-file", other, f"{source}/", address), 5, TOLD)
        failed(ws.run(HVSEND, "-a", f"{source}/", address), 5, TOLD)
    check_equal(os.listdir(dest), [], "what arrived from strangers")
    check_equal(ws.run(HVSEND, "-a", "--key-file", key, f"{source}/", address).code, 0, "exit code with the key")
    lib.same_tree(source, dest)
    receiver.signal(signal.SIGTERM)
    result = receiver.wait()
    check_equal(result.code, 0, "exit code of the listener")
    check_equal(len(result.err.splitlines()), 6, f"a line for each refusal: {result}")


@case
def a_refusal_is_an_error_event(ws):
    source, dest = trees(ws)
    pair = ws.push(["-a", f"{source}/"], dest, ["--json", "--key-file", make_key(ws)])
    events = [json.loads(line) for line in pair.receiver.out.splitlines()]
    errors = [(e["code"], e["retryable"]) for e in events if e["type"] == "error"]
    check_equal(errors, [(5, False)], f"errors of {events}")


# ---- the file -----------------------------------------------------------------------------------------------


@case
def generated_keys_are_private_and_replace_nothing(ws):
    key, other = make_key(ws), make_key(ws, "other")
    check_equal(stat.S_IMODE(os.stat(key).st_mode), 0o600, "mode")
    check(re.fullmatch(rb"[0-9a-f]{64}\n", key.read_bytes()), f"no key: {key.read_bytes()}")
    check(key.read_bytes() != other.read_bytes(), "two keys are equal")
    before = key.read_bytes()
    failed(ws.run(HVRECV, "--generate-key", key), 11, "File exists")
    check_equal(key.read_bytes(), before, "the key that was there")
    failed(ws.run(HVRECV, "--generate-key", ws.path / "new", ws.path), 1, "only makes the key")
    failed(ws.run(HVSEND, "--generate-key", ws.path / "new"), 1, "not known")


@case
def a_file_that_is_no_private_key_ends_both_programs_at_once(ws):
    source, dest = trees(ws)
    key = ws.path / "key"
    for content, mode, code, why in [
        (b"k" * 64, 0o640, 1, "chmod 600"),
        (b"k" * 64, 0o604, 1, "chmod 600"),
        (b"k" * 31, 0o600, 1, "has 31 bytes"),
        (b"", 0o600, 1, "has 0 bytes"),
        (b"k" * 4097, 0o600, 1, "longer than 4096"),
        (None, 0, 11, "No such file"),
    ]:
        if content is None:
            key.unlink()
        else:
            put(key, content, mode)
        address = ws.unix()
        for words in ([HVSEND, "--listen", address, source], [HVRECV, "--listen", address, dest],
                      [HVSEND, source, address], [HVRECV, "--connect", address, dest]):  # fmt: skip
            failed(ws.run(words[0], "--key-file", key, *words[1:]), code, why)
        check(not os.path.exists(address.removeprefix("unix:")), "it listened")


@case
def nothing_of_the_key_is_shown_or_open(ws):
    """With all that can be said: -vv, --json, an error; and no descriptor of its file stays."""
    source, dest = trees(ws)
    key = make_key(ws)
    options = ["-vv", "--json", "--key-file", key]
    digits = key.read_text().strip()
    for wrong in (False, True):
        send = options if not wrong else ["-vv", "--json"]
        pair = ws.push(["-a", *send, f"{source}/"], dest, options)
        shown = "".join(result.err + result.out.decode() for result in pair)
        check(not any(digits[i : i + 8] in shown for i in range(56)), f"the key is shown\n{pair}")
    receiver = ws.receiver(ws.unix(), dest, "--key-file", key)
    links = [os.readlink(f"/proc/{receiver.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{receiver.pid}/fd")]
    check(str(key) not in links, f"the key's file is open: {links}")
    limits = open(f"/proc/{receiver.pid}/limits").read()
    check(re.search(r"Max core file size +0 +0 ", limits), f"it may leave a core dump:\n{limits}")


# ---- on the way ---------------------------------------------------------------------------------------------


def receive(stream, n):
    data = b""
    while len(data) < n:
        if not (more := stream.recv(n - len(data))):
            return None
        data += more
    return data


def receive_frame(stream):
    """A whole frame of the handshake; None: the end hung up."""
    header = receive(stream, HEADER_SIZE)
    return header and header + receive(stream, struct.unpack_from("<I", header, 4)[0])


class Relay(Between):
    """Forwards connections by frames until WELCOME, then by bytes. cuts: the n-th one ends after cuts[n] bytes of that.
    swap: the first two connections get each other's frame of this type."""

    def __init__(self, ws, address, cuts=(), swap=None):
        self.cuts, self.swap = list(cuts), swap
        self.kept, self.both = {}, threading.Barrier(2)
        self.address = ws.unix()
        super().__init__(self.address.removeprefix("unix:"), address.removeprefix("unix:"))

    def begin(self, number, near, far):
        self.start(self.forward, number, near, far)

    def forward(self, number, near, far):
        try:
            for a, b in ((near, far), (far, near)):
                b.sendall(receive(a, PREAMBLE_SIZE) or b"")
            kind, ends = 0, (near, far)
            while kind not in (WELCOME, REJECT, ABORT) and (frame := receive_frame(ends[0])):
                kind = frame[0]
                if kind == self.swap:
                    self.kept[number] = frame
                    self.both.wait(lib.PATIENCE)
                    frame = self.kept[1 - number]
                ends[1].sendall(frame)
                ends = ends[::-1]
            left = [self.cuts[number]] if number < len(self.cuts) else [None]
            back = threading.Thread(target=pump, args=(far, near, left), daemon=True)
            back.start()
            pump(near, far, left)
            back.join(lib.PATIENCE)
        except OSError:
            pass
        near.close()
        far.close()


@each(["push", "pull"])
def a_session_with_a_key_goes_on_after_breaks(ws, role):
    source, dest = trees(ws)
    put(source / "image", noise((6 if SMALL else 20) * MIB, "image"))
    key, address = ["--key-file", make_key(ws)], ws.unix()
    send, recv = ["-a", "--json", *SOON, *key, f"{source}/"], ["--json", *SOON, *key]
    if role == "push":
        listener = ws.receiver(address, dest, *recv)
    else:
        listener = ws.listen(address, HVSEND, "--once", "--listen", address, *send)
    relay = Relay(ws, address, [1 * MIB, 300 * KIB, 1 * MIB])
    if role == "push":
        dialler = ws.run(HVSEND, *send, relay.address)
    else:
        dialler = ws.run(HVRECV, *recv, "--connect", relay.address, dest)
    result = listener.wait()
    relay.close()
    check_equal((dialler.code, result.code), (0, 0), f"exit codes\n{dialler}\n{result}")
    check_equal(relay.accepted, 4, "streams")
    summary = [e for e in map(json.loads, dialler.out.splitlines()) if e["type"] == "summary"][-1]
    check_equal(summary["retries"], 3, "the breaks that were repaired")
    lib.same_tree(source, dest)


@each([("another key", (10, 12), TOLD), ("no key", 5, "it has no key")])
def a_dialler_goes_on_with_nobody_who_lacks_the_key(ws, value):
    """The listener is gone, and another one has its place."""
    source, dest, loot = *trees(ws), ws.dir("loot")
    put(source / "image", noise(20 * MIB, "image"))
    key, address = make_key(ws), ws.unix()
    theirs = ["--key-file", make_key(ws, "other")] if "another" in value[0] else []
    first = ws.receiver(address, dest, *SOON, "--key-file", key)
    relay = Relay(ws, address, [2 * MIB] + [0] * 100)
    sender = ws.start(HVSEND, "-a", *SOON, "--retry", "8", "--zc", "none", "--key-file", key, f"{source}/",
                      relay.address)  # fmt: skip
    lib.wait_until(lambda: relay.accepted > 1 or sender.ended(), "the stream was cut")
    relay.cuts = []
    first.kill()
    os.unlink(address.removeprefix("unix:"))
    impostor = ws.receiver(address, loot, *theirs, once=False)
    result = sender.wait()
    impostor.kill()
    relay.close()
    failed(result, *value[1:])  # 10, 12: it broke, and why it could not go on
    check_equal(os.listdir(loot), [], "what the impostor got")


@each([("the dialler's", AUTH), ("the listener's", WELCOME), ("the challenges", CHALLENGE)])
def sessions_that_are_swapped_on_the_way_are_refused(ws, value):
    """Two senders with the same key, and a relay that gives each other's proofs to them."""
    source, dest = trees(ws)
    key, address = ["--key-file", make_key(ws)], ws.unix()
    receiver = ws.receiver(address, dest, *key, "--grace", "0", once=False)
    relay = Relay(ws, address, swap=value[1])
    senders = [ws.start(HVSEND, "-a", "--retry", "0", *key, f"{source}/", relay.address) for _ in range(2)]
    for sender in senders:
        failed(sender.wait(), 5, "authentication failed|did not prove that it has the key")
    relay.close()
    receiver.signal(signal.SIGTERM)
    check(receiver.wait().code in (0, 20), "the listener was not stopped by the signal")
    check_equal(os.listdir(dest), [], "what arrived")


lib.main()
