"""Figures of the report as SVG elements.

Text is at least 8 points at a width of 288 points. A page shows a figure at least 350 pixels wide, so that text is at
least 9.5 pixels high.
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
from ensemble.report.tables import MINUS, format_number

Array = NDArray[np.float64]
Values = Sequence[float | None]
WIDE, SMALL = 4.0, 2.0
"""Figure widths in inches."""


@dataclass(frozen=True)
class Series:
    """Numbers of one color.

    Attributes:
        values: one per row of a dot plot, or per x of a line plot; None for no value.
        color: color, of the palette `THEME`.
        marker: matplotlib marker; None for a line alone.
        std: standard deviations of the values, drawn as error bars.
        dash: index of the dash pattern.
        faint: true where a line is drawn faint.
    """

    values: Values
    color: str
    marker: str | None = "o"
    std: Values | None = None
    dash: int = 0
    faint: Sequence[bool] | None = None


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
    """Draw a dot plot.

    Args:
        key: prefix of the SVG ids.
        label: accessible name.
        rows: names of the rows.
        series: numbers, one per row.
        axis: label of the axis.
        line: reference value, drawn dashed.
        band: reference interval, drawn gray.
        log: use a logarithmic axis.
    """
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
        columns = np.array([_floats(curve.values) for curve in series]).reshape(len(series), len(rows))
        for place, column in zip(places, columns.T, strict=True):
            known = column[~np.isnan(column)]
            if len(known) > 1:
                axes.plot([known.min(), known.max()], [place, place], color=THEME.muted, linewidth=0.7, alpha=0.6)
        # Later dots are smaller, so that coinciding dots are both visible.
        for curve, column, size in zip(series, columns, np.linspace(6.0, 4.0, len(series)), strict=True):
            if curve.std is not None:
                axes.errorbar(column, places, xerr=_floats(curve.std), fmt="none", ecolor=curve.color, elinewidth=0.8)
            axes.plot(column, places, linestyle="", marker=curve.marker, color=curve.color, ms=size, markeredgewidth=0)
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
    """Draw a line plot with error bars.

    Args:
        key: prefix of the SVG ids.
        label: accessible name.
        x: positions of the values.
        series: numbers, one per position.
        axes_labels: labels of the x-axis and the y-axis.
        title: title.
        lines: reference values, drawn dashed.
        log: use a logarithmic x-axis.
        small: draw at the size of small multiples.
        limits: limits of the y-axis.
        ticks: ticks of the x-axis.
    """
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
        for i, curve in enumerate(series):
            # Series are shifted slightly on a logarithmic axis, so that error bars do not overlap.
            _curve(axes, places * 1.03 ** (i - (len(series) - 1) / 2) if log else places, curve)
        axes.set_title(title)
        axes.set_xlabel(axes_labels[0])
        axes.set_ylabel(axes_labels[1])
        return render(figure, key, label)


def _curve(axes: Axes, x: Array, curve: Series) -> None:
    y = _floats(curve.values)
    faint = np.zeros(len(x), dtype=bool) if curve.faint is None else np.asarray(curve.faint)
    # The faint part includes the last point of the other part, so that the line has no gap.
    joined = (faint | np.append(faint[1:], False)) & faint.any()
    for part, alpha in ((~faint, 1.0), (joined, 0.4)):
        if part.any():
            (line,) = axes.plot(x, np.where(part, y, np.nan), color=curve.color, marker=curve.marker or "", alpha=alpha)
            line.set_linestyle(DASHES[curve.dash % len(DASHES)])
            line.set_markeredgewidth(0)
    if curve.std is not None:
        axes.errorbar(x, y, yerr=_floats(curve.std), fmt="none", ecolor=curve.color, elinewidth=0.8)


def scatter(
    key: str,
    label: str,
    panels: Sequence[tuple[str, Array | None]],
    accuracy: Array,
    groups: Sequence[tuple[str, NDArray[np.bool_]]],
    title: str,
) -> str:
    """Draw scatter plots of accuracy in percent against normalized scores, side by side.

    Args:
        key: prefix of the SVG ids.
        label: accessible name.
        panels: title and scores of each panel, shape (n,); None for an empty panel.
        accuracy: accuracies, shape (n,).
        groups: color and mask of the rows of each group.
        title: label of the x-axis.
    """
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
            for color, rows in groups:
                known = rows & ~np.isnan(column)
                _points(axes, column[known], 100 * accuracy[known], color)
        row[0].set_ylabel("accuracy, %")
        figure.supxlabel(title, fontsize=8)
        return render(figure, key, label)


def _points(axes: Axes, x: Array, y: Array, color: str) -> None:
    """Draw dots as one path of zero-length lines, a hundredth of the size of one SVG element per dot."""
    if not len(x):
        return
    ends = np.repeat(np.column_stack([x, y]), 2, axis=0)
    path = Path(ends, np.tile([Path.MOVETO, Path.LINETO], len(x)).tolist())
    axes.add_patch(PathPatch(path, edgecolor=color, facecolor="none", linewidth=2.2, capstyle="round", alpha=0.7))


def matrix(key: str, label: str, title: str, names: Sequence[str], values: Array, numbers: bool = True) -> str:
    """Draw a matrix of correlations. Color shows the sign, its intensity the magnitude.

    Args:
        key: prefix of the SVG ids.
        label: accessible name.
        title: title.
        names: names of k rows and columns.
        values: correlations, shape (k, k); NaN for empty cells.
        numbers: write the correlations in hundredths.
    """
    size = len(names)
    with figure_style():
        figure = Figure(figsize=(WIDE, 0.75 + WIDE * 0.76 * min(1.0, size / 14)), layout="constrained")
        axes = figure.add_subplot()
        for (row, column), value in np.ndenumerate(values):
            if np.isnan(value) or row == column:
                continue
            color = THEME.positive if value >= 0 else THEME.negative
            alpha = round(0.6 * abs(float(value)), 3)
            axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=color, alpha=alpha, linewidth=0))
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
    """Draw amounts on a logarithmic axis.

    Args:
        key: prefix of the SVG ids.
        label: accessible name.
        rows: name, amount and color of each row.
        axis: label of the axis.
    """
    with figure_style():
        figure = Figure(figsize=(WIDE, 0.6 + 0.36 * len(rows)), layout="constrained")
        axes = figure.add_subplot()
        axes.set_xscale("log")
        amounts = [amount for _, amount, _ in rows]
        low, high = 10.0 ** np.floor(np.log10(min(amounts)) - 0.2), 10.0 ** np.ceil(np.log10(max(amounts)) + 0.2)
        for place, (name, amount, color) in enumerate(rows):
            axes.plot([low, amount], [place, place], color=color, linewidth=0.9)
            axes.plot([amount], [place], color=color, marker="o", markersize=5.6, markeredgewidth=0)
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
    """Draw a reliability diagram with the diagonal of perfect calibration.

    Args:
        key: prefix of the SVG ids.
        label: accessible name.
        series: predicted probabilities and observed frequencies of each curve.
        axes_labels: labels of the x-axis and the y-axis.
    """
    with figure_style():
        figure = Figure(figsize=(WIDE, 3.1), layout="constrained")
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color=THEME.ink, linewidth=0.9, linestyle=DASHES[1])
        for x, curve in series:
            _curve(axes, _floats(x), curve)
        left = min(0.5, *(float(_floats(x).min()) for x, _ in series))
        lowest = min(float(_floats(curve.values).min()) for _, curve in series)
        axes.set_xlim(left, 1.005)
        axes.set_ylim(min(left, np.floor(10 * lowest) / 10), 1.005)
        axes.grid()
        axes.set_xlabel(axes_labels[0])
        axes.set_ylabel(axes_labels[1])
        return render(figure, key, label)


def series_style(index: int) -> tuple[str, str, int]:
    """Return color, marker and dash pattern of the i-th series. Combinations repeat later than colors."""
    turn = index + index // len(THEME.series)
    return THEME.series[index % len(THEME.series)], MARKERS[turn % len(MARKERS)], turn % len(DASHES)


def _floats(values: Values) -> Array:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _apart(ticks: Sequence[float]) -> list[float]:
    """Drop ticks that are too close to the next on a logarithmic axis, keeping the last."""
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
    """Label powers of ten without exponents."""
    axes.xaxis.set_major_locator(LogLocator(numticks=8))
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: format_number(value, "count") if value >= 1000 else f"{value:g}")
    )
    axes.xaxis.set_minor_formatter(NullFormatter())
