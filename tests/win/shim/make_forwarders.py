#!/usr/bin/env python3
"""Writes what a stand-in for a DLL needs to pass everything on that it does not do itself.

usage: make_forwarders.py NM IMPORT_LIBRARY OUT.S OUT.def SOURCE.c...

The names are those of the import library. A name for which a SOURCE defines shim_NAME( is exported as that
function; every other one is a jump through a pointer. Both kinds have such a pointer, __imp_NAME, which is
what calls to NAME in the SOURCEs go through, too. `forwards` lists all pairs of name and pointer, to be filled
from the real DLL when the stand-in is loaded.
"""

import re
import subprocess
import sys
from pathlib import Path


def exported(nm, library):
    listing = subprocess.run([nm, library], capture_output=True, text=True, check=True).stdout
    return sorted(set(re.findall(r" T ([A-Za-z_]\w*)$", listing, re.MULTILINE)))


def assembly(names, own):
    lines = ["\t.text"]
    for name in names:
        if name not in own:
            lines += [f"\t.globl {name}", f"{name}: jmp *__imp_{name}(%rip)"]
    lines += ["\t.data", "\t.balign 8"]
    for name in names:
        lines += [f"\t.globl __imp_{name}", f"__imp_{name}: .quad 0"]
    lines += ["\t.globl forwards", "forwards:"]
    lines += [f"\t.quad name_{name}, __imp_{name}" for name in names]
    lines += ["\t.quad 0, 0", '\t.section .rdata,"dr"']
    lines += [f'name_{name}: .asciz "{name}"' for name in names]
    return "\n".join(lines) + "\n"


def definitions(names, own):
    lines = ["LIBRARY ws2_32.dll", "EXPORTS"]
    lines += [f"  {name} = shim_{name}" if name in own else f"  {name}" for name in names]
    return "\n".join(lines) + "\n"


def main(nm, library, out_s, out_def, *sources):
    names = exported(nm, library)
    text = "".join(Path(source).read_text() for source in sources)
    own = set(re.findall(r"^\w+ WSAAPI shim_(\w+)\(", text, re.MULTILINE))
    if not own or not own <= set(names):
        sys.exit(f"not in {library}: {sorted(own - set(names)) or 'any of our functions'}")
    Path(out_s).write_text(assembly(names, own))
    Path(out_def).write_text(definitions(names, own))


if __name__ == "__main__":
    main(*sys.argv[1:])
