"""Markdown of what was measured. Everything here is a function of the results, as they are in the JSON file."""

import statistics

from .bars import BARS, verdict
from .base import MIB


def rows_text(columns, rows):
    """A table: the first column to the left, the others to the right."""
    lines = ["| " + " | ".join(columns) + " |", "|---|" + "---:|" * (len(columns) - 1)]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def peaks_text(peaks):
    return ", ".join("–" if peak is None else f"{peak / MIB:.1f}" for peak in peaks)


def contender_row(contender, first, size):
    seconds = contender["seconds"]
    median = statistics.median(seconds)
    spread = (max(seconds) - min(seconds)) / median
    against = "" if contender is first else f"{median / statistics.median(first['seconds']):.2f}×"
    return [
        contender["name"],
        f"{median:.4f}",
        f"{min(seconds):.4f}–{max(seconds):.4f}",
        f"{spread:.0%}" if len(seconds) > 1 else "–",
        f"{size / median / 1e6:.0f}" if size else "–",
        f"{statistics.median(contender['cpu']):.3f}",
        peaks_text(contender["peaks"]),
        against,
        len(seconds),
    ]


def contenders_text(result):
    first = result["contenders"][0]
    columns = ["", "median s", "min–max s", "spread", "MB/s", "CPU s, both ends", "peak MiB, each end",
               f"{first['name']} is so many times as fast", "runs"]  # fmt: skip
    rows = [contender_row(contender, first, result["size"]) for contender in result["contenders"]]
    commands = [f"- {c['name']}: `{c['command']}`" for c in result["contenders"]]
    return rows_text(columns, rows) + "\n" + "\n".join(commands) + "\n"


def value_text(bar, value):
    return "not measured" if value is None else f"{value:.2f}{bar.unit}"


def limit_text(bar, limit):
    return "" if limit is None else f"{'≤' if bar.at_most else '≥'} {limit:g}{bar.unit}"


def bar_line(bar, value):
    met, reached = verdict(bar, value)
    words = [f"{bar.text}: **{value_text(bar, value)}**"]
    if bar.bar is not None:
        words.append(f"bar {limit_text(bar, bar.bar)}: {met or 'not measured'}")
    if bar.moonshot is not None:
        words.append(f"moonshot {limit_text(bar, bar.moonshot)}: {reached or 'not measured'}")
    return "- " + "; ".join(words)


def case_text(result):
    """The section of one case."""
    parts = [f"### {result['case']}: {result['title']}\n"]
    if result.get("skipped"):
        return parts[0] + f"\nNot measured: {result['skipped']}\n"
    if result["contenders"]:
        parts.append(contenders_text(result))
    if result["table"]:
        parts.append(rows_text(result["table"]["columns"], result["table"]["rows"]))
    lines = [bar_line(bar, result["values"].get(bar.key)) for bar in BARS[result["case"]]]
    lines += [f"- {note}" for note in result["notes"]]
    return "\n".join(parts) + "\n" + "\n".join(lines) + "\n"


def bars_text(cases):
    """All bars, also those of cases that were not run."""
    rows = []
    for case, bars in BARS.items():
        values = cases.get(case, {}).get("values", {})
        for bar in bars:
            value = values.get(bar.key)
            met, reached = verdict(bar, value)
            rows.append([case, bar.text, value_text(bar, value), limit_text(bar, bar.bar), met,
                         limit_text(bar, bar.moonshot), reached])  # fmt: skip
    lines = ["| case | what | measured | bar | | moonshot | |", "|---|---|---:|---:|---|---:|---|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "### Bars\n\n" + "\n".join(lines) + "\n"


def header_text(header):
    return "\n".join(f"- {key}: {value}" for key, value in header.items()) + "\n"


def number_text(value):
    if value is None:
        return "–"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def curve_text(curve):
    """The section of one curve of growth."""
    head = f"### {curve['title']}\n\n"
    if curve.get("skipped"):
        return head + f"Not measured: {curve['skipped']}\n"
    lines = list(curve["lines"])
    rows = [
        [label, *(number_text(curve["lines"][line][i]) for line in lines)] for i, label in enumerate(curve["labels"])
    ]
    notes = "".join(f"\n- {note}" for note in curve["notes"])
    return head + rows_text([curve["x"], *(f"{line}, {curve['y']}" for line in lines)], rows) + notes + "\n"
