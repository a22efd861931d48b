#!/usr/bin/env python3
"""The programs run on a Windows as it was installed: they import nothing but its own libraries.

usage: imports_are_of_the_system.py OBJDUMP PROGRAM.exe...
"""

import re
import subprocess
import sys

ALLOWED = {"advapi32.dll", "bcrypt.dll", "kernel32.dll", "msvcrt.dll", "ntdll.dll", "ole32.dll", "oleaut32.dll", "ws2_32.dll"}


def imports_of(objdump, program):
    out = subprocess.run([objdump, "-p", program], capture_output=True, text=True, check=True).stdout
    return {name.lower() for name in re.findall(r"DLL Name: (\S+)", out)}


def main(objdump, *programs):
    print(f"1..{len(programs)}")
    failed = 0
    for number, program in enumerate(programs, 1):
        found = imports_of(objdump, program)
        good = bool(found) and found <= ALLOWED
        failed += not good
        print(f"{'ok' if good else 'not ok'} {number} {program.rpartition('/')[2]}")
        for name in sorted(found - ALLOWED):
            print(f"# imports {name}")
    return 1 if failed or not programs else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
