"""Curves: throughput against the size of a file, the number of files, the rate of the link, streams and cores."""

import os
import statistics
import subprocess

from . import data, net
from .base import GIB, KIB, MIB, BenchError, NotHere, size_text
from .bench import median_seconds, on_cores
from .contenders import Hvferry, Rsync, file_pipe

LINKS = (10e6, 100e6, 1000e6, None)  # bits per second
LINK_SECONDS = 6  # of a run at the link's rate


def curve(title, x, y, labels, lines, log=False, notes=()):
    """lines: {name: a value for each label, or None}. The first one is drawn as ours."""
    return {"title": title, "x": x, "y": y, "labels": labels, "lines": lines, "log": log, "notes": list(notes)}


class Lines:
    """Collects a value of each contender at each place."""

    def __init__(self):
        self.values = {}
        self.places = 0

    def add(self, values):
        for name in {**self.values, **values}:
            before = self.values.setdefault(name, [None] * self.places)
            before.append(values.get(name))
        self.places += 1


def rates(contenders, size):
    return {contender.name: size / median_seconds(contender) / 1e6 for contender in contenders}


# ---- sizes


def sizes(bench):
    places = [4 * KIB * 8**n for n in range(8)]
    if bench.quick:
        places = places[:6:2]
    lines, notes = Lines(), []
    for size in places:
        try:
            source = bench.image("random", size)
        except NotHere as reason:
            notes.append(f"{size_text(size)}: not measured, {reason}")
            lines.add({})
            continue
        contenders = [Hvferry(bench), Rsync(bench), file_pipe(bench)]
        bench.full_copies(source, contenders, bench.runs if size < GIB else 2)
        lines.add(rates(contenders, size))
        bench.say(f"growth: size {size_text(size)}")
    return [curve("Throughput against the size of one file", "size", "MB/s", list(map(size_text, places)), lines.values,
                  log=True, notes=[*notes, "whole processes are timed, from start to exit"])]  # fmt: skip


# ---- number of files


def files(bench):
    places = [10**n for n in range(5 if bench.quick else 7)]
    speed, memory, notes = Lines(), Lines(), []
    for count in places:
        try:
            bench.needs(2 * count * 5500)
        except NotHere as reason:
            notes.append(f"{count:,} files: not measured, {reason}")
            speed.add({})
            memory.add({})
            continue
        source = bench.fresh("source")
        data.write_files(source, [100] * count, data.PER_DIR, bench.seed)
        contenders = [Hvferry(bench), Rsync(bench)]
        for contender in contenders:
            contender.check.step = 100 if count > 10_000 else 1
            contender.runs = None if count <= 10_000 else 1
        bench.full_copies(source, contenders)
        speed.add({c.name: count / median_seconds(c) for c in contenders})
        memory.add(peaks(contenders))
        bench.say(f"growth: {count} files")
    data.remove(bench.fresh("source"))
    labels = [f"{count:,}" for count in places]
    return [
        curve("Files per second against the number of files of 100 bytes", "files", "files/s", labels, speed.values,
              log=True, notes=notes),
        curve("Peak memory against the number of files", "files", "MiB", labels, memory.values, notes=notes),
    ]  # fmt: skip


def peaks(contenders):
    found = {}
    for contender in contenders:
        for end in ("sender", "receiver"):
            found[f"{contender.name} {end}"] = max(getattr(run, end).peak for run in contender.measured) / MIB
    return found


# ---- rate of the link


def link_size(bench, rate):
    whole = bench.size(GIB, 64 * MIB)
    return whole if rate is None else int(min(whole, rate / 8 * (2 if bench.quick else LINK_SECONDS)))


def with_prefix(contenders, word):
    for contender in contenders:
        contender.name = f"{contender.name}, {word}"
    return contenders


