#!/usr/bin/env python3
"""Whoever listens, and over whatever transport: the tree that arrives is the tree that was sent."""

import functools
import os
import shlex
import subprocess
import sys
from pathlib import Path

import lib
from lib import HVRECV, HVSEND, KIB, MIB, SMALL, Pair, case, each, good, noise, prose, put, put_sparse, same_tree

NAMES = [
    b"plain", b"with space", b" leading and trailing ", b"-leading-dash", b"--help", b"new\nline", b"tab\ttab",
    b"quote\"s and 'quotes'", b"back\\slash", b"\\012", b"bell\a and \x1b[31mescape\x1b[0m", b"\x01\x7f",
    b"not-utf8-\xff\xfe\x80", b"cut-\xe2\x82", "umlaut-äöü-漢字-\U0001f6a2".encode(), b"\xc2\x9b1m",
    b"*?[a]", b"$(id)`id`",
    b"~", b"#", b"%s%n", b"...", b"..a", b".hidden", b".hvferry", b"hvferry.", b"a:b", b"CON", b"trailing.", b"x" * 255,
    "ä".encode() * 127,
]  # fmt: skip
MTIMES_NS = [
    0, 1, -1, -1_000_000_001, -1234567890_123456789, 999_999_999, 1_700_000_000_123_456_789, 7_258_118_400_000_000_001,
]  # fmt: skip
SECOND = 1_000_000_000


def make_names(root):
    for i, name in enumerate(NAMES):
        put(os.path.join(root, name), b"contents of %d" % i, mtime_ns=MTIMES_NS[i % len(MTIMES_NS)])
        directory = os.path.join(root, b"dirs", name)
        os.makedirs(directory)
        put(os.path.join(directory, name), name)


def make_sizes(root, chunk):
    """Around every size at which the way of a file changes."""
    edges = {0, 1, 4095, 4096, 4097, 65536}
    for edge in (128 * KIB, chunk, 3 * chunk):
        edges |= {edge - 1, edge, edge + 1}
    for size in sorted(edges):
        put(root / f"noise-{size}", noise(size, size))
        put(root / f"prose-{size}", prose(size, size))


def make_modes(root):
    # A user without rights cannot read what has no r bit, so that there is nothing to copy.
    all_modes = range(0o1000) if os.geteuid() == 0 else range(0o400, 0o1000)
    for mode in list(all_modes)[:: 7 if SMALL else 1] + [0o777]:
        put(root / f"f{mode:03o}", b"%o" % mode, mode)
    for mode in (0o700, 0o500, 0o755, 0o777, 0o511) + ((0o000, 0o111) if os.geteuid() == 0 else ()):
        directory = root / f"d{mode:03o}"
        directory.mkdir()
        put(directory / "inside", b"inside")
        directory.chmod(mode)


def make_links(root):
    targets = [b"../plain", b"nowhere", b"/", b"/etc/passwd", b"../..", b".", b"link6", b"a\nb\xff", b"t" * 4000]
    for i, target in enumerate(targets):
        link = os.path.join(os.fsencode(root), b"link%d" % i)
        os.symlink(target, link)
        os.utime(link, ns=(0, MTIMES_NS[i % len(MTIMES_NS)]), follow_symlinks=False)
    os.symlink("../dirs", root / "to-a-directory")


def make_sparse(root):
    data = noise(70_000, 7)
    put_sparse(root / "all-hole", 8 * MIB)
    put_sparse(root / "hole-at-start", 3 * MIB + 1, [(3 * MIB - 69_999, data)])
    put_sparse(root / "hole-at-end", 5 * MIB, [(0, data)])
    put_sparse(root / "hole-in-middle", 6 * MIB, [(0, data), (6 * MIB - 70_000, data)])
    put_sparse(root / "many-holes", 6 * MIB, [(i * 300_000, data[: i * 1000]) for i in range(1, 20)])


def make_deep(root, levels):
    """Directories down to the deepest level that a path may have, the last one empty, beside a file."""
    at = root
    for i in range(levels - 1):
        at = at / f"d{i}"
        at.mkdir()
    put(at / "file", b"deep")
    (at / "empty").mkdir()


def set_directory_times(root):
    for i, (directory, _, _) in enumerate(os.walk(os.fsencode(root), topdown=False)):
        ns = MTIMES_NS[i % len(MTIMES_NS)] + i * SECOND
        os.utime(directory, ns=(ns, ns))


