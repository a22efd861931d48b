#!/usr/bin/env python3
"""Scripts and terminals: --json, --progress-fd, -v, --stats, -q, --help and --version."""

import base64
import fcntl
import json
import os
import re
import time

import lib
from lib import HVRECV, HVSEND, KIB, MIB, Pair, case, check, check_equal, each, failed, good, noise, prose, put
from lib import is_listening, same_tree, wait_until

EVIL = b"evil\nhvsend: forged line\x1b[2J\x1b]0;title\x07\r\x9b1m\xc2\x9b1m"
NUMBERS = "code files skipped failed special bytes_written bytes_read bytes_wire".split()
NUMBERS += ["bytes_shared", "chunks_resent", "bytes_resent"]
STEPS = "bytes bytes_total files files_total bytes_per_second".split()
FIELDS = {
    "start": {"role": str, "version": str, "peer": str},
    "file": {"size": int},
    "progress": {**dict.fromkeys(STEPS, int), "total_known": bool},
    "warning": {"message": str},
    "error": {"code": int, "message": str, "retryable": bool},
    "summary": {**dict.fromkeys(NUMBERS, int), "seconds": float, "codecs": dict, "stages": dict},
}  # fmt: skip


def make_source(ws):
    source = ws.dir("source")
    put(source / "plain", b"plain")
    put(source / "large", noise(2 * MIB))
    put(source / "text", prose(2 * MIB))
    put(source / "quote\" and \\ and ünïcode", b"x")
    put(source / "new\nline", b"x")
    put(os.path.join(os.fsencode(source), b"not utf8 \xff"), b"x")
    put(os.path.join(os.fsencode(source), EVIL), b"x")
    (source / "sub").mkdir()
    (source / "link").symlink_to("plain")
    return source


def check_stages(stages):
    """Each stage has threads, which did nothing but wait or work from its start to its end."""
    check(stages, "no stages")
    for name, times in stages.items():
        check_equal(set(times), {"threads", "busy", "starved", "blocked"}, name)
        check(times["threads"] > 0, f"{name} has no thread")
        check(min(times.values()) >= 0, f"{name}: {times}")
    check(sum(times["starved"] for times in stages.values()) > 0, f"nothing has waited for anything: {stages}")


FILES = 7


def is_file(entry):
    return entry.is_file(follow_symlinks=False)


def events_of(result):
    """Every line is an object with a type that is documented, and its fields have theirs."""
    check(result.out.endswith(b"\n"), "the last line is cut")
    events = [json.loads(line.decode("utf-8")) for line in result.out.splitlines()]
    for event in events:
        check(event["type"] in FIELDS, f"unknown type: {event}")
        for field, kind in FIELDS[event["type"]].items():
            check(type(event.get(field)) is kind, f"{field} is not {kind.__name__}: {event}")
    check_equal(events[-1]["type"], "summary", "the last event")
    check_equal([e["type"] for e in events].count("summary"), 1, "summaries")
    check_equal(events[-1]["code"], result.code, "code in the summary")
    check(all(e["code"] == 0 or isinstance(e["code"], int) for e in events if "code" in e), "codes are numbers")
    return events


def path_of(event):
    return base64.b64decode(event["path_b64"]) if "path_b64" in event else event["path"].encode()


@case
def json_names_every_file_once_on_both_ends(ws):
    source, dest = make_source(ws), ws.dir("dest")
    pair = good_json(ws.push(["-a", "--json", f"{source}/"], dest, ["--json"]))
    sizes = {os.fsencode(entry.name): entry.stat().st_size for entry in os.scandir(source) if is_file(entry)}
    for result, role in zip(pair, ("sender", "receiver")):
        events = events_of(result)
        check_equal((events[0]["type"], events[0]["role"]), ("start", role), "the first event")
        files = [event for event in events if event["type"] == "file"]
        check_equal(sorted(map(path_of, files)), sorted(sizes), "files")
        for event in files:
            check_equal(event["size"], sizes[path_of(event)], f"size of {event}")
        summary = events[-1]
        total = sum(sizes.values())
        totals = (summary["files"], summary["bytes_written"], summary["bytes_read"])
        check_equal(totals, (FILES, total, total), "totals")
        check(0 < summary["bytes_wire"] < total + 64 * KIB, "bytes on the wire")
        check_equal(set(summary["codecs"]), {"none", "zlib", "zstd"}, "codecs")
        check_stages(summary["stages"])


