"""QEMU's machine protocol (QMP), as much of it as saving and restoring a machine takes."""

import json
import shlex
import time

from lib import Failed

FAST = 1 << 34  # bytes a second: no bound, where the default is 128 MiB
PATIENCE = 300  # seconds


class Monitor:
    """Waits are bounded; what goes wrong is Failed or OSError."""

    def __init__(self, sock):
        sock.settimeout(PATIENCE)
        self.stream = sock.makefile("rw")
        self._answer("QMP")
        self.execute("qmp_capabilities")

    def _answer(self, word):
        """The next line with that word; events in between are passed over."""
        for line in self.stream:
            said = json.loads(line)
            if "error" in said:
                raise Failed(f"QEMU: {said['error']['desc']}")
            if word in said:
                return said[word]
        raise Failed("QEMU ended")

    def execute(self, command, **arguments):
        print(json.dumps({"execute": command, "arguments": arguments}), file=self.stream, flush=True)
        return self._answer("return")

    def _until(self, command, done):
        end = time.monotonic() + PATIENCE
        while not done(state := self.execute(command).get("status")):
            if state == "failed" or time.monotonic() > end:
                raise Failed(f"QEMU: {command}: {state}")
            time.sleep(0.1)

    def save(self, path):
        """The whole machine goes to `path`; it stands still meanwhile, and then goes on."""
        self.execute("stop")
        try:
            self.execute("migrate-set-parameters", **{"max-bandwidth": FAST})
            self.execute("migrate", uri=f"exec:cat > {shlex.quote(str(path))}")
            self._until("query-migrate", lambda state: state == "completed")
        finally:
            self.execute("cont")

    def resume(self):
        """A machine that was started with restore_options() goes on when all is read."""
        self._until("query-status", lambda state: state != "inmigrate")
        self.execute("cont")


def restore_options(path):
    return ["-incoming", f"exec:cat {shlex.quote(str(path))}"]
