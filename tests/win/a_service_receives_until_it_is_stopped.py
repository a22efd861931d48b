#!/usr/bin/env python3
"""hvrecv.exe as a service, as far as Wine's service control manager goes: installed, started, used, stopped, removed."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "e2e"))

import lib
import wine
from lib import HVRECV, HVSEND, case, check, check_equal, failed, free_port, put, wait_until


class Host:
    """A Windows of its own."""

    def __init__(self, ws):
        self.ws = ws
        self.prefix = ws.dir("prefix")
        # Wine keeps no event log: it writes what is reported to where its own messages go.
        self.env = {**wine.plain_environment(self.prefix), "WINEDEBUG": "-all,+eventlog"}
        check(self.run("wineboot", "-i").code == 0, "no Wine prefix can be made")
        ws.run("wineserver", "-w", env=self.env)
        # Wine's service control manager comes with the first program and goes with the last: one that stays keeps it.
        address = f"tcp://127.0.0.1:{free_port()}"
        self.first = ws.listen(
            address, *wine.command(HVRECV, "--listen", address, wine.path(ws.dir("idle"))), env=self.env
        )

    def run(self, *argv):
        return self.ws.run(*wine.command(*argv), env=self.env)

    def good(self, *argv):
        result = self.run(*argv)
        check(result.code == 0 and not result.err, f"{argv}: {result}")
        return result.out.decode(errors="replace")

    def query(self, value):
        return self.good("reg", "query", r"HKLM\SYSTEM\CurrentControlSet\Services\hvferry", "/v", value)

    def log(self):
        found = list(self.prefix.glob("drive_c/**/hvferry/hvrecv.log"))
        return found[0].read_text() if found else ""

    def events(self):
        """What was reported to the event log."""
        return self.first.err()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ws.run("wineserver", "-k", env=self.env)


@case
def a_service_is_installed_used_and_removed(ws):
    with Host(ws) as host:
        source, dest = ws.dir("source"), ws.dir("in box")
        put(source / "a file", b"content")
        address = f"tcp://127.0.0.1:{free_port()}"
        host.good(HVRECV, "install-service", "-v", "--listen", address, wine.path(dest))
        check("run-service" in host.query("ImagePath") and "in box" in host.query("ImagePath"), "ImagePath")
        check("0x2" in host.query("Start"), "it does not start with the system")
        check("LocalService" in host.query("ObjectName"), "it has more rights than it needs")
        host.good(HVRECV, "start")
        wait_until(lambda: "listening on" in host.log(), "the service listens")
        failed(host.run(HVRECV, "start"), 1, "runs already")
        failed(host.run(HVRECV, "install-service", "--listen", address, "x"), 1, "installed already")
        host.good(HVSEND, "-r", wine.path(source) + "/", address)
        check_equal((dest / "a file").read_bytes(), b"content", "what arrived")
        host.good(HVRECV, "stop")
        failed(host.run(HVRECV, "stop"), 1, "does not run")
        host.good(HVRECV, "remove-service")
        failed(host.run(HVRECV, "start"), 1, "not installed")
        for event in ("hvferry started.", "hvferry stopped."):
            check(event in host.events(), f"the event log has no '{event}'")

        host.good(HVRECV, "install-service", "--listen", address, wine.path(ws.path / "missing"))
        host.good(HVRECV, "start")
        wait_until(lambda: "hvferry failed." in host.events(), "the event log has the failure")
        check("missing: " in host.log(), f"the log does not say why: {host.log()}")
        host.good(HVRECV, "remove-service")


@case
def mistakes_are_usage_errors(ws):
    with Host(ws) as host:
        failed(host.run(HVRECV, "install-service"), 1, "say what it is to do")
        failed(host.run(HVRECV, "remove-service", "x"), 1, "nothing may follow")
        failed(host.run(HVRECV, "run-service", "--listen", "x", "y"), 1, "only the service control manager")
        for command in ("start", "stop", "remove-service"):
            failed(host.run(HVRECV, command), 1, "not installed")


lib.need("wine", "wineserver")
lib.main()
