"""The picture of a search: what was found at which cost, and how the best grew."""

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ensemble.report.palette import LIGHT
from ensemble.report.svg import figure_style
from search.log import TrialResult

SIZE = (8.0, 3.2)
"""In inches."""


def picture(title: str, trials: Sequence[TrialResult], layers: Sequence[int], front: Sequence[TrialResult]) -> bytes:
    """An SVG file that carries its own paper, so that it can be read wherever it is shown.

    Args:
        title: above all.
        trials: in the order in which they were tried.
        layers: of each trial.
        front: those that no other trial beats in accuracy and FLOPs, cheapest first.
    """
    with figure_style(LIGHT):
        figure = Figure(figsize=SIZE, layout="constrained", facecolor=LIGHT.paper)
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        figure.suptitle(title, x=0.01, ha="left", fontsize=9)
        _costs(left, trials, layers, front)
        _progress(right, trials)
        text = io.StringIO()
        figure.savefig(text, format="svg", facecolor=LIGHT.paper, metadata={"Date": None, "Title": title})
    return text.getvalue().encode()


def _costs(axes: Axes, trials: Sequence[TrialResult], layers: Sequence[int], front: Sequence[TrialResult]) -> None:
    depths = sorted(set(layers))
    for i, depth in enumerate(depths):
        shade = LIGHT.depth[round(i / max(1, len(depths) - 1) * (len(LIGHT.depth) - 1))]
        chosen = [trial for trial, own in zip(trials, layers, strict=True) if own == depth]
        points = [(1e-9 * trial.flops, 100 * trial.accuracy) for trial in chosen if trial.accuracy is not None]
        if points:
            # As lines of no length: a twentieth of the size of a marker each.
            x, y = np.array([row for x, y in points for row in ((x, y), (x, y), (np.nan, np.nan))]).T
            (line,) = axes.plot(x, y, color=shade, lw=2.6, alpha=0.7, label=f"{depth} layers")
            line.set_solid_capstyle("round")
    if front:
        x, y = np.array([(1e-9 * trial.flops, 100 * (trial.accuracy or 0.0)) for trial in front]).T
        axes.plot(x, y, color=LIGHT.ink, lw=1.0, marker="o", ms=3.4, mfc="none", drawstyle="steps-post", label="front")
        _legend(axes)
    axes.set_title("accuracy against cost")
    axes.set_xlabel("GFLOPs of one pass of the probe batch")
    axes.set_ylabel("predicted accuracy, %")
    axes.grid(axis="both")


def _progress(axes: Axes, trials: Sequence[TrialResult]) -> None:
    steps: list[tuple[int, TrialResult]] = []
    for number, trial in enumerate(trials, start=1):
        if trial.accuracy is not None and (not steps or trial.accuracy > (steps[-1][1].accuracy or 0.0)):
            steps.append((number, trial))
    if steps:
        number, accuracy, low, high = np.array(
            [(number, best.accuracy, best.low, best.high) for number, best in [*steps, (len(trials), steps[-1][1])]]
        ).T
        axes.fill_between(
            number, 100 * low, 100 * high, step="post", color=LIGHT.muted, alpha=0.2, lw=0, label="90 % interval"
        )
        axes.plot(number, 100 * accuracy, color=LIGHT.series[0], drawstyle="steps-post", label="accuracy")
        _legend(axes)
    axes.set_title("the best so far")
    axes.set_xlabel("architectures tried")
    axes.set_ylabel("predicted accuracy, %")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.grid(axis="y")


def _legend(axes: Axes) -> None:
    axes.legend(loc="lower right", handlelength=1.2, facecolor=LIGHT.paper, edgecolor=LIGHT.paper, framealpha=0.85)
