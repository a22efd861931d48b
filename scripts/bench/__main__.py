"""See --help of scripts/bench.sh, which builds first and then runs this from the top of the tree."""

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

from . import again, docs, full, growth, report
from .bars import BARS
from .base import MIB, BenchError, NotHere
from .bench import USUAL_SEED, Bench

CASES = {
    "W1": full.w1,
    "W2": full.w2,
    "W3": full.w3,
    "W4": full.w4,
    "W5": again.w5,
    "W6": full.w6,
    "W7": again.w7,
    "W8": again.w8,
    "W9": full.w9,
    "W10": again.w10,
    "W11": full.w11,
    "W12": full.w12,
    "W13": full.w13,
    "crowd": full.crowd,
}


def first_line(*command, start=""):
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    lines = [line.strip() for line in result.stdout.splitlines()]
    return next((line for line in lines if line and line.startswith(start)), "unknown")


def field(path, name):
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "unknown"


def header(bench, arguments):
    memory = int(field("/proc/meminfo", "MemTotal").split()[0]) / MIB
    versions = [
        first_line(bench.hvsend, "--version"),
        first_line("rsync", "--version"),
        first_line("tar", "--version"),
        first_line("socat", "-V", start="socat version").partition(" on ")[0],
        first_line("zstd", "--version").strip("* "),
        first_line("cp", "--version"),
    ]
    return {
        "date": f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC",
        "command": f"`{shlex.join(['scripts/bench.sh', *arguments])}`",
        "tree": first_line("git", "describe", "--always", "--dirty", "--tags"),
        "machine": f"{field('/proc/cpuinfo', 'model name')}, {os.cpu_count()} cores, {memory:.1f} GiB",
        "load before": " ".join(f"{value:.2f}" for value in os.getloadavg()),
        "kernel": f"{os.uname().sysname} {os.uname().release}",
        "versions": "; ".join(versions),
        "seed": bench.seed,
    }


def parse_arguments():
    parser = argparse.ArgumentParser(prog="bench.sh", description="Measures hvferry beside its peers.")
    parser.add_argument("--build", default="build-release", help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="smaller trees and fewer runs")
    parser.add_argument("--runs", type=int, help="runs of each contender where nothing else is said (5; --quick: 3)")
    parser.add_argument("--seed", type=int, default=USUAL_SEED, help="of all data; another one changes sizes too")
    parser.add_argument("--cores", type=int, metavar="N", help="all programs share so many cores (taskset)")
    parser.add_argument("--disk", default="/var/tmp", metavar="DIR", help="where W12 makes its disk (/var/tmp)")
    parser.add_argument("--out", default="build-bench", metavar="DIR", help="for the JSON and SVG files (build-bench)")
    parser.add_argument("--update-docs", action="store_true", help="and for tables and plots in docs/benchmarks.md")
    parser.add_argument("--from", dest="results", metavar="FILE", help="report such a JSON file; measure nothing")
    what = f"of {' '.join(CASES)} (default: these); or growth, which may be followed by {' '.join(growth.CURVES)}"
    parser.add_argument("cases", nargs="*", metavar="CASE", help=what)
    options = parser.parse_args()
    known = growth.CURVES if options.cases[:1] == ["growth"] else CASES
    for case in options.cases[options.cases[:1] == ["growth"] :]:
        if case not in known:
            parser.error(f"'{case}' is none of {' '.join(known)}")
    usable = len(os.sched_getaffinity(0))
    if options.cores is not None and (known is growth.CURVES or not 1 <= options.cores <= usable):
        parser.error(f"--cores: 1 to {usable}, which are here, and not with growth")
    return options


def run_case(bench, name):
    began = time.monotonic()
    try:
        result = CASES[name](bench)
    except BenchError as reason:
        result = {"case": name, "title": "not measured", "skipped": str(reason), "values": {}, "contenders": []}
        result["failures"] = [] if isinstance(reason, NotHere) else [f"{name}: {reason}"]
    finally:
        bench.processes.end_all()
        bench.forget()
    result["took"] = time.monotonic() - began
    bench.say(f"{name} took {result['took']:.0f} s")
    return result


def measure_cases(bench, names):
    found = {}
    for name in names:
        found[name] = run_case(bench, name)
        print(report.case_text(found[name]), flush=True)
    return found


def show_cases(results, pictures):
    """Writes the plots; the Markdown of the whole run, with links to them. With a bound on cores, of the bars alone."""
    from . import plot

    cases = results["cases"]
    if results.get("cores"):
        return "\n".join([report.header_text(results["header"]), report.bars_text(cases)])
    plot.plot_bars(cases, BARS, pictures / "bars.svg")
    plot.plot_cases(cases, pictures / "cases.svg")
    parts = [report.header_text(results["header"]), report.bars_text(cases)]
    parts += [f"![{text}]({pictures.name}/{name}.svg)\n" for name, text in
              (("bars", "every bar, and what was measured"), ("cases", "seconds of every contender"))]  # fmt: skip
    parts += [report.case_text(case) for case in cases.values()]
    return "\n".join(parts)


def show_growth(results, pictures):
    from . import plot

    parts = [report.header_text(results["header"])]
    for name, curve in results["growth"].items():
        parts.append(report.curve_text(curve))
        if "skipped" not in curve:
            plot.plot_curve(curve, pictures / f"growth-{name}.svg")
            parts.append(f"![{curve['title']}]({pictures.name}/growth-{name}.svg)\n")
    return "\n".join(parts)


def measure(options):
    """The results; also in a JSON file."""
    is_growth = options.cases[:1] == ["growth"]
    words = [word for word in sys.argv[1:] if word not in ("--build", options.build)]
    bench = Bench(options)
    try:
        results = {"header": header(bench, words), "cores": options.cores}
        print(report.header_text(results["header"]), flush=True)
        if is_growth:
            results["growth"] = growth.measure(bench, options.cases[1:] or growth.CURVES)
        else:
            results["cases"] = measure_cases(bench, options.cases or CASES)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        bench.close()
    file = Path(options.out) / f"{name_of(results)}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return results


def name_of(results):
    """Of files, and of the section in the docs."""
    if "growth" in results:
        return "growth"
    return f"cases-cores-{results['cores']}" if results.get("cores") else "cases"


def show(results, options):
    name = name_of(results)
    make = show_growth if name == "growth" else show_cases
    pictures = docs.PICTURES if options.update_docs else Path(options.out) / "benchmarks"
    for folder in (pictures, Path(options.out)):
        folder.mkdir(parents=True, exist_ok=True)
    text = make(results, pictures)
    if options.update_docs:
        docs.update(name, text)
    (Path(options.out) / f"{name}.md").write_text(text, encoding="utf-8")
    print(report.bars_text(results["cases"]) if "cases" in results else text)
    print(f"Results: {options.out}/{name}.json, {name}.md; plots: {pictures}/*.svg")


def failures(results):
    lines = [line for case in results.get("cases", {}).values() for line in case.get("failures", [])]
    return lines + [f"{n}: {c['skipped']}" for n, c in results.get("growth", {}).items() if c.get("failed")]


def on_signal(number, _frame):
    sys.exit(128 + number)


def main():
    options = parse_arguments()
    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    try:
        results = json.loads(Path(options.results).read_text(encoding="utf-8")) if options.results else measure(options)
        show(results, options)
    except (BenchError, OSError, subprocess.CalledProcessError) as error:
        print(f"bench.sh: {error}", file=sys.stderr)
        return 1
    for line in failures(results):
        print(f"bench.sh: {line}", file=sys.stderr)
    return 1 if failures(results) else 0


if __name__ == "__main__":
    sys.exit(main())
