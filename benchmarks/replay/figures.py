"""The curves as SVG files that are readable on light and on dark pages."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from common.atomic_files import write_atomically
from ensemble.report.palette import CSS_VARIABLES, DARK, LIGHT, THEME, Palette
from ensemble.report.svg import DASHES, figure_style, render

TICKS = (1, 2, 5, 10, 20, 50, 100, 200)
TITLES = {"all": "all 593", "unseen half": "the half not fitted on", "10 layers": "10 layers only"}
SEARCHES = ("random", "deepest first", "evolution, pool 16", "local, guided", "cold start", "predicted best first")
GUIDES = ("random", "synflow", "nwot", "zen", "ridge", "structure")
FRONTS = ("random", "pareto", "pareto, pool 16", "predicted fronts first")
COLOURS = (4, 1, 5, 3, 2, 0)
"""Of the report's series: random search is grey, the last, what the predictor says, blue."""


def write(measured: Mapping[str, Any], folder: Path) -> None:
    """All figures, as `<name>.svg`."""
    folder.mkdir(parents=True, exist_ok=True)
    searches = "Percentage points short of the best of all after k trainings, by strategy"
    guides = "Mean accuracy of the first k trained in the order of each guide, points above the mean of all"
    fronts = "Hypervolume of accuracy against FLOPs after k trainings, by strategy"
    for name, label, key, chosen, axis in (
        ("replay-searches", searches, "regret", SEARCHES, "short of the best, points"),
        ("replay-guides", guides, "lead", GUIDES, "mean above that of all, points"),
        ("replay-fronts", fronts, "volume", FRONTS, "share of the hypervolume"),
    ):
        settings = [one for one in TITLES if key != "lead" or one != "unseen half"]
        text = _panels(name, label, measured, settings, key, chosen, axis)
        write_atomically(folder / f"{name}.svg", text.encode())


def _panels(
    name: str,
    label: str,
    measured: Mapping[str, Any],
    settings: Sequence[str],
    key: str,
    chosen: Sequence[str],
    axis: str,
) -> str:
    """One panel a setting, side by side: means as lines, and the middle 80 % of the first and the last as bands."""
    with figure_style():
        figure = Figure(figsize=(2.5 * len(settings), 2.9), layout="constrained")
        panels = figure.subplots(1, len(settings), sharey=key != "lead")
        for axes, setting in zip(panels, settings, strict=True):
            _panel(axes, measured["trainings"], measured["settings"][setting][key], chosen)
            axes.set_title(TITLES[setting])
            axes.set_xlabel("trained architectures")
        panels[0].set_ylabel(axis)
        lines, names = panels[0].get_legend_handles_labels()
        figure.legend(
            lines, names, loc="outside lower center", ncols=3, frameon=False, fontsize=8, labelcolor=THEME.ink
        )
        return _file(render(figure, name, label))


def _panel(axes: Axes, trainings: Sequence[int], curves: Mapping[str, Any], chosen: Sequence[str]) -> None:
    x = np.array(trainings)
    for i, name in enumerate(chosen):
        if name not in curves:
            continue
        colour = THEME.series[COLOURS[-1 if name == chosen[-1] else i]]
        mean, low, high = (np.array(curves[name][part], dtype=float) for part in ("mean", "low", "high"))
        axes.plot(x, mean, color=colour, linestyle=DASHES[i], label=name)
        if name in (chosen[0], chosen[-1]):
            axes.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
    axes.set_xscale("log")
    axes.set_xlim(1, max(trainings))
    axes.xaxis.set_major_locator(FixedLocator(TICKS))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(axis="y")


def _file(svg: str) -> str:
    """A figure of the report as a file of its own: with the page's colours, which follow the reader's, on its paper."""
    light, dark = (" ".join(_declarations(palette)) for palette in (LIGHT, DARK))
    font = 'text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}'
    style = f"<style>:root{{{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}{font}</style>"
    paper = f'<rect width="100%" height="100%" style="fill:var({CSS_VARIABLES[THEME.paper]})"/>'
    head, body = svg.split(">", 1)
    return head.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1) + f">{style}{paper}{body}\n"


def _declarations(palette: Palette) -> list[str]:
    return [f"{name}:{color};" for name, color in palette.css_variables.items()]
