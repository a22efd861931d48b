#!/usr/bin/env python3
"""A stream that is cut, at whatever byte and however often, costs time and at most a window of data: the end that
dialled comes back, and both exit 0 with equal trees. HVFERRY_TEST_SEED repeats a run."""

import json
import os
import random
import shutil
import sys
import time

import lib
from cutter import Cutter
from lib import HVRECV, HVSEND, KIB, MIB, SMALL, case, check, check_equal, each, failed, noise, prose, put, same_tree

SEED = int(os.environ.get("HVFERRY_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
WINDOW = 9 * MIB  # data that a receiver holds at most, and what goes with it
# Silence is not what these tests are about, however slow the machine.
SOON = ["--retry-delay", "0.02", "--timeout", "100", "--contimeout", "100", "--grace", "100"]


def cut_session(ws, source, dest, cuts, pull=False, send=(), recv=()):
    """The Pair of one session through a Cutter, and how many streams it took."""
    address, middle = ws.unix(), ws.unix()
    send = ["-a", *SOON, *send]
    listen = [HVSEND, "--once", "--json", "--listen", address, *send, f"{source}/"]
    if not pull:
        listen = [HVRECV, "--once", "--json", "--listen", address, *SOON, *recv, dest]
    listener = ws.listen(address, *listen)
    cutter = Cutter(middle.removeprefix("unix:"), address.removeprefix("unix:"), cuts)
    if pull:
        dialler = ws.run(HVRECV, "--json", "--connect", middle, *SOON, *recv, dest)
    else:
        dialler = ws.run(HVSEND, "--json", *send, f"{source}/", middle)
    pair = lib.Pair(listener.wait(), dialler) if pull else lib.Pair(dialler, listener.wait())
    cutter.close()
    return pair, cutter.accepted


def summary_of(result):
    return [e for e in map(json.loads, result.out.splitlines()) if e["type"] == "summary"][-1]


def went_well(pair, what):
    check((pair.sender.code, pair.receiver.code) == (0, 0), f"{what}: it failed\n{pair}")


def make_tree(ws, name="source"):
    source = ws.dir(name)
    for i in range(300):
        directory = source / f"d{i % 7}"
        directory.mkdir(exist_ok=True)
        put(directory / f"{i}", prose(i * 37 % 9000, f"{i}"))
    put(source / "large", noise((2 if SMALL else 6) * MIB, "large"))
    put(source / "d1/medium", noise(700 * KIB, "medium"))
    os.symlink("large", source / "link")
    return source


@each([f"{direction}, {where}" for direction in ("push", "pull") for where in ("early", "anywhere")])
def a_stream_is_cut_anywhere(ws, value):
    """Each run with one cut: at each of the first bytes by turns, or at any."""
    direction, where = value.split(", ")
    source = make_tree(ws)
    rng = random.Random(f"{SEED}{value}")
    for run in range(4 if SMALL else 24):
        dest = ws.dir(f"dest{run}")
        cut = rng.randrange(1, 3 * KIB) if where == "early" else rng.randrange(1, 7 * MIB)
        pair, _ = cut_session(ws, source, dest, [cut], direction == "pull", ["--chunk-size", "64K"])
        went_well(pair, f"seed {SEED}, run {run}: cut after {cut} bytes")
        same_tree(source, dest)
        shutil.rmtree(dest)


@each(["push", "pull"])
def a_stream_is_cut_many_times(ws, direction):
    """No more than a window is sent again for each cut."""
    source, dest = ws.dir("source"), ws.dir("dest")
    size = (16 if SMALL else 64) * MIB
    put(source / "image", noise(size, "image"))
    rng = random.Random(f"{SEED}{direction}")
    cuts = [rng.randrange(size // 20, size // 8) for _ in range(10)]
    pair, streams = cut_session(ws, source, dest, cuts, direction == "pull", ["--zc", "none"])
    went_well(pair, f"seed {SEED}")
    same_tree(source, dest)
    summary = summary_of(pair.sender)
    check(streams > 2, f"it was cut {streams - 1} times only")
    check_equal(summary["retries"], streams - 1, "the breaks that the sender counts")
    check(summary["bytes_resent"] <= (streams - 1) * WINDOW, f"more than a window for each cut: {summary}")
    # Nothing is read twice but what was lost.
    check_equal(summary["bytes_read"], size, "the bytes that were read for the first time")


@each([f"{direction}, {what}" for direction in ("push", "pull") for what in ("all of it", "what differs", "compared")])
def a_stream_that_carries_next_to_nothing_is_enough(ws, value):
    """Far more breaks than are allowed without progress: each stream ends after little more than the longest message."""
    direction, what = value.split(", ")
    source, dest = ws.dir("source"), ws.dir("dest")
    cut, retry, words = 96 * KIB, "2", ["--zc", "none", "--chunk-size", "64K"]
    if what == "all of it":
        put(source / "image", noise(5 * MIB, "image"))
    elif what == "what differs":
        put(source / "image", b"".join(noise(MIB // 2, f"{i}") for i in range(16)), mtime_ns=10**18)
        old = b"".join(noise(MIB // 2, f"{i}" if i % 2 else f"old {i}") for i in range(16))
        put(dest / "image", old, mtime_ns=2 * 10**18)
        words += ["--delta=on"]
    else:
        cut = 72 * KIB  # both ends have much to say at a time: what they say again may use a stream up
        retry = "4"
        for i in range(5000):
            put(source / f"{i}", noise(100, i), mtime_ns=10**18)
            put(dest / f"{i}", noise(100, i), mtime_ns=2 * 10**18)
        words += ["-c"]
    words += ["--retry", retry]
    pair, streams = cut_session(ws, source, dest, [cut] * 2000, direction == "pull", words, ["--retry", retry])
    went_well(pair, what)
    same_tree(source, dest)
    check(streams > 6, f"it took {streams} streams only")


@case
def a_listener_that_was_started_anew_is_sent_what_it_lacks(ws):
    """It has forgotten the session: a new one begins, and what is there already is not sent again."""
    source, dest = make_tree(ws), ws.dir("dest")
    address, middle = ws.unix(), ws.unix()
    path = address.removeprefix("unix:")
    first = ws.receiver(address, dest, *SOON)
    cutter = Cutter(middle.removeprefix("unix:"), path, [(1 if SMALL else 4) * MIB])
    sender = ws.start(HVSEND, "-a", *SOON, "--retry", "forever", "--json", f"{source}/", middle)
    lib.wait_until(lambda: cutter.accepted > 1 or sender.ended(), "the stream was cut")
    first.kill()
    if os.path.exists(path):
        os.unlink(path)
    second = ws.receiver(address, dest, *SOON)
    result = sender.wait()
    cutter.close()
    check_equal((result.code, second.wait().code), (0, 0), f"the exit codes; {result}")
    for name in os.listdir(dest):  # what the killed one could not take away
        if name.startswith(".hvferry."):
            os.unlink(dest / name)
    os.utime(dest, ns=(0, os.stat(source).st_mtime_ns))
    same_tree(source, dest)


@case
def a_listener_that_goes_away_once_more_is_waited_for_for_ever(ws):
    """It was started anew, and gone before the new session began: --timeout ends no tries to come back then either."""
    source, dest = make_tree(ws), ws.dir("dest")
    address, middle = ws.unix(), ws.unix()
    path, middle_path = (name.removeprefix("unix:") for name in (address, middle))
    words = ["-av", "--retry", "forever", "--retry-delay", "0.02", "--timeout", "2", "--contimeout", "1"]
    first = ws.receiver(address, dest, "--timeout", "100")
    cutter = Cutter(middle_path, path, [None, None] + [1] * 1000)  # the session, who asks for it, and who begins a new one
    sender = ws.start(HVSEND, *words, "--zc", "none", "--bwlimit", "2M", f"{source}/", middle)
    lib.wait_until(lambda: sum(cutter.carried) > 300 * KIB or sender.ended(), "the transfer is on its way")
    first.kill()
    if os.path.exists(path):
        os.unlink(path)
    second = ws.receiver(address, dest, "--timeout", "100", once=False)
    lib.wait_until(lambda: "beginning a new session" in sender.err() or sender.ended(), "the session is not known")
    cutter.close()
    os.unlink(middle_path)
    second.kill()
    time.sleep(4)
    check(not sender.ended(), f"it gave up: {sender.err()}")
    third = ws.receiver(middle, dest, "--timeout", "100")
    check_equal((sender.wait().code, third.wait().code), (0, 0), "the exit codes")
    same_tree(source, dest)


@case
def a_sender_that_is_gone_is_waited_for_only_so_long(ws):
    source, dest = make_tree(ws), ws.dir("dest")
    address, middle = ws.unix(), ws.unix()
    receiver = ws.receiver(address, dest, "--grace", "1")
    cutter = Cutter(middle.removeprefix("unix:"), address.removeprefix("unix:"), [1 * MIB] + [1] * 100)
    sender = ws.start(HVSEND, "-a", "--retry", "forever", "--retry-delay", "600", "--zc", "none", f"{source}/", middle)
    result = receiver.wait()
    failed(result, 12, "did not come back within 1 s")
    check_equal([name for name in os.listdir(dest) if name.startswith(".")], [], "unfinished files")
    sender.kill()
    cutter.close()


@case
def a_command_that_went_with_its_stream_is_started_again(ws):
    """exec: the other end is gone, and what it had committed is not sent again."""
    source, dest = make_tree(ws), ws.dir("dest")
    script, first = ws.path / "far", ws.path / "first"
    put(script, f"""if mkdir {first}
                    then mkfifo {first}/pipe
                         {HVRECV} --stdio {dest} < {first}/pipe &
                         exec 3> {first}/pipe  # or the receiver may see an end, and say so, before it is killed
                         dd bs=64k count=20 2>/dev/null >&3
                         kill -9 $!
                    else {HVRECV} --stdio {dest}; fi""".encode())
    words = [HVSEND, "-a", "--zc", "none", f"{source}/", f"exec:sh {script}"]
    failed(ws.run(*words), (10, 12), "broke|closed|failed|reset|Broken pipe")
    shutil.rmtree(first)
    result = ws.run(*words, "--retry", "2", "--retry-delay", "0.02")
    check_equal(result.code, 0, str(result))
    same_tree(source, dest)


def short_lived(ws, dest, count, until):
    """exec: of a receiver that is killed when it has had so many bytes, and then `until` holds. And who counts how often."""
    script, runs, pipe, pump = ws.path / "far", ws.path / "runs", ws.path / "pipe", ws.path / "pump"
    os.mkfifo(pipe)
    put(pump, f"""import os
left = {count}
while left > 0 and (data := os.read(0, min(left, 16384))):
    left -= os.write(3, data)""".encode())  # dd would count reads, however short
    put(script, f"""echo >> {runs}
                    here=$(ls {dest} | wc -l)
                    test $here -lt 8 || exec {HVRECV} --stdio {dest}
                    {HVRECV} --stdio {dest} < {pipe} &
                    exec 3> {pipe}
                    {sys.executable} {pump}
                    until {until}; do kill -0 $! || break; sleep 0.01; done
                    kill -9 $!""".encode())
    return f"exec:sh {script}", lambda: len(runs.read_bytes())


def nine_files_one_by_one(ws):
    """The source, the destination, a command that commits one file and dies, who counts how often it ran, and the options."""
    source, dest = ws.dir("source"), ws.dir("dest")
    for i in range(9):
        put(source / f"{i}", noise(256 * KIB, f"{i}"), mtime_ns=10**18)
    command, runs = short_lived(ws, dest, 400 * KIB, f"test $(ls {dest} | wc -l) -gt $here")
    words = ["-r", "-t", "--chunk-size", "64K", "--retry", "2", "--retry-delay", "0.02"]
    return source, dest, command, runs, words


@case
def a_command_that_comes_further_each_time_is_started_as_often_as_it_takes(ws):
    """Each commits one file and dies: --retry bounds only those in a row that do not."""
    source, dest, command, runs, words = nine_files_one_by_one(ws)
    result = ws.run(HVSEND, *words, f"{source}/", command)
    check_equal(result.code, 0, str(result))
    check(runs() > 5, f"it was started {runs()} times only")
    check_equal({name: (dest / name).read_bytes() for name in os.listdir(source)},
                {name: (source / name).read_bytes() for name in os.listdir(source)}, "what came")  # fmt: skip


@case
def what_lost_sessions_did_is_in_the_summary_and_progress_never_goes_back(ws):
    source, dest, command, runs, words = nine_files_one_by_one(ws)
    with open(ws.path / "progress", "w+b") as progress:
        fd = progress.fileno()
        result = ws.run(HVSEND, *words, "--json", "--progress-fd", str(fd), f"{source}/", command, pass_fds=[fd])
        progress.seek(0)
        done = [int(line.split(b"/")[0]) for line in progress]
    check_equal(result.code, 0, str(result))
    events = [json.loads(line) for line in result.out.splitlines()]
    told, summary = sum(e["type"] == "file" for e in events), events[-1]
    check_equal((summary["type"], summary["files"]), ("summary", told), "the files that were told of one by one")
    check_equal(summary["files"] + summary["skipped"], 9, f"all files; {summary}")
    check_equal(summary["retries"], sum(e["type"] == "start" for e in events) - 1, f"the new sessions; {runs()} runs")
    check_equal(done, sorted(done), "progress")
    check_equal(done[-1], 9 * 256 * KIB, "progress in the end")


@case
def a_command_that_comes_no_further_is_started_only_so_often(ws):
    """A session each time, that asks for a file and does not live to have it."""
    source, dest = ws.dir("source"), ws.dir("dest")
    put(source / "file", noise(256 * KIB))
    command, runs = short_lived(ws, dest, 100 * KIB, "true")
    words = ["-r", "-t", "--chunk-size", "64K", "--retry", "3", "--retry-delay", "0.02", "--json"]
    result = ws.run(HVSEND, *words, f"{source}/", command)
    failed(result, (10, 12), "broke|closed|failed|reset|Broken pipe")
    codes = [(e["type"], e["code"]) for e in map(json.loads, result.out.splitlines()) if "code" in e]
    check_equal(codes, [("error", result.code), ("summary", result.code)], "how the events end")
    check(4 <= runs() <= 8, f"it was started {runs()} times")  # more than 4: one heard more of the first messages


@case
def a_new_session_takes_the_place_of_a_broken_one(ws):
    """With --once, and a sender that was killed and started again."""
    source, dest = make_tree(ws), ws.dir("dest")
    address, middle = ws.unix(), ws.unix()
    receiver = ws.receiver(address, dest, "--grace", "100", "-v")
    cutter = Cutter(middle.removeprefix("unix:"), address.removeprefix("unix:"), [1 * MIB] + [1] * 100)  # nor can it come back
    sender = ws.start(HVSEND, "-a", "--retry-delay", "600", "--retry", "forever", "--zc", "none", f"{source}/", middle)
    lib.wait_until(lambda: "with another stream" in receiver.err() or receiver.ended(), "the receiver saw the break")
    sender.kill()
    check_equal(ws.run(HVSEND, "-a", f"{source}/", address).code, 0, "the exit code of the second sender")
    check_equal(receiver.wait().code, 0, "that of the receiver")
    cutter.close()
    same_tree(source, dest)


if __name__ == "__main__":
    lib.main()
