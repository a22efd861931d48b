"""Debian's cloud kernel for the lab: its package is downloaded and unpacked into a cache, never installed.

The kernel is kept uncompressed (QEMU boots it by its PVH entry): unpacking itself under emulation would take
longer than the rest of the boot.
"""

import os
import re
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

from lib import Failed, Skipped
from runner import REPOSITORY

CACHE = Path(os.environ.get("HVFERRY_LAB_CACHE", REPOSITORY / "build-lab-kernel"))

META_PACKAGE = "linux-image-cloud-amd64"
LZ4_LEGACY, XZ = b"\x02\x21\x4c\x18", b"\xfd7zXZ\x00"


class Kernel:
    """One unpacked kernel: `image` is an ELF file."""

    def __init__(self, root):
        self.image = root / "vmlinux"
        self.version = (root / "version").read_text()
        self.modules = {path.stem: path for path in (root / "lib/modules" / self.version).rglob("*.ko")}

    def module(self, name):
        if name not in self.modules:
            raise Failed(f"the kernel {self.version} has no module {name}")
        return self.modules[name]


def run(*argv, **options):
    """Its output; Skipped when it fails: what it is needed for cannot be had here."""
    try:
        done = subprocess.run(argv, capture_output=True, check=True, timeout=600, **options)
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", None) or b"").decode(errors="replace").strip()
        raise Skipped(f"{' '.join(map(str, argv))}: {error} {said}") from None
    return done.stdout


def newest_package():
    said = run("apt-cache", "depends", "--no-recommends", "--no-suggests", META_PACKAGE).decode()
    found = re.search(r"Depends: (linux-image-\S+-cloud-amd64)", said)
    if not found:
        raise Skipped(f"apt knows no {META_PACKAGE} (apt-get update?)")
    return found[1]


def uncompressed(bzimage):
    """The ELF file inside: linux/Documentation/x86/boot.rst says where (setup_sects, payload_offset, _length)."""
    data = bzimage.read_bytes()
    setup_sectors = data[0x1F1] or 4
    offset, length = struct.unpack_from("<II", data, 0x248)
    payload = data[512 * (setup_sectors + 1) + offset :][: length - 4]  # four bytes of size follow
    if payload.startswith(LZ4_LEGACY):
        return run("lz4", "-dc", input=payload)
    if payload.startswith(XZ):
        return run("xz", "-dc", "--single-stream", input=payload)
    raise Failed(f"{bzimage}: compressed in a way that is not known here")


def cloud_kernel():
    """The kernel in the cache, downloaded when it is not there yet."""
    root = CACHE / "kernel"
    if root.exists():
        return Kernel(root)
    CACHE.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix="kernel-new-", dir=CACHE))
    try:
        unpack_into(making)
        making.rename(root)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return Kernel(root)


def unpack_into(making):
    package = newest_package()
    run("apt-get", "-q", "download", package, cwd=making)
    [archive] = making.glob("*.deb")
    run("dpkg", "-x", archive, making)
    archive.unlink()
    [image] = (making / "boot").glob("vmlinuz-*")
    (making / "version").write_text(image.name.removeprefix("vmlinuz-"))
    (making / "vmlinux").write_bytes(uncompressed(image))
