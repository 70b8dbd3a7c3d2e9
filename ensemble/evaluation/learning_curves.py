"""Learning curves: metrics by the number of training architectures."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensemble.combiners import CombinerInfo
from ensemble.data.features import FeatureTable
from ensemble.data.folds import Split
from ensemble.evaluation.cross_validation import HeldOutPredictions, Progress, held_out_predictions
from ensemble.evaluation.metrics import prediction_metrics, search_metrics, summarize_repeats

Array = NDArray[np.float64]

SIZES = (25, 50, 100, 200, 400)
"""Numbers of training rows; the number that a fold leaves is added."""


def compute_learning_curves(
    infos: Sequence[CombinerInfo],
    table: FeatureTable,
    y: Array,
    strata: NDArray[np.int64],
    repeats: Sequence[Sequence[Split]],
    full_size: Mapping[str, HeldOutPredictions],
    seed: int = 0,
    jobs: int = 1,
    progress: Progress | None = None,
) -> dict[str, list[dict[str, Any]]]:
    """Compute the learning curve of each combiner.

    Every row is predicted in every repeat by a model that was fitted on a random subset of its fold's training rows, so
    that all sizes are evaluated on the same candidates.

    Args:
        infos: the combiners.
        table: features of n architectures.
        y: accuracies, shape (n,).
        strata: stratum of each row, shape (n,).
        repeats: folds of each repeat.
        full_size: by combiner, held-out predictions with all training rows of the same folds.
        seed: seed of the subsets and of the combiners.
        jobs: number of worker processes.
        progress: called after each fold.

    Returns:
        By combiner, one mapping per size: `n_train` and the metrics, `{"mean", "std"}` over the repeats.
    """
    curves: dict[str, list[dict[str, Any]]] = {info.name: [] for info in infos}
    for size in smaller_sizes(repeats):
        subsets = [[_subset(split, size, seed) for split in splits] for splits in repeats]
        held_out = held_out_predictions(infos, table, y, subsets, seed, jobs, progress)
        for name, curve in curves.items():
            curve.append({"n_train": size, **_metrics(held_out[name], y, strata)})
    for name, curve in curves.items():
        curve.append({"n_train": _full_size(repeats), **_metrics(full_size[name], y, strata)})
    return curves


def smaller_sizes(repeats: Sequence[Sequence[Split]]) -> list[int]:
    """Return the sizes below the number of training rows that every fold has."""
    return [size for size in SIZES if size < _full_size(repeats)]


def _full_size(repeats: Sequence[Sequence[Split]]) -> int:
    return min(len(train) for splits in repeats for train, _ in splits)


def _metrics(held_out: HeldOutPredictions, y: Array, strata: NDArray[np.int64]) -> dict[str, Any]:
    return summarize_repeats(
        [prediction_metrics(row, y, strata) | search_metrics(row, y, strata) for row in held_out.accuracy]
    )


def _subset(split: Split, size: int, seed: int) -> Split:
    train, test = split
    # Seeded by a test row, so that each fold draws a different subset.
    rng = np.random.default_rng([seed, int(test[0])])
    return np.sort(rng.permutation(train)[:size]), test
