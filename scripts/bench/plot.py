"""SVG of what was measured (Debian's python3-matplotlib)."""

import math
import statistics

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot, ticker  # noqa: E402

OURS, OURS_TOO, GREY, INK, GOOD, BAD = "#c2410c", "#fdba74", "#cbd5e1", "#1e293b", "#15803d", "#b91c1c"
OTHERS = ["#475569", "#64748b", "#94a3b8", "#0f766e", "#7c3aed"]
STYLE = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "hvferry",  # the same numbers make the same file
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
}


def save(figure, path):
    figure.savefig(path, format="svg", bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)


def logarithmic(axes):
    """The x axis, with plain numbers at 1, 2 and 5 of each decade."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    axes.xaxis.set_minor_formatter(ticker.NullFormatter())


def is_ours(name):
    return "hvferry" in name


def draw_case(axes, result):
    """A bar of median seconds for each contender, with its least and most."""
    contenders = result["contenders"]
    medians = [statistics.median(c["seconds"]) for c in contenders]
    errors = [[m - min(c["seconds"]) for m, c in zip(medians, contenders)],
              [max(c["seconds"]) - m for m, c in zip(medians, contenders)]]  # fmt: skip
    colours = [OURS if i == 0 else OURS_TOO if is_ours(c["name"]) else OTHERS[1] for i, c in enumerate(contenders)]
    axes.barh(range(len(contenders)), medians, xerr=errors, color=colours, ecolor=INK, height=0.65,
              error_kw={"linewidth": 0.8, "capsize": 2})  # fmt: skip
    axes.set_yticks(range(len(contenders)), [c["name"] for c in contenders])
    axes.invert_yaxis()
    axes.set_title(result["case"] + ": " + shortened(result["title"], 58), fontweight="bold", fontsize=8)
    axes.set_xlabel("seconds, median and range")
    if max(medians) > 30 * min(medians):
        logarithmic(axes)


def shortened(text, most):
    return text if len(text) <= most else text[: most - 1].rsplit(" ", 1)[0] + " …"


def plot_cases(cases, path):
    """Small pictures of all cases with contenders, two in a row."""
    shown = [case for case in cases.values() if case.get("contenders")]
    if not shown:
        return
    with matplotlib.rc_context(STYLE):
        rows = math.ceil(len(shown) / 2)
        figure, grid = pyplot.subplots(rows, 2, figsize=(11, 2.1 * rows), squeeze=False, layout="constrained")
        for axes, case in zip(grid.flat, shown):
            draw_case(axes, case)
        for axes in list(grid.flat)[len(shown) :]:
            axes.set_visible(False)
        save(figure, path)


def margins(cases, bars):
    """(label, how many times better than the bar, the same of the moonshot or None) of each that was measured."""
    for case, of_case in bars.items():
        values = cases.get(case, {}).get("values", {})
        for bar in of_case:
            value, base = values.get(bar.key), bar.bar or bar.moonshot
            if not value:
                continue
            better = base / value if bar.at_most else value / base
            goal = None if not (bar.bar and bar.moonshot) else (
                base / bar.moonshot if bar.at_most else bar.moonshot / base)  # fmt: skip
            yield f"{case}  {bar.text}", better, goal


def plot_bars(cases, bars, path):
    """Every bar on one scale: 1 is the bar, to the right is better, a diamond is the moonshot."""
    rows = list(margins(cases, bars))
    if not rows:
        return
    with matplotlib.rc_context(STYLE):
        figure, axes = pyplot.subplots(figsize=(9, 0.32 * len(rows) + 1), layout="constrained")
        for i, (_, better, goal) in enumerate(rows):
            axes.plot([1, better], [i, i], color=GOOD if better >= 1 else BAD, linewidth=5, solid_capstyle="butt")
            axes.annotate(f"{better:.2f}", (better, i), xytext=(6 if better >= 1 else -6, 0), fontsize=8,
                          textcoords="offset points", va="center", ha="left" if better >= 1 else "right")  # fmt: skip
            if goal:
                axes.plot(goal, i, "D", color=OURS, markersize=5)
        axes.axvline(1, color=INK, linewidth=1)
        logarithmic(axes)
        axes.margins(x=0.12)
        axes.set_yticks(range(len(rows)), [label for label, _, _ in rows])
        axes.invert_yaxis()
        axes.set_xlabel("times better than the bar (line); diamonds: the moonshot")
        save(figure, path)


def plot_curve(curve, path):
    """Lines over sizes, counts, rates or numbers; both scales logarithmic where the curve asks for it."""
    with matplotlib.rc_context(STYLE):
        figure, axes = pyplot.subplots(figsize=(7, 3.6), layout="constrained")
        others = iter(OTHERS * 3)
        for name, values in curve["lines"].items():
            ours = name.startswith("hvferry") and name == next(iter(curve["lines"]))
            points = [(i, v) for i, v in enumerate(values) if v is not None]
            axes.plot(*zip(*points), marker="o", markersize=4, label=name, color=OURS if ours else next(others),
                      linewidth=2.2 if ours else 1.3)  # fmt: skip
        axes.set_xticks(range(len(curve["labels"])), curve["labels"])
        axes.set_xlabel(curve["x"])
        axes.set_ylabel(curve["y"])
        if curve.get("log"):
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)
        axes.grid(axis="y", color=GREY, linewidth=0.5)
        axes.set_title(curve["title"], fontweight="bold")
        axes.legend(frameon=False)
        save(figure, path)