def make_tree(root, chunk=MIB):
    """Everything that a tree can hold. The root is level 0, what is in it level 1."""
    make_names(os.fsencode(root))
    for name, make in (("modes", make_modes), ("links", make_links), ("sparse", make_sparse)):
        (root / name).mkdir()
        make(root / name)
    (root / "sizes").mkdir()
    make_sizes(root / "sizes", 64 * KIB if SMALL else chunk)
    for name in ("empty", "nested/empty/one"):
        (root / name).mkdir(parents=True)
    (root / "many").mkdir()
    for i in range(300):
        put(root / "many" / str(i), prose(i * 7, i), mtime_ns=i * SECOND + i)
    make_deep(root, 64)
    set_directory_times(root)
    return root


@functools.cache
def the_tree():
    return make_tree(lib.common.dir("source"))


def tree_and_dest(ws):
    return the_tree(), ws.dir("dest")


def transfer(ws, how, send=(), recv=()):
    source, dest = tree_and_dest(ws)
    pair = how(["-a", *send, f"{source}/"], dest, recv=list(recv))
    good(pair)
    same_tree(source, dest)
    return source, dest


# ---- transports -------------------------------------------------------------------------------------------


@case
def a_sender_connects_over_a_unix_socket(ws):
    transfer(ws, ws.push)


@case
def a_receiver_connects_over_a_unix_socket(ws):
    transfer(ws, ws.pull)


@case
def a_sender_connects_over_tcp(ws):
    source, dest = tree_and_dest(ws)
    good(ws.push(["-a", f"{source}/"], dest, address=f"tcp://127.0.0.1:{lib.free_port()}"))
    same_tree(source, dest)


@case
def a_receiver_connects_over_tcp(ws):
    source, dest = tree_and_dest(ws)
    good(ws.pull(["-a", f"{source}/"], dest, address=f"tcp://127.0.0.1:{lib.free_port()}"))
    same_tree(source, dest)


@case
def a_sender_starts_its_receiver_with_exec(ws):
    source, dest = tree_and_dest(ws)
    command = f"exec:{shlex.quote(HVRECV)} --stdio {shlex.quote(str(dest))}"
    result = ws.run(HVSEND, "-a", f"{source}/", command)
    good(Pair(result, result))
    same_tree(source, dest)


@case
def a_receiver_starts_its_sender_with_exec(ws):
    source, dest = tree_and_dest(ws)
    command = f"exec:{shlex.quote(HVSEND)} -a --stdio {shlex.quote(str(source))}/"
    result = ws.run(HVRECV, "--connect", command, dest)
    good(Pair(result, result))
    same_tree(source, dest)


@case
def pipes_carry_a_session_as_sockets_do(ws):
    """ssh gives its command two pipes, not a socket."""
    source, dest = tree_and_dest(ws)
    pumps = """
import os, subprocess, sys, threading
receiver = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
def pump(source, target):
    while data := os.read(source, 65536):
        while data:
            data = data[os.write(target, data):]
threading.Thread(target=pump, args=(0, receiver.stdin.fileno()), daemon=True).start()
pump(receiver.stdout.fileno(), 1)
sys.exit(receiver.wait())
"""
    program = ws.path / "pumps.py"
    program.write_text(pumps)
    words = [sys.executable, program, HVRECV, "--stdio", dest]
    result = ws.run(HVSEND, "-a", f"{source}/", "exec:exec " + shlex.join(map(str, words)))
    good(Pair(result, result))
    same_tree(source, dest)


# ---- vsock as Firecracker and Cloud Hypervisor give it to the host ----------------------------------------

PORT = 2761


def start_vmm(ws):
    """The host's address of the guest, and the directory of the guest's sockets."""
    guest = ws.dir("guest")
    uds = ws.path / "vm.sock"
    vmm = Path(__file__).with_name("fake_vmm.py")
    process = ws.start(sys.executable, vmm, "--uds", uds, "--guest-dir", guest, "--guest-connect", str(PORT))
    lib.wait_until(lambda: process.ended() or process.out_path.read_bytes() == b"ready\n", "the VMM is ready")
    return f"vsock-mux:{uds}:{PORT}", guest


@case
def the_host_sends_to_a_guest_that_listens(ws):
    source, dest = tree_and_dest(ws)
    address, guest = start_vmm(ws)
    receiver = ws.receiver(f"unix:{guest}/{PORT}", dest)
    good(Pair(ws.run(HVSEND, "-a", f"{source}/", address), receiver.wait()))
    same_tree(source, dest)


