"""Comparison of trainings."""

from dataclasses import asdict
from typing import Any

from training import TrainingResult

MEASURED = ("seconds", "peak_memory", "energy")


def reproducible(result: TrainingResult) -> dict[str, Any]:
    """Return a result without the measurements of the machine."""
    fields = asdict(result)
    for record in fields["epochs"]:
        for name in MEASURED:
            del record[name]
    for scores in fields["scores"].values():
        for score in scores.values():
            del score["seconds"]
    return fields
