"""A prompt: each line is run by sh in a kernel of the lab, and its output and exit code are printed.

usage: shell.py [loopback|pair]

`@host` and `@guest` alone on a line choose the kernel; `! COMMAND` tells the switch (`! stats`). The end of the
input, or `exit`, ends the lab. Nothing is kept from line to line but files.
"""

import sys

import loopback
import pair
import runner
from lib import Failed

RECIPES = {"loopback": loopback.boot, "pair": pair.boot}


def one_line(lab, at, line):
    """The kernel for the next line."""
    if line in ("@host", "@guest"):
        return lab.host if line == "@host" else lab.guest
    if line.startswith("!"):
        print(lab.switch.tell(*line[1:].split()) if lab.switch else "there is no switch here")
    elif line:
        result = at.run(line, patience=24 * 3600)
        sys.stdout.write(result.out.decode(errors="backslashreplace") + result.err)
        if result.code:
            print(f"[exit {result.code}]")
    return at


def use(lab, _):
    print(f"hvsend and hvrecv are in the PATH; files go to {lab.host.data}; @host, @guest, ! switch command, exit")
    at = lab.host
    while True:
        try:
            line = input(f"{at.name}> ").strip()
        except EOFError:
            break
        if line == "exit":
            break
        try:
            at = one_line(lab, at, line)
        except Failed as error:
            print(error)
    return 0


if __name__ == "__main__":
    wanted = sys.argv[1] if len(sys.argv) > 1 else "pair"
    if wanted not in RECIPES:
        sys.exit(f"shell.py: '{wanted}' is none of {', '.join(RECIPES)}")
    runner.main(RECIPES[wanted], use)
