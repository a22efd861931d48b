#!/usr/bin/env python3
"""Each failure before a session has its exit code and a message, and changes nothing."""

import os
import re
import socket

import lib
from lib import HVRECV, HVSEND, case, check, check_equal, each, failed, good, put

BOTH = [HVSEND, HVRECV]
LATER = """
    -D -H -A -X -S -u -n -i -0 --hard-links --acls --xattrs --sparse --update --dry-run --itemize-changes --delete
    --max-delete=5 --exclude=*.o --include=x --exclude-from=f --include-from=f --files-from=f --from0 --chmod=u+w
    --chown=a:b --numeric-ids --log-file=f --streams=4 --force
""".split()


def source_and_dest(ws):
    source, dest = ws.dir("source"), ws.dir("dest")
    put(source / "file", b"data")
    return source, dest


def unchanged(dest):
    check_equal(os.listdir(dest), [], "what is at the destination")


@each(["--no-such-option", "-Z", "-aZ", "--no-such=value"])
def an_option_that_is_not_known_is_a_usage_error(ws, option):
    for program in BOTH:
        failed(ws.run(program, option, "a", "unix:/b"), 1, r"option .* is not known; see --help")


@case
def an_option_of_rsync_or_ours_that_comes_later_says_so(ws):
    for program in BOTH:
        known = re.findall(r"(?m)^  (-\w)?,? *(--[\w-]+)?", ws.run(program, "--help").out.decode())
        known = {word for words in known for word in words}
        for option in LATER:
            if option.partition("=")[0] in known:
                continue
            failed(ws.run(program, option, "a", "unix:/b"), 1, r"option .* is not supported yet")


@each(
    [
        ("chunk size too small", ["--chunk-size", "4K"], "--chunk-size: '4K'"),
        ("chunk size too large", ["--chunk-size", "17M"], "--chunk-size: '17M'"),
        ("chunk size is no size", ["--chunk-size", "1e5"], "'1e5' is not a size"),
        ("timeout is no number", ["--timeout", "x"], "'x' is not a number"),
        ("timeout is negative", ["--timeout", "-1"], "'-1' is not a number"),
        ("durable is no word", ["--durable", "yes"], "--durable: 'yes'"),
        ("info is not known", ["--info", "all"], "--info: only progress2"),
        ("retry is no number", ["--retry", "often"], "--retry: 'often' is neither"),
        ("retry delay is no time", ["--retry-delay", "1m"], "--retry-delay: '1m' is no number of seconds"),
        ("argument is missing", ["--timeout"], "needs an argument"),
    ]
)
def an_option_with_a_wrong_value_is_a_usage_error(ws, value):
    _, words, pattern = value
    for program in BOTH:
        failed(ws.run(program, *words), 1, pattern)


@case
def a_codec_that_does_not_exist_is_a_usage_error(ws):
    failed(ws.run(HVSEND, "--zc", "lzma", "a", "unix:/b"), 1, "'lzma' is not a codec of this build")


