#!/usr/bin/env python3
"""hvsend --to: one command, several receivers at once. Each has a session of its own, so that what happens to one of them
does not reach another."""

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import socket

import lib
from cutter import Cutter
from lib import HVRECV, HVSEND, KIB, MIB, case, check, check_equal, each, failed, free_port, noise, prose, put
from lib import same_tree, wait_until
from proxy import TO_LISTENER, Before, Proxy

CHUNK = 20
PATIENT = ["--timeout", "600", "--contimeout", "600"]
BACK_SOON = [*PATIENT, "--retry-delay", "0.02"]
NAMES = {"kept": 2 * MIB, "changed": 3 * MIB, "new": 3 * MIB}
PROCESS = re.compile(r"hvsend: (files: |system calls: |runs as user |not confined|the capabilities )")


def make_source(ws, name="source"):
    source = ws.dir(name)
    (source / "sub").mkdir()
    for number, (file, size) in enumerate(NAMES.items()):
        put(source / file, noise(size, number))
    put(source / "prose", prose(MIB))
    for number in range(100):
        put(source / "sub" / f"small{number}", prose(number * 50, number))
    (source / "link").symlink_to("sub")
    return source


def make_dests(ws, count):
    """Each has an old file of a name that comes."""
    dests = [ws.dir(f"dest{number}") for number in range(count)]
    for dest in dests:
        put(dest / "changed", b"old")
    return dests


def start_receivers(ws, dests, *options, addresses=None):
    addresses = addresses or [ws.unix() for _ in dests]
    return addresses, [ws.receiver(a, d, *options) for a, d in zip(addresses, dests)]


def to(addresses):
    return [word for address in addresses for word in ("--to", address)]


def ends_well(process):
    result = process.wait()
    check_equal((result.code, result.out, result.err), (0, b"", ""), f"{process.argv}: code, stdout and stderr")


def lines_of(result, address):
    return [line for line in result.err.splitlines() if line.startswith(f"hvsend: {address}: ")]


def old_or_new(source, dest):
    lib.no_temporary_names(dest)
    for file in dest.iterdir():
        if file.is_file() and not file.is_symlink():
            there = [(source / file.name).read_bytes(), b"old" if file.name == "changed" else None]
            check(file.read_bytes() in there, f"{file} is neither the old nor the new file")


@contextlib.contextmanager
def standing(ws, addresses):
    """A proxy before each address, which holds the stream in the middle of its first chunk."""
    with contextlib.ExitStack() as stack:
        middles, proxies = [ws.unix() for _ in addresses], []
        for middle, address in zip(middles, addresses):
            rule = Before(TO_LISTENER, CHUNK, inside=True)
            proxy = Proxy(middle.removeprefix("unix:"), address.removeprefix("unix:"), rule)
            proxies.append(stack.enter_context(proxy))
        yield middles, proxies


def stands(proxy, sender):
    wait_until(lambda: proxy.reached.is_set() or sender.ended(), "the session is in its data")
    check(proxy.reached.is_set(), f"the sender ended: {sender.err()}")


# ---- all goes well --------------------------------------------------------------------------------------------


@each(["unix", "tcp"])
def a_tree_arrives_at_all_of_them(ws, scheme):
    source, dests = make_source(ws), make_dests(ws, 3)
    make = ws.unix if scheme == "unix" else lambda: f"tcp://127.0.0.1:{free_port()}"
    addresses, receivers = start_receivers(ws, dests, addresses=[make() for _ in dests])
    ends_well(ws.start(HVSEND, "-a", f"{source}/", *to(addresses)))
    for receiver, dest in zip(receivers, dests):
        ends_well(receiver)
        same_tree(source, dest)


