"""Sections on cross-validated combiners and baselines: correlation by stratum, all metrics, learning curves."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from ensemble.evaluation.baselines import PARAMS, STRATUM
from ensemble.report import figures
from ensemble.report.blocks import Block, Figures, LegendEntry, Missing, Section, enumerated
from ensemble.report.palette import THEME
from ensemble.report.proxies import NO_SCORES
from ensemble.report.report_data import ReportData
from ensemble.report.tables import Column, Style, Table, format_number, mean_and_std, names_column, summary_column

T = TypeVar("T")
Summaries = Mapping[str, Mapping[str, Any]]
"""Metrics by model and name."""
Curves = Mapping[str, Sequence[Mapping[str, Any]]]
"""Learning curves by model."""

METRICS: tuple[tuple[str, str, str, Style], ...] = (
    ("spearman", "spearman", "ρ", "correlation"),
    ("within_stratum_spearman", "within_stratum_spearman", "within-stratum ρ", "correlation"),
    ("partial_spearman", "partial_spearman", "partial ρ", "correlation"),
    ("kendall", "kendall", "τ", "correlation"),
    ("pairwise_accuracy", "pairwise_accuracy", "pairwise accuracy", "correlation"),
    ("mae", "mae_points", "MAE, points", "points"),
)
"""Name in the evaluation, key in the CSV file, title and style. Points are percentage points of accuracy."""
BASELINE_TITLES = {STRATUM: "stratum only", PARAMS: "parameters only"}
CURVE_METRICS = {"spearman": "ρ", "within_stratum_spearman": "within-stratum ρ", "mae": "MAE, points"}
SEARCH_METRICS = {
    "precision_at_10": "precision@10",
    "mean_rank_at_10": "mean rank@10",
    "regret_at_5": "regret@5, points",
}
WITHIN = "within_stratum_"
"""Prefix of within-stratum metrics."""
NO_COMBINERS = Missing("The evaluation contains no combiners.")


def model_title(name: str) -> str:
    """Return the title of a combiner or baseline on the page."""
    return BASELINE_TITLES.get(name, name)


def fitted_models(evaluation: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the metrics of combiners, by decreasing mean ρ, and then of baselines, by title."""
    combiners: Summaries = evaluation.get("combiners", {})
    by_spearman = sorted(combiners, key=lambda name: -(mean_and_std(combiners[name].get("spearman"))[0] or 0.0))
    baselines: Summaries = evaluation.get("baselines", {})
    return {
        **{name: combiners[name] for name in by_spearman},
        **{model_title(name): row for name, row in baselines.items()},
    }


def in_model_order(evaluation: Mapping[str, Any], rows: Mapping[str, T]) -> dict[str, T]:
    """Return the rows of another part of the evaluation by title, in the order of `fitted_models`."""
    order = list(fitted_models(evaluation))
    titled = {model_title(name): row for name, row in rows.items()}
    return dict(sorted(titled.items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order)))


def within_stratum(data: ReportData) -> Section:
    """ρ within each stratum, for proxies, baselines and combiners."""
    key, title = "within-stratum", "Correlation within each stratum"
    blocks: list[Block] = []
    if data.proxies:
        # The stratum is constant within itself: it has no ρ there.
        rows = [*(name for name in data.baselines if name != data.stratum), *data.names]
        columns = [names_column("score", "score", rows)]
        for stratum in data.strata:
            for source, metrics in data.metrics.items():
                by_score = {**data.baselines, **metrics}
                values = [_in_stratum(by_score.get(row, {}), stratum) for row in rows]
                columns.append(Column(f"{source}_stratum_{stratum}", source, values, group=data.stratum_title(stratum)))
        blocks.append(
            Table("within_stratum_scores", "ρ of each score with accuracy, within each stratum", tuple(columns))
        )
    else:
        blocks.append(NO_SCORES)
    models = fitted_models(data.evaluation)
    if not data.evaluation.get("combiners"):
        blocks.append(NO_COMBINERS)
    if not models:
        return Section(key, title, tuple(blocks))
    columns = [names_column("combiner", "combiner", models)]
    for stratum in data.strata:
        summaries = (_in_stratum(row, stratum) for row in models.values())
        columns.append(summary_column(f"stratum_{stratum}", data.stratum_title(stratum), summaries))
    mean = summary_column("mean", "mean", (row.get("within_stratum_spearman") for row in models.values()))
    table = Table("within_stratum_combiners", "Cross-validated within-stratum ρ, mean ± std", (*columns, mean))
    series = [
        figures.Series(
            [mean_and_std(_in_stratum(row, stratum))[0] for row in models.values()], data.stratum_color(stratum)
        )
        for stratum in data.strata
    ]
    label = f"Dot plot: cross-validated within-stratum ρ of {len(models)} combiners and baselines."
    ceiling = (data.evaluation.get("noise") or {}).get("spearman_ceiling", {}).get("within_stratum")
    drawing = figures.dots("within-stratum", label, list(models), series, "cross-validated within-stratum ρ", ceiling)
    blocks += [Figures(_within_caption(data, models, ceiling), [drawing], data.strata_legend), table]
    return Section(key, title, tuple(blocks))


