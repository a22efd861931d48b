"""One kernel of user-mode Linux that talks to itself (vsock_loopback, CID 1)."""

import runner
from guest import Lab
from uml import UmlGuest, prepare

import cases  # noqa: F401
import cases_inside  # noqa: F401


class Loopback(Lab):
    abilities = frozenset({"programs", "loopback"})
    small = True  # one processor serves both ends; the full sizes are for the pair

    def logs(self):
        return [("console", self.host.log())]


def boot(directory):
    prepare()
    guest = UmlGuest("guest", 1, directory, "vsock_loopback")
    lab = Loopback("loopback", guest, guest)
    lab.directory = directory
    try:
        guest.boot()
        guest.wait_ready()
    except BaseException:
        lab.close()
        raise
    return lab


if __name__ == "__main__":
    runner.main(boot)