def good_json(pair):
    check((pair.sender.code, pair.receiver.code) == (0, 0), f"it failed\n{pair}")
    check(not pair.sender.err and not pair.receiver.err, f"something is on stderr\n{pair}")
    return pair


@case
def json_progress_never_goes_back_and_ends_complete(ws):
    source, dest = make_source(ws), ws.dir("dest")
    pair = ws.push(["-a", "--json", f"{source}/"], dest, ["--json"])
    for result in pair:
        steps = [event for event in events_of(result) if event["type"] == "progress"]
        check([e["bytes"] for e in steps] == sorted(e["bytes"] for e in steps), "bytes go back")
        last = steps[-1]
        check_equal((last["bytes"], last["files"]), (last["bytes_total"], last["files_total"]), "the end")
        check(last["total_known"], "the total is known at the end")
        check_equal(last["files"], FILES, "files")


@case
def json_tells_what_went_wrong_with_its_path_and_code(ws):
    source, dest = make_source(ws), ws.dir("dest")
    os.mkfifo(source / "fifo")
    (dest / "plain").mkdir()
    put(dest / "plain/in", b"in the way")
    pair = ws.push(["-a", "--json", f"{source}/"], dest, ["--json"])
    for result in pair:
        check_equal(result.code, 23, "exit code")
        errors = [event for event in events_of(result) if event["type"] == "error"]
        check_equal([(e["path"], e["code"], e["retryable"]) for e in errors], [("plain", 23, False)], "errors")
        check_equal(events_of(result)[-1]["failed"], 1, "failed")
    warnings = [event for event in events_of(pair.sender) if event["type"] == "warning"]
    check_equal([e["path"] for e in warnings], ["fifo"], "warnings")
    check_equal(events_of(pair.sender)[-1]["special"], 1, "special")


@each(["hvsend", "hvrecv"])
def who_dials_is_told_all_and_who_listens_so_much(ws, dials):
    """hvsend passes over what it was not told to copy."""
    told, count = 1000, 1100
    source, dest, address = ws.dir("source"), ws.dir("dest"), ws.unix()
    for i in range(count):
        (source / str(i)).symlink_to("nothing")
    if dials == "hvsend":
        receiver = ws.receiver(address, dest)
        sender = ws.start(HVSEND, "-r", "--json", f"{source}/", address)
    else:
        sender = ws.listen(address, HVSEND, "-r", "--json", "--once", "--listen", address, f"{source}/")
        receiver = ws.start(HVRECV, "--connect", address, dest)
    result = sender.wait()
    check_equal((result.code, receiver.wait().code), (0, 0), "exit codes")
    warnings = [event.get("path") for event in events_of(result) if event["type"] == "warning"]
    expected = count if dials == "hvsend" else told + 1
    check_equal((len(warnings), warnings[-1] is None), (expected, dials == "hvrecv"), "warnings")
    check_equal(len(result.err.splitlines()), expected, "lines")


@case
def json_tells_failures_before_a_session_too(ws):
    source = make_source(ws)
    for words, code, retryable in (
        ([HVSEND, "--json", "-a", source, f"unix:{ws.path}/no"], 10, True),
        ([HVSEND, "--json", "-a", source / "no", f"unix:{ws.path}/no"], 3, False),
        ([HVRECV, "--json", "--connect", f"unix:{ws.path}/no", source], 10, True),
        ([HVRECV, "--json", "--listen", f"unix:{ws.path}/no", ws.path / "missing"], 11, False),
    ):
        result = ws.run(*words)
        events = [json.loads(line) for line in result.out.splitlines()]
        check_equal([(e["type"], e["code"], e["retryable"]) for e in events], [("error", code, retryable)], f"{words}")
        check_equal(result.code, code, "exit code")


@case
def json_of_sessions_side_by_side_has_whole_lines(ws):
    source, dest = make_source(ws), ws.dir("dest")
    for i in range(300):
        put(source / f"small{i}", b"x")
    address = ws.unix()
    receiver = ws.receiver(address, dest, "--json", once=False)
    senders = [ws.start(HVSEND, "-a", "--into", f"{i}", f"{source}/", address) for i in range(5)]
    for sender in senders:
        check_equal(sender.wait().code, 0, "exit code")
    receiver.signal(lib.signal.SIGTERM)
    events = [json.loads(line) for line in receiver.wait().out.splitlines()]
    check_equal(sum(event["type"] == "file" for event in events), 5 * (FILES + 300), "files")
    check_equal([event["code"] for event in events if event["type"] == "summary"], [0] * 5, "summaries")


