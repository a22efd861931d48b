#!/usr/bin/env python3
"""Runs a Windows program with the stand-in for Hyper-V sockets beside it.

usage: with_shim.py SHIM.dll PROGRAM.exe [ARGUMENT...]

The program is copied, unchanged, to a folder of its own, where the stand-in takes the place of ws2_32.dll.
Exit code: the program's.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import wine


def main(shim, program, *arguments):
    with tempfile.TemporaryDirectory() as folder:
        place = wine.place(Path(folder), Path(shim), [Path(program)])
        command = wine.command(place / Path(program).name, *arguments)
        return subprocess.run(command, env=wine.environment(place), check=False).returncode


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
