#!/usr/bin/env python3
"""each call on files and sockets fails once, or from then on: a clear error, the right code, the old file intact"""

import errno
import os
import struct
from typing import NamedTuple

import rig
from rig import ENDS, SCENARIOS, Failed, Fault, check

STATE = struct.Struct("=6Q24s")  # struct state of failpoint.c
KINDS = ("io", "intr", "short", "alloc")
ERRORS = ("EIO", "ENOSPC", "ENOMEM", "EACCES")
FILLS = ("openat2", "pwrite", "mkdirat", "symlinkat", "renameat", "ftruncate")
INVISIBLE = ("EINTR", "short")  # nobody is to notice
KIND_OF = {"EINTR": "intr", "short": "short"}


class State(NamedTuple):
    """What failpoint.so counted."""

    calls: dict
    failed: int
    flushed_again: int
    name: str


def read_state(path):
    io, intr, short, alloc, failed, again, name = STATE.unpack(path.read_bytes())
    return State(dict(zip(KINDS, (io, intr, short, alloc))), failed, again, name.rstrip(b"\0").decode())


class FailPoints(rig.Torture):
    """Points are SCENARIO/END/serial|threads/ERROR/once|on/N."""

    PROGRAMS = {}
    ENV = {}

    def __init__(self):
        super().__init__()
        self.scenarios = {s.name: s for s in SCENARIOS}
        self.calls = {}

    def fault(self, run, end, kind, at, error, on=False):
        env = {**rig.fail_env(run.dir / "state", kind, at, error, on), **self.ENV}
        return Fault(end, env=env, programs=self.PROGRAMS)

    def count(self, scenario, end):
        run = self.open_run(scenario, False)
        try:
            codes = run.session(self.fault(run, end, "io", 0, "EIO"))
            run.stop_listener()
            check(all(code in (0, None) for code in codes.values()), f"it fails by itself: {codes}\n{run.texts()}")
            return read_state(run.dir / "state").calls
        finally:
            run.close()

    def ways(self):
        """(kind, error, once or on)"""
        raise NotImplementedError

    def sweep(self):
        points = []
        for scenario in SCENARIOS:
            for end in ENDS:
                if scenario.breaks or not self.is_wanted(f"{scenario.name}/{end}"):
                    continue
                calls = self.calls[scenario.name, end] = self.count(scenario, end)
                points += [
                    f"{scenario.name}/{end}/serial/{error}/{often}/{n + 1}"
                    for kind, error, often in self.ways()
                    for n in range(calls[kind] + 1)
                ]
        return points

    def random_point(self, rng):
        name, end = rng.choice(sorted(self.calls))
        kind, error, often = rng.choice(list(self.ways()))
        return f"{name}/{end}/threads/{error}/{often}/{rng.randint(1, 2 * self.calls[name, end][kind])}"

    def run(self, point):
        name, end, mode, error, often, number = point.split("/")
        run = self.open_run(self.scenarios[name], mode == "threads")
        kind = self.kind_of(error)
        try:
            codes = run.session(self.fault(run, end, kind, int(number), error, often == "on"))
            state = read_state(run.dir / "state") if (run.dir / "state").exists() else None
            if state is None or state.failed == 0:
                run.stop_listener()
                return None
            try:
                return self.judge(run, end, codes, state, error, often == "on")
            except Failed as failure:
                raise Failed(f"{state.name}: {failure}") from None
        except Failed as failure:
            raise Failed(f"{failure}\n{run.texts()}") from None
        finally:
            run.close()

    def judge(self, run, end, codes, state, error, on):
        dialler = run.scenario.dialler
        if end != dialler:  # its own program may have ended, or serve on
            gives_up = run.listener and "cannot accept: " in run.listener.text()  # once its sessions are over
            if run.listener and on:
                run.listener.kill()
                run.listener = None
            elif run.listener and not run.listener.ended() and codes[dialler] == 0:
                run.stop_listener((0, 10, 20) if gives_up else (0, 20))
            elif gives_up:
                check(run.listener.wait() == 10, "a listener that cannot accept goes on listening")
                run.listener = None
        rig.sanitizers_are_silent(run)
        found = rig.old_or_new(run)
        for name, code in codes.items():
            self.check_code(run, name, end, code, state, error, on)
            if code == 0:
                rig.is_new(run, found, orphans=True)
        if run.beside and end != "sender":
            check(codes["sender"] in (0, 43), f"the sender ends with {codes['sender']}, though one receiver has all")
        rig.others_are_whole(run, end, codes)
        check(state.flushed_again == 0, f"{state.flushed_again} flushes of what failed to flush before")
        if all(code in (0, None) for code in codes.values()):
            outcome = "unharmed"
        else:
            outcome = "reported"
        if not on and end == "receiver" and state.name != "unlinkat":
            left = [path for path in found if rig.is_temporary(path) and not rig.is_partial(path)]
            check(not left or run.listener, f"{left} left by a receiver that was not killed")
        rig.next_run_completes(run)
        return outcome

    def check_code(self, run, name, end, code, state, error, on):
        raise NotImplementedError


class Fail(FailPoints):
    CASE = "fail"
    QUICK_RUNS = 300

    def kind_of(self, error):
        return KIND_OF.get(error, "io")

    def ways(self):
        for error in ERRORS:
            yield "io", error, "once"
            yield "io", error, "on"
        yield "intr", "EINTR", "once"
        yield "short", "short", "once"
        yield "short", "short", "on"

    def check_code(self, run, name, end, code, state, error, on):
        """The victim names its cause; the other end knows at least that the session broke."""
        text = "".join(e.text() for e in run.ends if e.log.name.startswith(name))
        if error in INVISIBLE:
            check(code in (0, None), f"the {name} ends with {code}, though {error} is nobody's fault")
            return
        if code in (0, None):
            return
        allowed = {3, 10, 11, 12, 22, 23, 24, 35, 41}
        some = {43} if run.beside and name == "sender" else set()
        allowed |= some
        if on and name != end:
            allowed.add(30)  # an end that is left with nothing may wait for better times
        check(code in allowed, f"the {name} ends with {code}")
        check(text.startswith(("hvsend: ", "hvrecv: ")), f"the {name} ends with {code} and does not say why")
        if name != end or on:
            return
        reason = os.strerror(getattr(errno, error))
        texts = run.texts()
        taken = state.name == "fcntl" and error == "EACCES" and "a program that has locked it" in texts  # says POSIX
        check(taken or reason in texts, f"nobody says '{reason}'")
        wanted = {3, 10, 11, 12, 23, 24}
        if error == "ENOMEM":
            wanted = {3, 10, 11, 22, 23}
        if error == "ENOSPC" and end == "receiver":
            wanted = {41} if state.name in FILLS else wanted | {41}
        check(code in wanted | some, f"the {name} ends with {code}, but one of {wanted} is right for {error}")


if __name__ == "__main__":
    Fail().main()
