#!/usr/bin/env python3
"""hvrecv.exe service-guid against the registry of a Wine prefix of its own."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "e2e"))

import lib
import wine
from lib import HVRECV, Failed, case, check, check_equal, failed

VIRTUALIZATION = r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Virtualization"
SERVICES = VIRTUALIZATION + r"\GuestCommunicationServices"
GUID = "00000ac9-facb-11e6-bd58-64006a7986d3"
OTHER = "e3b0c442-98fc-4c14-9afb-f4c8996fb924"


class Host:
    """A Windows of its own; with Hyper-V, unless it is told otherwise."""

    def __init__(self, ws, hyper_v=True):
        self.ws = ws
        self.env = wine.plain_environment(ws.dir("prefix"))
        ws.run("wineserver", "-p5", env=self.env)
        check(self.wine("wineboot", "-i").code == 0, "no Wine prefix can be made")
        if hyper_v:
            self.reg("add", SERVICES)

    def wine(self, *argv):
        return self.ws.run(*wine.command(*argv), env=self.env)

    def reg(self, *argv):
        result = self.wine("reg", *argv)
        check(result.code == 0, f"reg {argv}: {result}")
        return result.out.decode(errors="replace")

    def value(self, guid, name):
        """What the registry holds, or None."""
        result = self.wine("reg", "query", SERVICES + "\\" + guid, "/v", name)
        words = result.out.decode(errors="replace").split("REG_SZ")
        return words[1].strip() if result.code == 0 and len(words) == 2 else None

    def guid(self, *words):
        return self.wine(HVRECV, "service-guid", *words)

    def good(self, *words):
        result = self.guid(*words)
        if result.code or result.err:
            raise Failed(f"{words}: {result}")
        return [line.split("\t") for line in result.out.decode().splitlines()]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ws.run("wineserver", "-k", env=self.env)


@case
def a_service_is_registered_listed_renamed_and_removed(ws):
    with Host(ws) as host:
        check_equal(host.good("list"), [], "a list without services")
        check_equal(host.good("of", "2761"), [[GUID]], "the GUID of a port")
        check_equal(host.good("of", "{" + GUID.upper() + "}"), [["2761"]], "the port of a GUID")
        failed(host.guid("of", OTHER), 4, "stands for no port")
        host.good("register", "--port", "2761", "--name", "hvferry files")
        check_equal(host.value(GUID, "ElementName"), "hvferry files", "ElementName")
        check_equal(host.good("list"), [[GUID, "2761", "hvferry", "hvferry files"]], "the list")
        host.good("register", "--guid", GUID.upper(), "--name", "Gruesse")
        check_equal(host.good("list"), [[GUID, "2761", "hvferry", "Gruesse"]], "the list")
        host.good("register", "--guid", OTHER, "--name", "x")
        check_equal(sorted(host.good("list"))[1], [OTHER, "-", "hvferry", "x"], "the list")
        host.good("unregister", "--guid", OTHER)
        host.good("unregister", "--port", "2761")
        check_equal(host.good("list"), [], "the list at the end")
        failed(host.guid("unregister", "--port", "2761"), 1, "not registered")


@case
def entries_of_others_need_force(ws):
    with Host(ws) as host:
        host.reg("add", SERVICES + "\\{" + GUID.upper() + "}", "/v", "ElementName", "/d", "not ours")
        check_equal(host.good("list"), [[GUID, "2761", "other", "not ours"]], "the list")
        failed(host.guid("register", "--port", "2761", "--name", "mine"), 1, "--force")
        failed(host.guid("unregister", "--port", "2761"), 1, "--force")
        check_equal(host.good("list"), [[GUID, "2761", "other", "not ours"]], "nothing changed")
        host.good("register", "--port", "2761", "--name", "mine", "--force")
        check_equal(host.good("list"), [[GUID, "2761", "hvferry", "mine"]], "one entry, not two")
        host.reg("delete", SERVICES + "\\{" + GUID + "}", "/v", "RegisteredBy", "/f")
        host.good("unregister", "--port", "2761", "--force")
        check_equal(host.good("list"), [], "the list at the end")


@case
def a_windows_without_hyper_v_says_so(ws):
    with Host(ws, hyper_v=False) as host:
        for words in (["list"], ["register", "--port", "1", "--name", "x"], ["unregister", "--port", "1"]):
            failed(host.guid(*words), 4, "Hyper-V feature")


lib.need("wine", "wineserver")
lib.main()
