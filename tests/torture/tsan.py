#!/usr/bin/env python3
"""Sessions with random cuts under ThreadSanitizer: no report.

HVSEND and HVRECV are used when they were built with it; else such programs are built in HVFERRY_TSAN_BUILD
(build-torture-tsan).
"""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import module
from module import lib
from lib import Workspace

CASE = "tsan"
QUICK_RUNS = 15
TOP = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("HVFERRY_TSAN_BUILD", TOP / "build-torture-tsan"))
FIXED = "HVFERRY_TORTURE_FIXED_ADDRESSES"
SETUP = ["-Dzstd=enabled", "-Dtests=disabled", "-Db_sanitize=thread", "-Db_lundef=false"]


def has_tsan(program):
    path = shutil.which(program)
    return path is not None and b"__tsan_init" in Path(path).read_bytes()


def quietly(*words, **options):
    done = subprocess.run(words, capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, words))} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")


def build():
    meson = "/usr/bin/meson" if os.access("/usr/bin/meson", os.X_OK) else "meson"
    for needed in (meson, "ninja", "clang"):
        if shutil.which(needed) is None:
            module.cannot(CASE, f"{needed} is not installed")
    if not (BUILD / "build.ninja").exists():
        quietly(meson, "setup", BUILD, *SETUP, cwd=TOP, env={**os.environ, "CC": "clang"})
    quietly("ninja", "-C", BUILD, "sender/hvsend", "receiver/hvrecv")
    os.environ["HVSEND"], os.environ["HVRECV"] = str(BUILD / "sender/hvsend"), str(BUILD / "receiver/hvrecv")


def prepare():
    """TSan programs, and addresses as the ThreadSanitizer of older clangs knows them: this process anew with both."""
    if os.environ.get(FIXED):
        return
    if not (has_tsan(lib.HVSEND) and has_tsan(lib.HVRECV)):
        build()
    os.environ[FIXED] = "1"
    words = [sys.executable, *sys.argv]
    fixed = ["setarch", platform.machine(), "-R"]
    if subprocess.run([*fixed, "true"], capture_output=True, check=False).returncode == 0:
        words = [*fixed, *words]
    os.execvp(words[0], words)


def main():
    prepare()
    import stream  # of what it tortures, HVSEND and HVRECV are known only now

    args = module.arguments(runs=1000)
    os.environ["TSAN_OPTIONS"] += ":halt_on_error=1:second_deadlock_stack=1"
    with Workspace() as common:
        torture = stream.Torture(common, kinds=["cut"], large_every=50)
        count, failures = module.each_run(args, torture.run)
    module.finish(CASE, count, failures, torture.note())


if __name__ == "__main__":
    sys.exit(main())
