#!/usr/bin/env python3
"""--bwlimit bounds what is sent, and a file can change the bound while it is sent. How fast that is, tests/unit/test_bwlimit.c
proves without a clock; here a rate is so low that nothing can end by itself."""

import re

import lib
from lib import HVRECV, HVSEND, KIB, Pair, case, check, check_equal, failed, good, noise, put, same_tree, wait_until


def tree_and_dest(ws):
    source, dest = ws.dir("source"), ws.dir("dest")
    for i in range(8):
        put(source / f"file{i}", noise(200 * KIB, i))
    return source, dest


@case
def a_rate_that_is_high_changes_nothing(ws):
    source, dest = tree_and_dest(ws)
    good(ws.push(["-a", "--bwlimit=1G", f"{source}/"], dest))
    same_tree(source, dest)


@case
def a_limit_of_a_file_is_lifted_while_it_holds_the_data_back(ws):
    source, dest = tree_and_dest(ws)
    address = ws.address()
    rate = ws.path / "rate"
    put(rate, b"1\n")  # KiB per second: half an hour for all
    receiver = ws.receiver(address, dest, "--timeout", "6")  # heartbeats pass all the time
    sender = ws.start(HVSEND, "-av", "--timeout", "6", f"--bwlimit=@{rate}", "--progress-fd", "2", f"{source}/", address)
    wait_until(lambda: sender.ended() or re.search(r"(?m)^\d+/", sender.err()), "it has begun")
    check(not sender.ended(), f"nothing held it back: {sender.err()}")
    put(rate, b"0\n")
    pair = Pair(sender.wait(), receiver.wait())
    check_equal((pair.sender.code, pair.receiver.code), (0, 0), f"exit codes\n{pair}")
    failed(pair.sender, 0, r"--bwlimit: now 0 bytes per second")
    same_tree(source, dest)


@case
def a_rate_that_is_none_is_a_usage_error(ws):
    source, _ = tree_and_dest(ws)
    for word in ("--bwlimit=fast", f"--bwlimit=@{ws.path}/no-file", "--bwlimit=1 --serial"):
        failed(ws.run(HVSEND, *word.split(), "-a", f"{source}/", ws.address()), 1, "--bwlimit")
    failed(ws.run(HVRECV, "--bwlimit=1", "--listen", ws.address(), ws.path), 1, "--bwlimit")


lib.main(parallel=2)
