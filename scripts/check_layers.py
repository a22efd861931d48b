#!/usr/bin/env python3
"""Checks that each C file includes only what its layer may use.

usage: check_layers.py [TOP]        checks the tree at TOP (default: the one this script is in)
       check_layers.py --self-test  checks this script itself on a tree with known violations

Prints `file:line: what is wrong` for each violation; exit code 1 when there is one.
"""

import re
import sys
import tempfile
from pathlib import Path

# What a folder may include besides itself: docs/architecture.md has the same table.
LAYERS = {
    "core": [],
    "wire": ["core"],
    "codec": ["core", "wire"],
    "os": ["core"],
    "auth": ["os", "wire", "core"],
    "sync": ["os", "core"],
    "transport": ["core", "os"],
    "flow": ["sync", "codec", "wire", "core", "os"],
    "tree": ["os", "core"],
}
LAYERS["program"] = list(LAYERS)
ENDS = ["sender", "receiver"]
LAYERS.update({end: [layer for layer in LAYERS if layer not in ENDS] for end in ENDS})

# System headers that only these folders may include (tests may include anything).
SYSTEM = [
    (re.compile(r"(zlib|zconf|zstd|zstd_errors|zdict)\.h"), ["codec"]),
    (re.compile(r"(xxhash|xxh3)\.h"), ["codec", "wire"]),
    (re.compile(r"sys/(socket|un)\.h|netinet/.*|linux/vm_sockets\.h"), ["transport"]),
    (re.compile(r"sodium\.h"), ["auth"]),
]

COMMENT = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.DOTALL)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include\b[ \t]*(?:"([^"\n]*)"|<([^>\n]*)>)?', re.MULTILINE)


def without_comments(text):
    """`text` with comments blanked; every line keeps its number."""

    def blank(match):
        return match[0] if match[0].startswith('"') else re.sub(r"[^\n]", " ", match[0])

    return COMMENT.sub(blank, text)


def includes(path):
    """Yields (line number, header or None when its name is not written out, whether it is quoted)."""
    text = without_comments(path.read_text(encoding="utf-8", errors="replace"))
    for match in INCLUDE.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match[1] or match[2], match[1] is not None


def violation(header, quoted, layer, folder):
    """What is wrong with a file of `layer` in `folder` that includes `header`; None when nothing is."""
    if header is None:
        return "the included name is not written out"
    parts = header.split("/")
    if {"", ".", ".."} & set(parts):
        return f"'{header}' does not say which layer it is from"
    if len(parts) > 1 and parts[0] in LAYERS:
        allowed = parts[0] == layer or parts[0] in LAYERS[layer]
        return None if allowed else f"{layer} may not include '{header}'"
    if len(parts) == 1 and quoted and (folder / header).is_file():
        return None
    for pattern, layers in SYSTEM:
        if pattern.fullmatch(header) and layer not in layers:
            return f"{layer} may not include '{header}': it is for {' and '.join(layers)}"
    return f"'{header}' is neither of a layer nor in the same folder" if quoted else None


def layer_of(relative):
    parts = relative.parts[1:] if relative.parts[0] == "common" else relative.parts
    return parts[0] if len(parts) > 1 and parts[0] in LAYERS else None


def check(top):
    """(number of files, list of violations)"""
    files = sorted(p for d in ["common", *ENDS] for p in (top / d).rglob("*") if p.suffix in (".c", ".h"))
    found = []
    for path in files:
        relative = path.relative_to(top)
        layer = layer_of(relative)
        if layer is None:
            found.append(f"{relative}:1: is in no layer")
            continue
        for line, header, quoted in includes(path):
            wrong = violation(header, quoted, layer, path.parent)
            if wrong:
                found.append(f"{relative}:{line}: {wrong}")
    return len(files), found


