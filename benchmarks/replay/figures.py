"""Figures of docs/search.md: curves as SVG files for light and dark pages."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from common.atomic_files import write_atomically
from ensemble.report.palette import CSS_VARIABLES, DARK, LIGHT, THEME
from ensemble.report.svg import DASHES, figure_style, render

TICKS = (1, 2, 5, 10, 20, 50, 100, 200)
TITLES = {"all": "all 593", "unseen half": "the half not fitted on", "10 layers": "10 layers only"}
METHODS = (
    "random",
    "deepest first",
    "evolution, population 16",
    "local, surrogate",
    "cold start",
    "predicted best first",
)
SURROGATES = ("random", "synflow", "nwot", "zen", "ridge", "structure")
PARETO_METHODS = ("random", "pareto", "pareto, population 16", "predicted fronts first")
COLORS = (4, 1, 5, 3, 2, 0)
"""Indices of the report's series: random search is gray, the last method blue."""


def write_figures(results: Mapping[str, Any], folder: Path) -> None:
    """Write all figures.

    Args:
        results: content of `replay.json`.
        folder: folder for the SVG files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    regret = "Simple regret after k trainings by method, percentage points"
    mean_gain = "Mean accuracy of the first k trained in the order of each surrogate, points above the mean of all"
    hypervolume = "Hypervolume of accuracy against FLOPs after k trainings by method"
    for name, label, measure, curves, axis in (
        ("replay-regret", regret, "regret", METHODS, "regret, points"),
        ("replay-surrogates", mean_gain, "mean_gain", SURROGATES, "mean above that of all, points"),
        ("replay-hypervolume", hypervolume, "hypervolume", PARETO_METHODS, "share of the hypervolume"),
    ):
        settings = [setting for setting in TITLES if measure != "mean_gain" or setting != "unseen half"]
        svg = _plot(name, label, results, settings, measure, curves, axis)
        write_atomically(folder / f"{name}.svg", svg.encode())


def _plot(
    name: str,
    label: str,
    results: Mapping[str, Any],
    settings: Sequence[str],
    measure: str,
    names: Sequence[str],
    axis: str,
) -> str:
    """Draw one panel per setting: means as lines, 10–90 % quantiles of the first and the last as bands."""
    with figure_style():
        figure = Figure(figsize=(2.5 * len(settings), 2.9), layout="constrained")
        panels = figure.subplots(1, len(settings), sharey=measure != "mean_gain")
        for axes, setting in zip(panels, settings, strict=True):
            _plot_panel(axes, results["num_trainings"], results["settings"][setting][measure], names)
            axes.set_title(TITLES[setting])
            axes.set_xlabel("trained architectures")
        panels[0].set_ylabel(axis)
        lines, labels = panels[0].get_legend_handles_labels()
        figure.legend(
            lines, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=8, labelcolor=THEME.ink
        )
        return standalone(render(figure, name, label))


def _plot_panel(axes: Axes, trainings: Sequence[int], curves: Mapping[str, Any], names: Sequence[str]) -> None:
    x = np.array(trainings)
    for i, name in enumerate(names):
        if name not in curves:
            continue
        color = THEME.series[COLORS[-1 if name == names[-1] else i]]
        mean, low, high = (np.array(curves[name][key], dtype=float) for key in ("mean", "low", "high"))
        axes.plot(x, mean, color=color, linestyle=DASHES[i], label=name)
        if name in (names[0], names[-1]):
            axes.fill_between(x, low, high, color=color, alpha=0.18, linewidth=0)
    axes.set_xscale("log")
    axes.set_xlim(1, max(trainings))
    axes.xaxis.set_major_locator(FixedLocator(TICKS))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(axis="y")


def standalone(svg: str) -> str:
    """Turn a figure of the report into an SVG file with its own background and the colors of both themes."""
    light, dark = (
        " ".join(f"{name}:{color};" for name, color in palette.css_variables.items()) for palette in (LIGHT, DARK)
    )
    font = 'text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}'
    style = f"<style>:root{{{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}{font}</style>"
    background = f'<rect width="100%" height="100%" style="fill:var({CSS_VARIABLES[THEME.paper]})"/>'
    head, body = svg.split(">", 1)
    return head.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1) + f">{style}{background}{body}\n"