# ---- progress -----------------------------------------------------------------------------------------------


@each(["hvsend", "hvrecv"])
def progress_fd_has_lines_that_grow_to_the_total(ws, program):
    source, dest = make_source(ws), ws.dir("dest")
    read_end, write_end = os.pipe()
    how = {"pass_fds": [write_end]}
    option = ["--progress-fd", str(write_end)]
    address = ws.unix()
    options = {program: (option, how)}
    recv_options, recv_how = options.get("hvrecv", ([], {}))
    send_options, send_how = options.get("hvsend", ([], {}))
    receiver = ws.receiver(address, dest, *recv_options, **recv_how)
    sender = ws.run(HVSEND, "-a", *send_options, f"{source}/", address, **send_how)
    good(Pair(sender, receiver.wait()))
    os.close(write_end)
    with open(read_end, "rb") as f:
        lines = f.read().decode().splitlines()
    check(all(re.fullmatch(r"\d+/\d+", line) for line in lines), f"not all lines are done/total: {lines}")
    done = [int(line.split("/")[0]) for line in lines]
    check(done == sorted(done), f"done goes back: {lines}")
    total = sum(entry.stat().st_size for entry in os.scandir(source) if is_file(entry))
    check_equal(lines[-1], f"{total}/{total}", "the last line")


@case
def a_progress_fd_that_is_closed_does_not_stop_the_transfer(ws):
    source, dest = make_source(ws), ws.dir("dest")
    read_end, write_end = os.pipe()
    os.close(read_end)
    address = ws.unix()
    receiver = ws.receiver(address, dest)
    sender = ws.run(HVSEND, "-a", "--progress-fd", str(write_end), f"{source}/", address, pass_fds=[write_end])
    os.close(write_end)
    check_equal((sender.code, receiver.wait().code), (0, 0), "exit codes")
    same_tree(source, dest)


@each(["hvsend", "hvrecv"])
def a_progress_fd_that_is_not_open_is_refused(ws, program):
    """A stream or a file that is being written could get its number, and the lines."""
    there, nobody = ws.dir("directory"), ws.unix()
    words = [HVSEND, there, nobody] if program == "hvsend" else [HVRECV, "--connect", nobody, there]
    for number in (3, 7, 13, 1 << 20):
        result = ws.run(*words, "--retry", "0", "--progress-fd", str(number))
        failed(result, 1, f"--progress-fd: descriptor {number} is not open")


@each(["hvsend", "hvrecv"])
def stdout_has_events_or_progress_and_not_both(ws, program):
    there, nobody = ws.dir("directory"), ws.unix()
    words = [HVSEND, there, nobody] if program == "hvsend" else [HVRECV, "--connect", nobody, there]
    result = ws.run(*words, "--retry", "0", "--progress-fd", "1", "--json")
    failed(result, 1, "--json and --progress-fd 1")


@each([[0, 1, 2], [0, 1], [0, 2], [1, 2]])
def what_is_said_without_standard_streams_gets_into_nothing_else(ws, closed):
    source, dest, address = make_source(ws), ws.dir("dest"), ws.unix()
    without = ["/bin/sh", "-c", f'exec "$@" {" ".join(f"{number}>&-" for number in closed)}', "sh"]
    receiver = ws.start(*without, HVRECV, "-vv", "--once", "--listen", address, dest)
    wait_until(lambda: receiver.ended() or is_listening(address), "it listens")
    sender = ws.run(*without, HVSEND, "-avv", f"{source}/", address)
    check_equal((sender.code, receiver.wait().code), (0, 0), "exit codes")
    same_tree(source, dest)


@each(["-P", "--progress", "--info=progress2"])
def progress_for_people_is_on_stderr(ws, option):
    source, dest = make_source(ws), ws.dir("dest")
    pair = ws.push(["-a", option, f"{source}/"], dest, [option])
    for result in pair:
        check_equal((result.code, result.out), (0, b""), "code and stdout")
        check("100%" in result.err and f"{FILES}/{FILES} files" in result.err, f"the last line: {result.err!r}")


# ---- names --------------------------------------------------------------------------------------------------


def check_no_forgery(text, known):
    """Every line is one that the program began, and nothing reaches the terminal raw."""
    for line in text.splitlines():
        check(re.match(known, line), f"a line of another kind: {line!r}")
    check(not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]|\\x9b", text), f"control characters: {text!r}")


