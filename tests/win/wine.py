"""wine.py: running the programs for Windows under Wine, with the stand-in for Hyper-V sockets beside them."""

import os
import shutil

SERVICE_SUFFIX = "facb-11e6-bd58-64006a7986d3"


def place(folder, shim, programs):
    """Copies the programs, unchanged, and the stand-in to `folder`, and makes the folder of its services."""
    for program in programs:
        shutil.copy(program, folder)
    shutil.copy(shim, folder / "ws2_32.dll")
    (folder / "services").mkdir()
    return folder


def path(name):
    """The name of a file as the programs know it."""
    return "Z:" + str(name).replace("/", "\\")


def command(program, *arguments):
    return ["wine", str(program), *map(str, arguments)]


def settings():
    """Of the environment, for every program: no chatter, no desktop, UTF-8."""
    overrides = os.environ.get("WINEDLLOVERRIDES", "mscoree,mshtml,winemenubuilder.exe=")
    return {"LC_ALL": "C.UTF-8", "WINEDEBUG": "-all", "WINEDLLOVERRIDES": overrides}


def plain_environment(prefix):
    """For programs in a Wine prefix of the test's own, without the stand-in."""
    return {
        **{name: value for name, value in os.environ.items() if name != "DISPLAY"},
        "LC_ALL": "C.UTF-8",
        "WINEPREFIX": str(prefix),
        "WINEDEBUG": "-all",
        "WINEDLLOVERRIDES": "mscoree,mshtml,winemenubuilder.exe=",
    }


def prefix(ws, env):
    """Makes the Wine prefix that `env` names: a Windows of its own."""
    made = ws.run("wine", "wineboot", "-i", env=env)
    if made.code != 0:
        raise RuntimeError(f"no Wine prefix can be made: {made}")


def environment(folder, **knobs):
    """For programs in `folder`: the stand-in counts more than Wine's own."""
    base = settings()
    overrides = [base["WINEDLLOVERRIDES"], "ws2_32=n,b"]
    return {
        **os.environ,
        **base,
        "WINEDLLOVERRIDES": ";".join(o for o in overrides if o),
        "HVSHIM_DIR": path(folder / "services"),
        **knobs,
    }


def service_file(folder, port):
    """Where the stand-in says that somebody has bound the service of this port."""
    return folder / "services" / f"{port:08x}-{SERVICE_SUFFIX}"
