"""What the evaluation measured in cross-validation: combiners and baselines, within depth, and learning curves."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from ensemble.report import figures
from ensemble.report.blocks import Block, Figures, Key, Missing, Section, listed
from ensemble.report.material import LAYERS, Material
from ensemble.report.palette import THEME
from ensemble.report.study import NO_SCORES
from ensemble.report.tables import Column, Style, Table, mean_and_sd, names_column, summary_column, written

T = TypeVar("T")
Summaries = Mapping[str, Mapping[str, Any]]
Curves = Mapping[str, Sequence[Mapping[str, Any]]]

MEASURES: tuple[tuple[str, str, str, Style], ...] = (
    ("spearman", "spearman", "ρ", "correlation"),
    ("within_depth", "within_depth", "ρ within depth", "correlation"),
    ("partial", "partial", "ρ given depth", "correlation"),
    ("kendall", "kendall", "τ", "correlation"),
    ("pairwise", "pairwise", "pairs in order", "correlation"),
    ("mae", "mae_points", "MAE, points", "points"),
)
"""Measure, its key in the CSV file, its title, its style. Points are percentage points of accuracy."""
BASELINES = {"depth": "depth only", "params": "parameters only"}
WITHIN = ", within depth"
NO_COMBINERS = Missing("The evaluation holds no combiners.")


def baseline_title(name: str) -> str:
    """What the page calls a fitted model."""
    return BASELINES.get(name, name)


def combined(evaluation: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Combiners, the largest mean ρ first, then baselines, by the names that the page calls them."""
    combiners: Summaries = evaluation.get("combiners", {})
    best_first = sorted(combiners, key=lambda name: -(mean_and_sd(combiners[name].get("spearman"))[0] or 0.0))
    baselines: Summaries = evaluation.get("baselines", {})
    return {
        **{name: combiners[name] for name in best_first},
        **{baseline_title(name): row for name, row in baselines.items()},
    }


def in_order(evaluation: Mapping[str, Any], rows: Mapping[str, T]) -> dict[str, T]:
    """Another part's rows, by the names that the page calls them and in the order of `combined`."""
    order = list(combined(evaluation))
    titled = {baseline_title(name): row for name, row in rows.items()}
    return dict(sorted(titled.items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order)))


def within_depth(material: Material) -> Section:
    """ρ at each depth for proxies, baselines and combiners."""
    key, title = "within-depth", "Within each depth"
    by_depth = {depth: f"depth={depth}" for depth in material.depths}
    blocks: list[Block] = []
    if material.proxies:
        # The number of layers is the same within a depth: it has no ρ there.
        rows = [*(name for name in material.baselines if name != LAYERS), *material.names]
        columns = [names_column("score", "score", rows)]
        for depth, measure in by_depth.items():
            for source, measures in material.measures.items():
                values = [{**material.baselines, **measures}.get(row, {}).get(measure) for row in rows]
                columns.append(Column(f"{source}_depth_{depth}", source, values, group=f"{depth} layers"))
        blocks.append(Table("within_depth_scores", "ρ of each score among architectures of one depth", tuple(columns)))
    else:
        blocks.append(NO_SCORES)
    fitted = combined(material.evaluation)
    if not material.evaluation.get("combiners"):
        blocks.append(NO_COMBINERS)
    if not fitted:
        return Section(key, title, tuple(blocks))
    columns = [names_column("combiner", "combiner", fitted)]
    for depth, measure in by_depth.items():
        column = summary_column(f"depth_{depth}", f"{depth} layers", (row.get(measure) for row in fitted.values()))
        columns.append(column)
    mean = summary_column("mean", "mean", (row.get("within_depth") for row in fitted.values()))
    table = Table("within_depth_combiners", "ρ within depth, cross-validated, mean ± sd", (*columns, mean))
    series = [
        figures.Series([mean_and_sd(row.get(measure))[0] for row in fitted.values()], material.depth_colour(depth))
        for depth, measure in by_depth.items()
    ]
    label = f"Dot plot: cross-validated ρ within depth of {len(fitted)} combiners and baselines."
    ceiling = material.evaluation.get("noise", {}).get("within_depth")
    drawing = figures.dots("within-depth", label, list(fitted), series, "ρ within depth, cross-validated", ceiling)
    legend = [Key(f"{depth} layers", material.depth_colour(depth)) for depth in material.depths]
    blocks += [Figures(_within_caption(material, fitted, ceiling), [drawing], legend), table]
    return Section(key, title, tuple(blocks))


