"""The cases that copy to an empty directory: W1 to W4, W6, W9, W11 to W13, crowd."""

from . import data, net
from .base import GIB, KIB, MIB, size_text
from .bench import median_cpu, median_seconds, ratio, result
from .contenders import Bare, Cp, Hvferry, Rsync, file_pipe, tar_pipe, zstd_pipe
from .crowds import AtOnce, Crowded, FanOut

CAPPED = 100e6  # bytes per second
RECEIVERS = 4


def w1(bench):
    size = bench.size(2 * GIB, 256 * MIB)
    source = bench.image("random", size)
    ours, rsync, socat, bare = Hvferry(bench), Rsync(bench), file_pipe(bench), Bare(bench)
    contenders = [ours, Hvferry(bench, "hvferry tcp", kind="tcp"), rsync, socat, Cp(bench, "cp"), bare]
    bench.full_copies(source, contenders)
    bench.kept["W1"] = (size, ours, rsync)
    values = {"rsync": ratio(rsync, ours), "socat": ratio(socat, ours), "bare": ratio(bare, ours)}
    return result("W1", f"one random file, {size_text(size)}", contenders, values, size)


def w2(bench):
    source, size, words = bench.many()
    ours, rsync, tar = Hvferry(bench), Rsync(bench), tar_pipe(bench)
    contenders = [ours, Hvferry(bench, "hvferry tcp", kind="tcp"), rsync, tar, Cp(bench, "cp")]
    bench.full_copies(source, contenders)
    return result("W2", words, contenders, {"rsync": ratio(rsync, ours), "tar": ratio(tar, ours)}, size)


def w3(bench):
    size = bench.size(2 * GIB, 128 * MIB)
    source = bench.image("mixed", size)
    ours, none = Hvferry(bench), Hvferry(bench, "hvferry none", ["-a", "--zc=none"])
    packed = Rsync(bench, "rsync -z", ["-a", "-W", "-z"])
    contenders = [ours, none, Rsync(bench), packed]
    bench.full_copies(source, contenders, 3)
    values = {"none": ratio(none, ours), "rsync -z": ratio(packed, ours)}
    return result("W3", f"one compressible file, {size_text(size)}, fast link", contenders, values, size)


def w4(bench):
    size = bench.size(GIB, 96 * MIB)
    source = bench.image("mixed", size)
    link = bench.closing(net.capped(CAPPED))
    ours = Hvferry(bench, kind="tcp", link=link)
    none = Hvferry(bench, "hvferry none", ["-a", "--zc=none"], kind="tcp", link=link, runs=1)
    pipes = [zstd_pipe(bench, level, link=link) for level in ("-1", "-3", "-T0 -3", "-T0 -5")]
    contenders = [ours, none, *pipes]
    bench.full_copies(source, contenders, 3)
    best = min(pipes, key=median_seconds)
    notes = [f"the link: {link.words}", f"the best fixed pipe: {best.name}"]
    title = f"one compressible file, {size_text(size)}, link of {CAPPED / 1e6:g} MB/s"
    return result("W4", title, contenders, {"zstd": ratio(best, ours)}, size, notes)


def w6(bench):
    size, content = bench.size(20 * GIB, 2 * GIB), bench.size(128 * MIB, 16 * MIB)
    bench.needs(3 * content)
    source = bench.fresh("source")
    data.write_sparse(source / "image", size, content, bench.seed)
    ours, cp = Hvferry(bench), Cp(bench, "cp")
    rsync = Rsync(bench, "rsync -S", ["-a", "-W", "-S"], runs=1)
    contenders = [ours, rsync, cp]
    bench.full_copies(source, contenders)
    values = {"rsync": ratio(rsync, ours), "cp": median_seconds(ours) / median_seconds(cp)}
    title = f"one sparse file of {size_text(size)} with {size_text(content // MIB * MIB)} of data"
    return result("W6", title, contenders, values, notes=["rsync has one run, which is also the one that is checked"])


def w9(bench):
    source, size, words = bench.many()
    large = bench.size(512 * MIB, 64 * MIB)
    bench.needs(2 * RECEIVERS * (size + large))
    bench.fill(source / "image", "random", large)
    ours = FanOut(bench, "hvferry", [Hvferry(bench) for _ in range(RECEIVERS)])
    rsync = AtOnce(bench, "rsync", [Rsync(bench) for _ in range(RECEIVERS)])
    bench.full_copies(source, [ours, rsync], 3)
    title = f"{words}, and a file of {size_text(large)}, to {RECEIVERS} receivers at once"
    return result("W9", title, [ours, rsync], {"rsync": ratio(rsync, ours)}, RECEIVERS * (size + large))


def w11(bench):
    source = bench.image("random", 4 * KIB)
    ours, rsync = Hvferry(bench), Rsync(bench)
    bench.full_copies(source, [ours, rsync], 4 * bench.runs)
    title = "one file of 4 KiB, from the start of the process to its exit"
    return result("W11", title, [ours, rsync], {"rsync": ratio(rsync, ours)})


def w12(bench):
    source, size, words = bench.many(*((2_000, 13_200_000) if bench.quick else ()))
    disk = bench.disk()
    ours, rsync = Hvferry(bench), Rsync(bench, "rsync --fsync", ["-a", "-W", "--fsync"], runs=2)
    bench.full_copies(source, [ours, rsync], disk=disk)
    values = {"rsync": ratio(rsync, ours)}
    return result("W12", f"{words}, durable", [ours, rsync], values, size, [f"the destination: {disk.words}"])


def w13(bench):
    if "W1" not in bench.kept:
        w1(bench)
    size, ours, rsync = bench.kept["W1"]
    rows = [[c.name, f"{median_cpu(c) / (size / GIB):.3f}"] for c in (ours, rsync)]
    return result("W13", "CPU seconds of both ends, of W1's runs", [], {"rsync": median_cpu(ours) / median_cpu(rsync)},
                  table={"columns": ["", "CPU s per GiB"], "rows": rows})  # fmt: skip


def crowd(bench):
    size = bench.size(GIB, 128 * MIB)
    source = bench.image("random", size)
    crowded, alone = Crowded(bench), Hvferry(bench)
    bench.full_copies(source, [crowded, alone])
    title = f"one random file, {size_text(size)}, beside {Crowded.STREAMS:,} slow streams"
    return result("crowd", title, [crowded, alone], {"alone": ratio(alone, crowded)}, size)