@each(
    [
        ("hvsend with nothing", [HVSEND], "SRC"),
        ("hvsend without DEST", [HVSEND, "file"], "DEST .* is missing"),
        ("hvsend without SRC", [HVSEND, "unix:/x.sock"], "SRC is missing"),
        ("hvsend listens without SRC", [HVSEND, "--listen", "unix:/x.sock"], "SRC"),
        ("hvsend listens and has stdio", [HVSEND, "--listen", "unix:/x.sock", "--stdio", "f"], "exclude each other"),
        ("hvsend once without listen", [HVSEND, "--once", "f", "unix:/x.sock"], "--once goes with --listen"),
        ("hvsend json on the stream", [HVSEND, "--json", "--stdio", "f"], "stdout is the stream"),
        ("hvsend into and listen", [HVSEND, "--into", "x", "--listen", "unix:/x.sock", "f"], "--into goes with a DEST"),
        ("hvsend into twice", [HVSEND, "--into", "x", "f", "tcp://localhost:1/y"], "given twice"),
        ("hvsend into upwards", [HVSEND, "--into", "../x", "f", "unix:/x.sock"], "--into"),
        ("hvsend into the root", [HVSEND, "--into", "/x", "f", "unix:/x.sock"], "--into"),
        ("hvrecv with nothing", [HVRECV], "exactly one of"),
        ("hvrecv with only DIR", [HVRECV, "/tmp"], "exactly one of"),
        ("hvrecv without DIR", [HVRECV, "--listen", "unix:/x.sock"], "directory to receive into is missing"),
        ("hvrecv with two DIRs", [HVRECV, "--listen", "unix:/x.sock", "a", "b"], "one directory"),
        ("hvrecv twice", [HVRECV, "--listen", "unix:/x", "--connect", "unix:/y", "a"], "exactly one of"),
        ("hvrecv pulls an absolute name", [HVRECV, "--connect", "unix:/x", "/etc", "."], "without a leading '/'"),
        ("hvrecv pulls upwards", [HVRECV, "--connect", "unix:/x", "a/../../b", "."], "as the sender offers it"),
    ]
)
def a_command_that_makes_no_sense_is_a_usage_error(ws, value):
    _, words, pattern = value
    failed(ws.run(*words, cwd=ws.path), 1, pattern)


BAD_ADDRESSES = [
    ("nowhere", "not an address"),
    ("host:/path", "not an address"),
    ("ftp://x:1", "not an address"),
    ("unix:", "path of the socket is missing"),
    ("unix:/" + "x" * 200, "has 201 bytes"),
    ("unix:/dir/", "ends in '/'"),
    ("tcp://127.0.0.1", "':PORT' is missing"),
    ("tcp://127.0.0.1:0", "not a number from 1 to 65535"),
    ("tcp://127.0.0.1:65536", "not a number from 1 to 65535"),
    ("tcp://127.0.0.1:x", "not a number"),
    ("tcp:127.0.0.1:1", "'//' is missing"),
    ("tcp://192.0.2.1:1", "not a loopback address.*--allow-remote"),
    ("tcp://example.invalid:1", "neither a numeric address nor localhost"),
    ("tcp://127.0.0.1:1/../up", "sub-directory is not allowed"),
    ("vsock://x:1", "vsock://x:1: "),
    ("vsock://3:", "port is missing"),
    ("vsock-mux:/x.sock", "':PORT' is missing"),
    ("exec:", "command is missing"),
    ("exec:  ", "command is missing"),
]


@each(BAD_ADDRESSES)
def a_malformed_address_is_a_usage_error(ws, value):
    address, pattern = value
    source, dest = source_and_dest(ws)
    failed(ws.run(HVSEND, "-a", f"{source}/", address), 1, pattern)
    if "/../" not in address:
        failed(ws.run(HVRECV, "--connect", address, dest), 1, pattern)


@case
def what_cannot_listen_is_a_usage_error(ws):
    source, dest = source_and_dest(ws)
    for program, what in ((HVSEND, source), (HVRECV, dest)):
        failed(ws.run(program, "--listen", "exec:cat", what), 1, "cannot be listened on")
        failed(ws.run(program, "--listen", "tcp://127.0.0.1:9/sub", what), 1, "has no sub-directory")
        failed(ws.run(program, "--listen", "tcp://192.0.2.1:9", what), 1, "--allow-remote")


@case
def windows_addresses_say_where_they_work(ws):
    source, _ = source_and_dest(ws)
    failed(ws.run(HVSEND, "-a", f"{source}/", "hyperv://children:2761"), 1, "hyperv")
    failed(ws.run(HVSEND, "-a", f"{source}/", "hyperv://loopback:2761"), 4, "hyperv")


