#!/usr/bin/env python3
"""The programs carry their manifest (UTF-8, long paths, no more rights than the caller has) and their version.

usage: resources_are_in_the_programs.py VERSION PROGRAM.exe...
"""

import re
import sys
from pathlib import Path

MANIFEST = {"activeCodePage": "UTF-8", "longPathAware": "true"}


def problems(program, version):
    data = Path(program).read_bytes()
    for element, wanted in MANIFEST.items():
        found = re.search(rb"<(?:\w+:)?" + element.encode() + rb"\b[^>]*>([^<]*)<", data)
        if found is None or found[1].decode().strip() != wanted:
            yield f"{element} is not {wanted}"
    if not re.search(rb'requestedExecutionLevel[^>]*level="asInvoker"', data):
        yield "it does not run as its caller"
    strings = data.decode("utf-16-le", errors="ignore") + data[1:].decode("utf-16-le", errors="ignore")
    for name, wanted in (("FileVersion", version), ("OriginalFilename", Path(program).name)):
        if not re.search(name + r"\0+" + re.escape(wanted), strings):
            yield f"{name} is not {wanted}"


def main(version, *programs):
    print(f"1..{len(programs)}")
    failed = 0
    for number, program in enumerate(programs, 1):
        found = list(problems(program, version))
        failed += bool(found)
        print(f"{'not ok' if found else 'ok'} {number} {Path(program).name}")
        for problem in found:
            print(f"# {problem}")
    return 1 if failed or not programs else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
