"""Figure of a search: accuracy against cost, and the best accuracy by number of trials."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ensemble.report.palette import LIGHT
from ensemble.report.svg import figure_style
from search import Interval, TrialResult

SIZE = (8.0, 3.2)
"""Width and height in inches."""


def search_figure(
    title: str, trials: Sequence[TrialResult], depths: Sequence[int], front: Sequence[TrialResult]
) -> bytes:
    """Draw the figure of a search as an SVG file with a background of its own.

    Args:
        title: title of the figure.
        trials: trials in the order in which they were proposed.
        depths: number of layers of each trial.
        front: Pareto-optimal trials, by ascending FLOPs.

    Returns:
        The content of the file.
    """
    with figure_style(LIGHT):
        figure = Figure(figsize=SIZE, layout="constrained", facecolor=LIGHT.paper)
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        figure.suptitle(title, x=0.01, ha="left", fontsize=9)
        _plot_costs(left, trials, depths, front)
        _plot_progress(right, trials)
        svg = io.StringIO()
        figure.savefig(svg, format="svg", facecolor=LIGHT.paper, metadata={"Date": None, "Title": title})
    return svg.getvalue().encode()


def _plot_costs(axes: Axes, trials: Sequence[TrialResult], depths: Sequence[int], front: Sequence[TrialResult]) -> None:
    distinct = sorted(set(depths))
    for i, depth in enumerate(distinct):
        color = LIGHT.ramp[round(i / max(1, len(distinct) - 1) * (len(LIGHT.ramp) - 1))]
        selected = [trial for trial, trial_depth in zip(trials, depths, strict=True) if trial_depth == depth]
        points = [(1e-9 * trial.flops, 100 * trial.accuracy) for trial in selected if trial.accuracy is not None]
        if points:
            # Lines of length zero: in SVG a twentieth of the size of a marker each.
            x, y = np.array([row for x, y in points for row in ((x, y), (x, y), (np.nan, np.nan))]).T
            (line,) = axes.plot(x, y, color=color, lw=2.6, alpha=0.7, label=f"{depth} layers")
            line.set_solid_capstyle("round")
    if front:
        x, y = np.array([(1e-9 * trial.flops, 100 * (trial.accuracy or 0.0)) for trial in front]).T
        style: dict[str, Any] = {"lw": 1.0, "marker": "o", "ms": 3.4, "mfc": "none", "drawstyle": "steps-post"}
        axes.plot(x, y, color=LIGHT.ink, label="Pareto front", **style)
        _add_legend(axes)
    axes.set_title("accuracy against cost")
    axes.set_xlabel("GFLOPs per forward pass of the probe batch")
    axes.set_ylabel("predicted accuracy, %")
    axes.grid(axis="both")


def _plot_progress(axes: Axes, trials: Sequence[TrialResult]) -> None:
    improvements: list[tuple[int, float, Interval]] = []
    for number, trial in enumerate(trials, start=1):
        if trial.accuracy is None or trial.interval is None:
            continue
        if not improvements or trial.accuracy > improvements[-1][1]:
            improvements.append((number, trial.accuracy, trial.interval))
    if improvements:
        _, best, interval = improvements[-1]
        steps = [*improvements, (len(trials), best, interval)]
        numbers, accuracy, low, high = np.array([(i, value, ends.low, ends.high) for i, value, ends in steps]).T
        label = f"{100 * interval.level:.0f} % interval"
        axes.fill_between(numbers, 100 * low, 100 * high, step="post", color=LIGHT.muted, alpha=0.2, lw=0, label=label)
        axes.plot(numbers, 100 * accuracy, color=LIGHT.series[0], drawstyle="steps-post", label="accuracy")
        _add_legend(axes)
    axes.set_title("best accuracy")
    axes.set_xlabel("trials")
    axes.set_ylabel("predicted accuracy, %")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.grid(axis="y")


def _add_legend(axes: Axes) -> None:
    axes.legend(loc="lower right", handlelength=1.2, facecolor=LIGHT.paper, edgecolor=LIGHT.paper, framealpha=0.85)
