#!/usr/bin/env python3
"""The power goes at a random moment: ext4 and xfs are shut down and mounted again.

The shutdown does not write the log out. Every file that was acknowledged before is there and exact, with the new
directories above it; every other name is old or new. What a session that ended with 0 only found, because one before it
was killed after it had made it, is there too.
"""

import base64
import contextlib
import fcntl
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import module
from lib import HVSEND, KIB, MIB, Failed, Skipped, Workspace, check, noise, prose, put

CASE = "powercut"
QUICK_RUNS = 8
EXT4_IOC_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32), linux/ext4.h
XFS_IOC_GOINGDOWN = 0x8004587D  # the same number, xfs_fs.h
NOLOGFLUSH = 2  # EXT4_GOING_FLAGS_NOLOGFLUSH, XFS_FSOP_GOING_FLAGS_NOLOGFLUSH
IMAGE_BYTES = 320 * MIB  # the smallest that mkfs.xfs makes is 300; sparse
MAKE = {"ext4": ["mkfs.ext4", "-q", "-F"], "xfs": ["mkfs.xfs", "-q", "-f"]}
DURABLE = ["batch", "file"]
OPTIONS = ["--timeout", "60", "--contimeout", "60", "--retry", "0", "--json"]
FILE_EVENT = b'"type":"file"'
FILES = 62  # of a source
VERSIONS = 8  # sources; each run sends the next one over the one before


def make_source(root, version):
    rng = random.Random(version)
    for directory in ("same", "same/deep", f"new{version}", f"new{version}/a", f"new{version}/a/b"):
        (root / directory).mkdir(parents=True)
        for i in range(12):
            put(root / directory / f"{i}", prose(rng.randrange(1, 9000), f"{version}{directory}{i}"))
        (root / directory / f"empty{version}").mkdir()
    put(root / "same/medium", noise(300 * KIB, version))
    put(root / "same/large", noise(1100 * KIB + rng.randrange(9000), version))
    return root


class Image:
    """A file system in a file, which is mounted while the Image is."""

    def __init__(self, directory, kind):
        self.kind, self.file, self.at = kind, directory / f"{kind}.img", directory / f"{kind}.mounted"
        self.at.mkdir()
        with open(self.file, "wb") as f:
            f.truncate(IMAGE_BYTES)
        made = subprocess.run([*MAKE[kind], self.file], capture_output=True, check=False)
        if made.returncode != 0:
            raise Skipped(f"{MAKE[kind][0]}: {made.stderr.decode().strip()}")

    def mount(self):
        module.mount("-o", "loop", self.file, self.at)  # the loop device goes with the mount

    def umount(self):
        for _ in range(200):
            done = subprocess.run(["umount", self.at], capture_output=True, check=False)
            if done.returncode == 0:
                return
            time.sleep(0.02)  # a killed process may still hold it for a moment
        raise Failed(f"umount: {done.stderr.decode()}")

    def cut_power(self):
        at = os.open(self.at, os.O_RDONLY)
        try:
            fcntl.ioctl(at, EXT4_IOC_SHUTDOWN, struct.pack("I", NOLOGFLUSH))
        finally:
            os.close(at)


def acknowledged(events):
    """The files that these events name, whole lines only."""
    found = set()
    for event in map(json.loads, events.split(b"\n")[:-1]):
        if event["type"] == "file":
            found.add(base64.b64decode(event["path_b64"]) if "path_b64" in event else os.fsencode(event["path"]))
    return found


def directories_of(root):
    return {path.relative_to(root) for path in root.rglob("*") if path.is_dir()}


def ends_well(sender, receiver):
    codes = sender.wait().code, receiver.wait().code
    check(codes == (0, 0), f"the session failed: {codes} {sender.err()} {receiver.err()}")