def _in_stratum(row: Mapping[str, Any], stratum: int) -> Any:
    """Return the ρ within a stratum, as a number or a summary."""
    return row.get("spearman_by_stratum", {}).get(str(stratum))


def _within_caption(data: ReportData, models: Summaries, ceiling: float | None) -> str:
    means = {name: mean_and_std(row.get("within_stratum_spearman"))[0] for name, row in models.items()}
    defined = {name: mean for name, mean in means.items() if mean is not None}
    best = max(defined, key=lambda name: defined[name], default=None)
    sentences = [f"ρ among architectures of one stratum ({enumerated(data.strata_sizes)})."]
    if best is not None:
        sentences.append(f"The largest mean is that of {best}, {format_number(defined[best])}.")
    if ceiling is not None:
        sentences.append(f"Dashed: upper bound of the mean, about {format_number(ceiling)}, due to label noise.")
    if means.get(BASELINE_TITLES[STRATUM]) is not None:
        sentences.append(
            "Stratum only has a negative ρ by construction: it predicts the mean of the stratum’s training rows, which "
            "is lower in the folds whose test rows are better."
        )
    return " ".join(sentences)


def cross_validated(data: ReportData) -> Section:
    """All metrics of combiners and baselines."""
    key, title = "combiners", "Cross-validated combiners and baselines"
    models = fitted_models(data.evaluation)
    if not models:
        return Section(key, title, (NO_COMBINERS,))
    columns = [names_column("combiner", "combiner", models)]
    for metric, name, heading, style in METRICS:
        columns.append(summary_column(name, heading, (row.get(metric) for row in models.values()), style))
    counts = [mean_and_std(row.get("n"))[0] for row in models.values()]
    columns.append(Column("n", "n", counts, "count"))
    method = data.evaluation.get("method", {})
    kind = f"{method['repeats']} × {method['folds']}-fold " if {"repeats", "folds"} <= method.keys() else ""
    table = Table("combiners", f"{kind}cross-validation, mean ± std over repeats; n predictions", tuple(columns))
    series = [_series(models, metric, i) for i, metric in enumerate(("spearman", "within_stratum_spearman"))]
    label = f"Dot plot: cross-validated overall and within-stratum ρ of {len(models)} combiners and baselines."
    drawing = figures.dots("combiners", label, list(models), series, "cross-validated ρ")
    caption = (
        "Spearman’s ρ of held-out predictions with accuracy, overall and within strata (mean over strata). Bars: one "
        f"standard deviation over repeats. {_gain(models)}"
    )
    legend = [
        LegendEntry("all architectures", THEME.series[0], "o"),
        LegendEntry("mean within strata", THEME.series[1], "s"),
    ]
    blocks = (Figures(caption, [drawing], legend), table)
    return Section(key, title, blocks if data.evaluation.get("combiners") else (NO_COMBINERS, *blocks))


def _series(models: Summaries, metric: str, index: int) -> figures.Series:
    pairs = [mean_and_std(row.get(metric)) for row in models.values()]
    color, marker, _ = figures.series_style(index)
    return figures.Series([mean for mean, _ in pairs], color, marker, [std for _, std in pairs])


def _gain(models: Summaries) -> str:
    best, baseline = next(iter(models)), BASELINE_TITLES[STRATUM]
    first, second = (mean_and_std(models.get(name, {}).get("spearman"))[0] for name in (best, baseline))
    if first is None or second is None or best == baseline:
        return ""
    return f"The largest ρ is that of {best}, {format_number(first)}; {baseline} has {format_number(second)}."


