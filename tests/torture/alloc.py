#!/usr/bin/env python3
"""each allocation and each start of a thread fails once, or from then on: a clean error, no leak, no wild access"""

import os

import fail
from rig import check


class Alloc(fail.FailPoints):
    """The end in question is built with AddressSanitizer, which also looks for leaks when it ends."""

    CASE = "alloc"
    QUICK_RUNS = 150
    PROGRAMS = {"sender": os.environ.get("HVSEND_ASAN"), "receiver": os.environ.get("HVRECV_ASAN")}
    ENV = {
        # exitcode 99 is no code of ours; the order of libraries is right, failpoint.so is meant to come first.
        "ASAN_OPTIONS": "detect_leaks=1:exitcode=99:verify_asan_link_order=0:detect_stack_use_after_return=1",
        "UBSAN_OPTIONS": "halt_on_error=1:exitcode=99",
    }

    def kind_of(self, error):
        return "alloc"

    def ways(self):
        yield "alloc", "ENOMEM", "once"
        yield "alloc", "ENOMEM", "on"

    def check_code(self, run, name, end, code, state, error, on):
        if code in (0, None):
            return
        text = "".join(e.text() for e in run.ends if e.log.name.startswith(name))
        allowed = {3, 10, 11, 22, 23} if name == end else {10, 11, 12, 22, 23}
        if run.beside and name == "sender":
            allowed.add(43)
        check(code in allowed, f"the {name} ends with {code}")
        check(text.startswith(("hvsend: ", "hvrecv: ")), f"the {name} ends with {code} and does not say why")
        said = "memory" in run.texts() or "thread" in run.texts()
        check(name != end or said, "nobody says that memory is out")


if __name__ == "__main__":
    Alloc().main()