@case
def kinds_of_addresses_may_be_mixed(ws):
    """Commands run before the process gives up the right to start any; the others are dialled after that."""
    source, dests = make_source(ws), make_dests(ws, 5)
    addresses = [ws.unix(), *(f"tcp://127.0.0.1:{free_port()}" for _ in range(2))]
    _, receivers = start_receivers(ws, dests[:3], addresses=addresses)
    commands = [f"exec:exec {shlex.quote(HVRECV)} --stdio {dest}" for dest in dests[3:]]
    result = ws.run(HVSEND, "-av", f"{source}/", *to([commands[0], *addresses, commands[1]]))
    check_equal(result.code, 0, f"exit code ({result})")
    check_equal(result.err.count("hvsend: files: "), 1, f"how often it is confined ({result})")
    check_equal([receiver.wait().code for receiver in receivers], [0] * 3, "exit codes")
    for dest in dests:
        same_tree(source, dest)


@case
def a_command_that_may_be_started_again_keeps_the_right_to(ws):
    source, dests = make_source(ws), make_dests(ws, 2)
    address, (receiver,) = start_receivers(ws, dests[:1])
    command = f"exec:exec {shlex.quote(HVRECV)} --stdio {dests[1]}"
    result = ws.run(HVSEND, "-av", "--retry", "1", f"{source}/", *to([*address, command]))
    check_equal((result.code, receiver.wait().code), (0, 0), f"exit codes ({result})")
    check("hvsend: not confined" in result.err, f"it does not say that it is not confined: {result}")
    for dest in dests:
        same_tree(source, dest)


@each([("--to alone", 1, 0), ("DEST and --to", 1, 1), ("DEST and two", 2, 1)])
def dest_is_one_of_them(ws, value):
    _, options, dest = value
    source, dests = make_source(ws), make_dests(ws, options + dest)
    addresses, receivers = start_receivers(ws, dests)
    ends_well(ws.start(HVSEND, *to(addresses[:options]), "-a", f"{source}/", *addresses[options:]))
    for receiver, place in zip(receivers, dests):
        ends_well(receiver)
        same_tree(source, place)


@case
def several_sources_go_to_all(ws):
    sources, dests = [make_source(ws, name) for name in ("one", "two")], make_dests(ws, 2)
    addresses, receivers = start_receivers(ws, dests)
    ends_well(ws.start(HVSEND, "-a", *sources, *to(addresses)))
    for receiver, dest in zip(receivers, dests):
        ends_well(receiver)
        for source in sources:
            same_tree(source, dest / source.name)


@case
def into_names_the_directory_of_all_and_an_address_that_of_one(ws):
    source, dests = make_source(ws), make_dests(ws, 2)
    addresses, receivers = start_receivers(ws, dests)
    ends_well(ws.start(HVSEND, "-a", "--into", "deep/down", f"{source}/", *to(addresses)))
    for receiver, dest in zip(receivers, dests):
        ends_well(receiver)
        same_tree(source, dest / "deep/down")
    address = f"tcp://127.0.0.1:{free_port()}"  # two directories of one receiver are two targets
    receiver = ws.receiver(address, dests[0], once=False)
    ends_well(ws.start(HVSEND, "-a", f"{source}/", *to([f"{address}/a", f"{address}/b/"])))
    receiver.signal(signal.SIGTERM)
    ends_well(receiver)
    same_tree(source, dests[0] / "a")
    same_tree(source, dests[0] / "b")


@case
def each_gets_what_it_lacks(ws):
    """Several streams each; one that comes too late for its session is shown out."""
    source, dests = make_source(ws), make_dests(ws, 3)
    options = ["--bwlimit=1G", "--streams", "2"]
    for lacking in ([], ["new"], ["changed", "prose"]):
        for name in lacking:
            (dests[1] / name).unlink()
        addresses, receivers = start_receivers(ws, dests)
        result = ws.run(HVSEND, "-a", "--json", *options, f"{source}/", *to(addresses))
        check_equal(result.code, 0, f"exit code ({result})")
        sent = {e["target"]: e["files"] for e in map(json.loads, result.out.splitlines()) if e["type"] == "summary"}
        everything = len(NAMES) + 101 if not lacking else 0
        wanted = {address: everything for address in addresses}
        wanted[addresses[1]] = everything or len(lacking)
        check_equal(sent, wanted, "files that were sent")
        for receiver, dest in zip(receivers, dests):
            check_equal(receiver.wait().code, 0, "a receiver's exit code")
            same_tree(source, dest)