@case
def a_source_that_is_missing_is_named(ws):
    source, dest = source_and_dest(ws)
    for missing in (source / "no", source / "no/", "no\nsuch"):
        result = ws.run(HVSEND, "-a", source, f"{missing}", ws.unix(), cwd=ws.path)
        failed(result, 3, r"no.*: cannot read: No such file or directory")
        check_equal(len(result.err.splitlines()), 1, "lines of the message")
    failed(ws.run(HVSEND, "-a", f"{source}/file/", ws.unix()), 3, "Not a directory")
    failed(ws.run(HVSEND, "-a", "--once", "--listen", ws.unix(), source / "no"), 3, "No such file or directory")
    unchanged(dest)


# ---- the destination --------------------------------------------------------------------------------------


@case
def a_directory_that_is_missing_is_named(ws):
    address = ws.unix()
    for how in (["--listen", address], ["--connect", address], ["--stdio"]):
        failed(ws.run(HVRECV, *how, ws.path / "no"), 11, r"/no: .*--mkpath creates it.*No such file")
    check(not os.path.exists(address.removeprefix("unix:")), "it listened all the same")
    check(not (ws.path / "no").exists(), "it made the directory unasked")


@case
def mkpath_makes_the_directory(ws):
    source, _ = source_and_dest(ws)
    dest = ws.path / "one/two/three"
    good(ws.push(["-a", f"{source}/"], dest, ["--mkpath"]))
    lib.same_tree(source, dest)


@case
def a_file_in_the_place_of_the_directory_is_an_error(ws):
    source, _ = source_and_dest(ws)
    for options in ([], ["--mkpath"]):
        failed(ws.run(HVRECV, *options, "--listen", ws.unix(), source / "file"), 11, "file: .*Not a directory|exists")
    check_equal((source / "file").read_bytes(), b"data", "the file")


# ---- reaching the other end -------------------------------------------------------------------------------


@case
def more_names_than_a_request_takes_are_a_usage_error(ws):
    """1024 of them are pulled; with one more nothing begins, and it is said what to do."""
    source, dest, address = ws.dir("source"), ws.dir("dest"), ws.unix()
    names = [f"{i}" for i in range(1025)]
    for name in names:
        put(source / name)
    result = ws.run(HVRECV, "--connect", address, *names, dest)
    failed(result, 1, "more than 1024 names; name the directories")
    unchanged(dest)
    sender = ws.listen(address, HVSEND, "-r", "--once", "--listen", address, f"{source}/")
    check_equal(ws.run(HVRECV, "--connect", address, *names[1:], dest).code, 0, "exit code")
    check_equal(sender.wait().code, 0, "that of the sender")
    check_equal(sorted(os.listdir(dest)), sorted(names[1:]), "what came")


def nobody_there(ws):
    yield f"unix:{ws.path}/no.sock", "no such socket"
    yield f"tcp://127.0.0.1:{lib.free_port()}", "nobody is listening"
    yield f"vsock-mux:{ws.path}/no.sock:5", "no VMM serves this socket"
    stale = ws.path / "stale.sock"
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(stale))
    yield f"unix:{stale}", "nobody is listening"
    put(ws.path / "file", b"")
    yield f"unix:{ws.path}/file", "."


@case
def nobody_listening_is_a_socket_error(ws):
    source, dest = source_and_dest(ws)
    for address, pattern in nobody_there(ws):
        failed(ws.run(HVSEND, "-a", "--retry", "0", f"{source}/", address), 10, pattern)
        failed(ws.run(HVRECV, "--retry", "0", "--connect", address, dest), 10, pattern)
    unchanged(dest)


@case
def a_command_that_ends_at_once_is_a_broken_stream(ws):
    source, dest = source_and_dest(ws)
    failed(ws.run(HVSEND, "-a", f"{source}/", "exec:exit 7"), (10, 12), "status 7")
    failed(ws.run(HVSEND, "-a", f"{source}/", "exec:no-such-program-here"), (10, 12), "command not found")
    failed(ws.run(HVRECV, "--connect", "exec:exit 7", dest), (10, 12), "status 7")
    unchanged(dest)


