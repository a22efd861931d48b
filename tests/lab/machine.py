"""Machines under QEMU with Debian's cloud kernel, and machines inside those.

Everything is emulated (TCG): /dev/kvm is never used, so that it runs anywhere and no kernel of this machine has a
part in it. AF_VSOCK exists inside these kernels only; each has the word `labvsock` on its command line, and their
agent (agent.c) refuses to run without it. Nothing is installed inside but busybox, hvsend and hvrecv.

A machine's first serial line is its console, the second its agent's. A machine that is to have another inside has a
third, which the QEMU inside uses as the line of that one's agent, so that nothing has to relay it.
"""

import itertools
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from guest import LABTREE, Guest, script
from initramfs import Initramfs
from lib import HVRECV, HVSEND, Failed, Skipped
from line import Line

QEMU = "qemu-system-x86_64"
BUSYBOX = "/bin/busybox"
AGENT_SOURCE = Path(__file__).with_name("agent.c")
MACHINE = (
    "-accel", "tcg,thread=multi", "-cpu", "qemu64",  # the model that boots fastest: `max` takes four times as long
    "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
)  # fmt: skip
# Emulated twice, a kernel takes a second for every 30 ms: what takes long and is not needed is left out.
INNER_MACHINE = "-machine", "pc,acpi=off,hpet=off,i8042=off,usb=off"
INNER_WORDS = "ipv6.disable=1 initcall_blacklist=init_kprobe_trace"
KERNEL_WORDS = "console=ttyS0 quiet panic=-1 mitigations=off cryptomgr.notests nokaslr labvsock"
FIRMWARE = ("/usr/share/seabios/bios-256k.bin", "/usr/share/qemu/pvh.bin", "/usr/share/qemu/linuxboot_dma.bin",
            "/usr/share/qemu/kvmvapic.bin")  # fmt: skip
TCG_MODULES = "*/qemu/accel-tcg-x86_64.so", "*/qemu/accel-tcg-i386.so"
BOOT_PATIENCE = 600  # seconds; it only ends what hangs

boots = itertools.count(1)


def kernel_words(boot):
    """boot: which tells the agent's greeting from that of another boot."""
    return f"{KERNEL_WORDS} labboot={boot}"


def need_programs():
    missing = [name for name in (QEMU, "busybox", "cc", "lz4", "setpriv") if not shutil.which(name)]
    if missing:
        raise Skipped(f"{', '.join(missing)} is not installed (scripts/setup.sh lab-full)")


# ---- what is in the initramfs -----------------------------------------------------------------------------------


def libraries_of(*programs):
    """Their paths; none for programs that are linked statically."""
    said = subprocess.run(["ldd", *programs], capture_output=True, check=False, text=True).stdout
    return sorted(set(re.findall(r"(/\S+) \(0x", said)))


def add_program(tree, at, program, *plugins):
    """With all that it loads, at the places where it looks for it."""
    tree.file(at, program)
    for path in (*plugins, *libraries_of(program, *plugins)):
        tree.file(path, path)


def build_agent(directory):
    agent = directory / "agent"
    flags = ["-std=gnu11", "-D_GNU_SOURCE", "-Os", "-Wall", "-Wextra", "-Werror", "-static"]
    done = subprocess.run(["cc", *flags, "-o", agent, AGENT_SOURCE], capture_output=True, check=False, text=True)
    if done.returncode != 0:
        raise Failed(f"the agent does not compile:\n{done.stderr}")
    return agent


def basic_initramfs(kernel, modules, agent):
    tree = Initramfs()
    for path in ("proc", "sys", "dev", "tmp"):
        tree.directory(path)
    tree.file("init", agent)
    for applet in subprocess.run([BUSYBOX, "--list"], capture_output=True, check=True, text=True).stdout.split():
        tree.link(f"bin/{applet}", "busybox")
    add_program(tree, "bin/busybox", BUSYBOX)
    add_program(tree, "bin/hvsend", HVSEND)
    add_program(tree, "bin/hvrecv", HVRECV)
    add_program(tree, "bin/labtree", LABTREE)
    paths = {module: f"lib/modules/{module}.ko" for module in modules}
    for module, path in paths.items():
        tree.file(path, kernel.module(module))
    tree.text("lib/modules/order", "".join(f"/{path}\n" for path in paths.values()))
    return tree


def add_qemu(tree):
    program = Path(shutil.which(QEMU))
    # Distributions put the emulator itself into the program or into modules.
    add_program(tree, program, program, *(path for name in TCG_MODULES for path in Path("/usr/lib").glob(name)))
    for path in filter(os.path.exists, FIRMWARE):
        tree.file(path, path)


