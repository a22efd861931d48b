"""Puts results into docs/benchmarks.md, between markers; the prose around them stays."""

from pathlib import Path

from .base import BenchError

FILE = Path("docs/benchmarks.md")
PICTURES = Path("docs/benchmarks")


def replaced(text, name, content):
    """`text` with what is between the two markers called `name` exchanged."""
    begin, end = f"<!-- bench: {name} -->\n", f"<!-- /bench: {name} -->"
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise BenchError(f"{FILE} has not the two markers '{name}' once each, in that order")
    return text[: text.index(begin) + len(begin)] + content.strip() + "\n" + text[text.index(end) :]


def update(name, content):
    text = FILE.read_text(encoding="utf-8")
    FILE.write_text(replaced(text, name, content), encoding="utf-8")
