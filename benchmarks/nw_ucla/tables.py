"""Tables of the page, and the figure of accuracies by depth."""

from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.figure import Figure

from benchmarks.markdown import markdown
from benchmarks.nw_ucla.learning import CURVE_SIZE, SIZES, Result
from benchmarks.nw_ucla.material import BATCHES, Array, Material
from benchmarks.nw_ucla.noise import LEVEL, Noise
from benchmarks.nw_ucla.orders import EPOCHS, Correlation, Order
from benchmarks.replay.figures import standalone
from ensemble.evaluation.metrics import rows_by_stratum
from ensemble.report.palette import THEME
from ensemble.report.svg import figure_style, render

METHODS = {
    "depth": "mean accuracy of the depth",
    "source": "shipped ensemble alone",
    "transfer": "`transfer` from the shipped ensemble (a study)",
    "transfer without source": "`transfer` without source",
    "ridge": "`ridge`",
    "structure": "`structure`",
    "stacked": "`stacked`, with proxies of the synthetic batch",
}
CURVE_METHODS = {
    "validation loss": "validation loss of epoch k alone",
    "training losses": "sum of k training losses alone",
    "curve": "ridge regression on the curve alone",
    "early_curve": "`early_curve`",
    "omni": "`omni`, with proxies of the synthetic batch",
    "study": "a study, from the accuracies of k epochs",
}
REFERENCE = "transfer"
"""Method that those with curves are compared with: a study without curves."""
WIDTH = 1.1
"""Width of the points of a depth, in layers."""
LABEL = "Validation accuracy by number of layers, first seed; lines join the two seeds of an architecture"


def noise_table(noise: Noise) -> str:
    """Markdown of the training noise and the ceilings, with intervals."""
    rows = [(name, f"{estimate.value:.3f}", f"{estimate.low:.3f} to {estimate.high:.3f}") for name, estimate in noise]
    head = ("quantity", "estimate", f"{LEVEL:.0%} interval")
    return markdown([head, _marks(head), *rows])


def order_table(orders: Iterable[Order]) -> str:
    """Markdown of rank correlations with intervals."""
    head = ("order", "ρ, all", "τ, all", "ρ, within depth", "τ, within depth")
    rows = [
        (order.name, *map(_cell, (order.spearman, order.kendall, order.within_spearman, order.within_kendall)))
        for order in orders
    ]
    return markdown([head, _marks(head), *rows])


def proxy_table(by_batch: Sequence[Iterable[Order]]) -> str:
    """Markdown of the proxies' correlations, one pair of columns a batch."""
    orders = [{order.name: order for order in batch} for batch in by_batch]
    head = ("proxy", *(f"ρ, {what}, {batch}" for batch in BATCHES for what in ("all", "within depth")))
    rows = [
        (f"`{name}`", *(cell for batch in orders for cell in _proxy_cells(batch.get(name))))
        for name in sorted(orders[0])
    ]
    return markdown([head, _marks(head), *rows])


def learning_table(results: Sequence[Sequence[Result]]) -> str:
    """Markdown of the predictors from structure, by number of trained architectures."""
    head = ("method", *(f"ρ, {what}, n = {size}" for size in SIZES for what in ("all", "within depth")))
    rows = []
    for method, label in METHODS.items():
        cells = [_mean(_values(results, method, size, 0)[:, column]) for size in SIZES for column in (0, 1)]
        rows.append((label, *cells))
    return markdown([head, _marks(head), *rows])


def curve_table(results: Sequence[Sequence[Result]]) -> str:
    """Markdown of the predictors with curves: ρ within depth, and its difference from a study without curves."""
    head = (f"method, n = {CURVE_SIZE}", *(f"k = {epochs}" for epochs in EPOCHS))
    reference = _values(results, REFERENCE, CURVE_SIZE, 0)[:, 1]
    rows: list[tuple[str, ...]] = [(METHODS[REFERENCE] + ", no curve", *[_mean(reference)] * len(EPOCHS))]
    for method, label in CURVE_METHODS.items():
        values = [_values(results, method, CURVE_SIZE, epochs)[:, 1] for epochs in EPOCHS]
        rows.append((label, *(f"{_mean(value)} ({_difference(value - reference)})" for value in values)))
    return markdown([head, _marks(head), *rows])


def figure(material: Material) -> str:
    """Draw the accuracies of both seeds by depth, as SVG."""
    with figure_style():
        chart = Figure(figsize=(6.0, 3.2), layout="constrained")
        axes = chart.subplots()
        y, strata = material.benchmark.accuracy, material.strata
        for depth, rows in rows_by_stratum(strata).items():
            places = depth + WIDTH * (np.arange(len(rows)) / (len(rows) - 1) - 0.5)
            axes.plot(
                places,
                y[rows],
                "o",
                color=THEME.series[0],
                markersize=3.5,
                label="_nolegend_" if depth > strata.min() else "seed 0",
            )
            for place, row in zip(places, rows, strict=True):
                if (second := material.accuracies[row].get(1)) is not None:
                    axes.plot([place, place], [y[row], second], color=THEME.muted, linewidth=0.8, zorder=1)
                    axes.plot(place, second, "D", color=THEME.series[1], markersize=3.5)
        axes.plot([], [], "D", color=THEME.series[1], markersize=3.5, label="seed 1")
        axes.set_xticks(np.unique(strata))
        axes.set_xlabel("number of layers")
        axes.set_ylabel("accuracy")
        axes.grid(axis="y")
        lines, labels = axes.get_legend_handles_labels()
        chart.legend(lines, labels, loc="outside lower center", ncols=2, frameon=False, labelcolor=THEME.ink)
        return standalone(render(chart, "nw-ucla", LABEL))


def _values(results: Sequence[Sequence[Result]], method: str, size: int, epochs: int) -> Array:
    """ρ over all, and within depth, of each draw, (draws, 2); NaN where the method was not measured."""
    key = (method, size, epochs)
    found = [row[3:] for draw in results for row in draw if tuple(row[:3]) == key]
    return np.array(found or [(np.nan, np.nan)], dtype=np.float64)


def _mean(values: Array) -> str:
    """Mean and standard error over the draws."""
    if np.isnan(values).all():
        return "–"
    known = values[~np.isnan(values)]
    return f"{known.mean():.3f} ± {known.std(ddof=1) / len(known) ** 0.5:.3f}"


def _difference(values: Array) -> str:
    return f"{values.mean():+.3f} ± {values.std(ddof=1) / len(values) ** 0.5:.3f}"


def _cell(correlation: Correlation | None) -> str:
    return "–" if correlation is None else "{:.2f} ({:.2f} to {:.2f})".format(*correlation)


def _proxy_cells(order: Order | None) -> tuple[str, str]:
    if order is None or order.within_spearman is None:
        return "–", "–"
    low, high = order.within_spearman[1:]
    return f"{order.spearman[0]:.2f}", f"{order.within_spearman[0]:.2f} ({low:.2f} to {high:.2f})"


def _marks(head: Sequence[str]) -> tuple[str, ...]:
    return ("---", *("---:" for _ in head[1:]))
