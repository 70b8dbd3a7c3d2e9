"""Measures as tables for people: an evaluation, and an ensemble's card. Narrow enough for 80 columns."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table

from service.api.cards import EnsembleCard
from service.cli.tables import number_table

Row = Mapping[str, Any]
SPREAD = ("spearman", "within_depth", "partial", "brier", "brier, within_depth")
"""Measures that are shown with their standard deviation over the repeats."""
DIGITS = {"mae": 5, "rank@10": 0, "rank@10, within depth": 0}
POINTS = ("regret@5", "regret@5, within depth", "width")
"""Fractions of accuracy that are shown in percentage points."""
MEASURES = {
    "spearman": "ρ",
    "within_depth": "in depth",
    "partial": "given depth",
    "kendall": "τ",
    "pairwise": "pairs",
    "mae": "MAE",
}
SEARCH = {"precision@10": "of 10 best", "rank@10": "rank of 10", "regret@5": "regret of 5"}
CARD = {
    "spearman": "ρ",
    "within_depth": "in depth",
    "mae": "MAE",
    "coverage": "coverage",
    "width": "width",
    "brier, within_depth": "Brier in depth",
}


def evaluation(measured: Row) -> list[Table]:
    """The report of `ensemble.evaluation.evaluate`: scores as they are, then what is cross-validated."""
    kinds = {"published": "published", "scores": "ours"}
    as_is = {f"{name}, {word}": row for kind, word in kinds.items() for name, row in measured[kind].items()}
    as_is = {"number of layers": measured["depth"], **as_is}
    learned = {**measured["combiners"], **measured["baselines"]}
    method, benchmark, noise = measured["method"], measured["benchmark"], measured["noise"]
    by_depth = {key: f"{key.removeprefix('depth=')} layers" for key in noise["ceiling"]}
    coverage = {"coverage": "all", **{f"coverage, {key}": title for key, title in by_depth.items()}, "width": "width"}
    pairs = {
        name: {"brier": row["all"]["brier"], "brier, within_depth": row["within_depth"]["brier"]}
        for name, row in measured["pairs"]["combiners"].items()
    }
    control = {name: {"within_depth": row["within_depth"]} for name, row in measured["control"].items()}
    tables = [
        measures("as they are", as_is, MEASURES),
        measures("ρ within depth, as they are", as_is, by_depth),
        measures("cross-validated", learned, MEASURES),
        measures("ρ within depth", {**learned, "ceiling that noise leaves": noise["ceiling"]}, by_depth),
        measures("coverage of 90 % intervals", measured["intervals"]["combiners"], coverage),
        measures("Brier score of pairs", pairs, {"brier": "all", "brier, within_depth": "of one depth"}),
        _learning("trained on n", measured["learning"], {"spearman": "ρ", "within_depth": "in depth", **SEARCH}),
        _learning("the same within depth", measured["learning"], {f"{k}, within depth": t for k, t in SEARCH.items()}),
        measures("control: accuracies shuffled within depth", control, {"within_depth": "ρ within depth"}),
    ]
    tables[-1].caption = (
        f"{benchmark['architectures']} architectures, {method['repeats']} × {method['folds']}-fold (learning curves "
        f"{method['learning_repeats']} ×), mean ± standard deviation over repeats, {measured['seconds']:.0f} s"
    )
    return tables


def card(one: EnsembleCard) -> Group:
    """An ensemble's card."""
    facts = Table(box=box.SIMPLE, show_header=False, padding=(0, 1, 0, 0))
    data = one.benchmark
    depths = ", ".join(f"{number} of {depth} layers" for depth, number in data["by_depth"].items())
    rows = {
        "ensemble": f"{one.name}, {one.created_by}",
        "hash": one.hash or "not saved yet",
        "search space": one.space,
        "fitted on": f"{data['architectures']} architectures of {data['name']}: {depths}",
        "features": ", ".join(f"{number} {kind}" for kind, number in one.features.items()),
        "proxies": ", ".join(one.proxies) or "none",
        "measured in": f"{one.method['repeats']} × {one.method['folds']}-fold" if one.method else "not measured",
    }
    for name, text in rows.items():
        facts.add_row(name, text)
    metrics = {name: _card_row(row.model_dump()) for name, row in one.metrics.items()}
    return Group(facts, measures("cross-validated", metrics, CARD), *(f"• {limit}" for limit in one.limitations))


def _card_row(row: Row) -> Row:
    def summary(metric: str, part: str | None = None) -> Row | None:
        value = row[metric] if part is None else (row[metric] or {}).get(part)
        return value and {"mean": value["mean"], "sd": value["std"]}

    return {
        "spearman": summary("spearman"),
        "within_depth": summary("within_stratum_spearman"),
        "mae": summary("mae"),
        "coverage": summary("coverage", "overall"),
        "width": summary("interval_width", "overall"),
        "brier, within_depth": summary("brier", "within_stratum"),
    }


def measures(title: str, rows: Mapping[str, Row], columns: Mapping[str, str]) -> Table:
    """One row a name, one column a measure, under its title."""
    table = number_table(title, *columns.values())
    for name, row in rows.items():
        table.add_row(name, *(_cell(measure, row.get(measure)) for measure in columns))
    return table


def _learning(title: str, curves: Mapping[str, Sequence[Row]], columns: Mapping[str, str]) -> Table:
    table = number_table(title, "n", *columns.values())
    for name, curve in curves.items():
        for row in curve:
            table.add_row(name, str(row["n_train"]), *(_cell(measure, row[measure]) for measure in columns))
    return table


def _cell(measure: str, value: Any) -> str:
    """A number, or mean and standard deviation; empty for None."""
    if value is None:
        return ""
    digits, unit = DIGITS.get(measure, 3), 100 if measure in POINTS else 1
    if not isinstance(value, Mapping):
        return f"{unit * value:.{digits}f}"
    if measure not in SPREAD and not measure.startswith("depth="):
        return f"{unit * value['mean']:.{digits}f}"
    return re.sub(r"\b0\.", ".", f"{value['mean']:.{digits}f}±{value['sd']:.{digits}f}")
