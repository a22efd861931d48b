"""wine.py: running Windows programs, under Wine where this is not Windows, with the stand-in beside them."""

import os
import shutil
import sys


def place(folder, shim, programs):
    """Copies the programs and the stand-in to `folder`, and makes the folder of its services. Returns `folder`."""
    for program in programs:
        shutil.copy(program, folder)
    shutil.copy(shim, folder / "ws2_32.dll")
    (folder / "services").mkdir()
    return folder


def path(unix_path):
    """The name of a file as the programs know it."""
    return str(unix_path) if sys.platform == "win32" else "Z:" + str(unix_path).replace("/", "\\")


def command(program, *arguments):
    return [*([] if sys.platform == "win32" else ["wine"]), str(program), *map(str, arguments)]


def environment(folder, **knobs):
    """For programs in `folder`: the stand-in counts more than the system's own."""
    overrides = [os.environ.get("WINEDLLOVERRIDES", "mscoree,mshtml,winemenubuilder.exe="), "ws2_32=n,b"]
    return {
        **os.environ,
        "LC_ALL": "C.UTF-8",
        "WINEDEBUG": "-all",
        "WINEDLLOVERRIDES": ";".join(o for o in overrides if o),
        "HVSHIM_DIR": path(folder / "services"),
        **knobs,
    }
