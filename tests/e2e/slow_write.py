"""One write(2) that begins, and goes on when it is told to: the second half of its data is memory that is not there yet."""

import ctypes
import mmap
import os
import platform
import struct
import threading

from lib import Skipped, check

SYS_USERFAULTFD = {"x86_64": 323, "aarch64": 282}
UFFDIO_API, UFFDIO_REGISTER, UFFDIO_COPY = 0xC018AA3F, 0xC020AA00, 0xC028AA03
API_VERSION, MODE_MISSING = 0xAA, 1

libc = ctypes.CDLL(None, use_errno=True)


def _ioctl(fd, request, *fields):
    argument = ctypes.create_string_buffer(struct.pack(f"{len(fields)}Q", *fields))
    if libc.ioctl(fd, ctypes.c_ulong(request), argument) != 0:
        raise OSError(ctypes.get_errno(), "ioctl of a userfaultfd")


class SlowWrite:
    """Writes `content`, an even number of pages, over the file at `path`."""

    def __init__(self, path, content):
        number = SYS_USERFAULTFD.get(platform.machine())
        self.faults = libc.syscall(number, os.O_CLOEXEC) if number else -1
        if self.faults < 0:
            raise Skipped("no userfaultfd to be had")
        self.content, self.file = content, os.open(path, os.O_WRONLY)
        self.memory = mmap.mmap(-1, len(content), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.at = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        self.half_written, self.may_go_on = threading.Event(), threading.Event()
        self.threads = [threading.Thread(target=what, daemon=True) for what in (self.fill, self.write)]
        half = len(content) // 2
        self.memory[:half] = content[:half]
        _ioctl(self.faults, UFFDIO_API, API_VERSION, 0, 0)
        _ioctl(self.faults, UFFDIO_REGISTER, self.at + half, half, MODE_MISSING, 0)
        for thread in self.threads:
            thread.start()
        check(self.half_written.wait(30), "the write does not come to its second half")

    def write(self):
        self.written = libc.pwrite(self.file, ctypes.c_void_p(self.at), ctypes.c_size_t(len(self.content)), ctypes.c_long(0))

    def fill(self):
        os.read(self.faults, 32)
        self.half_written.set()
        self.may_go_on.wait()
        half = len(self.content) // 2
        data = ctypes.create_string_buffer(self.content[half:], half + mmap.PAGESIZE)
        start = -(-ctypes.addressof(data) // mmap.PAGESIZE) * mmap.PAGESIZE
        ctypes.memmove(start, self.content[half:], half)
        _ioctl(self.faults, UFFDIO_COPY, self.at + half, start, half, 0, 0)

    def go_on(self):
        self.may_go_on.set()
        for thread in self.threads:
            thread.join()
        os.close(self.file)
        os.close(self.faults)
        return self.written
