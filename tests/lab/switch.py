"""The switch between the vsock devices of the lab's kernels (vsw/), and what it can be told to do to the wire."""

import os
import socket
import subprocess

from guest import PATIENCE
from lib import Failed, wait_until

VSW = os.environ.get("VSW", "vsw")


class Switch:
    """One process; `ports` are the Unix sockets of the kernels by CID."""

    def __init__(self, directory, cids):
        self.ports = {cid: directory / f"port-{cid}" for cid in cids}
        control, self.log_path = directory / "control", directory / "switch.log"
        argv = [VSW, "--control", control]
        for cid, path in self.ports.items():
            argv += ["--port", f"{path}:{cid}"]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        self.control = None
        try:
            ended = self.process.poll
            wait_until(lambda: "ready" in self.log() or ended() is not None, "the switch is ready", PATIENCE)
            if self.process.poll() is not None:
                raise Failed(f"the switch ended: {self.log()}")
            self.control = socket.socket(socket.AF_UNIX)
            self.control.connect(str(control))
        except BaseException:
            self.close()
            raise

    def log(self):
        return self.log_path.read_text(errors="replace")

    def tell(self, *words):
        """One command; what it answers. Failed when that is an error."""
        self.control.sendall(" ".join(map(str, words)).encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            piece = self.control.recv(4096)
            if not piece:
                raise Failed(f"the switch has ended: {self.log()}")
            answer += piece
        text = answer.decode().strip()
        if not text.startswith("ok"):
            raise Failed(f"the switch was told {words}, and says: {text}")
        return text

    def rate(self, bytes_per_second):
        """The most that each direction carries."""
        self.tell("rate", bytes_per_second)

    def delay(self, milliseconds):
        """How late every packet comes."""
        self.tell("delay", milliseconds)

    def reset(self, cid):
        """Resets all streams of a kernel."""
        self.tell("reset", cid)

    def vanish(self, cid):
        """From now on nothing reaches a kernel or comes from it."""
        self.tell("vanish", cid)

    def stall(self, cid):
        """From now on a kernel grants no credit, as if its programs did not read."""
        self.tell("stall", cid)

    def clear(self):
        """Ends every fault."""
        self.tell("clear")

    def close(self):
        if self.control:
            self.control.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