class Torture:
    def __init__(self, directory):
        self.sources = [make_source(directory / f"v{i}", i) for i in range(VERSIONS)]
        self.contents = [module.read_files(source) for source in self.sources]
        self.images = {}
        self.absent = []
        for kind in MAKE:
            try:
                if shutil.which(MAKE[kind][0]) is None:
                    raise Skipped(f"{MAKE[kind][0]} is not installed")
                image = Image(directory, kind)
                image.mount()
                image.umount()
                self.images[kind] = image
            except Skipped as reason:
                self.absent.append(str(reason))
        self.seconds = {}  # of a whole session
        self.checked = self.in_the_middle = 0
        self.directories = set()  # that were there after the last cut

    def session(self, ws, image, version, durable, moment=None):
        """Cuts the power when moment(sender, receiver) returns (None: never). What was acknowledged before, and how
        long the session took."""
        dest = image.at / "dest"
        dest.mkdir(exist_ok=True)
        address = ws.unix()
        receiver = ws.receiver(address, dest, "--durable", durable, "--grace", "0", *OPTIONS)
        start = time.monotonic()
        sender = ws.start(HVSEND, "-a", *OPTIONS, f"{self.sources[version]}/", address)
        if moment is None:
            codes = sender.wait().code, receiver.wait().code
            check(codes == (0, 0), f"a session without a cut failed: {codes} {sender.err()} {receiver.err()}")
            return None, time.monotonic() - start
        moment(sender, receiver)
        events = sender.out_path.read_bytes(), receiver.out_path.read_bytes()
        image.cut_power()
        self.in_the_middle += not sender.ended()
        sender.kill()
        receiver.kill()
        return acknowledged(events[0]) | acknowledged(events[1]), None

    def killed(self, ws, image, version, durable, seconds):
        """A session whose ends are killed after that time."""
        address = ws.unix()
        receiver = ws.receiver(address, image.at / "dest", "--durable", durable, "--grace", "0", *OPTIONS)
        sender = ws.start(HVSEND, "-a", *OPTIONS, f"{self.sources[version]}/", address)
        time.sleep(seconds)
        receiver.kill()
        sender.kill()

    def random_moment(self, rng, kind, durable):
        """A part of the session's time, or right after an acknowledgement. What is said about it, and the moment."""
        part, files = rng.random() * 1.1, rng.randrange(1, FILES)

        def after_time(*_):
            time.sleep(self.seconds[kind, durable] * part)

        def after_files(sender, receiver):
            while receiver.out_path.read_bytes().count(FILE_EVENT) < files and not sender.ended():
                time.sleep(0.0002)

        if rng.random() < 0.5:
            return f"{part:.3f} of a session", after_time
        return f"acknowledgement {files}", after_files

    def cut(self, ws, image, version, durable, moment, first=True, killed=None):
        """One whole session of the version before, unless not `first`, one that is killed after such a part of the time of
        that, unless None, then one that is cut. Returns what is there when the file system is mounted again, and what was
        acknowledged."""
        image.mount()
        try:
            shutil.rmtree(image.at / "dest", ignore_errors=True)
            if first:
                _, self.seconds[image.kind, durable] = self.session(ws, image, (version - 1) % VERSIONS, durable)
            subprocess.run(["sync", "-f", image.at], check=True)
            if killed is not None:
                self.killed(ws, image, version, durable, self.seconds[image.kind, durable] * killed)
            found, _ = self.session(ws, image, version, durable, moment)
        finally:
            for process in ws.processes:
                process.kill()
            image.umount()
        image.mount()
        try:
            self.directories = directories_of(image.at / "dest")
            return module.read_files(image.at / "dest"), found
        finally:
            image.umount()

    def found_again(self, rng, kind, durable, version):
        """A session is killed, the next one does the rest and ends, and then the power goes."""
        part = rng.random() * 1.1
        what = f"killed after {part:.3f} of a session"
        with Workspace() as ws:
            there, _ = self.cut(ws, self.images[kind], version, durable, ends_well, killed=part)
        try:
            for path, content in self.contents[version].items():
                check(path in there, f"{path!r} is gone")
                check(there[path] == content, f"{path!r} is not exact")
            for path in directories_of(self.sources[version]):
                check(path in self.directories, f"directory {path!r} is gone")
        except Failed as error:
            raise Failed(f"{kind}, --durable {durable}, {what}, done again: {error}") from None
        self.checked += len(self.contents[version])

    def run(self, rng, number):
        kinds = sorted(self.images)
        kind = kinds[number % len(kinds)]
        durable = DURABLE[number // len(kinds) % 2]
        version = rng.randrange(VERSIONS)
        if rng.random() < 0.25:
            return self.found_again(rng, kind, durable, version)
        what, moment = self.random_moment(rng, kind, durable)
        with Workspace() as ws:
            there, found = self.cut(ws, self.images[kind], version, durable, moment)
        new = self.contents[version]
        try:
            for path in found:
                check(path in there, f"{path!r} was acknowledged and is gone")
                check(there[path] == new[path], f"{path!r} was acknowledged and is not exact")
            module.old_or_new(there, self.contents[version - 1], new, may_leave_temporary=True)
        except Failed as error:
            raise Failed(f"{kind}, --durable {durable}, cut after {what}: {error}") from None
        self.checked += len(found)

    def loses_what_is_not_flushed(self):
        """That the cut is one: with --durable none, acknowledged files are lost."""
        for kind, image in sorted(self.images.items()):
            with Workspace() as ws:
                there, found = self.cut(ws, image, 0, "none", lambda sender, _: sender.wait(), first=False)
            lost = [path for path in found if there.get(path) != self.contents[0][path]]
            check(found and lost, f"{kind}: of {len(found)} files that nobody flushed none was lost: the cut is none")


def main():
    args = module.arguments(runs=10000)
    module.with_private_mounts(CASE)
    where = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hvferry-powercut-", dir=where)))
        torture = Torture(directory)
        if not torture.images:
            module.cannot(CASE, "; ".join(torture.absent))
        torture.loses_what_is_not_flushed()
        count, failures = module.each_run(args, torture.run)
        note = f"{', '.join(sorted(torture.images))}; {torture.in_the_middle} cuts before the end of the session; "
        note += f"{torture.checked} acknowledged files checked"
        note += f"; not tried: {'; '.join(torture.absent)}" if torture.absent else ""
    module.finish(CASE, count, failures, note)


if __name__ == "__main__":
    sys.exit(main())