@case
def one_that_comes_late_is_waited_for_and_holds_up_no_other(ws):
    source, dests = make_source(ws), make_dests(ws, 2)
    addresses = [ws.unix(), ws.unix()]
    first = ws.receiver(addresses[0], dests[0])
    retry = ["--retry", "forever", "--retry-delay", "0.05"]
    sender = ws.start(HVSEND, "-a", *PATIENT, *retry, f"{source}/", *to(addresses))
    ends_well(first)
    check(not sender.ended(), f"the sender does not wait for the second one: {sender.err()}")
    second = ws.receiver(addresses[1], dests[1])
    ends_well(sender)
    ends_well(second)
    for dest in dests:
        same_tree(source, dest)


# ---- what they share ------------------------------------------------------------------------------------------


def few_files(ws, size):
    source = ws.dir("source")
    put(source / "large", noise(size))
    for number in range(3):
        put(source / f"small{number}", prose(1000 + number))
    return source, sum(path.stat().st_size for path in source.iterdir())


def summaries(result):
    return {e["target"]: e for e in map(json.loads, result.out.splitlines()) if e["type"] == "summary"}


def bytes_read_below(log, source):
    """By pread64, of which strace may tell begin and end in two lines."""
    begun, total = {}, 0
    for line in log.read_text(errors="backslashreplace").splitlines():
        thread = line.split()[0]
        if "pread64(" in line:
            begun[thread] = f"<{source}/" in line
        result = re.search(r" = (\d+)$", line)
        if result and begun.pop(thread, False):
            total += int(result[1])
    return total


@case
def a_source_is_read_once_for_all(ws):
    """It is so little that all of it is kept, however far apart the sessions are."""
    if not shutil.which("strace"):
        raise lib.Skipped("strace is not installed")
    source, size = few_files(ws, 8 * MIB)
    dests = [ws.dir(f"dest{number}") for number in range(3)]
    addresses, receivers = start_receivers(ws, dests)
    log = ws.path / "strace"
    trace = ["strace", "-f", "-qq", "-y", "-s", "0", "-e", "trace=pread64", "-o", log]
    result = ws.run(*trace, HVSEND, "-a", "--json", f"{source}/", *to(addresses), env={**os.environ, **lib.TRACED})
    check_equal(result.code, 0, f"exit code ({result})")
    for receiver, dest in zip(receivers, dests):
        ends_well(receiver)
        same_tree(source, dest)
    check_equal(bytes_read_below(log, source), size, "bytes that were read of it")
    ends = summaries(result)
    check_equal([end["bytes_read"] for end in ends.values()], [size] * 3, "bytes that were sent to each")
    check_equal(sum(end["bytes_shared"] for end in ends.values()), 2 * size, "bytes that were read for another")


@each(["none", "zlib", "auto"])
def one_that_is_far_behind_reads_for_itself(ws, codec):
    """It stands still until the others have got more than is kept."""
    source, size = few_files(ws, 40 * MIB)
    dests = [ws.dir(f"dest{number}") for number in range(3)]
    addresses, receivers = start_receivers(ws, dests, *PATIENT)
    receivers[0].signal(signal.SIGSTOP)
    sender = ws.start(HVSEND, "-a", "--json", *PATIENT, "--zc", codec, f"{source}/", *to(addresses))
    for receiver in receivers[1:]:
        ends_well(receiver)
    receivers[0].signal(signal.SIGCONT)
    result = sender.wait()
    check_equal(result.code, 0, f"exit code ({result})")
    ends_well(receivers[0])
    for dest in dests:
        same_tree(source, dest)
    late = summaries(result)[addresses[0]]
    check(late["bytes_shared"] < size / 2, f"it has not read for itself: {late}")


# ---- some fail ------------------------------------------------------------------------------------------------


