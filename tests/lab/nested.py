"""A host and its guest, whole: a machine with the kernel's vhost_vsock (CID 2), and one inside it with a
vhost-vsock device (CID 42). Both are Debian's cloud kernel under QEMU, the inner one emulated twice."""

import hashlib
import subprocess
import sys
from pathlib import Path

import runner
import machine
from cloud_kernel import CACHE, cloud_kernel
from guest import Lab
from lib import Failed, check_equal
from machine import QEMU, NestedGuest, QemuGuest, add_qemu, basic_initramfs, build_agent, need_programs
from monitor import Monitor, restore_options

import cases  # noqa: F401
import cases_vhost  # noqa: F401

HOST_MODULES = ("virtio_ring", "virtio", "vsock", "vmw_vsock_virtio_transport_common", "vhost_iotlb", "vhost",
                "vhost_vsock")  # fmt: skip
GUEST_MODULES = ("virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci", "vsock",
                 "vmw_vsock_virtio_transport_common", "vmw_vsock_virtio_transport")  # fmt: skip
HOST_CID, GUEST_CID = 2, 42
OPTIONS = "-m", "1536", "-smp", "2"
GUEST_JOB = 1  # the number of the host's first job, which is the guest
RESTORE_PATIENCE = 300  # seconds


class Nested(Lab):
    abilities = frozenset({"pair", "vhost"})
    small = True
    silence = 20

    def size(self, full, small):
        """Through two emulators data moves at 0.2 MB/s."""
        return max(1, small // 8)

    def restart_guest(self):
        self.guest.boot()
        self.guest.wait_ready()

    def logs(self):
        return [(end.name, end.log()) for end in (self.host, self.guest)]

    def close(self):
        self.host.close()
        self.guest.close()


def write_initramfs(directory, kernel):
    """The host's, which has everything of the guest's in it."""
    agent = build_agent(directory)
    inner = directory / "guest-initramfs"
    basic_initramfs(kernel, GUEST_MODULES, agent).write(inner)
    tree = basic_initramfs(kernel, HOST_MODULES, agent)
    add_qemu(tree)
    tree.file(NestedGuest.IMAGE, kernel.image)
    tree.file(NestedGuest.INITRAMFS, inner)
    tree.write(directory / "initramfs")
    return directory / "initramfs"


class Snapshot:
    """Both kernels, up, as an earlier run saved them: booting takes minutes, restoring them seconds.

    Good only for the very same programs, kernel and QEMU, which its name tells. There is one at a time."""

    def __init__(self, kernel, initramfs):
        qemu = subprocess.run([QEMU, "--version"], capture_output=True, check=True).stdout
        ours = b"".join(Path(module.__file__).read_bytes() for module in (machine, sys.modules[__name__]))
        parts = kernel.version.encode() + qemu + ours + initramfs.read_bytes()
        self.path = CACHE / f"nested-{hashlib.sha256(parts).hexdigest()}"

    def save(self, lab):
        """Without success, say because the disk is full, the next run boots, too."""
        for old in CACHE.glob("nested-*"):
            old.unlink()
        new = self.path.with_suffix(".new")
        try:
            Monitor(lab.host.monitor).save(new)
            new.rename(self.path)
        except (Failed, OSError) as error:
            new.unlink(missing_ok=True)
            runner.Tap.comment(f"both kernels are up, but could not be saved: {error}")

    def options(self):
        return restore_options(self.path) if self.path.exists() else []

    def restore(self, lab):
        """Into machines that were started with options(). False: that is not possible; it is removed."""
        try:
            Monitor(lab.host.monitor).resume()
            lab.guest.adopt(lab.host.line.assume_ready(GUEST_JOB)[0])
            check_equal([end.run("exit 5", RESTORE_PATIENCE).code for end in (lab.guest, lab.host)], [5, 5], "codes")
            return True
        except (Failed, OSError) as error:
            runner.Tap.comment(f"what was saved cannot be restored, so both boot: {error}")
            self.path.unlink()
            return False


def start(directory, kernel, initramfs, options=()):
    host = QemuGuest("host", HOST_CID, directory, kernel.image, initramfs, *OPTIONS, *options)
    return Nested("nested", host, NestedGuest("guest", GUEST_CID, host, host.inner_line))


def boot(directory):
    need_programs()
    kernel = cloud_kernel()
    initramfs = write_initramfs(directory, kernel)
    snapshot = Snapshot(kernel, initramfs)
    lab = start(directory, kernel, initramfs, snapshot.options())
    try:
        if not snapshot.options():
            boot_both(lab, snapshot)
        elif not snapshot.restore(lab):
            lab.close()
            lab = start(directory, kernel, initramfs)
            boot_both(lab, snapshot)
    except BaseException:
        lab.close()
        raise
    return lab


def boot_both(lab, snapshot):
    lab.host.wait_ready()
    lab.restart_guest()
    snapshot.save(lab)


if __name__ == "__main__":
    runner.main(boot)