def over_link(bench, link, size):
    """MB/s of contenders' data, by contender and kind of data."""
    found = {}
    for kind, packs, word in (("random", [], "random data"), ("mixed", ["-z"], "compressible data")):
        source = bench.image(kind, size)
        rsync = Rsync(bench, "rsync -z" if packs else "rsync", ["-a", "-W", *packs], link=link)
        contenders = with_prefix([Hvferry(bench, kind="tcp", link=link), rsync], word)
        bench.full_copies(source, contenders, 2)
        found.update(rates(contenders, size))
    return found


def links(bench):
    lines, labels, words = Lines(), [], ""
    for rate in LINKS:
        link = bench.closing(net.capped(rate / 8) if rate else net.Namespaces())
        lines.add(over_link(bench, link, link_size(bench, rate)))
        labels.append(f"{rate / 1e6:g} Mbit/s" if rate else "unlimited")
        words = words or link.words
        bench.forget()
        bench.say(f"growth: link {labels[-1]}")
    return [curve("Throughput against the rate of the link", "link", "MB/s of data", labels, lines.values, log=True,
                  notes=[f"the link: {words.partition(',')[0]}; `tc tbf` at both ends but for the last"])]  # fmt: skip


def delays(bench):
    """Against added delay, where the kernel has netem."""
    lines, labels = Lines(), []
    size = bench.size(256 * MIB, 32 * MIB)
    for delay in (0, 1, 10, 50):
        link = bench.closing(net.Namespaces(delay_ms=delay))
        source = bench.image("random", size)
        contenders = [Hvferry(bench, kind="tcp", link=link), Rsync(bench, link=link)]
        bench.full_copies(source, contenders, 2)
        lines.add(rates(contenders, size))
        labels.append(f"{delay} ms")
        bench.forget()
    return [curve("Throughput against added delay, each way", "delay", "MB/s", labels, lines.values)]


# ---- streams


def streams(bench):
    told = subprocess.run([bench.hvsend, "--help"], capture_output=True, text=True, check=False).stdout
    if "--streams" not in told:
        raise NotHere("this hvsend has no option --streams")
    places = (1, 2, 4)
    size = bench.size(GIB, 128 * MIB)
    source = bench.image("random", size)
    values = {}
    for kind in ("unix", "tcp"):
        contenders = [Hvferry(bench, f"hvferry {n}", ["-a", f"--streams={n}"], kind=kind) for n in places]
        bench.full_copies(source, contenders)
        values[f"hvferry {kind}"] = [size / median_seconds(c) / 1e6 for c in contenders]
    return [curve("Throughput against the number of streams", "streams", "MB/s", [str(n) for n in places], values)]


# ---- cores


def cores(bench):
    places = [n for n in (1, 2, 4, 8, 16) if n <= len(os.sched_getaffinity(0))]
    size = bench.size(GIB, 128 * MIB)
    source = bench.image("random", size)
    speed, cost = Lines(), Lines()
    for count in places:
        bench.prefix = on_cores(count)
        contenders = [Hvferry(bench), Rsync(bench), file_pipe(bench)]
        try:
            bench.full_copies(source, contenders)
        finally:
            bench.prefix = []
        speed.add(rates(contenders, size))
        cost.add({c.name: statistics.median(run.cpu for run in c.measured) / (size / GIB) for c in contenders})
        bench.say(f"growth: {count} cores")
    labels = [str(n) for n in places]
    notes = ["both ends share the cores (`taskset`)"]
    return [
        curve("Throughput against cores", "cores", "MB/s", labels, speed.values, notes=notes),
        curve("CPU seconds per GiB, both ends, against cores", "cores", "CPU s per GiB", labels, cost.values, notes=notes),
    ]


CURVES = {"size": sizes, "files": files, "link": links, "delay": delays, "streams": streams, "cores": cores}


def measure(bench, names):
    """{name: curve}, a curve that cannot be measured with the reason."""
    found = {}
    for name in names:
        try:
            for number, one in enumerate(CURVES[name](bench)):
                found[f"{name}-{number + 1}" if number else name] = one
        except BenchError as reason:
            title = f"Throughput against {name}"
            found[name] = {"title": title, "skipped": str(reason), "failed": not isinstance(reason, NotHere)}
        finally:
            bench.processes.end_all()
            bench.forget()
    return found