@case
def where_nobody_is_there_is_told_and_the_others_get_all(ws):
    source, dests = make_source(ws), make_dests(ws, 2)
    addresses, receivers = start_receivers(ws, dests)
    nobody = ws.unix()
    result = ws.run(HVSEND, "-a", f"{source}/", *to([addresses[0], nobody, addresses[1]]))
    failed(result, 43, "1 of 3 targets failed")
    check(len(lines_of(result, nobody)) == 1, f"{nobody} is not named once: {result}")
    check_equal(len(result.err.splitlines()), 2, f"lines ({result})")
    for receiver, dest in zip(receivers, dests):
        ends_well(receiver)
        same_tree(source, dest)


@case
def a_common_failure_has_its_own_code(ws):
    source, nobody = make_source(ws), [ws.unix() for _ in range(3)]
    result = ws.run(HVSEND, "-a", f"{source}/", *to(nobody))
    failed(result, 10, "no such socket")
    for address in nobody:
        check_equal(len(lines_of(result, address)), 1, f"lines about {address} ({result})")


@case
def different_failures_have_one_code(ws):
    source, dests = make_source(ws), make_dests(ws, 1)
    addresses, (receiver,) = start_receivers(ws, dests, "--allow-peer", f"uid:{os.getuid() + 1}")
    nobody = ws.unix()
    result = ws.run(HVSEND, "-a", f"{source}/", *to([nobody, *addresses]))
    failed(result, 43, "2 of 2 targets failed")
    for address in (nobody, *addresses):
        check(lines_of(result, address), f"{address} is not named: {result}")
    check_equal(receiver.wait().code, 42, "the receiver's exit code")


@case
def files_that_one_cannot_take_are_told_of_that_one(ws):
    source, dests = make_source(ws), make_dests(ws, 2)
    (dests[1] / "new").mkdir()
    put(dests[1] / "new/in", b"the way")
    addresses, receivers = start_receivers(ws, dests)
    result = ws.run(HVSEND, "-a", f"{source}/", *to(addresses))
    failed(result, 43, "1 of 2 targets failed")
    check(any("new" in line for line in lines_of(result, addresses[1])), f"the file is not named: {result}")
    check_equal(lines_of(result, addresses[0]), [], "lines about the other one")
    check_equal([receiver.wait().code for receiver in receivers], [0, 23], "exit codes")
    same_tree(source, dests[0])


@case
def one_that_is_killed_harms_no_other(ws):
    source, dests = make_source(ws), make_dests(ws, 3)
    addresses, receivers = start_receivers(ws, dests, *PATIENT)
    with standing(ws, addresses[:1]) as (middles, proxies):
        sender = ws.start(HVSEND, "-a", *PATIENT, "--retry", "0", f"{source}/", *to([*middles, *addresses[1:]]))
        stands(proxies[0], sender)
        receivers[0].kill()
        proxies[0].cut()
        result = sender.wait()
    failed(result, 43, "1 of 3 targets failed")
    check(lines_of(result, middles[0]), f"it is not named: {result}")
    for receiver, dest in zip(receivers[1:], dests[1:]):
        ends_well(receiver)
        same_tree(source, dest)
    check((dests[0] / "changed").read_bytes() in (b"old", (source / "changed").read_bytes()), "neither old nor new")


class Gate(Cutter):
    """Cuts the first connection after so many bytes. Later ones lead nowhere until it is opened."""

    def __init__(self, middle, address, cut):
        self.open, self.path = False, address.removeprefix("unix:")
        super().__init__(middle.removeprefix("unix:"), self.path, [cut])

    @property
    def target(self):
        return self.path if self.open or self.accepted == 0 else f"{self.path}.nobody"

    @target.setter
    def target(self, _):
        pass


def read_once(end, size):
    """But for small files, which come again in new bundles after a break."""
    again = 3 * 2000 * end["retries"]
    check(size <= end["bytes_read"] <= size + again, f"bytes that were read for the first time: {end}, of {size}")


