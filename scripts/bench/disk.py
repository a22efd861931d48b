"""A directory on ext4: a loop image of its own where root runs this, else on the disk's own file system."""

import os
import subprocess
import tempfile
from pathlib import Path

from .base import GIB
from .data import remove

IMAGE_SIZE = 4 * GIB


def file_system_of(path):
    result = subprocess.run(["stat", "-f", "-c", "%T", path], capture_output=True, text=True, check=True)
    return result.stdout.strip()


def quiet(*command):
    return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=False).returncode == 0


class Disk:
    """`top` is the directory, `words` what it lies on. The image has no name once it is mounted, so that it goes with
    the mount."""

    def __init__(self, folder):
        self.base = Path(tempfile.mkdtemp(prefix="hvferry-bench.", dir=folder))
        self.mounted = False
        self.top = self.base
        if os.getuid() == 0 and self.mount():
            self.words = f"ext4 in a loop image on {file_system_of(self.base)}"
        else:
            self.words = f"the disk's own file system, {file_system_of(self.base)}"

    def mount(self):
        image, mount_point = self.base / "image", self.base / "mnt"
        mount_point.mkdir()
        with open(image, "wb") as file:
            file.truncate(IMAGE_SIZE)
        options = ["-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"]
        if quiet("mkfs.ext4", *options, str(image)):
            self.mounted = quiet("mount", "-o", "loop", str(image), str(mount_point))
        image.unlink()
        if self.mounted:
            self.top = mount_point
        return self.mounted

    def settle(self):
        """So that no run pays for what another one left to be written."""
        subprocess.run(["sync", "-f", self.top], check=True)

    def close(self):
        if self.mounted:
            quiet("umount", str(self.top)) or quiet("umount", "--lazy", str(self.top))
        remove(self.base)
