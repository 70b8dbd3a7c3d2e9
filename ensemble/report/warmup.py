"""Section on proxy scores after the first training epochs."""

from typing import NamedTuple

import numpy as np

from ensemble.evaluation.metrics import Metrics
from ensemble.evaluation.protocol import proxy_metrics
from ensemble.report import figures
from ensemble.report.blocks import Block, Figures, Folded, LegendEntry, Missing, Section, enumerated
from ensemble.report.palette import THEME
from ensemble.report.report_data import ReportData
from ensemble.report.tables import Column, Table, format_number, names_column

UNTRAINED = -1
"""Epoch of the scores before training."""
MIN_COVERED_FRACTION = 0.95
"""Fraction of architectures with a score from which on an epoch is compared with others."""


class EpochCurve(NamedTuple):
    """Correlations of one proxy by epoch.

    Attributes:
        epochs: the epochs, `UNTRAINED` first.
        spearman: ρ by epoch.
        within_stratum: within-stratum ρ by epoch.
        is_covered: by epoch, true where `MIN_COVERED_FRACTION` of the architectures have a score.
    """

    epochs: list[int]
    spearman: list[float | None]
    within_stratum: list[float | None]
    is_covered: list[bool]

    def best(self, values: list[float | None]) -> int | None:
        """Return the index of the largest |value| among the covered epochs."""
        indices = [i for i, value in enumerate(values) if value is not None and self.is_covered[i]]
        return max(indices, key=lambda i: abs(values[i] or 0.0), default=None)


def epochs(data: ReportData) -> Section:
    """Correlation of each published score with accuracy by epoch, and the best epoch of each proxy."""
    key, title = "epochs", "Correlation by warm-up epoch"
    curves = _curves(data) if data.by_epoch else {}
    if not curves:
        return Section(key, title, (Missing("The benchmark contains no scores from after the start of training."),))
    baseline = data.baselines[data.stratum]["spearman"]
    values = [value for curve in curves.values() for value in (*curve.spearman, *curve.within_stratum)]
    defined = [value for value in values if value is not None]
    limit = min(1.0, 1.08 * max(map(abs, [*defined, baseline or 0.0])))
    drawings = [_drawing(name, curve, baseline, limit) for name, curve in curves.items()]
    best = {name: curve.best(curve.spearman) for name, curve in curves.items()}
    better = [
        name
        for name, curve in curves.items()
        if baseline is not None and (i := best[name]) is not None and abs(curve.spearman[i] or 0.0) > abs(baseline)
    ]
    last = max(epoch for curve in curves.values() for epoch in curve.epochs)
    text = (
        f"The public files also contain each score after epochs 0 to {last} of training; −1 stands for before "
        f"training. Epochs for which fewer than {100 * MIN_COVERED_FRACTION:.0f} % of the architectures have a score "
        "are drawn faint, as they concern other architectures, and are not candidates for the best epoch. The best "
        "epoch is the one with the largest |ρ|, chosen in-sample among "
        f"{max(sum(curve.is_covered) for curve in curves.values())}."
    )
    caption = (
        "Spearman’s ρ of the published scores with accuracy by training epoch, overall and within strata. Dashed: "
        f"±{format_number(baseline)}, the ρ of the {data.stratum} alone; at their best epoch {len(better)} of "
        f"{len(curves)} scores have a larger |ρ|{': ' + enumerated(better) if better else ''}."
    )
    legend = [
        LegendEntry("all architectures", THEME.published, None, 0),
        LegendEntry("mean within strata", THEME.ours, None, 2),
    ]
    small_multiples = Figures(caption, drawings, legend, "small")
    blocks: tuple[Block, ...] = (
        text,
        small_multiples,
        _best_table(curves),
        Folded("All epochs as tables", _tables(curves)),
    )
    return Section(key, title, blocks)


def _curves(data: ReportData) -> dict[str, EpochCurve]:
    by_epoch = {epoch: proxy_metrics(data.benchmark, table) for epoch, table in data.by_epoch.items()}
    if "published" in data.metrics:
        by_epoch = {UNTRAINED: data.metrics["published"], **by_epoch}
    proxies = {name for rows in by_epoch.values() for name in rows}
    no_metrics: Metrics = {}
    curves = {}
    for name in [name for name in data.names if name in proxies] + sorted(proxies - set(data.names)):
        rows = [rows.get(name, no_metrics) for rows in by_epoch.values()]
        counts = np.array([row.get("n") or 0.0 for row in rows])
        curves[name] = EpochCurve(
            list(by_epoch),
            [row.get("spearman") for row in rows],
            [row.get("within_stratum_spearman") for row in rows],
            (counts >= MIN_COVERED_FRACTION * len(data.benchmark)).tolist(),
        )
    return curves


def _drawing(name: str, curve: EpochCurve, baseline: float | None, limit: float) -> str:
    faint = [not covered for covered in curve.is_covered]
    series = [
        figures.Series(curve.spearman, THEME.published, None, faint=faint),
        figures.Series(curve.within_stratum, THEME.ours, None, faint=faint, dash=2),
    ]
    label = f"Line plot: ρ of {name} with accuracy by training epoch, overall and within strata."
    best = curve.best(curve.spearman)
    if best is not None:
        label += f" Largest |ρ| after epoch {curve.epochs[best]}: {format_number(curve.spearman[best])}."
    lines = [] if baseline is None else [-baseline, baseline]
    axes = ("epoch", "")
    limits = (-limit, limit)
    return figures.curves(f"epochs-{name}", label, curve.epochs, series, axes, name, lines, small=True, limits=limits)


def _best_table(curves: dict[str, EpochCurve]) -> Table:
    columns = [names_column("proxy", "proxy", curves)]
    untrained = [curve.epochs.index(UNTRAINED) if UNTRAINED in curve.epochs else None for curve in curves.values()]
    best = [curve.best(curve.spearman) for curve in curves.values()]
    best_within = [curve.best(curve.within_stratum) for curve in curves.values()]
    for key, title, indices in (
        ("untrained", "before training", untrained),
        ("best_spearman", "largest |ρ|", best),
        ("best_within_stratum", "largest |within-stratum ρ|", best_within),
    ):
        pairs = list(zip(curves.values(), indices, strict=True))
        if indices is not untrained:
            best_epochs = [None if i is None else curve.epochs[i] for curve, i in pairs]
            columns.append(Column(f"{key}_epoch", "epoch", best_epochs, "count", title))
        rho = [None if i is None else curve.spearman[i] for curve, i in pairs]
        within = [None if i is None else curve.within_stratum[i] for curve, i in pairs]
        columns.append(Column(f"{key}_rho", "ρ", rho, group=title))
        columns.append(Column(f"{key}_within_stratum_rho", "within-stratum ρ", within, group=title))
    title = "Each published score before training, and at its best epoch (in-sample)"
    return Table("best_epochs", title, tuple(columns))


def _tables(curves: dict[str, EpochCurve]) -> list[Table]:
    first = next(iter(curves.values()))
    tables = []
    for key, title, field in (
        ("epochs", "ρ", "spearman"),
        ("epochs_within_stratum", "Within-stratum ρ", "within_stratum"),
    ):
        columns = [
            Column("epoch", "epoch", first.epochs, "count"),
            *(Column(name, name, getattr(curve, field)) for name, curve in curves.items()),
        ]
        tables.append(Table(key, f"{title} of each published score by epoch; −1 is before training", tuple(columns)))
    return tables
