"""Trainings of an architecture in the rows of a table: seed, accuracy, curve and scores by epoch."""

from collections.abc import Sequence
from typing import Any

from ensemble.data.benchmark import Training, is_number, parse_scores
from ensemble.data.curve import parse_curve
from ensemble.errors import BenchmarkError
from models import Metric

FIELDS = ("seed", "accuracy", "curve", "scores")
"""Fields of a training, all optional."""
MAX_INTEGER = 2**63 - 1


def parse_trainings(value: Any, place: str, metric: Metric) -> tuple[Training, ...]:
    """Parse the trainings of a row.

    Args:
        value: list of objects with the `FIELDS`; null for none.
        place: name of the row in errors.
        metric: metric of the accuracies.

    Raises:
        BenchmarkError: a training is malformed.
    """
    if value is None:
        return ()
    if not isinstance(value, list):
        raise BenchmarkError(f"{place}, trainings", value, "a list of trainings")
    return tuple(_training(row, f"{place}, trainings[{i}]", metric) for i, row in enumerate(value))


def trainings_json(trainings: Sequence[Training]) -> list[dict[str, Any]]:
    """Return trainings as plain JSON, which `parse_trainings` reads; unknown fields are left out."""
    return [
        {
            name: value
            for name, value in (
                ("seed", training.seed),
                ("accuracy", training.accuracy),
                ("curve", training.curve and training.curve.to_json()),
                ("scores", {str(epoch): scores for epoch, scores in sorted(training.scores.items())} or None),
            )
            if value is not None
        }
        for training in trainings
    ]


def parse_integer(value: Any, place: str) -> int | None:
    """Parse a whole number from 0 on; null is None.

    Raises:
        BenchmarkError: the value is no such number.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_INTEGER:
        raise BenchmarkError(place, value, f"a whole number from 0 to {MAX_INTEGER}")
    return value


def _is_epoch(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10 and str(int(text)) == text


def _training(row: Any, place: str, metric: Metric) -> Training:
    if not isinstance(row, dict):
        raise BenchmarkError(place, row, "an object with the fields " + ", ".join(FIELDS))
    for name in row:
        if name not in FIELDS:
            raise BenchmarkError(f"{place}.{name}", row[name], "only the fields " + ", ".join(FIELDS))
    accuracy = row.get("accuracy")
    if accuracy is not None and not (is_number(accuracy) and metric.low <= accuracy <= metric.high):
        raise BenchmarkError(f"{place}.accuracy", accuracy, f"a fraction from {metric.low:g} to {metric.high:g}")
    by_epoch = row.get("scores") or {}
    if not isinstance(by_epoch, dict) or not all(map(_is_epoch, by_epoch)):
        raise BenchmarkError(f"{place}.scores", by_epoch, "an object of scores by number of epochs")
    return Training(
        parse_integer(row.get("seed"), f"{place}.seed"),
        None if accuracy is None else float(accuracy),
        parse_curve(row.get("curve"), place, metric),
        {int(epoch): parse_scores(scores, f"{place}, epoch {epoch}") for epoch, scores in by_epoch.items()},
    )
