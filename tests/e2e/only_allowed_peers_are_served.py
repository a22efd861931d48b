#!/usr/bin/env python3
"""--allow-peer: a listening end serves the peers that it names, tells all others so, and takes nothing from them."""

import json
import os
import re
import signal
import socket

import lib
from lib import HVRECV, HVSEND, case, check, check_equal, each, failed, good, put, wait_until

OURS, ANOTHER = f"uid:{os.geteuid()}", f"uid:{os.geteuid() + 1}"


def trees(ws):
    source, dest = ws.dir("source"), ws.dir("dest")
    put(source / "file", b"data")
    return source, dest


@each([("the only one", [OURS]), ("one of several", ["3", ANOTHER, OURS])])
def a_named_peer_is_served(ws, value):
    source, dest = trees(ws)
    options = [word for peer in value[1] for word in ("--allow-peer", peer)]
    good(ws.push(["-a", f"{source}/"], dest, options))
    lib.same_tree(source, dest)
    good(ws.pull(["-a", *options, f"{source}/"], dest))


@each(["push", "pull"])
def another_peer_is_refused_with_42_at_both_ends(ws, role):
    source, dest = trees(ws)
    if role == "push":
        pair = ws.push(["-a", f"{source}/"], dest, ["--allow-peer", ANOTHER])
        listener, dialler = pair.receiver, pair.sender
    else:
        pair = ws.pull(["-a", "--allow-peer", ANOTHER, f"{source}/"], dest)
        listener, dialler = pair.sender, pair.receiver
    failed(listener, 42, rf"unix uid {os.geteuid()} pid \d+: refused, because --allow-peer does not name it")
    check_equal(len(listener.err.splitlines()), 1, "lines of the listening end")
    failed(dialler, 42, "ended the session: it does not serve this peer")
    check_equal(os.listdir(dest), [], "what arrived")


@case
def the_service_goes_on_after_a_refusal(ws):
    source, dest = trees(ws)
    address = ws.unix()
    hvsend, _, nobody = ws.for_nobody()
    if not nobody:
        raise lib.Skipped("a second user is needed, and only root can be one")
    receiver = ws.receiver(address, dest, "--allow-peer", OURS, once=False)
    os.chmod(address.removeprefix("unix:"), 0o777)
    failed(ws.run(hvsend, "-a", f"{source}/", address, **nobody), 42, "does not serve this peer")
    check_equal(os.listdir(dest), [], "what arrived from the refused peer")
    check_equal(ws.run(HVSEND, "-a", f"{source}/", address).code, 0, "exit code of the allowed peer")
    lib.same_tree(source, dest)
    receiver.signal(signal.SIGTERM)
    failed(receiver.wait(), 0, f"uid {lib.NOBODY} .*refused")


@case
def refused_peers_that_stay_do_not_keep_others_out(ws):
    """More of them than there are sessions; each would like to keep its stream."""
    source, dest = trees(ws)
    address = ws.unix()
    _, _, nobody = ws.for_nobody()
    if not nobody:
        raise lib.Skipped("a second user is needed, and only root can be one")
    receiver = ws.receiver(address, dest, "--allow-peer", OURS, once=False)
    path = address.removeprefix("unix:")
    os.chmod(path, 0o777)
    os.seteuid(lib.NOBODY)
    try:
        crowd = [socket.socket(socket.AF_UNIX) for _ in range(40)]
        for stream in crowd:
            stream.connect(path)
    finally:
        os.seteuid(0)
    check_equal(ws.run(HVSEND, "-a", f"{source}/", address).code, 0, "exit code of the allowed peer")
    wait_until(lambda: receiver.err().count("refused") == len(crowd), "all of the crowd were refused")
    for stream in crowd:
        stream.close()
    receiver.signal(signal.SIGTERM)
    check_equal(receiver.wait().code, 0, "exit code of the listener")


@case
def a_refusal_is_an_error_event(ws):
    source, dest = trees(ws)
    pair = ws.push(["-a", f"{source}/"], dest, ["--json", "--allow-peer", ANOTHER])
    events = [json.loads(line) for line in pair.receiver.out.splitlines()]
    check_equal([(e["type"], e["code"]) for e in events], [("error", 42)], "events")


@case
def a_list_that_can_name_nobody_who_connects_is_a_usage_error(ws):
    source, dest = trees(ws)
    for address, peer in ((f"tcp://127.0.0.1:{lib.free_port()}", OURS), (f"vsock-mux:{ws.path}/x:5", OURS),
                          (ws.unix(), "3")):  # fmt: skip
        for words in ([HVSEND, source], [HVRECV, dest]):
            failed(ws.run(*words, "--listen", address, "--allow-peer", peer), 1, "no --allow-peer can name who connects")
    failed(ws.run(HVSEND, "--allow-peer", OURS, source, ws.unix()), 1, "--allow-peer goes with --listen")
    failed(ws.run(HVRECV, "--allow-peer", OURS, "--connect", ws.unix(), dest), 1, "--allow-peer goes with --listen")


@case
def the_peer_is_named_with_v_and_in_the_start_event(ws):
    source, dest = trees(ws)
    pair = ws.push(["-av", f"{source}/"], dest, ["--json"])
    check_equal((pair.sender.code, pair.receiver.code), (0, 0), "exit codes")
    check(re.search(r"session with unix uid \d+ pid \d+", pair.sender.err), f"no peer in {pair.sender}")
    start = json.loads(pair.receiver.out.splitlines()[0])
    check(re.fullmatch(rf"unix uid {os.geteuid()} pid \d+", start["peer"]), f"the peer in {start}")


lib.main()
