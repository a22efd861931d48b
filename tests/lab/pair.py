"""Two kernels of user-mode Linux, each with a virtio-vsock device, and the switch between them: the one with CID 2 is
the host of the other, 42."""

import os

import runner
from guest import Lab
from switch import Switch
from uml import UmlGuest, prepare

import cases  # noqa: F401
import cases_inside  # noqa: F401

HOST, GUEST = 2, 42
VIRTIO_ID_VSOCK = 19
MODULE = "vmw_vsock_virtio_transport"


class Pair(Lab):
    abilities = frozenset({"pair", "switch", "programs"})
    small = os.environ.get("LAB_SIZES") == "small"

    def __init__(self, directory):
        self.switch = Switch(directory, (HOST, GUEST))
        ends = [
            UmlGuest(name, cid, directory, MODULE, f"virtio_uml.device={self.switch.ports[cid]}:{VIRTIO_ID_VSOCK}")
            for name, cid in (("host", HOST), ("guest", GUEST))
        ]
        super().__init__("pair", *ends)
        self.directory = directory
        try:
            for end in ends:
                end.boot()
            for end in ends:
                end.wait_ready()
        except BaseException:
            self.close()
            raise

    def restart_guest(self):
        self.guest.kill()
        self.guest.boot()
        self.guest.wait_ready()

    def logs(self):
        consoles = [(f"{end.name}'s console", end.log()) for end in (self.host, self.guest)]
        return [*consoles, ("switch", self.switch.log())]

    def close(self):
        super().close()
        self.switch.close()


def boot(directory):
    prepare()
    return Pair(directory)


if __name__ == "__main__":
    runner.main(boot)