@case
def one_whose_stream_breaks_goes_on_later_and_the_other_at_once(ws):
    """Nobody lets it back before the other one has all and has ended."""
    source, size = few_files(ws, 24 * MIB)
    dests = [ws.dir(f"dest{number}") for number in range(2)]
    addresses, receivers = start_receivers(ws, dests, *PATIENT, "--grace", "600")
    middle = ws.unix()
    gate = Gate(middle, addresses[0], 8 * MIB)
    words = ["-a", "--json", *BACK_SOON, "--retry", "forever"]
    sender = ws.start(HVSEND, *words, "--zc", "none", f"{source}/", *to([middle, addresses[1]]))
    ends_well(receivers[1])
    same_tree(source, dests[1])
    check(not sender.ended() and not receivers[0].ended(), f"the first session is over: {sender.err()}")
    gate.open = True
    result = sender.wait()
    check_equal((result.code, receivers[0].wait().code), (0, 0), f"exit codes ({result})")
    gate.close()
    check_equal(gate.accepted, 2, "streams of the one that was cut")
    same_tree(source, dests[0])
    ends = summaries(result)
    check_equal([ends[address]["retries"] for address in (middle, addresses[1])], [1, 0], "breaks")
    for end in ends.values():
        read_once(end, size)


@each(["none", "zlib"])
def all_streams_break_again_and_again(ws, codec):
    """At other places each, so that sessions lose step with each other, and what one keeps to send again others have too."""
    source, size = few_files(ws, 24 * MIB)
    dests = [ws.dir(f"dest{number}") for number in range(3)]
    addresses, receivers = start_receivers(ws, dests, *PATIENT, "--grace", "600")
    cutters, middles = [], [ws.unix() for _ in addresses]
    for number, (middle, address) in enumerate(zip(middles, addresses)):
        cuts = [(3 + number) * MIB + 1000 * number, 2 * MIB, (4 - number) * MIB, MIB]
        cutters.append(Cutter(middle.removeprefix("unix:"), address.removeprefix("unix:"), cuts))
    result = ws.run(HVSEND, "-a", "--json", *BACK_SOON, "--zc", codec, f"{source}/", *to(middles))
    check_equal(result.code, 0, f"exit code ({result})")
    for cutter, receiver, dest in zip(cutters, receivers, dests):
        check_equal(receiver.wait().code, 0, "a receiver's exit code")
        cutter.close()
        same_tree(source, dest)
    ends = summaries(result)
    check_equal([ends[middle]["retries"] for middle in middles], [4] * 3, "breaks")
    for end in ends.values():
        read_once(end, size)


@case
def one_that_is_frozen_holds_up_no_other(ws):
    """In mid-transfer, and before it has said a word."""
    source, dests = make_source(ws), make_dests(ws, 4)
    addresses, receivers = start_receivers(ws, dests, *PATIENT)
    with standing(ws, addresses[:1]) as (middles, proxies):
        receivers[1].signal(signal.SIGSTOP)
        sender = ws.start(HVSEND, "-a", *PATIENT, f"{source}/", *to([*middles, *addresses[1:]]))
        stands(proxies[0], sender)
        receivers[0].signal(signal.SIGSTOP)
        proxies[0].go_on()
        for receiver in receivers[2:]:
            ends_well(receiver)
        check(not sender.ended(), f"the sender ended: {sender.err()}")
        for receiver in receivers[:2]:
            receiver.signal(signal.SIGCONT)
        ends_well(sender)
        for receiver in receivers[:2]:
            ends_well(receiver)
    for dest in dests:
        same_tree(source, dest)


# ---- signals --------------------------------------------------------------------------------------------------


@case
def a_signal_ends_all_sessions(ws):
    source, dests = make_source(ws), make_dests(ws, 3)
    addresses, receivers = start_receivers(ws, dests, *PATIENT, "--grace", "0")
    with standing(ws, addresses) as (middles, proxies):
        sender = ws.start(HVSEND, "-a", "--zc", "none", *PATIENT, f"{source}/", *to(middles))
        for proxy in proxies:
            stands(proxy, sender)
        sender.signal(signal.SIGTERM)
        result = sender.wait()
        failed(result, 20, "interrupted")
        for middle in middles:
            check(lines_of(result, middle), f"{middle} is not named: {result}")
        for proxy in proxies:
            proxy.go_on()
        for receiver, dest in zip(receivers, dests):
            failed(receiver.wait(), (10, 12), "closed the stream|stream failed|ended the session|broken|reset")
            old_or_new(source, dest)


