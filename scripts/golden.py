#!/usr/bin/python3
"""Golden vectors of the wire protocol, written from docs/protocol.md alone (no C code is used).

  golden.py           write tests/golden/*.hex
  golden.py --check   compare them with what would be written; exit 1 when they differ, 77 without python3-xxhash

A vector is commented hex text. Its first lines say what it is:
  # phase: preamble | handshake | session   what the reader waits for, and its limits
  # expect: 0 or the exit code
  # error: what the message about it must contain (bad and unsupported vectors)
Every "name = value" behind a '#' below them is a field that the decoder must find, in this order.
"""
import os
import sys

import golden_bad
import golden_build
import golden_good

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "golden")


def main():
    for make in golden_good.ALL + golden_bad.ALL:
        make()
    files = {name + ".hex": content for name, content in golden_build.written.items()}
    if "--check" not in sys.argv[1:]:
        for name, content in files.items():
            with open(os.path.join(FOLDER, name), "w", encoding="utf-8") as f:
                f.write(content)
        print(f"{len(files)} vectors")
        return 0
    present = {name for name in os.listdir(FOLDER) if name.endswith(".hex")}
    wrong = sorted(present ^ set(files))
    for name in sorted(present & set(files)):
        with open(os.path.join(FOLDER, name), encoding="utf-8") as f:
            if f.read() != files[name]:
                wrong.append(name)
    for name in wrong:
        print(f"{name}: differs from what golden.py writes")
    print(f"{len(files)} vectors, {len(wrong)} differ")
    return 1 if wrong or not files else 0


if __name__ == "__main__":
    sys.exit(main())
