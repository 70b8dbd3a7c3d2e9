"""Results of trainings in JSON."""

import math
from collections.abc import Mapping
from typing import Any

from common.errors import InputError
from training.record import EpochRecord, TrainingResult


def result_to_json(result: TrainingResult) -> dict[str, Any]:
    """Return a result as plain JSON. Numbers that are not finite, as of a diverged training, become null.

    Args:
        result: the result.
    """
    return {
        "accuracy": result.accuracy,
        "error": result.error,
        "detail": result.detail,
        "epochs": [_finite(record.to_json()) for record in result.epochs],
        "scores": {
            str(epoch): {name: _finite(score) for name, score in scores.items()}
            for epoch, scores in result.scores.items()
        },
    }


def result_from_json(data: Any, place: str) -> TrainingResult:
    """Restore the result of `result_to_json`.

    Args:
        data: JSON value.
        place: location of the value, for errors.

    Raises:
        InputError: the value is no result.
    """
    try:
        records = tuple(EpochRecord(**record) for record in data["epochs"])
        scores = {int(epoch): scores for epoch, scores in data["scores"].items()}
        result = TrainingResult(records, data["accuracy"], data["error"], data["detail"], scores)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise InputError(place, data, f"the result of a training ({error})") from error
    if (result.accuracy is None) == (result.error is None):
        raise InputError(place, data, "either an accuracy or an error")
    return result


def _finite(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in values.items()
    }