@case
def a_signal_ends_dialling_and_sessions_alike(ws):
    """One is done, one in its data, one dials, and one waits before it dials again."""
    source, dests = make_source(ws), make_dests(ws, 2)
    addresses, receivers = start_receivers(ws, dests, *PATIENT, "--grace", "0")
    with socket.socket(socket.AF_UNIX) as door, socket.socket(socket.AF_UNIX) as first:
        door.bind(str(ws.path / "full"))
        door.listen(0)
        first.connect(str(ws.path / "full"))  # the backlog has room for this one
        with standing(ws, addresses[:1]) as (middles, proxies):
            retry = ["--retry", "forever", "--retry-delay", "1000"]
            targets = [*middles, addresses[1], f"unix:{ws.path}/full", ws.unix()]
            sender = ws.start(HVSEND, "-av", *PATIENT, *retry, f"{source}/", *to(targets))
            stands(proxies[0], sender)
            wait_until(lambda: sender.ended() or "try 1: " in sender.err(), "the last one has been tried")
            check_equal(receivers[1].wait().code, 0, "exit code of the one that is done")
            sender.signal(signal.SIGTERM)
            result = sender.wait()
            failed(result, 20, "interrupted")
            for target in (targets[0], *targets[2:]):
                check(any("interrupted" in line for line in lines_of(result, target)), f"{target}: {result}")
            proxies[0].go_on()
            check(receivers[0].wait().code in (10, 12), "its receiver does not say that the session broke")
    old_or_new(source, dests[0])
    same_tree(source, dests[1])


# ---- what is shown --------------------------------------------------------------------------------------------


@case
def events_name_their_target_and_are_whole_lines(ws):
    source, dests = make_source(ws), make_dests(ws, 3)
    addresses, receivers = start_receivers(ws, dests)
    nobody = ws.unix()
    result = ws.run(HVSEND, "-a", "--json", f"{source}/", *to([*addresses, nobody]))
    check_equal(result.code, 43, f"exit code ({result})")
    events = [json.loads(line) for line in result.out.splitlines()]
    own = {address: [e for e in events if e.get("target") == address] for address in (*addresses, nobody)}
    rest = [event for event in events if event.get("target") not in own]
    check_equal([(e["type"], e["code"]) for e in rest], [("error", 43)], "events about no target")
    check_equal([(e["type"], e["code"]) for e in own.pop(nobody)], [("error", 10)], "events of the one that failed")
    for address, of_one in own.items():
        types = [event["type"] for event in of_one]
        check_equal((types[0], types[-1]), ("start", "summary"), f"first and last event of {address}")
        check_equal(types.count("file"), len(NAMES) + 101, f"files of {address}")
        done = [event["bytes"] for event in of_one if event["type"] == "progress"]
        check(done and done == sorted(done), f"progress of {address}: {done}")
    for receiver in receivers:
        ends_well(receiver)


@case
def events_of_one_target_name_none(ws):
    source, (dest,) = make_source(ws), make_dests(ws, 1)
    addresses, (receiver,) = start_receivers(ws, [dest])
    result = ws.run(HVSEND, "-a", "--json", f"{source}/", *to(addresses))
    check_equal(result.code, 0, f"exit code ({result})")
    check(all("target" not in json.loads(line) for line in result.out.splitlines()), "an event names a target")
    ends_well(receiver)


