"""Answers as tables for people."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table

from service.schemas import EnsembleCard, FailedItem, PredictedItem, PredictionResponse, ScoreResponse


def predictions(answer: PredictionResponse, names: Sequence[str] | None = None) -> Table:
    """The architectures, best first; those with errors last."""
    table = _table("architecture", "layers", "accuracy", "90 % interval", "percentile", "rank", "seconds")
    if any(isinstance(item, FailedItem) or item.warnings for item in answer.predictions):
        table.add_column("remarks")
    for title, one in ranked(answer, names):
        seconds = sum(score.seconds for score in one.scores.values())
        interval = f"{one.interval.low:.4f} – {one.interval.high:.4f}"
        numbers = (f"{one.accuracy:.4f}", interval, f"{one.percentile:.1f}", str(one.rank), f"{seconds:.2f}")
        table.add_row(title, _layers(one.architecture), *numbers, *(["; ".join(one.warnings)] if one.warnings else []))
    for title, wrong in zip(_titles(answer, names), answer.predictions, strict=True):
        if isinstance(wrong, FailedItem):
            table.add_row(title, *[""] * 6, wrong.error.detail)
    return table


def ranked(answer: PredictionResponse, names: Sequence[str] | None = None) -> list[tuple[str, PredictedItem]]:
    """Names and predictions, best first; without those that have errors."""
    titled = zip(_titles(answer, names), answer.predictions, strict=True)
    return sorted(
        ((title, item) for title, item in titled if not isinstance(item, FailedItem)), key=lambda pair: pair[1].rank
    )


def comparison(answer: PredictionResponse, names: Sequence[str] | None = None) -> Table | str:
    """How probably the row's architecture beats the column's; empty unless asked for."""
    if answer.beats is None:
        return ""
    titles = _titles(answer, names)
    table = _table("beats, with probability", *titles)
    for title, row in zip(titles, answer.beats, strict=True):
        table.add_row(title, *("" if probability is None else f"{probability:.2f}" for probability in row))
    return table


def explanations(answer: PredictionResponse, names: Sequence[str] | None = None) -> Group:
    """What moved each prediction; empty unless asked for."""
    return Group(*(explained(title, one) for title, one in ranked(answer, names) if one.explanation))


def explained(title: str, one: PredictedItem, reasons: int = 8, edits: int = 3) -> Table:
    """The largest reasons for a prediction, and the edits that would raise it most."""
    assert one.explanation is not None
    base = one.explanation.base
    table = _table(f"why {title}", "points")
    table.caption = f"on a mean of {base:.4f}; by {one.explanation.combiner}"
    for reason in one.explanation.reasons[:reasons]:
        table.add_row(reason.part, f"{reason.points:+.2f}")
    if rest := one.explanation.reasons[reasons:]:
        table.add_row(f"{len(rest)} more", f"{sum(reason.points for reason in rest):+.2f}")
    for edit in (one.edits or [])[:edits]:
        table.add_row(
            "edit: " + ", ".join(f"{name} {value}" for name, value in edit.edit.items()), f"{edit.points:+.2f}"
        )
    return table


def scores(answer: ScoreResponse) -> Table:
    """One row a proxy, one column an architecture."""
    good = [(f"#{i}", one) for i, one in enumerate(answer.scores) if not isinstance(one, FailedItem)]
    table = _table("proxy", *(title for title, _ in good))
    for name in dict.fromkeys(name for _, one in good for name in one.scores):
        table.add_row(name, *(_number(one.scores[name].value, one.scores[name].log) for _, one in good))
    failed = [f"#{i}: {one.error.detail}" for i, one in enumerate(answer.scores) if isinstance(one, FailedItem)]
    table.caption = "\n".join(failed) or None
    return table


MEASURES = {
    "spearman": "ρ",
    "within_depth": "ρ within depth",
    "partial": "ρ given depth",
    "kendall": "τ",
    "pairwise": "pairs",
    "mae": "MAE",
}


SEARCH = ("precision@10", "rank@10", "regret@5")


def report(measured: Mapping[str, Any]) -> list[Table]:
    """The report of `ensemble.evaluate`: scores as they are, then what is cross-validated."""
    plain = {f"{name}, {kind}": row for kind in ("published", "scores") for name, row in measured[kind].items()}
    learned = {**measured["baselines"], **measured["combiners"]}
    method, benchmark = measured["method"], measured["benchmark"]
    tables = [
        _measures("as they are", {"number of layers": measured["depth"], **plain}, MEASURES),
        _measures("cross-validated", learned, MEASURES),
        _measures("90 % intervals", measured["intervals"]["combiners"], _titled(measured["intervals"]["combiners"])),
        _brier(measured["pairs"]["combiners"]),
        _learning(measured["learning"]),
        _control(measured["control"], measured["noise"]),
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
        "search space": one.space,
        "fitted on": f"{data['architectures']} architectures of {data['name']}: {depths}",
        "features": ", ".join(f"{number} {kind}" for kind, number in one.features.items()),
        "proxies": ", ".join(one.proxies) or "none",
        "measured in": f"{one.method['repeats']} × {one.method['folds']}-fold" if one.method else "not measured",
    }
    for name, text in rows.items():
        facts.add_row(name, text)
    columns = {**MEASURES, "coverage": "coverage", "width": "width", "brier, within_depth": "Brier within depth"}
    measured = {name: {key: row and row.model_dump() for key, row in its.items()} for name, its in one.measured.items()}
    return Group(facts, _measures("cross-validated", measured, columns), *(f"• {limit}" for limit in one.limits))


def _titled(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Every measure under its own name."""
    return {key: key for row in rows.values() for key in row}


