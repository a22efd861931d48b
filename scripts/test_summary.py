#!/usr/bin/env python3
"""Prints what passed, failed and was skipped, for scripts/test.sh.

usage: test_summary.py ALLOWED-SKIPS RESULTS [CONFIGURATION=LOG...]

RESULTS has lines `configuration TAB suite/test TAB OK|FAIL`. A log is meson's testlog.json, or SUITE-TEST.tap
with what one test printed. Counts are of single cases where a test prints TAP, else of tests. A skip that
ALLOWED-SKIPS does not name is a failure. Exit code 1 when there is a failure, or nothing at all ran.
"""

import json
import re
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

TAP_PLAN = re.compile(r"^1\.\.(\d+)(?:\s+#\s*SKIP\S*\s*(.*))?$", re.IGNORECASE | re.MULTILINE)
TAP_CASE = re.compile(r"^(not ok|ok) \d+(?:[ -]+([^#\n]*))?(?:#\s*(SKIP|TODO)\S*\s*(.*))?$", re.IGNORECASE)
REASON = re.compile(r"^(?:#\s*)?skip(?:ped|ping)?:?\s+(.*)$", re.IGNORECASE | re.MULTILINE)


class Case(NamedTuple):
    configuration: str
    suite: str
    name: str  # suite/test or suite/test/case
    outcome: str  # passed, failed or skipped
    reason: str = ""


def words(pattern, text):
    """What the last match says, cut to one line of a table."""
    found = pattern.findall(text)
    return found[-1].strip()[:200] if found else ""


def cases_of_tap(configuration, suite, name, stdout):
    """The single cases of a test that printed TAP."""
    for line in stdout.splitlines():
        match = TAP_CASE.match(line)
        if not match:
            continue
        verdict, title, directive, text = match.groups()
        skipped = (directive or "").upper() == "SKIP"
        # cmocka puts the name of a skipped case where a reason belongs.
        title = (title or "").strip() or (text or "").strip()
        reason = text if skipped and text and text.strip() != title else ""
        outcome = "skipped" if skipped else "passed" if verdict == "ok" else "failed"
        yield Case(configuration, suite, f"{name}/{title}", outcome, reason)


def cases_of(configuration, entry):
    """The cases of one line of meson's log."""
    label, _, test = entry["name"].rpartition(" / ")
    suite = label.rpartition(":")[2] or "none"
    name = f"{suite}/{test}"
    stdout = "\n".join(entry.get("stdout", "").splitlines())  # programs for Windows end lines with \r\n
    result = entry["result"]
    plan = TAP_PLAN.search(stdout)
    if result == "SKIP" or (plan and plan[1] == "0"):
        reason = (plan and plan[2]) or words(REASON, stdout + "\n" + entry.get("stderr", ""))
        return [Case(configuration, suite, name, "skipped", reason)]
    cases = list(cases_of_tap(configuration, suite, name, stdout)) if plan else []
    # cmocka says "not ok ... # SKIP", which meson takes for a failure.
    only_skips = entry.get("returncode") == 0 and any(case.outcome == "skipped" for case in cases)
    good = result in ("OK", "EXPECTEDFAIL") or (result == "FAIL" and only_skips)
    if not good and not any(case.outcome == "failed" for case in cases):
        # It crashed, timed out, or said ok and exited with an error.
        cases.append(Case(configuration, suite, name, "failed", result.lower()))
    return cases or [Case(configuration, suite, name, "passed")]


def cases_of_file(configuration, path, text):
    """The cases of one test, which is good when its plan counts them all."""
    suite, _, test = Path(path).stem.partition("-")
    ran = sum(TAP_CASE.match(line) is not None for line in text.splitlines())
    plan = TAP_PLAN.search(text)
    result = "OK" if plan and int(plan[1]) == ran else "cut short: the plan does not count its cases"
    return cases_of(configuration, {"name": f"{suite} / {test}", "stdout": text, "result": result})


def read_log(configuration, path):
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return [Case(configuration, "none", str(path), "failed", "it wrote no log")]
    if path.endswith(".tap"):
        return cases_of_file(configuration, path, text)
    lines = text.splitlines()
    cases = [case for line in lines for case in cases_of(configuration, json.loads(line))]
    return cases or [Case(configuration, "none", "meson test", "failed", "it ran nothing")]


def read_results(path):
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        configuration, name, verdict = line.split("\t")
        yield Case(configuration, name.split("/")[0], name, "passed" if verdict == "OK" else "failed")


def read_allowed(path):
    """(configuration pattern, name pattern, reason) of each line."""
    rules = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split(None, 2)
        if len(fields) < 3:
            sys.exit(f"{path}:{number}: a reason is missing")
        rules.append(fields)
    return rules


def judged(case, allowed):
    """The case as it counts: a skip with a reason, or a failure when nothing allows the skip."""
    if case.outcome != "skipped":
        return case
    for configuration, name, reason in allowed:
        if fnmatchcase(case.configuration, configuration) and fnmatchcase(case.name, name):
            return case._replace(reason=case.reason or reason)
    return case._replace(
        outcome="failed", reason=f"skipped, which is not allowed here: {case.reason or 'no reason given'}"
    )


def count(cases, outcome):
    return sum(case.outcome == outcome for case in cases)


def print_table(cases):
    configurations = list(dict.fromkeys(case.configuration for case in cases))
    rows = list(dict.fromkeys((case.configuration, case.suite) for case in cases))
    rows.sort(key=lambda row: configurations.index(row[0]))
    line = "{:<14} {:<8} {:>7} {:>7} {:>8}"
    print("\n" + line.format("configuration", "suite", "passed", "failed", "skipped"))
    for row in rows:
        own = [case for case in cases if (case.configuration, case.suite) == row]
        print(line.format(*row, *(count(own, outcome) for outcome in ("passed", "failed", "skipped"))))


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__.strip())
    allowed = read_allowed(sys.argv[1])
    cases = list(read_results(sys.argv[2]))
    for argument in sys.argv[3:]:
        configuration, _, path = argument.partition("=")
        cases += read_log(configuration, path)
    cases = [judged(case, allowed) for case in cases]
    print_table(cases)
    for outcome in ("skipped", "failed"):
        for case in cases:
            if case.outcome == outcome:
                print(f"{outcome}: {case.configuration} {case.name}" + (f": {case.reason}" if case.reason else ""))
    counts = [count(cases, outcome) for outcome in ("passed", "failed", "skipped")]
    print("{} passed, {} failed, {} skipped".format(*counts))
    return 1 if counts[1] or not counts[0] else 0


if __name__ == "__main__":
    sys.exit(main())
