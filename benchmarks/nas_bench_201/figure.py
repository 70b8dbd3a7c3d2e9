"""Figure of docs/nas-bench-201.md: Kendall's τ by number of training rows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from benchmarks.nas_bench_201.material import POPULATIONS
from benchmarks.nas_bench_201.tables import mean_by_key
from benchmarks.replay.figures import standalone
from common.atomic_files import write_atomically
from ensemble.report.palette import THEME
from ensemble.report.svg import DASHES, figure_style, render
from models.nas_bench_201.macro import DATASETS

COMBINERS = ("mean", "ridge", "forest", "stacked", "structure", "rank_trees")
TICKS = (50, 200, 1000, 7556)
PANELS = (("9445", "random"), ("9445", "grouped"))
LABEL = "Kendall's τ by number of training rows, combiner, data set and kind of test"


def write_figure(fits: Sequence[Mapping[str, Any]], ceilings: Mapping[str, Mapping[str, float]], folder: Path) -> None:
    """Write the figure: a row of panels a data set, with the ceiling of twins as a dotted line.

    Args:
        fits: finished fits.
        ceilings: ceilings by data set.
        folder: folder for the SVG file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    means = mean_by_key(fits)
    panels = [(dataset, *panel) for dataset in POPULATIONS["9445"].datasets for panel in PANELS]
    with figure_style():
        figure = Figure(figsize=(8, 5.6), layout="constrained")
        axes = figure.subplots(2, 2, sharex=True, sharey=True).ravel()
        for panel, (dataset, population, split) in zip(axes, panels, strict=True):
            sizes = POPULATIONS[population].sizes
            for i, name in enumerate(COMBINERS):
                points = [(n, means.get((population, dataset, split, n, name))) for n in sizes]
                known = [(n, tau) for n, tau in points if tau is not None]
                if known:
                    panel.plot(*zip(*known, strict=True), color=THEME.series[i], linestyle=DASHES[i], label=name)
            panel.axhline(ceilings[dataset]["kendall"], color=THEME.ink, linestyle=":", linewidth=1)
            panel.set_title(f"{DATASETS[dataset].title}, {split} test")
            panel.set_xscale("log")
            panel.xaxis.set_major_locator(FixedLocator(TICKS))
            panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
            panel.xaxis.set_minor_locator(NullLocator())
            panel.set_ylim(0.5, 0.96)
            panel.grid(axis="y")
        for panel in axes[2:]:
            panel.set_xlabel("training rows")
        for panel in axes[::2]:
            panel.set_ylabel("Kendall's τ")
        lines, labels = axes[0].get_legend_handles_labels()
        figure.legend(lines, labels, loc="outside lower center", ncols=6, frameon=False, labelcolor=THEME.ink)
        svg = standalone(render(figure, "nas-bench-201", LABEL))
    write_atomically(folder / "nas-bench-201.svg", svg.encode())
