"""Rows of the table of a build: one per architecture, with the mean accuracy of its trainings."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean

from ensemble.data.benchmark import Entry
from ensemble.data.benchmark import Training as TrainingEntry
from ensemble.data.curve import Curve
from ensemble.data.scores import score_feature
from models import Architecture
from training.benchmark.specification import Training
from training.record import TrainingResult


def table_entries(architectures: Sequence[Architecture], results: Mapping[Training, TrainingResult]) -> Iterator[Entry]:
    """Yield the trained architectures, in the order of the sample. Failed trainings are left out.

    Args:
        architectures: the sample.
        results: results of trainings.
    """
    by_architecture: dict[Architecture, dict[int, TrainingResult]] = {}
    for training, result in results.items():
        if result.error is None:
            by_architecture.setdefault(training.architecture, {})[training.seed] = result
    for architecture in architectures:
        if own := by_architecture.get(architecture):
            trainings = tuple(_training(seed, own[seed]) for seed in sorted(own))
            yield Entry(
                architecture,
                accuracy=fmean(training.accuracy for training in trainings if training.accuracy is not None),
                seconds=fmean(result.seconds for result in own.values()),
                epochs=len(next(iter(own.values())).epochs),
                trainings=trainings,
            )


def _training(seed: int, result: TrainingResult) -> TrainingEntry:
    curve = Curve(
        tuple(record.training_loss for record in result.epochs),
        tuple(record.validation_loss for record in result.epochs),
        tuple(record.accuracy for record in result.epochs),
    )
    scores = {
        epoch: {name: score_feature(score) for name, score in by_proxy.items()}
        for epoch, by_proxy in result.scores.items()
    }
    return TrainingEntry(seed, result.accuracy, curve, scores)
