"""Table of a build: one row per architecture, with the mean accuracy of its trainings."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from common.atomic_files import json_line
from ensemble.data.scores import score_feature
from models import Architecture, SearchSpace
from training.benchmark.specification import Training
from training.record import TrainingResult

CURVES = ("training_loss", "validation_loss", "accuracy")


def table_content(
    space: SearchSpace[Any], architectures: Sequence[Architecture], results: Mapping[Training, TrainingResult]
) -> bytes:
    """Return the table as JSON Lines, in the order of the sample. Failed trainings are left out.

    Args:
        space: search space of the architectures.
        architectures: the sample.
        results: results of trainings.
    """
    by_architecture: dict[Architecture, list[tuple[int, TrainingResult]]] = {}
    for training, result in results.items():
        if result.error is None:
            by_architecture.setdefault(training.architecture, []).append((training.seed, result))
    return b"".join(
        json_line(_row(space.to_json(architecture), sorted(by_architecture[architecture], key=lambda item: item[0])))
        for architecture in architectures
        if architecture in by_architecture
    )


def _row(architecture: dict[str, Any], trainings: Sequence[tuple[int, TrainingResult]]) -> dict[str, Any]:
    return {
        "architecture": architecture,
        "accuracy": fmean(_accuracy(result) for _, result in trainings),
        "seconds": fmean(result.seconds for _, result in trainings),
        "epochs": len(trainings[0][1].epochs),
        "trainings": [
            {
                "seed": seed,
                "accuracy": result.accuracy,
                "curve": {name: [getattr(record, name) for record in result.epochs] for name in CURVES},
                "scores": {
                    str(epoch): {name: score_feature(score) for name, score in scores.items()}
                    for epoch, scores in result.scores.items()
                },
            }
            for seed, result in trainings
        ],
    }


def _accuracy(result: TrainingResult) -> float:
    assert result.accuracy is not None, "a training without an error has an accuracy"
    return result.accuracy