def _brier(pairs: Mapping[str, Any]) -> Table:
    table = _table("Brier score of pairs", "all", "of one depth")
    for name, row in pairs.items():
        table.add_row(name, *(_measure(row[which]["brier"]) for which in ("all", "within_depth")))
    return table


def _learning(curves: Mapping[str, Any]) -> Table:
    measures = ["spearman", "within_depth", "mae", *SEARCH, *(f"{name}, within depth" for name in SEARCH)]
    table = _table("trained on", "n", *measures)
    for name, curve in curves.items():
        for row in curve:
            table.add_row(name, str(row["n_train"]), *(_measure(row[measure]) for measure in measures))
    return table


def _control(control: Mapping[str, Any], noise: Mapping[str, Any]) -> Table:
    table = _table("accuracies shuffled within depth", "ρ within depth")
    for name, row in control.items():
        table.add_row(name, _measure(row["within_depth"]))
    table.add_row("ceiling that the noise leaves (not shuffled)", _measure(noise["within_depth"]))
    return table


def _measures(title: str, rows: Mapping[str, Mapping[str, Any]], columns: Mapping[str, str]) -> Table:
    table = _table(title, *columns.values())
    depths = list(dict.fromkeys(key for row in rows.values() for key in row if key.startswith("depth=")))
    for key in depths:
        table.add_column(f"ρ, {key.removeprefix('depth=')} layers", justify="right", overflow="fold")
    for name, row in rows.items():
        table.add_row(name, *(_measure(row.get(measure)) for measure in (*columns, *depths)))
    return table


def _measure(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{value['mean']:.4f}±{value['sd']:.3f}"
    return "" if value is None else f"{value:.4f}"


def _table(first: str, *numbers: str) -> Table:
    table = Table(first, box=box.SIMPLE, padding=(0, 1, 0, 0))
    table.columns[0].no_wrap = True
    for title in numbers:
        table.add_column(title, justify="right", overflow="fold")
    return table


def _titles(answer: PredictionResponse, names: Sequence[str] | None) -> list[str]:
    return list(names) if names is not None else [f"#{i}" for i in range(len(answer.predictions))]


def _layers(architecture: dict[str, Any]) -> str:
    layers = architecture.get("layers")
    return str(len(layers)) if isinstance(layers, list) else ""


def _number(value: float | None, logarithm: float | None) -> str:
    if logarithm is not None:
        return f"e^{logarithm:.3g}"
    return "failed" if value is None else f"{value:.3g}"
