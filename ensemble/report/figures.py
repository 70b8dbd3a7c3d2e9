"""The report's figures: plain numbers in, SVG elements out. Every text is at least 8 points of a 288-point width.

A page shows such a figure at least 350 pixels wide, so that no text falls below 9.5 pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator
from numpy.typing import NDArray

from ensemble.report.palette import THEME
from ensemble.report.svg import DASHES, MARKERS, figure_style, render
from ensemble.report.tables import MINUS, written

Array = NDArray[np.float64]
Values = Sequence[float | None]
WIDE, SMALL = 4.0, 2.0
"""Widths in inches."""


@dataclass(frozen=True)
class Series:
    """Numbers that share a colour and a marker or line: one a row of a dot plot, one an x of a line plot."""

    values: Values
    colour: str
    marker: str | None = "o"
    sd: Values | None = None
    dash: int = 0
    faint: Sequence[bool] | None = None
    """Where a line is drawn faint."""


def dots(
    key: str,
    label: str,
    rows: Sequence[str],
    series: Sequence[Series],
    axis: str,
    line: float | None = None,
    band: tuple[float, float] | None = None,
    log: bool = False,
) -> str:
    """A dot plot: one row a name, one dot a series; `line` and `band` mark what to compare with."""
    with figure_style():
        figure = Figure(figsize=(WIDE, 0.55 + 0.19 * len(rows)), layout="constrained")
        axes = figure.add_subplot()
        places = np.arange(len(rows))
        if log:
            axes.set_xscale("log")
            _plain_log(axes)
        else:
            axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
        if band is not None:
            axes.axvspan(*band, facecolor=THEME.rule, alpha=0.5, linewidth=0)
        if line is not None:
            axes.axvline(line, color=THEME.ink, linewidth=0.9, linestyle=DASHES[1])
        columns = np.array([_floats(one.values) for one in series]).reshape(len(series), len(rows))
        for place, column in zip(places, columns.T, strict=True):
            there = column[~np.isnan(column)]
            if len(there) > 1:
                axes.plot([there.min(), there.max()], [place, place], color=THEME.muted, linewidth=0.7, alpha=0.6)
        # Later dots are smaller, so that of two on one place both are seen.
        for one, column, size in zip(series, columns, np.linspace(6.0, 4.0, len(series)), strict=True):
            if one.sd is not None:
                axes.errorbar(column, places, xerr=_floats(one.sd), fmt="none", ecolor=one.colour, elinewidth=0.8)
            axes.plot(column, places, linestyle="", marker=one.marker, color=one.colour, ms=size, markeredgewidth=0)
        axes.set_yticks(places, rows)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="both")
        axes.set_xlabel(axis)
        return render(figure, key, label)


def curves(
    key: str,
    label: str,
    x: Sequence[float],
    series: Sequence[Series],
    axes_labels: tuple[str, str],
    title: str = "",
    lines: Sequence[float] = (),
    log: bool = False,
    small: bool = False,
    limits: tuple[float, float] | None = None,
    ticks: Sequence[float] | None = None,
) -> str:
    """Lines over `x`, with bars of one standard deviation where there are any."""
    with figure_style():
        figure = Figure(figsize=(SMALL, 1.45) if small else (WIDE, 2.4), layout="constrained")
        axes = figure.add_subplot()
        if log:
            axes.set_xscale("log")
            axes.set_xlim(0.85 * min(x), 1.18 * max(x))
        if ticks is not None:
            axes.xaxis.set_major_locator(FixedLocator(_apart(ticks)))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_locator(MaxNLocator(4 if small else 6, steps=[1, 2, 5, 10]))
        if limits is not None:
            axes.set_ylim(*limits)
        axes.grid(axis="y")
        for line in lines:
            axes.axhline(line, color=THEME.ink, linewidth=0.7, linestyle=DASHES[1])
        places = np.asarray(x, dtype=np.float64)
        for i, one in enumerate(series):
            # On a logarithmic axis the series stand a little beside each other, or their bars would hide each other.
            _curve(axes, places * 1.03 ** (i - (len(series) - 1) / 2) if log else places, one)
        axes.set_title(title)
        axes.set_xlabel(axes_labels[0])
        axes.set_ylabel(axes_labels[1])
        return render(figure, key, label)


def _curve(axes: Axes, x: Array, one: Series) -> None:
    y = _floats(one.values)
    faint = np.zeros(len(x), dtype=bool) if one.faint is None else np.asarray(one.faint)
    # The faint part starts at the last point of the other, so that the line has no gap.
    joined = (faint | np.append(faint[1:], False)) & faint.any()
    for part, alpha in ((~faint, 1.0), (joined, 0.4)):
        if part.any():
            (line,) = axes.plot(x, np.where(part, y, np.nan), color=one.colour, marker=one.marker or "", alpha=alpha)
            line.set_linestyle(DASHES[one.dash % len(DASHES)])
            line.set_markeredgewidth(0)
    if one.sd is not None:
        axes.errorbar(x, y, yerr=_floats(one.sd), fmt="none", ecolor=one.colour, elinewidth=0.8)


def scatter(
    key: str,
    label: str,
    panels: Sequence[tuple[str, Array | None]],
    accuracy: Array,
    groups: Sequence[tuple[str, NDArray[np.bool_]]],
    title: str,
) -> str:
    """Accuracy in percent against normalised scores, panels side by side; `groups` are colours and the rows in them."""
    with figure_style():
        figure = Figure(figsize=(WIDE, 1.75), layout="constrained")
        row = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, (name, column) in zip(row, panels, strict=True):
            axes.set_title(name)
            axes.set_xlim(-0.04, 1.04)
            axes.set_ylim(*_padded(100 * accuracy))
            axes.xaxis.set_major_locator(FixedLocator([0, 0.5, 1]))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
            if column is None:
                axes.text(0.5, 0.5, "no scores to compare", transform=axes.transAxes, ha="center", color=THEME.muted)
                continue
            for colour, rows in groups:
                there = rows & ~np.isnan(column)
                _points(axes, column[there], 100 * accuracy[there], colour)
        row[0].set_ylabel("accuracy, %")
        figure.supxlabel(title, fontsize=8)
        return render(figure, key, label)


def _points(axes: Axes, x: Array, y: Array, colour: str) -> None:
    """Round dots as one path of lines without length: a hundredth of the size of an SVG element a dot."""
    if not len(x):
        return
    ends = np.repeat(np.column_stack([x, y]), 2, axis=0)
    path = Path(ends, np.tile([Path.MOVETO, Path.LINETO], len(x)).tolist())
    axes.add_patch(PathPatch(path, edgecolor=colour, facecolor="none", linewidth=2.2, capstyle="round", alpha=0.7))


def matrix(key: str, label: str, title: str, names: Sequence[str], values: Array, numbers: bool = True) -> str:
    """A matrix of correlations: colour for the sign, its strength for the size; `numbers` are hundredths."""
    size = len(names)
    with figure_style():
        figure = Figure(figsize=(WIDE, 0.75 + WIDE * 0.76 * min(1.0, size / 14)), layout="constrained")
        axes = figure.add_subplot()
        for (row, column), value in np.ndenumerate(values):
            if np.isnan(value) or row == column:
                continue
            colour = THEME.positive if value >= 0 else THEME.negative
            alpha = round(0.6 * abs(float(value)), 3)
            axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=colour, alpha=alpha, linewidth=0))
            if numbers:
                hundredths = str(round(100 * float(value))).replace("-", MINUS)
                axes.text(column, row, hundredths, ha="center", va="center_baseline", fontsize=7.5)
        axes.plot([-0.5, size - 0.5], [-0.5, size - 0.5], color=THEME.muted, linewidth=0.6)
        axes.set_title(title)
        axes.set_xlim(-0.5, size - 0.5)
        axes.set_ylim(size - 0.5, -0.5)
        axes.set_xticks(range(size), names, rotation=90)
        axes.set_yticks(range(size), names)
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        return render(figure, key, label)


def spans(key: str, label: str, rows: Sequence[tuple[str, float, str]], axis: str) -> str:
    """Amounts, (name, amount, colour), on a logarithmic axis, with their numbers."""
    with figure_style():
        figure = Figure(figsize=(WIDE, 0.6 + 0.36 * len(rows)), layout="constrained")
        axes = figure.add_subplot()
        axes.set_xscale("log")
        amounts = [amount for _, amount, _ in rows]
        low, high = 10.0 ** np.floor(np.log10(min(amounts)) - 0.2), 10.0 ** np.ceil(np.log10(max(amounts)) + 0.2)
        for place, (name, amount, colour) in enumerate(rows):
            axes.plot([low, amount], [place, place], color=colour, linewidth=0.9)
            axes.plot([amount], [place], color=colour, marker="o", markersize=5.6, markeredgewidth=0)
            axes.text(low, place - 0.18, name, va="bottom")
        axes.set_xlim(low, high)
        axes.set_ylim(len(rows) - 0.7, -0.85)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        _plain_log(axes)
        axes.grid(axis="x")
        axes.set_xlabel(axis)
        return render(figure, key, label)


def diagonal(key: str, label: str, series: Sequence[tuple[Values, Series]], axes_labels: tuple[str, str]) -> str:
    """Observed against predicted probabilities, with the diagonal that they should lie on."""
    with figure_style():
        figure = Figure(figsize=(WIDE, 3.1), layout="constrained")
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color=THEME.ink, linewidth=0.9, linestyle=DASHES[1])
        for x, one in series:
            _curve(axes, _floats(x), one)
        left = min(0.5, *(float(_floats(x).min()) for x, _ in series))
        lowest = min(float(_floats(one.values).min()) for _, one in series)
        axes.set_xlim(left, 1.005)
        axes.set_ylim(min(left, np.floor(10 * lowest) / 10), 1.005)
        axes.grid()
        axes.set_xlabel(axes_labels[0])
        axes.set_ylabel(axes_labels[1])
        return render(figure, key, label)


def look(index: int) -> tuple[str, str, int]:
    """Colour, marker and dash of the i-th series. Where colours begin anew, markers and dashes do not."""
    turn = index + index // len(THEME.series)
    return THEME.series[index % len(THEME.series)], MARKERS[turn % len(MARKERS)], turn % len(DASHES)


def _floats(values: Values) -> Array:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _apart(ticks: Sequence[float]) -> list[float]:
    """Less those that stand too near the next on a logarithmic axis; the last one stays."""
    kept: list[float] = []
    for tick in sorted(ticks, reverse=True):
        if not kept or kept[-1] > 1.2 * tick:
            kept.append(tick)
    return kept


def _padded(values: Array) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    edge = 0.04 * (high - low) or 1.0
    return low - edge, high + edge


def _plain_log(axes: Axes) -> None:
    """Powers of ten, written out."""
    axes.xaxis.set_major_locator(LogLocator(numticks=8))
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: written(value, "count") if value >= 1000 else f"{value:g}")
    )
    axes.xaxis.set_minor_formatter(NullFormatter())
