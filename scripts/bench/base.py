"""Units, and the error that all modules share."""

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


class BenchError(Exception):
    """Something that makes the numbers worthless."""


class NotHere(BenchError):
    """What this machine, or this build, cannot do: a case is passed over with the reason."""


def size_text(size):
    """1 GiB, 64 KiB, 100 bytes: exact where it can be, else with one decimal."""
    for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if size >= unit:
            return f"{size // unit} {name}" if size % unit == 0 else f"{size / unit:.1f} {name}"
    return f"{size} bytes"
