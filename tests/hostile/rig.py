"""What the hostile tests share: a root with a fence around it, and one session of a hostile peer."""

import hashlib
import os
import signal
from pathlib import Path

import peer  # finds lib
from golden_build import Entries, totals
from lib import HVRECV, HVSEND, check, check_equal, put, status_of_tree, wait_until
from peer import Peer

ONE_TRY = ["--retry", "0", "--grace", "0"]


def digest_of(path):
    return hashlib.sha256(path.read_bytes()).digest()


class Fence:
    """ws.path/fence: the root (`dest`), and beside it what nobody may touch. changed() is the oracle."""

    def __init__(self, ws):
        self.top = ws.dir("fence")
        self.dest = self.top / "dest"
        self.dest.mkdir()
        for name in ("secret", "etc/passwd", "a/b/c/deep", "destination", "dest2/file", ".hvferry.mine"):
            (self.top / name).parent.mkdir(parents=True, exist_ok=True)
            put(self.top / name, f"what {name} holds\n".encode(), 0o600)
        os.symlink("secret", self.top / "link")
        # Ways out that a local user has laid below the root.
        os.symlink("..", self.dest / "up")
        os.symlink(self.top, self.dest / "absolute")
        os.symlink("../secret", self.dest / "tosecret")
        self.before = self.look()

    def look(self):
        """All but `dest`, in which a session may still be busy."""
        found = {}
        for child in os.listdir(self.top):
            path = self.top / child
            if child == "dest":
                continue
            if path.is_dir() and not path.is_symlink():
                found.update(((child, name), what) for name, what in status_of_tree(path).items())
                found.update((file, digest_of(file)) for file in path.rglob("*") if file.is_file())
            else:
                st = path.lstat()
                found[child] = (st.st_mode, st.st_size, st.st_mtime_ns, digest_of(path))
        return found

    def check_nothing_changed(self):
        check_equal(self.look(), self.before, "what lies outside of the root")


def greeted(address, role=peer.SENDER, **fields):
    """A hostile peer in a session with a listening end."""
    one = Peer.dial(address)
    one.greet(role, **fields)
    return one


def listed(one, entries):
    """Sends them; the answers, by id."""
    one.send("ENTRIES", entries.parts)
    return one.verdicts(entries.next_id - 1)


def goodbye(one, *numbers):
    """FINISH with these totals, up to BYE."""
    one.send("LIST_END")
    one.send("FINISH", totals(*numbers))
    one.expect("FINISH_ACK")
    one.send("BYE")


def sessions_of(process):
    """How many threads of sessions and greetings it has."""
    threads = 0
    for task in Path(f"/proc/{process.pid}/task").iterdir():
        try:
            threads += (task / "comm").read_text() == "session\n"
        except OSError:  # it has just ended
            continue
    return threads


def ends_when_told(process):
    """The listener is alive, its sessions end by themselves, and it ends well when it is told to."""
    wait_until(lambda: process.ended() or sessions_of(process) == 0, "its sessions are over")
    check(not process.ended(), f"the listener ended: {process.err()}")
    process.signal(signal.SIGTERM)
    result = process.wait()
    check_equal(result.code, 0, f"its exit code ({result})")
    return result


def is_served(ws, address, dest, name="honest", options=()):
    """An honest sender is served by that listener."""
    source = ws.dir(f"source-{name}")
    put(source / name, b"honest data")
    done = ws.run(HVSEND, "-r", *options, f"{source}/", address)
    check_equal(done.code, 0, f"the honest sender ({done})")
    check_equal((dest / name).read_bytes(), b"honest data", "what it sent")


__all__ = ["Entries", "Fence", "HVRECV", "HVSEND", "ONE_TRY", "ends_when_told", "goodbye", "greeted", "is_served",
           "listed", "sessions_of", "wait_until"]  # fmt: skip