def _within_caption(material: Material, fitted: Summaries, ceiling: float | None) -> str:
    sizes = [f"{int((material.benchmark.depths == depth).sum())} with {depth} layers" for depth in material.depths]
    means = {name: mean_and_sd(row.get("within_depth"))[0] for name, row in fitted.items()}
    known = {name: mean for name, mean in means.items() if mean is not None}
    best = max(known, key=lambda name: known[name], default=None)
    said = f"The largest mean is that of {best}, {written(known[best])}. " if best is not None else ""
    if ceiling is not None:
        said += f"Dashed: about {written(ceiling)} is what the noise in accuracies leaves possible for the mean. "
    if means.get(BASELINES["depth"]) is not None:
        said += (
            "Depth alone falls below 0 by construction: for one depth it predicts the mean of the training rows, which "
            "is lower in the very fold whose members are better."
        )
    return f"ρ among architectures of one depth ({listed(sizes)}). {said}"


def cross_validated(material: Material) -> Section:
    """All measures of combiners and baselines."""
    key, title = "combiners", "Cross-validated combiners and baselines"
    fitted = combined(material.evaluation)
    if not fitted:
        return Section(key, title, (NO_COMBINERS,))
    columns = [names_column("combiner", "combiner", fitted)]
    for measure, name, heading, style in MEASURES:
        columns.append(summary_column(name, heading, (row.get(measure) for row in fitted.values()), style))
    counts = [mean_and_sd(row.get("predicted"))[0] for row in fitted.values()]
    columns.append(Column("n", "N", counts, "count"))
    method = material.evaluation.get("method", {})
    how = f"{method['repeats']} × {method['folds']}-fold " if {"repeats", "folds"} <= method.keys() else ""
    table = Table("combiners", f"{how}cross-validation, mean ± sd over repeats; N predictions", tuple(columns))
    series = [_series(fitted, measure, i) for i, measure in enumerate(("spearman", "within_depth"))]
    label = f"Dot plot: cross-validated ρ, overall and within depth, of {len(fitted)} combiners and baselines."
    drawing = figures.dots("combiners", label, list(fitted), series, "ρ, cross-validated")
    caption = (
        "Spearman’s ρ of held-out predictions with accuracy, overall and as the mean within depth; bars are one "
        f"standard deviation over repeats. {_gain(fitted)}"
    )
    legend = [Key("all architectures", THEME.series[0], "o"), Key("mean within depth", THEME.series[1], "s")]
    blocks = (Figures(caption, [drawing], legend), table)
    return Section(key, title, blocks if material.evaluation.get("combiners") else (NO_COMBINERS, *blocks))


def _series(fitted: Summaries, measure: str, index: int) -> figures.Series:
    pairs = [mean_and_sd(row.get(measure)) for row in fitted.values()]
    colour, marker, _ = figures.look(index)
    return figures.Series([mean for mean, _ in pairs], colour, marker, [sd for _, sd in pairs])


def _gain(fitted: Summaries) -> str:
    best, depth = next(iter(fitted)), BASELINES["depth"]
    first, second = (mean_and_sd(fitted.get(name, {}).get("spearman"))[0] for name in (best, depth))
    if first is None or second is None or best == depth:
        return ""
    return f"The largest ρ is that of {best}, {written(first)}; {depth} reaches {written(second)}."