@case
def names_cannot_forge_lines_or_reach_the_terminal(ws):
    source, dest = make_source(ws), ws.dir("dest")
    pair = ws.push(["-avv", f"{source}/"], dest, ["-vv"])
    for result, program in zip(pair, ("hvsend", "hvrecv")):
        check_equal((result.code, result.out), (0, b""), "code and stdout")
        check_no_forgery(result.err, f"{program}: ")
        check("\n" + f"{program}: forged" not in result.err, "a forged line")
        check(r"evil\012hvsend: forged line\033[2J" in result.err, f"the name is shown escaped: {result.err}")
        check(f"{program}: plain\n" in result.err, "a plain name stands alone in its line")


@case
def names_in_errors_and_warnings_are_escaped_too(ws):
    source, dest = ws.dir("source"), ws.dir("dest")
    name = os.fsdecode(EVIL)
    os.mkfifo(source / name)
    (source / f"{name}2").mkdir()
    put(source / f"{name}3", b"x")
    (dest / f"{name}3").mkdir()
    put(dest / f"{name}3/in", b"in the way")
    put(dest / f"{name}2", b"in the way")
    pair = ws.push(["-a", f"{source}/"], dest)
    for result, program in zip(pair, ("hvsend", "hvrecv")):
        check_equal(result.code, 23, "exit code")
        check_no_forgery(result.err, f"{program}: ")
    nowhere = f"unix:{ws.path}/{name}"
    for words in (["-a", source / f"{name}4", "unix:/x"], ["-a", source, nowhere], ["-a", source, name], [f"--{name}"]):
        result = ws.run(HVSEND, *words)
        check(result.code in (1, 3, 10), str(result))
        check_no_forgery(result.err, "hvsend: ")


@case
def json_escapes_what_a_terminal_would_obey(ws):
    source, dest = make_source(ws), ws.dir("dest")
    pair = ws.push(["-a", "--json", f"{source}/"], dest, ["--json"])
    for result in pair:
        check(not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", result.out), "control characters in JSON")


# ---- quiet, stats, help -------------------------------------------------------------------------------------


@each([("plain", []), ("-q", ["-q"]), ("one thread", ["--serial"])])
def a_good_run_prints_nothing(ws, value):
    source, dest = make_source(ws), ws.dir("dest")
    good(ws.push(["-a", *value[1], f"{source}/"], dest, value[1]))
    good(ws.push(["-a", *value[1], f"{source}/"], dest, value[1]))


@case
def v_names_what_is_sent_and_nothing_that_is_not(ws):
    source, dest = make_source(ws), ws.dir("dest")
    first = ws.push(["-av", f"{source}/"], dest, ["-v"])
    for name in ("plain", "large", "link", "sub"):
        for result, program in zip(first, ("hvsend", "hvrecv")):
            check(f"{program}: {name}\n" in result.err, f"{name} is missing: {result.err}")
    second = ws.push(["-av", f"{source}/"], dest)
    check("plain" not in second.sender.err, f"plain was not sent again: {second.sender.err}")


@case
def stats_name_the_stages_and_what_they_waited_for(ws):
    source, dest = make_source(ws), ws.dir("dest")
    pair = ws.push(["-a", "--stats", f"{source}/"], dest, ["--stats"])
    numbers = r" +\d+ threads?: +busy +\d+ %, starved +\d+ %, blocked +\d+ %"
    for result, stages in ((pair.sender, ("scan", "read", "send", "ack")), (pair.receiver, ("ingest", "sink", "reply"))):
        for stage in stages:
            failed(result, 0, f"stage {stage}{numbers}")
        failed(result, 0, "busiest stage here: ")


@case
def stats_add_up_on_both_ends(ws):
    source, dest = make_source(ws), ws.dir("dest")
    pair = ws.push(["-a", "--stats", f"{source}/"], dest, ["--stats"])
    for result in pair:
        failed(result, 0, f"files: {FILES} transferred, 0 unchanged, 0 failed, 0 special skipped; ")
        failed(result, 0, "; directories and links: 3\n")
        check_equal(result.out, b"", "stdout")


@each(["hvsend", "hvrecv"])
def help_and_version_are_on_stdout(ws, program):
    path = HVSEND if program == "hvsend" else HVRECV
    version = rf"^{program} \d+\.\d+\.\d+ \(protocol 1; codecs: none zlib"
    for option, pattern in (("--help", rf"^{program} \w+"), ("--version", version)):
        for words in ([option], ["-a", "x", option, "--timeout", "5"]):
            result = ws.run(path, *words)
            check_equal((result.code, result.err), (0, ""), f"{words}")
            check(re.search(pattern, result.out.decode()), f"{option}: {result.out!r}")
    lines = ws.run(path, "--help").out.decode().splitlines()
    check(max(map(len, lines)) <= 110, "a line of the help is too long")


@case
def output_that_cannot_be_written_does_not_lose_files(ws):
    """stdout is a full device, stderr a closed pipe."""
    source, dest = make_source(ws), ws.dir("dest")
    address = ws.unix()
    receiver = ws.receiver(address, dest)
    with open("/dev/full", "wb") as full:
        sender = ws.run(HVSEND, "-a", "--json", f"{source}/", address, stdout=full)
    check_equal(receiver.wait().code, 0, "the receiver's exit code")
    check_equal(sender.code, 11, str(sender))
    check("stdout: cannot write the events of --json: No space left on device" in sender.err, str(sender))
    same_tree(source, dest)


@case
def a_reader_of_events_that_leaves_does_not_lose_files(ws):
    source, dest = make_source(ws), ws.dir("dest")
    address = ws.unix()
    out, into = os.pipe()
    os.close(out)
    receiver = ws.start(HVRECV, "--listen", address, "--once", "--json", dest, stdout=into)
    os.close(into)
    wait_until(lambda: is_listening(address), "it listens")
    sender = ws.run(HVSEND, "-a", f"{source}/", address)
    check_equal(sender.code, 0, str(sender))
    receiver = receiver.wait()
    check_equal(receiver.code, 11, str(receiver))
    check("stdout: cannot write the events of --json: Broken pipe" in receiver.err, str(receiver))
    same_tree(source, dest)


def full_pipe():
    """A pipe that is full and, as an event loop gives it, does not block."""
    out, into = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, 4096)
    check_equal(os.write(into, b"\n" * 4096), 4096, "what fills the pipe")
    os.set_blocking(out, True)
    return out, into


