"""Debian's cloud kernel under QEMU, which talks to itself (vsock_loopback, CID 1)."""

import runner
from cloud_kernel import cloud_kernel
from guest import Lab
from machine import QemuGuest, basic_initramfs, build_agent, need_programs

import cases  # noqa: F401

MODULES = "vsock", "vmw_vsock_virtio_transport_common", "vsock_loopback"
CID = 1


class Qemu(Lab):
    abilities = frozenset({"loopback"})
    small = True

    def logs(self):
        return [("console", self.host.log())]


def boot(directory):
    need_programs()
    kernel = cloud_kernel()
    initramfs = directory / "initramfs"
    basic_initramfs(kernel, MODULES, build_agent(directory)).write(initramfs)
    guest = QemuGuest("guest", CID, directory, kernel.image, initramfs, "-m", "512")
    lab = Qemu("qemu", guest, guest)
    try:
        guest.wait_ready()
    except BaseException:
        lab.close()
        raise
    return lab


if __name__ == "__main__":
    runner.main(boot)