@case
def the_host_pulls_from_a_guest_that_listens(ws):
    source, dest = tree_and_dest(ws)
    address, guest = start_vmm(ws)
    at = f"unix:{guest}/{PORT}"
    sender = ws.listen(at, HVSEND, "-a", "--once", "--listen", at, f"{source}/")
    receiver = ws.run(HVRECV, "--connect", address, dest)
    good(Pair(sender.wait(), receiver))
    same_tree(source, dest)


@case
def a_guest_sends_to_the_host_that_listens(ws):
    source, dest = tree_and_dest(ws)
    address, guest = start_vmm(ws)
    receiver = ws.receiver(address, dest)
    good(Pair(ws.run(HVSEND, "-a", f"{source}/", f"unix:{guest}/connect_{PORT}"), receiver.wait()))
    same_tree(source, dest)


@case
def a_guest_pulls_from_the_host_that_listens(ws):
    source, dest = tree_and_dest(ws)
    address, guest = start_vmm(ws)
    sender = ws.listen(address, HVSEND, "-a", "--once", "--listen", address, f"{source}/")
    receiver = ws.run(HVRECV, "--connect", f"unix:{guest}/connect_{PORT}", dest)
    good(Pair(sender.wait(), receiver))
    same_tree(source, dest)


# ---- ways to work -----------------------------------------------------------------------------------------


def codecs():
    """Those of this build."""
    version = subprocess.run([HVSEND, "--version"], capture_output=True, check=True).stdout.decode()
    return version.partition("codecs:")[2].replace(")", "").split()


@each(["auto", *codecs()])
def every_codec_gives_the_same_bytes(ws, codec):
    transfer(ws, ws.push, send=["--zc", codec])


@each([("smallest", "64K"), ("odd", "100K"), ("largest", "16M")])
def every_chunk_size_gives_the_same_bytes(ws, value):
    size = value[1]
    transfer(ws, ws.push, send=["--chunk-size", size, "--zc", codecs()[-1]], recv=["--durable", "none"])


@case
def the_smaller_chunk_size_of_both_ends_is_taken(ws):
    transfer(ws, ws.push, send=["--chunk-size", "1M"], recv=["--chunk-size", "64K"])


@each([("sender", 1, 0), ("receiver", 0, 1), ("both", 1, 1)])
def one_thread_on_an_end_gives_the_same_bytes(ws, value):
    _, sender, receiver = value
    transfer(ws, ws.push, send=["--serial"] * sender, recv=["--serial"] * receiver)


@case
def one_thread_on_both_ends_of_a_pull_gives_the_same_bytes(ws):
    transfer(ws, ws.pull, send=["--serial", "--chunk-size", "64K"], recv=["--serial"])


@each(["batch", "file", "none"])
def every_durability_gives_the_same_bytes(ws, durable):
    transfer(ws, ws.push, send=["--durable", durable])


@case
def a_path_longer_than_the_system_takes_at_once_arrives(ws):
    """60 names of 200 bytes: only a walk from directory to directory reaches the file."""
    source, dest = ws.dir("source"), ws.dir("dest")
    names = [f"{i:02}-" + "n" * 197 for i in range(60)]

    def walk(root, make):
        at = os.open(root, os.O_RDONLY)
        for name in names:
            if make:
                os.mkdir(name, dir_fd=at)
            below = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=at)
            os.close(at)
            at = below
        return at

    at = walk(source, make=True)
    with open("file", "wb", opener=lambda name, flags: os.open(name, flags, 0o640, dir_fd=at)) as f:
        f.write(b"far away")
    os.close(at)
    good(ws.push(["-a", f"{source}/"], dest))
    at = walk(dest, make=False)
    fd = os.open("file", os.O_RDONLY, dir_fd=at)
    lib.check_equal((os.read(fd, 100), os.fstat(fd).st_mode & 0o777), (b"far away", 0o640), "the far file")
    os.close(fd)
    os.close(at)


@case
def what_is_deeper_than_64_levels_is_refused_and_the_rest_arrives(ws):
    source, dest = ws.dir("source"), ws.dir("dest")
    make_deep(source, 65)
    put(source / "beside", b"beside")
    pair = ws.push(["-a", f"{source}/"], dest)
    lib.failed(pair.sender, 23, "deeper than 64 levels")
    lib.check_equal((dest / "beside").read_bytes(), b"beside", "the file beside")
    deepest = dest.joinpath(*(f"d{i}" for i in range(64)))
    lib.check(deepest.is_dir() and not os.listdir(deepest), "the 64th level is there and empty")


if __name__ == "__main__":
    lib.main()
