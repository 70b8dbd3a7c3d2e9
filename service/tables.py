"""Answers as tables for people."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table

from service.schemas import FailedItem, PredictionResponse, ScoreResponse


def predictions(answer: PredictionResponse, names: Sequence[str] | None = None) -> Table:
    """The architectures, best first; those with errors last."""
    table = _table("architecture", "layers", "accuracy", "percentile", "rank", "seconds")
    if any(isinstance(item, FailedItem) or item.warnings for item in answer.predictions):
        table.add_column("remarks")
    titles = names or [f"#{i}" for i in range(len(answer.predictions))]
    failed: list[tuple[str, FailedItem]] = []
    ranked = []
    for title, item in zip(titles, answer.predictions, strict=True):
        if isinstance(item, FailedItem):
            failed.append((title, item))
        else:
            ranked.append((title, item))
    for title, one in sorted(ranked, key=lambda pair: pair[1].rank):
        seconds = sum(score.seconds for score in one.scores.values())
        numbers = (f"{one.accuracy:.4f}", f"{one.percentile:.1f}", str(one.rank), f"{seconds:.2f}")
        table.add_row(title, _layers(one.architecture), *numbers, *(["; ".join(one.warnings)] if one.warnings else []))
    for title, wrong in failed:
        table.add_row(title, "", "", "", "", "", wrong.error.detail)
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


def report(measured: Mapping[str, Any]) -> list[Table]:
    """The report of `ensemble.evaluate`: scores as they are, then baselines and combiners."""
    plain = {f"{name}, {kind}": row for kind in ("published", "scores") for name, row in measured[kind].items()}
    tables = [
        _measures("as they are", {"number of layers": measured["depth"], **plain}),
        _measures("cross-validated", {**measured["baselines"], **measured["combiners"]}),
    ]
    method, benchmark = measured["method"], measured["benchmark"]
    tables[-1].caption = (
        f"{benchmark['architectures']} architectures, {method['repeats']} × {method['folds']}-fold, "
        f"mean ± standard deviation over repeats, {measured['seconds']:.0f} s"
    )
    return tables


def _measures(title: str, rows: Mapping[str, Mapping[str, Any]]) -> Table:
    table = _table(title, *MEASURES.values())
    depths = list(dict.fromkeys(key for row in rows.values() for key in row if key.startswith("depth=")))
    for key in depths:
        table.add_column(f"ρ, {key.removeprefix('depth=')} layers", justify="right", overflow="fold")
    for name, row in rows.items():
        table.add_row(name, *(_measure(row.get(measure)) for measure in (*MEASURES, *depths)))
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


def _layers(architecture: dict[str, Any]) -> str:
    layers = architecture.get("layers")
    return str(len(layers)) if isinstance(layers, list) else ""


def _number(value: float | None, logarithm: float | None) -> str:
    if logarithm is not None:
        return f"e^{logarithm:.3g}"
    return "failed" if value is None else f"{value:.3g}"
