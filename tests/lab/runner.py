"""Runs the cases of the lab on a recipe, and prints TAP.

A target is a module of this directory; `scripts/lab.sh TARGET [WORDS]` runs it. It ends with runner.main(boot),
where boot(directory) returns a Lab that is up. WORDS choose the cases whose names hold them.
"""

import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from lib import Failed, Skipped  # noqa: E402

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

    def line(self, verdict, name, seconds=None, directive=""):
        self.count += 1
        self.failures += verdict != "ok"
        print(f"{verdict} {self.count} - {name}{directive}", flush=True)
        if seconds is not None:
            self.comment(f"{seconds:.1f} s")

    @staticmethod
    def comment(text):
        print("".join(f"# {line}\n" for line in text.splitlines()), end="", flush=True)

    def end(self):
        print(f"1..{self.count}", flush=True)
        return 1 if self.failures or not self.count else 0


def reason_of(error):
    return str(error) if isinstance(error, Failed) else traceback.format_exc()


def run_case(tap, lab, name, function):
    start = time.monotonic()
    try:
        for end in {lab.host, lab.guest}:
            end.clear()
        function(lab, lab.host, lab.guest)
    except Skipped as reason:
        tap.line("ok", name, directive=f" # SKIP {reason}")
    except Exception as error:  # a case that breaks has failed
        tap.line("not ok", name)
        tap.comment(reason_of(error))
        for console, text in lab.logs():
            tap.comment(f"{console}, last lines:\n" + "\n".join(text.splitlines()[-10:]))
    else:
        tap.line("ok", name, time.monotonic() - start)


def run_cases(lab, words):
    tap = Tap()
    for name, needs, function in cases:
        if words in name and all(lab.can(need) for need in needs):
            run_case(tap, lab, name, function)
    return tap.end()


class Directory:
    """A directory of its own for a run, which goes with it."""

    def __enter__(self):
        self.path = Path(tempfile.mkdtemp(prefix="hvferry-lab-"))
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path)


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
            start = time.monotonic()
            with boot(directory) as lab:
                Tap.comment(f"{lab.name} was up after {time.monotonic() - start:.1f} s")
                code = use(lab, " ".join(sys.argv[1:]))
    except Skipped as reason:
        print(f"1..0 # SKIP {reason}", flush=True)
        code = EXIT_SKIPPED
    except Failed as error:
        print(f"Bail out! {error}", flush=True)
        code = 1
    sys.exit(code)
