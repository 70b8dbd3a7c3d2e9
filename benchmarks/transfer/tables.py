"""Tables and figure of the results."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from benchmarks.markdown import markdown
from benchmarks.replay.figures import standalone
from benchmarks.transfer.sources import DATASETS, SOURCE
from ensemble.report.palette import THEME
from ensemble.report.svg import DASHES, figure_style, render

SIZES = (0, 25, 50, 100, 200, 500)
LABELLED_SIZES = (0, 25, 100, 500)
"""Sizes whose numbers do not overlap below the axis."""
Results = Mapping[str, Mapping[str, Mapping[str, float]]]
"""ρ by data set, number of training rows and draw, `25/0`, and method."""


def mean(results: Results, dataset: str, size: int, method: str) -> float | None:
    """Mean ρ over the draws; None if the method was not measured."""
    draws = [numbers for task, numbers in results[dataset].items() if int(task.split("/")[0]) == size]
    values = [numbers[method] for numbers in draws if method in numbers]
    return float(np.mean(values)) if values else None


def overall(results: Results, size: int, method: str) -> float | None:
    """Mean over the data sets; None if the method was not measured."""
    values = [value for dataset in DATASETS if (value := mean(results, dataset, size, method)) is not None]
    return float(np.mean(values)) if values else None


def make_tables(results: Results) -> dict[str, str]:
    """Markdown tables by name: transfer by data set, comparison of the methods, and gains."""
    head = [("data set", *(f"n = {size}" for size in SIZES)), ("---",) * (len(SIZES) + 1)]
    rows = [(name, *(_number(mean(results, name, size, "transfer")) for size in SIZES)) for name in DATASETS]
    rows.append(("**mean**", *(f"**{_number(overall(results, size, 'transfer'))}**" for size in SIZES)))
    names = {
        "transfer": "transfer",
        "without sources": "the same without sources",
        SOURCE: f"`{SOURCE}` without sources",
        "sources alone": "mean of the sources' scores",
    }
    methods = [(label, *(_number(overall(results, size, method)) for size in SIZES)) for method, label in names.items()]
    gains = [
        (name, *(_gain(results, name, size, method) for method in ("without sources", SOURCE) for size in SIZES[3:]))
        for name in DATASETS
    ]
    sizes = [f"{size}, {label}" for label in ("same estimator", f"`{SOURCE}`") for size in SIZES[3:]]
    gain_head = [("data set", *sizes), ("---",) * (len(sizes) + 1)]
    return {
        "transfer": markdown([*head, *rows]),
        "methods": markdown([("method", *head[0][1:]), head[1], *methods]),
        "gains": markdown([*gain_head, *gains]),
    }


def make_figure(results: Results) -> str:
    """Draw ρ over the number of training rows, one panel for each data set, as SVG."""
    with figure_style():
        figure = Figure(figsize=(8.0, 4.2), layout="constrained")
        panels = figure.subplots(2, 4, sharex=True, sharey=True).ravel()
        for axes, dataset in zip(panels, DATASETS, strict=True):
            for i, method in enumerate(("transfer", "without sources")):
                points = [(size, mean(results, dataset, size, method)) for size in SIZES]
                known = [(size, value) for size, value in points if value is not None]
                x, y = zip(*known, strict=True)
                axes.plot(x, y, color=THEME.series[(0, 4)[i]], linestyle=DASHES[i], marker="o", ms=2.5, label=method)
            axes.set_xscale("symlog", linthresh=25)
            axes.xaxis.set_major_locator(FixedLocator(LABELLED_SIZES))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.grid(axis="y")
            axes.set_title(dataset)
        for axes in panels[4:]:
            axes.set_xlabel("trained architectures")
        for axes in panels[::4]:
            axes.set_ylabel("Spearman's ρ")
        lines, labels = panels[0].get_legend_handles_labels()
        place: dict[str, Any] = {"loc": "outside lower center", "ncols": 2, "frameon": False, "fontsize": 8}
        figure.legend(lines, labels, labelcolor=THEME.ink, **place)
        return standalone(render(figure, "transfer", "Spearman's ρ after n trainings, with and without sources"))


def _gain(results: Results, dataset: str, size: int, method: str) -> str:
    with_sources, without = (mean(results, dataset, size, name) for name in ("transfer", method))
    return "–" if with_sources is None or without is None else f"{with_sources - without:+.3f}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
