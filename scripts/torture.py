"""The part of torture.sh that runs the modules and prints the table.

A module is an executable file of tests/torture that begins with #! and whose docstring's first line says what it does.
It takes --seconds, --runs and --seed, prints at its end one line CASE<TAB>COUNT<TAB>FAILED<TAB>NOTE on stdout, and its
failures on stderr, each with the command that repeats it. Exit code 77: this machine cannot, and NOTE says why.
QUICK_RUNS in it is the --runs of --quick; without it, --quick gives it some seconds.
"""

import argparse
import ast
import concurrent.futures
import random
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

DIRECTORY = Path("tests/torture")
QUICK_SEED = 1
QUICK_SECONDS = 15


class Module(NamedTuple):
    name: str
    path: Path
    what: str
    quick_runs: int | None


class Row(NamedTuple):
    name: str
    what: str
    count: str
    failures: str
    seed: str
    note: str


def read_module(path):
    """None when the file is no module."""
    text = path.read_text()
    if not text.startswith("#!"):
        return None
    tree = ast.parse(text)
    quick = None
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "QUICK_RUNS":
            quick = ast.literal_eval(node.value)
    return Module(path.stem, path, (ast.get_docstring(tree) or path.stem).splitlines()[0], quick)


def run_module(module, options):
    """Its row; one that ends without a line has failed."""
    argv = [sys.executable, str(module.path), "--seed", str(options.seed)]
    if options.quick and module.quick_runs is None:
        argv += ["--seconds", str(QUICK_SECONDS)]
    elif options.quick:
        argv += ["--runs", str(module.quick_runs)]
    elif options.runs is not None:
        argv += ["--runs", str(options.runs)]
    else:
        argv += ["--seconds", f"{options.seconds * options.jobs / options.modules:g}"]
    print(f"== {module.name}: {module.what} (seed {options.seed})", file=sys.stderr, flush=True)
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False)
    rows = [line.split("\t") for line in done.stdout.splitlines() if line.count("\t") == 3]
    if len(rows) != 1 or not rows[0][1].isdecimal() or not rows[0][2].isdecimal():
        return Row(module.name, module.what, "0", "1", str(options.seed), f"it broke, exit code {done.returncode}")
    _, count, failures, note = rows[0]
    if done.returncode == 77:
        return Row(module.name, module.what, count, failures, str(options.seed), f"skipped: {note}")
    if done.returncode != 0 and failures == "0":
        failures, note = "1", f"exit code {done.returncode}; {note}"
    if count == "0" and failures == "0":
        failures, note = "1", f"nothing was done; {note}"
    return Row(module.name, module.what, count, failures, str(options.seed), note)


def print_table(rows):
    head = Row("case", "what was done", "count", "failures", "seed", "note")
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head) - 1)]
    for row in [head, *rows]:
        cells = [cell.rjust(w) if i in (2, 3) else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths))]
        print("  ".join([*cells, row.note]).rstrip())


def parse(modules):
    parser = argparse.ArgumentParser(prog="torture.sh")
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument("--quick", action="store_true")
    amount.add_argument("--seconds", type=float)
    amount.add_argument("--runs", type=int)
    amount.add_argument("--list", action="store_true")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int)
    parser.add_argument("cases", nargs="*", choices=[[], *(m.name for m in modules)], metavar="CASE")
    options = parser.parse_args()
    if options.seconds is None and options.runs is None:
        options.quick = not options.list
    if options.seed is None:
        options.seed = QUICK_SEED if options.quick else random.SystemRandom().randrange(1 << 32)
    return options


def main():
    modules = [m for m in map(read_module, sorted(DIRECTORY.glob("*.py"))) if m]
    options = parse(modules)
    chosen = [m for m in modules if not options.cases or m.name in options.cases]
    options.jobs = max(1, min(options.jobs, len(chosen)))
    options.modules = len(chosen)
    if options.list:
        for module in chosen:
            print(f"{module.name:10} {module.what}")
        return 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        rows = list(pool.map(lambda module: run_module(module, options), chosen))
    print_table(rows)
    return 1 if any(row.failures != "0" for row in rows) else 0


sys.exit(main())