def read_slowly(out):
    """All that comes after what has filled the pipe."""
    found = b""
    time.sleep(0.5)
    while some := os.read(out, 500):
        found += some
        time.sleep(0.002)
    os.close(out)
    return found[4096:]


@each(["hvsend", "hvrecv"])
def a_slow_reader_of_events_gets_all_of_them_without_blocking(ws, program):
    source, dest, address = make_source(ws), ws.dir("dest"), ws.unix()
    for i in range(300):
        put(source / f"small{i}", b"x")
    out, into = full_pipe()
    how = {program: {"stdout": into}}
    receiver = ws.receiver(address, dest, "--json", **how.get("hvrecv", {}))
    sender = ws.start(HVSEND, "-a", "--json", f"{source}/", address, **how.get("hvsend", {}))
    os.close(into)
    text = read_slowly(out)
    pair = good_json(Pair(sender.wait(), receiver.wait()))
    events = events_of((pair.sender if program == "hvsend" else pair.receiver)._replace(out=text))
    check_equal(sum(event["type"] == "file" for event in events), FILES + 300, "files")


@each(["hvsend", "hvrecv"])
def a_slow_reader_of_progress_gets_the_end_without_blocking(ws, program):
    source, dest, address = make_source(ws), ws.dir("dest"), ws.unix()
    out, into = full_pipe()
    how = {program: (["--progress-fd", str(into)], {"pass_fds": [into]})}
    recv_options, recv_how = how.get("hvrecv", ([], {}))
    send_options, send_how = how.get("hvsend", ([], {}))
    receiver = ws.receiver(address, dest, *recv_options, **recv_how)
    sender = ws.start(HVSEND, "-a", *send_options, f"{source}/", address, **send_how)
    os.close(into)
    text = read_slowly(out)
    good(Pair(sender.wait(), receiver.wait()))
    total = sum(entry.stat().st_size for entry in os.scandir(source) if is_file(entry))
    check_equal(text.splitlines()[-1:], [f"{total}/{total}".encode()], "the last line")


@case
def who_waits_for_a_reader_of_events_ends_at_the_second_signal(ws):
    source, dest, address = make_source(ws), ws.dir("dest"), ws.unix()
    out, into = full_pipe()
    ws.receiver(address, dest)
    sender = ws.start(HVSEND, "-a", "--json", f"{source}/", address, stdout=into)
    time.sleep(1)
    check(not sender.ended(), "it waits")
    for _ in range(2):
        sender.signal(lib.signal.SIGTERM)
        time.sleep(0.2)
    check_equal(sender.wait().code, 20, "exit code")
    os.close(out)
    os.close(into)


lib.main()