def learning(data: ReportData) -> Section:
    """Metrics by the number of trained architectures."""
    key, title = "learning", "Learning curves and search"
    by_name = {name: curve for name, curve in data.evaluation.get("learning_curves", {}).items() if curve}
    curves: Curves = in_model_order(data.evaluation, by_name)
    if not curves:
        return Section(key, title, (Missing("The evaluation contains no learning curves."),))
    points = [point for curve in curves.values() for point in curve]
    known = {metric for point in points for metric, summary in point.items() if summary is not None}
    plain = {metric: heading for metric, heading in CURVE_METRICS.items() if metric in known}
    overall = {metric: heading for metric, heading in SEARCH_METRICS.items() if metric in known}
    within = {WITHIN + metric: heading for metric, heading in SEARCH_METRICS.items() if WITHIN + metric in known}
    legend = [LegendEntry(name, *figures.series_style(i)) for i, name in enumerate(curves)]
    sizes = sorted({int(point["n_train"]) for point in points})

    def drawing(metric: str, heading: str) -> str:
        return _learning_drawing(curves, sizes, metric, heading)

    blocks: list[Block] = [
        "Models fitted on n trained architectures predict the others, as in a search with a budget of n trainings. "
        "Bars: one standard deviation over repeats.",
        Figures(_learning_caption(curves), [drawing(metric, heading) for metric, heading in plain.items()], legend),
        _learning_table("learning", "Learning curves", curves, plain),
    ]
    if overall:
        caption = (
            "Search metrics, overall and within strata. precision@k: fraction of the k best predictions among the k "
            "best accuracies; mean rank@k: mean rank by accuracy of the k best predictions, 1 for the best; regret@k: "
            "percentage points between the best accuracy and the best among the k best predictions."
        )
        drawings = []
        for metric, heading in overall.items():
            drawings.append(drawing(metric, heading))
            if WITHIN + metric in within:
                drawings.append(drawing(WITHIN + metric, f"within-stratum {heading}"))
        blocks += [
            Figures(caption, drawings, legend),
            _learning_table("search", "Search metrics", curves, overall),
        ]
        if within:
            blocks.append(
                _learning_table(
                    "within_stratum_search", "Search metrics within strata, mean over strata", curves, within
                )
            )
    return Section(key, title, tuple(blocks))


def _style(metric: str) -> Style:
    metric = metric.removeprefix(WITHIN)
    if metric in ("mae", "regret_at_5"):
        return "points"
    return "mean" if metric == "mean_rank_at_10" else "correlation"


def _learning_drawing(curves: Curves, sizes: Sequence[int], metric: str, heading: str) -> str:
    scale = 100.0 if _style(metric) == "points" else 1.0
    series = []
    for i, curve in enumerate(curves.values()):
        by_size = {int(point["n_train"]): mean_and_std(point.get(metric)) for point in curve}
        pairs = [by_size.get(size, (None, None)) for size in sizes]
        means = [None if mean is None else scale * mean for mean, _ in pairs]
        stds = [None if std is None else scale * std for _, std in pairs]
        color, marker, dash = figures.series_style(i)
        series.append(figures.Series(means, color, marker, stds, dash))
    label = f"Line plot: {heading} against the number of trained architectures, for {enumerated(list(curves))}."
    key = "learning-" + metric.replace("_", "-")
    return figures.curves(key, label, sizes, series, ("trained architectures", heading), log=True, ticks=sizes)


def _learning_caption(curves: Curves) -> str:
    name, curve = next(iter(curves.items()))
    parts = []
    for point in (curve[0], curve[-1])[: len(curve)]:
        rho = mean_and_std(point.get("spearman"))[0]
        if rho is not None:
            parts.append(f"{format_number(rho)} from {format_number(float(point['n_train']), 'count')} architectures")
    caption = "Metrics by the number of trained architectures."
    return f"{caption} ρ of {name}: {enumerated(parts)}." if parts else caption


def _learning_table(key: str, title: str, curves: Curves, metrics: Mapping[str, str]) -> Table:
    rows = [(name, point) for name, curve in curves.items() for point in curve]
    columns = [
        names_column("model", "model", (name for name, _ in rows)),
        Column("n_train", "trained", [float(point["n_train"]) for _, point in rows], "count"),
    ]
    for metric, heading in metrics.items():
        style = _style(metric)
        name = metric + ("_points" if style == "points" else "")
        columns.append(summary_column(name, heading, (point.get(metric) for _, point in rows), style))
    return Table(key, f"{title}, mean ± std over repeats", tuple(columns))
