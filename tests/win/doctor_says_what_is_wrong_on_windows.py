#!/usr/bin/env python3
"""doctor for Windows: what it says of Hyper-V, and of each error that connecting can end with. Over the stand-in for
Hyper-V sockets, in a Wine prefix of its own."""

import os
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "e2e"))

import lib
import wine
from lib import HVRECV, HVSEND, case, check, check_equal, wait_until

SHIM, FAKE_WSL = Path(os.environ["HVFERRY_SHIM"]), Path(os.environ["HVFERRY_FAKE_WSL"])
OTHER = "e3b0c442-98fc-4c14-9afb-f4c8996fb924"  # a VM that is not there
GUEST = "c1f9a3d2-0b4e-4f60-9a77-5d2e8b6c1034"
PORT = 2761
SERVICES = r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Virtualization\GuestCommunicationServices"
GUEST_KEY = r"HKLM\SOFTWARE\Microsoft\Virtual Machine\Guest\Parameters"


class Machine:
    """A Windows of its own, with the stand-in."""

    def __init__(self, ws):
        self.ws = ws
        self.folder = wine.place(ws.dir("windows"), SHIM, [HVSEND, HVRECV])
        self.env = wine.environment(self.folder, WINEPREFIX=str(ws.path / "prefix"), HVSHIM_VM=GUEST)
        wine.prefix(ws, self.env)

    def run(self, program, *words, **knobs):
        where = self.folder / Path(program).name if program in (HVSEND, HVRECV) else program
        return self.ws.run(*wine.command(where, *words), env={**self.env, **knobs})

    def reg(self, *words):
        check_equal(self.run("reg", *words, "/f").code, 0, f"reg {words}")

    def doctor(self, *words, code=0, **knobs):
        """{what: lines} of what it found."""
        result = self.run(HVSEND, "doctor", *words, **knobs)
        check_equal(result.code, code, f"the exit code of {result}")
        found, what = {}, ""
        for line in result.out.decode().splitlines():
            if line.startswith(("ok ", "warn", "fail")):
                what = line[6:].partition(":")[0]
            found[what] = found.get(what, "") + line + "\n"
        return found

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ws.run("wineserver", "-k", env=self.env)


def says(found, what, *parts):
    for part in parts:
        check(part in found.get(what, ""), f"{what} does not say '{part}'\n{found}")


ERRORS = [
    (10013, 10, "administrator"),
    (10047, 10, "no Hyper-V sockets"),
    (10049, 10, "no such VM"),
    (10050, 10, "start it"),
    (10055, 10, "fewer streams"),
    (10060, 35, "registered"),
    (10061, 10, "--listen first"),
]


@case
def machine_service_and_errors_are_explained(ws):
    with Machine(ws) as machine:
        found = machine.doctor()
        says(found, "system", "ok    system: Windows ")
        says(found, "rights", "administrator")
        says(found, "hyper-v", "warn", "no Hyper-V host", "/enable-feature")

        machine.reg("add", GUEST_KEY, "/v", "VirtualMachineName", "/d", "my box")
        says(machine.doctor(), "hyper-v", "ok", "the guest my box", "hyperv://parent:PORT")

        machine.reg("add", SERVICES)
        found = machine.doctor(f"hyperv://parent:{PORT}", code=10)
        says(found, "hyper-v", "this is a host", "vmms", "net start vmms")
        says(found, "service", "warn", "00000ac9-facb-11e6-bd58-64006a7986d3 is not registered", "service-guid register")
        says(found, "connect", "fail", "nobody is listening")
        check_equal(machine.run(HVRECV, "service-guid", "register", "--port", str(PORT), "--name", "files").code, 0, "register")
        says(machine.doctor(f"hyperv://parent:{PORT}", code=10), "service", "ok", "registered as 'files'")

        for error, code, words in ERRORS:
            found = machine.doctor(f"hyperv://parent:{PORT}", code=code, HVSHIM_CONNECT_ERROR=str(error))
            says(found, "connect", "fail", words)

        says(machine.doctor(f"hyperv://{GUEST}:{PORT}", code=10), "vm", "warn", "no Hyper-V host")
        says(machine.doctor(f"hyperv://name:box:{PORT}", code=4), "vm", "warn", "no Hyper-V host")
        says(machine.doctor("--listen", f"hyperv://any:{PORT}"), "listen", "ok")

        receiver = machine.ws.start(
            *wine.command(machine.folder / "hvrecv.exe", "--listen", f"hyperv://any:{PORT}", wine.path(ws.dir("in"))),
            env=machine.env,
        )
        wait_until(lambda: receiver.ended() or wine.service_file(machine.folder, PORT).exists(), "it listens")
        found = machine.doctor(f"hyperv://{GUEST}:{PORT}")
        says(found, "connect", "ok", "answers")
        says(found, "peer", "ok", "hvferry, protocol")


@case
def wsl_is_found_by_the_id_that_it_tells(ws):
    """A program that stands for wsl.exe tells the id, or something else."""
    with Machine(ws) as machine:
        wsl = Path(machine.env["WINEPREFIX"], "drive_c/windows/system32/wsl.exe")
        address = f"hyperv://wsl:{PORT}"
        says(machine.doctor(address, code=10), "connect", "fail", "install or update WSL")
        shutil.copy(FAKE_WSL, wsl)
        for answer in (GUEST, GUEST.upper() + "\r\n"):
            says(machine.doctor(address, code=10, FAKE_WSL_ANSWER=answer), "connect", "fail", "nobody is listening")
        says(machine.doctor(address, code=10, FAKE_WSL_ANSWER=OTHER), "connect", "fail", "no such VM")
        for answer in ("", "Invalid command line argument: --vm-id", GUEST[:-1]):
            found = machine.doctor(address, code=10, FAKE_WSL_ANSWER=answer)
            says(found, "connect", "fail", "wslinfo printed no VM id but", "wsl --update")


lib.need("wine", "wineserver")
lib.main()