def learning(material: Material) -> Section:
    """How good predictions are by the number of trained architectures, and what a search would gain."""
    key, title = "learning", "Learning curves and search"
    learned = {name: rows for name, rows in material.evaluation.get("learning", {}).items() if rows}
    curves: Curves = in_order(material.evaluation, learned)
    if not curves:
        return Section(key, title, (Missing("The evaluation holds no learning curves."),))
    metrics = _learned(curves)
    legend = [Key(name, *figures.look(i)) for i, name in enumerate(curves)]
    sizes = sorted({int(row["n_train"]) for rows in curves.values() for row in rows})
    drawings = {metric: _learning_drawing(curves, sizes, metric, heading) for metric, heading in metrics.items()}
    search = [metric for metric in metrics if "@" in metric]
    plain = [metric for metric in metrics if "@" not in metric]
    blocks: list[Block] = [
        "Models that were fitted on n trained architectures predict others: what a search gets that can afford n "
        "trainings. Bars are one standard deviation over repeats.",
        Figures(_learning_caption(curves), [drawings[metric] for metric in plain], legend),
        _learning_table("learning", "Learning curves", curves, {metric: metrics[metric] for metric in plain}),
    ]
    if search:
        caption = (
            "Search: precision@k is the share of the predicted top k that is in the true top k; rank@k the mean true "
            "rank of the predicted top k, 1 being the best; regret@k how many percentage points the best of the "
            "predicted top k lies below the best there is. Overall, and among architectures of one depth."
        )
        blocks += [
            Figures(caption, [drawings[metric] for metric in search], legend),
            _learning_table("search", "Search", curves, {m: metrics[m] for m in search if WITHIN not in m}),
        ]
        within = {metric: metrics[metric] for metric in search if WITHIN in metric}
        if within:
            blocks.append(_learning_table("search_within_depth", "Search within depth", curves, within))
    return Section(key, title, tuple(blocks))


def _learned(curves: Curves) -> dict[str, str]:
    """Metrics of the curves with their titles, the plain ones first, then overall and within-depth ones in turn."""
    rows = [row for curve in curves.values() for row in curve]
    there = list(dict.fromkeys(metric for row in rows for metric, summary in row.items() if summary is not None))
    titles = {"spearman": "ρ", "within_depth": "mean ρ within depth", "mae": "MAE, points"}
    plain = {metric: heading for metric, heading in titles.items() if metric in there}
    overall = [metric for metric in there if "@" in metric and not metric.endswith(WITHIN)]
    searched = [metric for base in overall for metric in (base, base + WITHIN) if metric in there]
    return {**plain, **{metric: metric + (", points" if _style(metric) == "points" else "") for metric in searched}}


def _style(metric: str) -> Style:
    if metric == "mae" or metric.startswith("regret@"):
        return "points"
    return "mean" if metric.startswith("rank@") else "correlation"


def _learning_drawing(curves: Curves, sizes: Sequence[int], metric: str, heading: str) -> str:
    scale = 100.0 if _style(metric) == "points" else 1.0
    series = []
    for i, rows in enumerate(curves.values()):
        by_size = {int(row["n_train"]): mean_and_sd(row.get(metric)) for row in rows}
        pairs = [by_size.get(size, (None, None)) for size in sizes]
        means = [None if mean is None else scale * mean for mean, _ in pairs]
        sds = [None if sd is None else scale * sd for _, sd in pairs]
        colour, marker, dash = figures.look(i)
        series.append(figures.Series(means, colour, marker, sds, dash))
    label = f"Line plot: {heading} against the number of trained architectures, for {listed(list(curves))}."
    name = "learning-" + "".join(c if c.isalnum() else "-" for c in metric)
    return figures.curves(name, label, sizes, series, ("trained architectures", heading), log=True, ticks=sizes)


def _learning_caption(curves: Curves) -> str:
    name, rows = next(iter(curves.items()))
    said = []
    for row in (rows[0], rows[-1])[: len(rows)]:
        rho = mean_and_sd(row.get("spearman"))[0]
        if rho is not None:
            said.append(f"{written(rho)} from {written(float(row['n_train']), 'count')} architectures")
    return (
        f"Quality by the number of trained architectures. ρ of {name}: {listed(said)}." if said else "Quality by size."
    )


def _learning_table(key: str, title: str, curves: Curves, metrics: Mapping[str, str]) -> Table:
    rows = [(name, row) for name, model in curves.items() for row in model]
    columns = [
        names_column("model", "model", (name for name, _ in rows)),
        Column("n_train", "trained", [float(row["n_train"]) for _, row in rows], "count"),
    ]
    for metric, heading in metrics.items():
        style = _style(metric)
        name = metric.removesuffix(WITHIN) + ("_points" if style == "points" else "")
        summaries = (row.get(metric) for _, row in rows)
        columns.append(summary_column(name, heading.replace(WITHIN, ""), summaries, style))
    return Table(key, f"{title}, mean ± sd over repeats", tuple(columns))