# The self-test: file -> (its text, what must be found in it as "line: text").
GOOD = {
    "common/core/err.h": "#include <stdbool.h>\n",
    "common/core/err.c": '#include "core/err.h"\n#include "err.h"\n',
    "common/wire/frame.c": '#include "core/err.h"\n#include <xxhash.h>\n',
    "common/codec/zlib.c": '#include "wire/frame.h"\n#include <zlib.h>\n#include <xxhash.h>\n',
    "common/codec/zstd.c": "#include <zstd.h>\n#include <zstd_errors.h>\n",
    "common/os/posix/file.c": '#include "os/os.h"\n#include "core/err.h"\n',
    "common/sync/queue.c": '#include "os/os.h"\n',
    "common/transport/tcp.c": '#include "os/os.h"\n  #  include <sys/socket.h>\n#include <netinet/in.h>\n',
    "common/flow/item.c": '#include "sync/sync.h"\n#include "codec/codec.h"\n#include "os/os.h"\n',
    "common/tree/walk.c": '#include "os/os_file.h"\n',
    "common/program/main.c": '#include "flow/item.h"\n#include "tree/walk.h"\n#include "transport/transport.h"\n',
    "sender/sender.c": '#include "sender/sender.h"\n#include "program/main.h"\n/* #include "receiver/x.h" */\n',
    "receiver/sink.c": '#include "receiver/sink.h"\n// #include "sender/x.h"\n#include "tree/walk.h"\n',
    "receiver/url.c": 'const char *u = "/*";\n#include "core/err.h"\nconst char *v = "*/";\n',
    "tests/unit/test_x.c": '#include "sender/sender.h"\n#include "receiver/sink.h"\n#include <zlib.h>\n',
}
BAD = {
    "common/core/up.c": ('#include "core/err.h"\n#include "wire/frame.h"\n', ["2: core may not include 'wire/frame.h'"]),
    "common/core/hash.c": ("#include <xxhash.h>\n", ["1: core may not include 'xxhash.h'"]),
    "common/wire/os.c": ('\n\n#include "os/os.h"\n', ["3: wire may not include 'os/os.h'"]),
    "common/wire/z.c": ('#include <zlib.h>\n#include "zstd.h"\n', ["1: wire may", "2: wire may"]),
    "common/codec/sync.c": ('#include "sync/sync.h"\n', ["1: codec may not include"]),
    "common/os/wire.h": ('#include "wire/frame.h"\n', ["1: os may not include"]),
    "common/os/posix/deep.c": ('/*\n*/ #include "sync/sync.h"\n', ["2: os may not include"]),
    "common/sync/wire.c": ('#include "wire/frame.h"\n', ["1: sync may not include"]),
    "common/transport/wire.c": ('#include <wire/frame.h>\n', ["1: transport may not include"]),
    "common/flow/net.c": ('#include "transport/transport.h"\n#include <sys/socket.h>\n', ["1: flow may", "2: flow may"]),
    "common/tree/codec.c": ('#include "codec/codec.h"\n#include "sync/sync.h"\n', ["1: tree may", "2: tree may"]),
    "common/program/ends.c": ('#include "sender/sender.h"\n#include "receiver/sink.h"\n', ["1: program", "2: program"]),
    "sender/peer.c": ('#  include  "receiver/sink.h"\n#include <xxhash.h>\n', ["1: sender may", "2: sender may"]),
    "receiver/peer.h": ('#include "sender/sender.h"\n#include <zstd.h>\n', ["1: receiver may", "2: receiver may"]),
    "receiver/sneak.c": ('#include "../sender/sender.h"\n#include "./sink.h"\n', ["1: '../sender", "2: './sink"]),
    "receiver/absolute.c": ('#include "/usr/include/zlib.h"\n', ["1: '/usr/include/zlib.h' does not say"]),
    "receiver/none.c": ('#include "nowhere.h"\n#include "gone/x.h"\n', ["1: 'nowhere.h' is neither", "2: 'gone/x.h'"]),
    "receiver/macro.c": ("#define H <zlib.h>\n#include H\n", ["2: the included name is not written out"]),
    "common/stray.c": ("", ["1: is in no layer"]),
    "common/extra/new.c": ("", ["1: is in no layer"]),
}


def self_test():
    """0 when exactly the violations of BAD are found."""
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        texts = GOOD | {name: text for name, (text, _) in BAD.items()}
        for name, text in texts.items():
            (top / name).parent.mkdir(parents=True, exist_ok=True)
            (top / name).write_text(text)
        found = check(top)[1]
    wanted = [f"{name}:{start}" for name, (_, starts) in BAD.items() for start in starts]
    missed = [w for w in wanted if sum(f.startswith(w) for f in found) != 1]
    extra = [f for f in found if not any(f.startswith(w) for w in wanted)]
    for line in [f"not found: {w}" for w in missed] + [f"wrongly found: {f}" for f in extra]:
        print(line)
    print(f"self-test: {len(wanted) - len(missed)} of {len(wanted)} violations found, {len(extra)} too many")
    return 1 if missed or extra else 0


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    top = Path(arguments[0]) if arguments else Path(__file__).resolve().parent.parent
    count, found = check(top)
    print("\n".join(found + [f"{count} files, {len(found)} violations"]))
    return 1 if found or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