def fill_backlog(address, listener):
    """Connections until the listener's queue takes no more. Nobody accepts them."""
    waiting = []
    while True:
        stream = socket.socket(listener.family)
        stream.setblocking(False)
        waiting.append(stream)
        try:
            stream.connect(address)
        except BlockingIOError:
            if listener.family == socket.AF_UNIX:
                return waiting
        if len(waiting) > 50:  # TCP: those that the queue did not take are still trying
            return waiting


@case
def a_listener_that_never_accepts_is_a_connect_timeout(ws):
    source, dest = source_and_dest(ws)
    for family, at in ((socket.AF_UNIX, f"{ws.path}/full.sock"), (socket.AF_INET, ("127.0.0.1", lib.free_port()))):
        with socket.socket(family) as listener:
            listener.bind(at)
            listener.listen(0)
            waiting = fill_backlog(at, listener)
            address = f"unix:{at}" if family == socket.AF_UNIX else f"tcp://127.0.0.1:{at[1]}"
            failed(ws.run(HVSEND, "-a", "--contimeout", "1", f"{source}/", address), 35, "timed out|busy|in time")
            failed(ws.run(HVRECV, "--contimeout", "1", "--connect", address, dest), 35, "timed out|busy|in time")
            for stream in waiting:
                stream.close()
    unchanged(dest)


@case
def an_address_in_use_is_a_socket_error(ws):
    source, dest = source_and_dest(ws)
    for address in (ws.unix(), f"tcp://127.0.0.1:{lib.free_port()}"):
        first = ws.receiver(address, dest, once=False)
        failed(ws.run(HVRECV, "--listen", address, dest), 10, "in use by another process")
        failed(ws.run(HVSEND, "--listen", address, source), 10, "in use by another process")
        good(lib.Pair(ws.run(HVSEND, "-a", f"{source}/", address), lib.Result(0, b"", "")))
        first.kill()


@case
def a_file_in_the_place_of_the_socket_stays(ws):
    _, dest = source_and_dest(ws)
    put(ws.path / "precious", b"precious")
    failed(ws.run(HVRECV, "--listen", f"unix:{ws.path}/precious", dest), 10, "is no socket")
    check_equal((ws.path / "precious").read_bytes(), b"precious", "the file")


@case
def a_socket_that_a_killed_listener_left_is_taken_over(ws):
    source, dest = source_and_dest(ws)
    address = ws.unix()
    ws.receiver(address, dest).kill()
    check(os.path.exists(address.removeprefix("unix:")), "the socket is still there")
    good(ws.push(["-a", f"{source}/"], dest, address=address))


@case
def two_ends_of_the_same_role_refuse_each_other(ws):
    source, dest = source_and_dest(ws)
    address = ws.unix()
    listener = ws.listen(address, HVSEND, "--once", "--listen", address, source)
    failed(ws.run(HVSEND, "-a", source, address), 5, "both ends want to be the sender")
    failed(listener.wait(), 5, "both ends want to be the sender")
    address = ws.unix()
    listener = ws.receiver(address, dest)
    failed(ws.run(HVRECV, "--connect", address, dest), 5, "both ends want to be the receiver")
    failed(listener.wait(), 5, "both ends want to be the receiver")
    unchanged(dest)


@case
def two_ends_that_both_wait_end_by_themselves(ws):
    """--stdio answers: it is for what exec: started."""
    source, dest = source_and_dest(ws)
    one, other = socket.socketpair()
    with one, other:
        sender = ws.start(HVSEND, "--stdio", "--contimeout", "1", source, stdin=one, stdout=one)
        receiver = ws.start(HVRECV, "--stdio", "--contimeout", "1", dest, stdin=other, stdout=other)
    results = [sender.wait(), receiver.wait()]
    for result in results:
        failed(result, (12, 30), "silent|closed the stream|in time")
    check(30 in [result.code for result in results], f"nobody reports the timeout: {results}")


lib.main()
