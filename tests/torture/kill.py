#!/usr/bin/env python3
"""kill -9 at every system call of each end: old or new files, and the next run ends in the right tree"""

import rig
from rig import ENDS, SCENARIOS, Failed, Fault, check

THREADED_GUESS = 2  # a threaded run makes up to so many times the calls of a serial one


class Kill(rig.Torture):
    CASE = "kill"
    QUICK_RUNS = 240

    def __init__(self):
        super().__init__()
        self.scenarios = {s.name: s for s in SCENARIOS}
        self.calls = {}

    def count(self, scenario, end):
        """The calls of a serial run, with some more for those that depend on time."""
        run = self.open_run(scenario, False)
        try:
            report = run.dir / "report"
            run.session(Fault(end, prefix=(str(rig.HELPERS / "killat"), "0", str(report))))
            run.stop_listener()
            return int(report.read_text().split()[0]) + 3
        finally:
            run.close()

    def sweep(self):
        points = []
        for scenario in SCENARIOS:
            for end in ENDS:
                if self.is_wanted(f"{scenario.name}/{end}"):
                    self.calls[scenario.name, end] = self.count(scenario, end)
                    points += [f"{scenario.name}/{end}/serial/{n + 1}" for n in range(self.calls[scenario.name, end])]
        return points

    def random_point(self, rng):
        name, end = rng.choice(sorted(self.calls))
        return f"{name}/{end}/threads/{rng.randint(1, THREADED_GUESS * self.calls[name, end])}"

    def run(self, point):
        name, end, mode, number = point.split("/")
        run = self.open_run(self.scenarios[name], mode == "threads")
        report = run.dir / "report"
        try:
            codes = run.session(Fault(end, prefix=(str(rig.HELPERS / "killat"), number, str(report))))
            return self.judge(run, end, codes, report)
        except Failed as error:
            raise Failed(f"{error}\n{run.texts()}") from None
        finally:
            run.close()

    def judge(self, run, end, codes, report):
        if end != run.scenario.dialler:
            run.stop_listener((0, 20, 128 + 9))
        killed = report.exists() and not report.read_text().endswith(" -1\n")
        found = rig.old_or_new(run)
        for survivor, code in codes.items():
            if survivor == end and killed:
                continue
            lost = run.scenario.broken if survivor == "sender" else (10, 12)
            check(code in (None, 0) or (code in lost and killed), f"the {survivor} ends with {code}")
            if code == 0:
                rig.is_new(run, found, orphans=True)
        rig.others_are_whole(run, end, codes)
        dialler = run.scenario.dialler
        if run.scenario.comes_back and (end != dialler or not killed):
            check(codes[dialler] == 0, f"the {dialler} did not go on: {codes[dialler]}")
        orphans = rig.next_run_completes(run)
        if orphans:
            with self.lock:
                self.counts["left names"] = self.counts.get("left names", 0) + orphans
        return "killed" if killed else None


if __name__ == "__main__":
    Kill().main()
