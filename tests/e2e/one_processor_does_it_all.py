"""On one processor the stages that only compute run in the threads beside them: every role, and breaks, there too."""

import os

os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # of this process, and of all that it starts

import lib  # noqa: E402

import a_session_goes_on_after_breaks  # noqa: E402, F401
import trees_arrive_in_every_role  # noqa: E402, F401

if __name__ == "__main__":
    lib.main()
