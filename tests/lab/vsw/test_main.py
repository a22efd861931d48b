#!/usr/bin/env python3
"""The program itself: it says when it is ready, ends when it is told to, and refuses what it cannot do.

usage: test_main.py VSW
"""

import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

DEADLINE = 60  # seconds; only a program that hangs gets there


def start(*arguments):
    return subprocess.Popen(
        [VSW, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def ports():
    return ["--port", f"{TOP}/h:2", "--port", f"{TOP}/g:42", "--control", f"{TOP}/control"]


def it_is_ready_and_answers():
    with start(*ports(), "--log", f"{TOP}/log", "--until-eof") as p:
        assert p.stdout.readline() == "ready\n"
        for name in ("h", "g", "control"):
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(f"{TOP}/{name}")
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(f"{TOP}/control")
            s.sendall(b"stats\n")
            assert s.recv(4096).startswith(b"ok streams=0 cid=2 connected=")
        p.stdin.close()
        assert p.wait(DEADLINE) == 0
    assert "CID 42: connected" in (TOP / "log").read_text()
    (TOP / "log").unlink()
    assert not list(TOP.iterdir()), "no socket is left"


def it_ends_at_a_signal():
    for number in (signal.SIGTERM, signal.SIGINT):
        with start(*ports()) as p:
            assert p.stdout.readline() == "ready\n"
            p.send_signal(number)
            assert p.wait(DEADLINE) == 0
    assert not list(TOP.iterdir()), "no socket is left"


def it_takes_the_place_of_a_socket_that_was_left_behind():
    with start(*ports()) as p:
        assert p.stdout.readline() == "ready\n"
        p.kill()
    assert (TOP / "g").is_socket()
    with start(*ports(), "--until-eof") as p:
        assert p.stdout.readline() == "ready\n"
        p.stdin.close()
        assert p.wait(DEADLINE) == 0


def it_refuses_what_it_cannot_do():
    (TOP / "file").write_text("kept")
    port = f"{TOP}/g:42"
    refused = [
        [], ["--port"], ["--port", port, "more"], ["--nonsense"], ["--port", f"{TOP}/g"], ["--port", ":42"],
        ["--port", f"{TOP}/g:0"], ["--port", f"{TOP}/g:4294967295"], ["--port", f"{TOP}/g:x"],
        ["--port", port, "--port", f"{TOP}/h:42"], ["--port", f"{TOP}/{'x' * 200}:42"],
        ["--port", f"{TOP}/file:42"], ["--port", f"{TOP}/none/g:42"], ["--port", port, "--log", f"{TOP}/none/log"],
    ]  # fmt: skip
    for arguments in refused:
        with start(*arguments) as p:
            out, err = p.communicate(timeout=DEADLINE)
            assert p.returncode > 0 and out == "" and err, (arguments, p.returncode, out, err)
    assert (TOP / "file").read_text() == "kept"


VSW = sys.argv[1]
CASES = [
    it_is_ready_and_answers,
    it_ends_at_a_signal,
    it_takes_the_place_of_a_socket_that_was_left_behind,
    it_refuses_what_it_cannot_do,
]
print(f"1..{len(CASES)}")
for i, case in enumerate(CASES, 1):
    with tempfile.TemporaryDirectory() as folder:
        TOP = Path(folder)
        case()
    print(f"ok {i} {case.__name__}", flush=True)
