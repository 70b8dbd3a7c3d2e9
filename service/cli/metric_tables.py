"""Metrics as tables of at most 80 columns: an evaluation, and the card of an ensemble."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table

from service.api.cards import EnsembleCard
from service.cli.tables import number_table

Row = Mapping[str, Any]
"""Metrics by name: numbers, `{"mean", "std"}` over repeats, or None."""
Columns = Mapping[str, str]
"""Titles by metric. The name of a nested metric is its path, such as `coverage.overall`."""

WITH_STD = ("spearman", "spearman_by_stratum", "within_stratum_spearman", "partial_spearman", "brier")
"""Metrics that are shown with their standard deviation over repeats."""
DIGITS = {"mae": 5, "mean_rank_at_10": 0, "within_stratum_mean_rank_at_10": 0}
"""Decimals; 3 for other metrics."""
PERCENTAGE_POINTS = ("regret_at_5", "within_stratum_regret_at_5", "interval_width")
"""Fractions of accuracy that are shown in percentage points."""
METRICS = {
    "spearman": "ρ",
    "within_stratum_spearman": "within",
    "partial_spearman": "partial",
    "kendall": "τ",
    "pairwise_accuracy": "pairs",
    "mae": "MAE",
}
SEARCH_METRICS = {"precision_at_10": "precision@10", "mean_rank_at_10": "rank@10", "regret_at_5": "regret@5"}
CARD_METRICS = {
    "spearman": "ρ",
    "within_stratum_spearman": "within",
    "mae": "MAE",
    "coverage.overall": "coverage",
    "interval_width.overall": "width",
    "brier.within_stratum": "Brier within",
}


def evaluation_tables(evaluation: Row) -> list[Table]:
    """Make the tables of an evaluation.

    Args:
        evaluation: result of `ensemble.evaluate`.
    """
    sources = {"published": "published", "scores": "ours"}
    scores = {f"{name}, {word}": row for source, word in sources.items() for name, row in evaluation[source].items()}
    models = {**evaluation["combiners"], **evaluation["baselines"]}
    method, benchmark, noise = evaluation["method"], evaluation["benchmark"], evaluation["noise"]
    strata, label = list(benchmark["by_stratum"]), benchmark["stratum"] or "stratum"
    scores = {label: evaluation["stratum"], **scores}
    by_stratum = {f"spearman_by_stratum.{stratum}": stratum for stratum in strata}
    ceiling = {"noise ceiling": {"spearman_by_stratum": noise["spearman_ceiling"]["by_stratum"]}} if noise else {}
    coverage = {
        "coverage.overall": "overall",
        **{f"coverage.by_stratum.{stratum}": stratum for stratum in strata},
        "interval_width.overall": "width",
    }
    brier = {"brier.overall": "overall", "brier.within_stratum": "within strata"}
    within_search = {f"within_stratum_{metric}": title for metric, title in SEARCH_METRICS.items()}
    curves = evaluation["learning_curves"]
    tables = [
        metrics_table("scores, not fitted", scores, METRICS),
        metrics_table(f"ρ of scores within a {label}, not fitted", scores, by_stratum),
        metrics_table("cross-validated", models, METRICS),
        metrics_table(f"ρ within a {label}", {**models, **ceiling}, by_stratum),
        metrics_table(f"coverage of 90 % intervals, by {label}", evaluation["intervals"]["combiners"], coverage),
        metrics_table("Brier score of pairs", evaluation["pairs"]["combiners"], brier),
        _learning_table(
            "learning curves", curves, {"spearman": "ρ", "within_stratum_spearman": "within", **SEARCH_METRICS}
        ),
        _learning_table("learning curves within strata", curves, within_search),
        metrics_table(
            "control: accuracies shuffled within strata",
            evaluation["control"],
            {"within_stratum_spearman": "within-stratum ρ"},
        ),
    ]
    tables[-1].caption = (
        f"{benchmark['size']} architectures, {method['repeats']} × {method['folds']}-fold (learning curves "
        f"{method['learning_repeats']} ×), mean ± standard deviation over repeats, {evaluation['seconds']:.0f} s"
    )
    return tables


def card_tables(card: EnsembleCard) -> Group:
    """Make the tables of an ensemble's card, followed by its limitations."""
    facts = Table(box=box.SIMPLE, show_header=False, padding=(0, 1, 0, 0))
    benchmark = card.benchmark
    strata = ", ".join(f"{stratum} ({count})" for stratum, count in benchmark["by_stratum"].items())
    rows = {
        "ensemble": f"{card.name}, {card.created_by}",
        "hash": card.hash or "not saved yet",
        "search space": ", ".join([card.space, *(f"{name} {value}" for name, value in card.settings.items())]),
        "fitted on": f"{benchmark['size']} architectures of {benchmark['name']}"
        + (f", by {card.stratum_label}: {strata}" if strata else ""),
        "sources": ", ".join(source.name for source in card.sources) or "none",
        "features": ", ".join(f"{count} {kind}" for kind, count in card.features.items()),
        "proxies": ", ".join(card.proxies) or "none",
        "evaluated by": f"{card.method['repeats']} × {card.method['folds']}-fold" if card.method else "not evaluated",
    }
    for name, text in rows.items():
        facts.add_row(name, text)
    metrics = {name: row.model_dump() for name, row in card.metrics.items()}
    return Group(
        facts,
        *([metrics_table("cross-validated", metrics, CARD_METRICS)] if metrics else []),
        *(f"• {limitation}" for limitation in card.limitations),
    )


def metrics_table(title: str, rows: Mapping[str, Row], columns: Columns) -> Table:
    """Make a table of metrics.

    Args:
        title: title above the table.
        rows: metrics by name of the row.
        columns: metrics to show.
    """
    table = number_table(title, *columns.values())
    for name, row in rows.items():
        table.add_row(name, *(_cell(metric, _nested(row, metric)) for metric in columns))
    return table


def _learning_table(title: str, curves: Mapping[str, Sequence[Row]], columns: Columns) -> Table:
    table = number_table(title, "n", *columns.values())
    for name, curve in curves.items():
        for point in curve:
            table.add_row(name, str(point["n_train"]), *(_cell(metric, point[metric]) for metric in columns))
    return table


def _nested(row: Row, path: str) -> Any:
    value: Any = row
    for key in path.split("."):
        value = None if value is None else value.get(key)
    return value


def _cell(path: str, value: Any) -> str:
    """Format a number, or mean and standard deviation; empty for None."""
    if value is None:
        return ""
    metric = path.partition(".")[0]
    digits, scale = DIGITS.get(metric, 3), 100 if metric in PERCENTAGE_POINTS else 1
    if not isinstance(value, Mapping):
        return f"{scale * value:.{digits}f}"
    if metric not in WITH_STD:
        return f"{scale * value['mean']:.{digits}f}"
    return re.sub(r"\b0\.", ".", f"{value['mean']:.{digits}f}±{value['std']:.{digits}f}")
