"""Figure of a search: predictions against cost, and the best prediction by number of trials."""

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
    title: str,
    trials: Sequence[TrialResult],
    strata: Sequence[int | None],
    stratum_label: str | None,
    front: Sequence[TrialResult],
    metric: str,
) -> bytes:
    """Draw the figure of a search as an SVG file with a background of its own.

    Without costs, there is no plot against cost.

    Args:
        title: title of the figure.
        trials: trials in the order in which they were proposed.
        strata: stratum of each trial; None in a space without features.
        stratum_label: name of the strata; None likewise.
        front: Pareto-optimal trials, by ascending FLOPs.
        metric: name of the predicted metric in words, e.g. `accuracy`.

    Returns:
        The content of the file.
    """
    with figure_style(LIGHT):
        figure = Figure(figsize=SIZE, layout="constrained", facecolor=LIGHT.paper)
        has_costs = all(trial.flops is not None for trial in trials)
        *left, right = figure.subplots(1, 2, width_ratios=(3, 2)) if has_costs else [figure.subplots()]
        figure.suptitle(title, x=0.01, ha="left", fontsize=9)
        for axes in left:
            _plot_costs(axes, trials, strata, stratum_label, front, metric)
        _plot_progress(right, trials, metric)
        svg = io.StringIO()
        figure.savefig(svg, format="svg", facecolor=LIGHT.paper, metadata={"Date": None, "Title": title})
    return svg.getvalue().encode()


def training_figure(title: str, values: Sequence[float | None], metric: str, sign: float) -> bytes:
    """Draw the values of trainings and the best so far, as an SVG file with a background of its own.

    Args:
        title: title of the figure.
        values: values in the order in which the trainings ended; None for failed ones.
        metric: name of the metric.
        sign: 1 if larger values are better, -1 if smaller ones are.

    Returns:
        The content of the file.
    """
    y = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    numbers = np.arange(1, len(y) + 1)
    with figure_style(LIGHT):
        figure = Figure(figsize=SIZE, layout="constrained", facecolor=LIGHT.paper)
        figure.suptitle(title, x=0.01, ha="left", fontsize=9)
        axes = figure.subplots()
        if not np.isnan(y).all():
            best = sign * np.fmax.accumulate(sign * y)
            axes.plot(numbers, y, "o", ms=2.4, color=LIGHT.muted, label="trainings")
            axes.plot(numbers, best, color=LIGHT.series[0], drawstyle="steps-post", label="best so far")
            _add_legend(axes)
        axes.set_xlabel("trained architectures")
        axes.set_ylabel(metric)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.grid(axis="y")
        svg = io.StringIO()
        figure.savefig(svg, format="svg", facecolor=LIGHT.paper, metadata={"Date": None, "Title": title})
    return svg.getvalue().encode()


def _plot_costs(
    axes: Axes,
    trials: Sequence[TrialResult],
    strata: Sequence[int | None],
    stratum_label: str | None,
    front: Sequence[TrialResult],
    metric: str,
) -> None:
    distinct = sorted(set(strata), key=lambda stratum: stratum or 0)
    for i, stratum in enumerate(distinct):
        color = LIGHT.ramp[round(i / max(1, len(distinct) - 1) * (len(LIGHT.ramp) - 1))]
        selected = [trial for trial, its_stratum in zip(trials, strata, strict=True) if its_stratum == stratum]
        points = [(_gigaflops(trial), 100 * trial.accuracy) for trial in selected if trial.accuracy is not None]
        if points:
            # Lines of length zero: in SVG a twentieth of the size of a marker each.
            x, y = np.array([row for x, y in points for row in ((x, y), (x, y), (np.nan, np.nan))]).T
            (line,) = axes.plot(
                x, y, color=color, lw=2.6, alpha=0.7, label=None if stratum is None else f"{stratum_label} {stratum}"
            )
            line.set_solid_capstyle("round")
    if front:
        x, y = np.array([(_gigaflops(trial), 100 * (trial.accuracy or 0.0)) for trial in front]).T
        style: dict[str, Any] = {"lw": 1.0, "marker": "o", "ms": 3.4, "mfc": "none", "drawstyle": "steps-post"}
        axes.plot(x, y, color=LIGHT.ink, label="Pareto front", **style)
        _add_legend(axes)
    axes.set_title(f"{metric} against cost")
    axes.set_xlabel("GFLOPs per forward pass of the probe batch")
    axes.set_ylabel(f"predicted {metric}, %")
    axes.grid(axis="both")


def _gigaflops(trial: TrialResult) -> float:
    return 1e-9 * (trial.flops or 0)


def _plot_progress(axes: Axes, trials: Sequence[TrialResult], metric: str) -> None:
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
        axes.plot(numbers, 100 * accuracy, color=LIGHT.series[0], drawstyle="steps-post", label=metric)
        _add_legend(axes)
    axes.set_title(f"best {metric}")
    axes.set_xlabel("trials")
    axes.set_ylabel(f"predicted {metric}, %")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.grid(axis="y")


def _add_legend(axes: Axes) -> None:
    axes.legend(loc="lower right", handlelength=1.2, facecolor=LIGHT.paper, edgecolor=LIGHT.paper, framealpha=0.85)
