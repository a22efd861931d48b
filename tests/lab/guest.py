"""What every recipe of the lab gives to its cases: kernels that run commands, and what can be done to them.

A recipe is a Lab with two ends, `host` and `guest`: two kernels, or one kernel that is both. Commands are scripts
for sh; hvsend, hvrecv and labtree are in their PATH. The machine itself never makes an AF_VSOCK socket: only what runs inside
a kernel whose command line has the word `labvsock` does.
"""

import os
import shlex

from lib import Failed  # noqa: F401  (what everything here raises)

PATIENCE = 300  # seconds for one command; it only ends what hangs
LABTREE = os.environ.get("LABTREE", "labtree")
CID_NAMES = {1: "local", 2: "host"}


class Job:
    """A command that was started in a guest. Its processes are a group."""

    def wait(self, patience=PATIENCE):
        """Result(code, out, err) at its end. Failed when it takes longer, or the kernel is gone."""
        raise NotImplementedError

    def ended(self):
        raise NotImplementedError

    def signal(self, number):
        """To all processes of the command."""
        raise NotImplementedError

    def err(self):
        """What it has written to stderr so far, as text. May lag behind by a fraction of a second."""
        raise NotImplementedError


class Guest:
    """One kernel of the lab."""

    data = "/tmp"  # a directory in its memory, for what cases make
    kept = None  # a directory that outlives kill(), as a disk does; None: there is none

    def __init__(self, name, cid):
        self.name, self.cid = name, cid

    def address(self, port):
        """Where the other end reaches what listens here."""
        return f"vsock://{CID_NAMES.get(self.cid, self.cid)}:{port}"

    def start(self, command):
        """Runs it in the background; a Job. command: a script for sh, or a list of words."""
        raise NotImplementedError

    def run(self, command, patience=PATIENCE):
        return self.start(command).wait(patience)

    def kill(self):
        """Powers off the hard way, as a crash does."""
        raise NotImplementedError

    def freeze(self):
        """Stops the whole kernel: nothing in it runs, no timer either."""
        raise NotImplementedError

    def thaw(self):
        raise NotImplementedError

    def alive(self):
        raise NotImplementedError

    def close(self):
        """Ends it in whatever state it is, and gives back all that it uses. May be called twice."""
        raise NotImplementedError


def script(command):
    """What sh is to run for a command. Words replace the shell."""
    return command if isinstance(command, str) else "exec " + shlex.join(map(str, command))


class Lab:
    """A recipe that runs.

    abilities: what its cases may use.
      pair      host and guest are two kernels: guest.kill(), freeze(), thaw() and restart_guest()
      switch    lab.switch, which damages what goes over the wire between the two
      programs  python3 and everything else that is installed on the machine runs inside, too, and so do the files
                of this repository, at the same paths
      vhost     the host's vsock is the kernel's vhost_vsock
    small: its processors are slow, so sizes shrink.
    silence: seconds without a word after which an end may give up; the slower the processors, the longer.
    """

    abilities = frozenset()
    small = False
    silence = 3
    switch = None
    directory = None  # of the run, which guests see at the same path, to be read; None: they do not

    def __init__(self, name, host, guest):
        self.name, self.host, self.guest = name, host, guest

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def can(self, what):
        return what in self.abilities

    def clear(self):
        """Takes away what the case before has left in `data`: cases make nothing but room-NUMBER there."""
        for job in [guest.start(f"rm -rf {guest.data}/room-*") for guest in {self.host, self.guest}]:
            job.wait()

    def size(self, full, small):
        return small if self.small else full

    def restart_guest(self):
        """Boots a guest that was killed; self.guest is there again when this returns."""
        raise NotImplementedError

    def logs(self):
        """(name, text) of each console, for who looks for a cause."""
        return []

    def close(self):
        for guest in {self.guest, self.host}:
            guest.close()
