"""Answers as tables for people."""

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table

from service.api.schemas import FailedItem, PredictedItem, PredictionResponse, ScoreResponse


def predictions(answer: PredictionResponse, names: Sequence[str] | None = None) -> Table:
    """The architectures, best first; those with errors last. Warnings stand below."""
    table = plain("architecture", "layers", "accuracy", "90 % interval", "percentile", "rank", "s")
    table.columns[3].no_wrap = True
    remarks = []
    for title, one in ranked(answer, names):
        seconds = sum(score.seconds for score in one.scores.values())
        interval = f"{one.interval.low:.4f}–{one.interval.high:.4f}"
        numbers = (f"{one.accuracy:.4f}", interval, f"{100 * one.percentile:.1f}", str(one.rank), f"{seconds:.2f}")
        table.add_row(title, _layers(one.architecture), *numbers)
        remarks += [f"{title}: {warning}" for warning in one.warnings]
    for title, wrong in zip(_titles(answer, names), answer.predictions, strict=True):
        if isinstance(wrong, FailedItem):
            table.add_row(title)
            remarks.append(f"{title}: {wrong.error.detail}")
    if remarks:
        table.caption, table.caption_justify = "\n".join(remarks), "left"
    return table


def ranked(answer: PredictionResponse, names: Sequence[str] | None = None) -> list[tuple[str, PredictedItem]]:
    """Names and predictions, best first; without those that have errors."""
    titled = zip(_titles(answer, names), answer.predictions, strict=True)
    return sorted(
        ((title, item) for title, item in titled if not isinstance(item, FailedItem)), key=lambda pair: pair[1].rank
    )


def comparison(answer: PredictionResponse, names: Sequence[str] | None = None) -> Table | str:
    """How probably the row's architecture beats the column's; empty unless asked for."""
    if answer.win_probability is None:
        return ""
    titles = _titles(answer, names)
    table = plain("beats, with probability", *titles)
    for title, row in zip(titles, answer.win_probability, strict=True):
        table.add_row(title, *("" if probability is None else f"{probability:.2f}" for probability in row))
    return table


def explanations(answer: PredictionResponse, names: Sequence[str] | None = None) -> Group:
    """What moved each prediction; empty unless asked for."""
    return Group(*(explained(title, one) for title, one in ranked(answer, names) if one.explanation))


def explained(title: str, one: PredictedItem, reasons: int = 8, edits: int = 3) -> Table:
    """The largest reasons for a prediction, and the edits that would raise it most."""
    assert one.explanation is not None
    base = one.explanation.base_value
    table = plain(f"why {title}", "points")
    table.caption = f"on a mean of {base:.4f}; by {one.explanation.combiner}"
    for reason in one.explanation.attributions[:reasons]:
        table.add_row(reason.feature_group, f"{100 * reason.contribution:+.2f}")
    if rest := one.explanation.attributions[reasons:]:
        table.add_row(f"{len(rest)} more", f"{100 * sum(reason.contribution for reason in rest):+.2f}")
    for suggested in (one.suggested_mutations or [])[:edits]:
        mutation = ", ".join(f"{name} {value}" for name, value in suggested.mutation.items())
        table.add_row(f"mutation: {mutation}", f"{100 * suggested.accuracy_gain:+.2f}")
    return table


def scores(answer: ScoreResponse) -> Table:
    """One row a proxy, one column an architecture."""
    good = [(f"#{i}", one) for i, one in enumerate(answer.scores) if not isinstance(one, FailedItem)]
    table = plain("proxy", *(title for title, _ in good))
    for name in dict.fromkeys(name for _, one in good for name in one.scores):
        table.add_row(name, *(_number(one.scores[name].value, one.scores[name].log) for _, one in good))
    failed = [f"#{i}: {one.error.detail}" for i, one in enumerate(answer.scores) if isinstance(one, FailedItem)]
    table.caption = "\n".join(failed) or None
    return table


def plain(first: str, *numbers: str) -> Table:
    """An empty table with a column of names and columns of numbers."""
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