# ---- guests -----------------------------------------------------------------------------------------------------


class LineGuest(Guest):
    def __init__(self, name, cid, line):
        super().__init__(name, cid)
        self.line = line

    def start(self, command):
        return self.line.start(script(command))


class QemuGuest(LineGuest):
    """A kernel in a QEMU process of this machine."""

    def __init__(self, name, cid, directory, image, initramfs, *options):
        """directory: for the console's log. self.inner_line is the third serial line, self.monitor QEMU's QMP: both
        are sockets."""
        self.console = Path(directory) / f"{name}.console"
        pairs = [socket.socketpair() for _ in range(3)]
        (ours, self.inner_line, self.monitor), fds = zip(*((one, other.fileno()) for one, other in pairs))
        super().__init__(name, cid, Line(ours, name))
        boot = next(boots)
        self.line.expect(boot)
        argv = [QEMU, *MACHINE, *options, "-kernel", image, "-initrd", initramfs, "-append", kernel_words(boot)]
        argv += ["-serial", f"file:{self.console}"]
        for end, fd in zip(("line", "inner", "monitor"), fds):
            argv += ["-chardev", f"socket,id={end},fd={fd}"]
        argv += ["-serial", "chardev:line", "-serial", "chardev:inner", "-mon", "chardev=monitor,mode=control"]
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *argv],  # it does not outlive this program, however that ends
            stdin=subprocess.DEVNULL, start_new_session=True, pass_fds=fds,
        )  # fmt: skip
        for _, other in pairs:
            other.close()

    def wait_ready(self, patience=BOOT_PATIENCE):
        try:
            self.line.wait_ready(self.alive, patience)
        except Failed as error:
            raise Failed(f"{error}; its console:\n{self.log()}") from None

    def log(self):
        return self.console.read_text(errors="replace") if self.console.exists() else ""

    def alive(self):
        return self.process.poll() is None

    def freeze(self):
        os.killpg(self.process.pid, signal.SIGSTOP)

    def thaw(self):
        os.killpg(self.process.pid, signal.SIGCONT)

    def kill(self):
        if self.alive():
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.line.lose("was lost: the guest was killed")

    def close(self):
        self.kill()
        self.line.close()
        self.monitor.close()


class NestedGuest(LineGuest):
    """A kernel in a QEMU process of the guest `host`. It can be booted again after kill()."""

    IMAGE, INITRAMFS, CONSOLE = "/guest/vmlinux", "/guest/initramfs", "/tmp/guest.console"  # in the host

    def __init__(self, name, cid, host, sock):
        super().__init__(name, cid, Line(sock, name))
        self.host = host
        self.qemu = None

    def boot(self):
        """Begins to boot; wait_ready() waits for it."""
        boot = next(boots)
        self.line.expect(boot)
        argv = [QEMU, *MACHINE, *INNER_MACHINE, "-m", "192", "-kernel", self.IMAGE, "-initrd", self.INITRAMFS]
        argv += ["-append", f"{kernel_words(boot)} {INNER_WORDS}", "-serial", f"file:{self.CONSOLE}"]
        argv += ["-chardev", "serial,id=line,path=/dev/ttyS2", "-serial", "chardev:line"]
        argv += ["-device", f"vhost-vsock-pci,guest-cid={self.cid}"]
        self.qemu = self.host.start(f"exec {shlex.join(argv)} </dev/null")

    def adopt(self, job):
        """job: the QEMU that runs in a host which was saved and restored."""
        self.qemu = job
        self.line.assume_ready()

    def wait_ready(self, patience=BOOT_PATIENCE):
        try:
            self.line.wait_ready(self.alive, patience)
        except Failed as error:
            raise Failed(f"{error}; its console:\n{self.log()}") from None

    def log(self):
        """What QEMU said, and the console."""
        if not self.host.alive() or self.qemu is None:
            return ""
        return self.qemu.err() + self.host.run(f"cat {self.CONSOLE}").out.decode(errors="replace")

    def alive(self):
        return self.qemu is not None and not self.qemu.ended() and self.host.alive()

    def freeze(self):
        self.qemu.signal(signal.SIGSTOP)

    def thaw(self):
        self.qemu.signal(signal.SIGCONT)

    def kill(self):
        if self.alive():
            self.qemu.signal(signal.SIGKILL)
            self.qemu.wait()
        self.line.lose("was lost: the guest was killed")

    def close(self):
        """After the host's."""
        self.line.close()