@case
def lines_name_their_target(ws):
    source, dests = make_source(ws), make_dests(ws, 2)
    addresses, receivers = start_receivers(ws, dests)
    result = ws.run(HVSEND, "-avv", "--stats", f"{source}/", *to(addresses))
    check_equal(result.code, 0, f"exit code ({result})")
    ours = {address: lines_of(result, address) for address in addresses}
    rest = [line for line in result.err.splitlines() if not any(line in lines for lines in ours.values())]
    check_equal([line for line in rest if not PROCESS.match(line)], [], "lines about no target")
    for address, lines in ours.items():
        for words in ("session with", "new", "files: 104 transferred", "stage read", "busiest stage here"):
            wanted = f"hvsend: {address}: {words}"
            check(any(line.startswith(wanted) for line in lines), f"no line begins with {wanted!r}: {result}")
    for receiver in receivers:
        ends_well(receiver)


@each(["--progress-fd", "-P"])
def progress_is_that_of_all(ws, option):
    source, dests = make_source(ws), make_dests(ws, 3)
    addresses, receivers = start_receivers(ws, dests)
    words = [option, "2"] if option == "--progress-fd" else [option]
    result = ws.run(HVSEND, "-a", *words, f"{source}/", *to(addresses))
    check_equal(result.code, 0, f"exit code ({result})")
    total = 3 * sum(path.stat().st_size for path in source.rglob("*") if path.is_file() and not path.is_symlink())
    if option == "-P":
        shown = [re.findall(r"([\d,]+) (?:\s*\d+%|  - )", line) for line in re.split(r"[\r\n]", result.err)]
        done = [int(numbers[0].replace(",", "")) for numbers in shown if numbers]
        check("100%" in result.err and f"{3 * (len(NAMES) + 101)}/" in result.err, f"the end: {result}")
    else:
        lines = result.err.splitlines()
        check_equal(lines[-1], f"{total}/{total}", "the last line")
        done = [int(line.split("/")[0]) for line in lines]
    check_equal(done, sorted(done), "what is done")
    check_equal(done[-1], total, "the end")
    for receiver in receivers:
        ends_well(receiver)


# ---- usage ----------------------------------------------------------------------------------------------------


@each([("twice", ["SRC", "--to", "unix:a", "--to", "unix:a"], "unix:a: this receiver is given twice"),
       ("as DEST too", ["SRC", "--to", "tcp://[::1]:7/x", "tcp://[::1]:7/x/"], "tcp://[::1]:7/x/: this receiver"),
       ("--listen", ["SRC", "--listen", "unix:a", "--to", "unix:b"], "--to and --listen"),
       ("--stdio", ["SRC", "--stdio", "--to", "unix:b"], "--to and --stdio"),
       ("no SRC", ["--to", "unix:a"], "give at least one SRC; see"),
       ("no SRC but DEST", ["unix:b", "--to", "unix:a"], "SRC is missing"),
       ("two directories", ["SRC", "--into", "x", "--to", "tcp://127.0.0.1:1/y"], "twice: in tcp://127.0.0.1:1/y and"),
       ("no address", ["SRC", "--to", "there"], "there: not an address"),
       ("too many", ["SRC", *to(f"unix:{n}" for n in range(65))], "at most 64 receivers"),
       ("too many with DEST", ["SRC", "unix:x", *to(f"unix:{n}" for n in range(64))], "at most 64 receivers")])  # fmt: skip
def what_cannot_be_meant_is_refused(ws, value):
    source = ws.dir("source")
    words = [source if word == "SRC" else word for word in value[1]]
    failed(ws.run(HVSEND, "-a", *words), 1, re.escape(value[2]))


@case
def as_many_as_there_may_be(ws):
    """A receiver takes a dozen sessions of one peer at once."""
    source, dests = ws.dir("source"), make_dests(ws, 8)
    put(source / "file", noise(100 * KIB))
    addresses = [f"tcp://127.0.0.1:{free_port()}" for _ in dests]
    receivers = [ws.receiver(address, dest, once=False) for address, dest in zip(addresses, dests)]
    ends_well(ws.start(HVSEND, "-a", *PATIENT, f"{source}/", *to(f"{a}/{n}" for a in addresses for n in range(8))))
    for receiver, dest in zip(receivers, dests):
        receiver.signal(signal.SIGTERM)
        ends_well(receiver)
        for number in range(8):
            same_tree(source, dest / f"{number}")


lib.main()
