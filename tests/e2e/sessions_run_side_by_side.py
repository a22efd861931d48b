#!/usr/bin/env python3
"""One listener serves several sessions at once; what goes wrong in one does not reach another."""

import os
import signal
import socket

import lib
from lib import HVRECV, HVSEND, KIB, MIB, case, check, check_equal, each, noise, prose, put, same_tree
from proxy import TO_LISTENER, Before, Proxy

CHUNK = 20


def make_source(ws, name):
    source = ws.dir(name)
    put(source / "noise", noise(2 * MIB, name))
    put(source / "prose", prose(2 * MIB, name))
    for i in range(200):
        put(source / f"small{i}", prose(i * 50, f"{name}{i}"))
    return source


def ends_well(listener):
    listener.signal(signal.SIGTERM)
    result = listener.wait()
    check_equal(result.code, 0, f"the listener's exit code ({result})")
    return result


def stand_in_mid_transfer(ws, address, source, *options):
    """A sender behind a proxy that holds it in the middle of its data; the other end is certain to be in a session."""
    middle = ws.unix()
    proxy = Proxy(middle.removeprefix("unix:"), address.removeprefix("unix:"), Before(TO_LISTENER, CHUNK, inside=True))
    proxy.__enter__()
    sender = ws.start(HVSEND, "-a", "--timeout", "600", *options, f"{source}/", middle)
    lib.wait_until(lambda: proxy.reached.is_set() or sender.ended(), "the session is in its data")
    check(proxy.reached.is_set(), f"the sender ended: {sender.err()}")
    return sender, proxy


@each([2, 5])
def several_senders_at_once(ws, count):
    """All of them stand in mid-transfer before the first may go on: they really are at once."""
    dest = ws.dir("dest")
    address = ws.unix()
    listener = ws.receiver(address, dest, "--timeout", "600", once=False)
    sources = [make_source(ws, f"source{i}") for i in range(count)]
    standing = [stand_in_mid_transfer(ws, address, s, "--into", f"into{i}") for i, s in enumerate(sources)]
    for _, proxy in standing:
        proxy.go_on()
    for (sender, proxy), source, i in zip(standing, sources, range(count)):
        result = sender.wait()
        check_equal((result.code, result.err), (0, ""), f"sender {i}")
        proxy.__exit__()
        same_tree(source, dest / f"into{i}")
    check_equal(ends_well(listener).err, "", "what the listener said")


@case
def several_receivers_at_once(ws):
    source = make_source(ws, "source")
    address = ws.unix()
    listener = ws.listen(address, HVSEND, "-a", "--listen", address, f"{source}/")
    receivers = []
    for i in range(4):
        dest = ws.dir(f"dest{i}")
        receivers.append((ws.start(HVRECV, "--connect", address, dest), dest))
    for receiver, dest in receivers:
        result = receiver.wait()
        check_equal((result.code, result.err), (0, ""), "receiver")
        same_tree(source, dest)
    ends_well(listener)


@case
def two_senders_of_the_same_names_leave_one_whole_file_of_each(ws):
    dest = ws.dir("dest")
    address = ws.unix()
    listener = ws.receiver(address, dest, "--timeout", "600", once=False)
    sources = [make_source(ws, f"source{i}") for i in range(2)]
    standing = [stand_in_mid_transfer(ws, address, source) for source in sources]
    for _, proxy in standing:
        proxy.go_on()
    for sender, proxy in standing:
        result = sender.wait()
        check_equal((result.code, result.err), (0, ""), "sender")
        proxy.__exit__()
    ends_well(listener)
    check_equal(sorted(os.listdir(dest)), sorted(os.listdir(sources[0])), "names")
    for name in os.listdir(dest):
        content = (dest / name).read_bytes()
        check(content in [(source / name).read_bytes() for source in sources], f"{name} is a mixture")


@case
def a_session_that_fails_does_not_disturb_the_others(ws):
    """Between two good ones: a stranger who talks nonsense, one who hangs up, and a sender that is killed."""
    dest = ws.dir("dest")
    address = ws.unix()
    listener = ws.receiver(address, dest, "--timeout", "600", "--grace", "1", once=False)
    first, killed, last = (make_source(ws, name) for name in ("first", "killed", "last"))
    sender, proxy = stand_in_mid_transfer(ws, address, first, "--into", "first")
    victim, between = stand_in_mid_transfer(ws, address, killed, "--into", "killed")
    for words in (b"GET / HTTP/1.0\r\n\r\n", noise(5000), b""):
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect(address.removeprefix("unix:"))
            stranger.sendall(words)
            while words and stranger.recv(4096):  # until it is shown out; the last one just leaves
                pass
    victim.kill()
    between.cut()
    lib.wait_until(lambda: "closed the stream in the middle" in listener.err(), "the listener notices")
    check_equal(ws.run(HVSEND, "-a", "--into", "last", f"{last}/", address).code, 0, "a session meanwhile")
    proxy.go_on()
    check_equal(sender.wait().code, 0, "the session that was there all the time")
    proxy.__exit__()
    between.__exit__()
    same_tree(first, dest / "first")
    same_tree(last, dest / "last")
    check("HTTP" in ends_well(listener).err, "the listener says who spoke HTTP")
    lib.no_temporary_names(dest)


@case
def more_senders_than_the_listener_takes_at_once_wait_their_turn(ws):
    dest = ws.dir("dest")
    source = ws.dir("source")
    put(source / "file", noise(100 * KIB))
    address = ws.unix()
    listener = ws.receiver(address, dest, once=False)
    words = [HVSEND, "-a", "--contimeout", "100", f"{source}/", address]
    senders = [ws.start(*words, "--into", f"{i}") for i in range(24)]
    for i, sender in enumerate(senders):
        result = sender.wait()
        check_equal((result.code, result.err), (0, ""), f"sender {i}")
        same_tree(source, dest / f"{i}")
    ends_well(listener)


lib.main()
