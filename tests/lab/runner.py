"""Runs the cases of the lab on a recipe, and prints TAP.

A target is a module of this directory; `scripts/lab.sh TARGET [WORDS]` runs it. It ends with runner.main(boot),
where boot(directory) returns a Lab that is up. WORDS choose the cases whose names hold them. LAB_PART=K/N in the
environment leaves every Nth of those, beginning with the Kth: N runs at once do what one does.
"""

import os
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from lib import Failed, Skipped, remove_tree  # noqa: E402

REPOSITORY = Path(__file__).resolve().parents[2]
EXIT_SKIPPED = 77

cases = []


def case(*needs):
    """A case that gets (lab, host, guest). needs: abilities of the Lab; other recipes are without the case."""

    def add(function):
        cases.append((function.__name__.replace("_", " "), needs, function))
        return function

    return add


def each(values, *needs):
    """One case for each value, which the function gets last."""

    def add(function):
        for value in values:
            name = f"{function.__name__.replace('_', ' ')}: {value}"
            cases.append((name, needs, lambda *ends, v=value: function(*ends, v)))
        return function

    return add


class Tap:
    """Numbered lines on stdout. The plan comes last, so that a run that was cut short has none."""

    def __init__(self):
        self.count = self.failures = 0

    def line(self, verdict, name, directive=""):
        self.count += 1
        self.failures += verdict != "ok"
        print(f"{verdict} {self.count} - {name}{directive}", flush=True)

    @staticmethod
    def comment(text):
        print("".join(f"# {line}\n" for line in text.splitlines()), end="", flush=True)

    def end(self):
        print(f"1..{self.count}", flush=True)
        return 1 if self.failures or not self.count else 0


def reason_of(error):
    return str(error) if isinstance(error, Failed) else traceback.format_exc()


def processor_seconds(root=None):
    """What a process (this run) and all below it have used so far: kernels, programs and switches, those that run and
    those that ended."""
    used = {}  # pid: (parent, ticks, its own and those of children that ended)
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        used[int(name)] = int(fields[1]), sum(map(int, fields[11:15]))
    ours, found = 0, [root or os.getpid()]
    while found:
        parent = found.pop()
        ours += used[parent][1]
        found += [pid for pid, (its_parent, _) in used.items() if its_parent == parent]
    return ours / os.sysconf("SC_CLK_TCK")


class Stopwatch:
    def __init__(self):
        self.start, self.used = time.monotonic(), processor_seconds()

    def __str__(self):
        return f"{time.monotonic() - self.start:.1f} s, {processor_seconds() - self.used:.1f} s of processors"


def run_case(tap, lab, name, function):
    watch = Stopwatch()
    try:
        lab.clear()
        function(lab, lab.host, lab.guest)
    except Skipped as reason:
        tap.line("ok", name, directive=f" # SKIP {reason}")
    except Exception as error:  # a case that breaks has failed
        tap.line("not ok", name)
        tap.comment(reason_of(error))
        for console, text in lab.logs():
            tap.comment(f"{console}, last lines:\n" + "\n".join(text.splitlines()[-10:]))
    else:
        tap.line("ok", name)
        tap.comment(str(watch))


def run_cases(lab, words):
    tap = Tap()
    part, parts = map(int, os.environ.get("LAB_PART", "1/1").split("/"))
    chosen = [case for case in cases if words in case[0] and all(lab.can(need) for need in case[1])]
    for name, _, function in chosen[part - 1 :: parts]:
        run_case(tap, lab, name, function)
    return tap.end()


class Directory:
    """A directory of its own for a run, which goes with it."""

    def __enter__(self):
        self.path = Path(tempfile.mkdtemp(prefix="hvferry-lab-"))
        return self.path

    def __exit__(self, *_):
        remove_tree(self.path)


def exit_on_signals():
    """As exceptions, so that everything is cleaned up. A second signal does not disturb that."""

    def stop(number, _):
        for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(other, signal.SIG_IGN)
        sys.exit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)


def main(boot, use=run_cases):
    """Boots, uses, cleans up, and ends the program. use(lab, words) returns the exit code."""
    os.umask(0o022)
    exit_on_signals()
    try:
        with Directory() as directory:
            watch = Stopwatch()
            with boot(directory) as lab:
                Tap.comment(f"{lab.name} was up after {watch}")
                code = use(lab, " ".join(sys.argv[1:]))
                Tap.comment(f"{lab.name} took {watch}")
    except Skipped as reason:
        print(f"1..0 # SKIP {reason}", flush=True)
        code = EXIT_SKIPPED
    except Failed as error:
        print(f"Bail out! {error}", flush=True)
        code = 1
    sys.exit(code)
