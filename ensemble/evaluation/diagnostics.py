"""Checks of the evaluation itself: the shuffled-label control and an estimate of the label noise."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensemble.combiners import CombinerInfo
from ensemble.combiners.gaussian_process import MAX_ROWS, AdditiveGaussianProcess
from ensemble.data.features import FeatureTable
from ensemble.data.folds import Split
from ensemble.evaluation.cross_validation import Progress, held_out_predictions
from ensemble.evaluation.metrics import Metrics, prediction_metrics, rows_by_stratum

Array = NDArray[np.float64]


def shuffled_label_control(
    prepare: Callable[[FeatureTable, Array], Sequence[CombinerInfo]],
    table: FeatureTable,
    y: Array,
    strata: NDArray[np.int64],
    splits: Sequence[Split],
    seed: int = 0,
    jobs: int = 1,
    progress: Progress | None = None,
) -> dict[str, Metrics]:
    """Run the whole procedure on accuracies that are shuffled within each stratum.

    Nothing is left to learn within a stratum, so a within-stratum ρ far from 0 reveals a leak of test rows.

    Args:
        prepare: every step between the data and the folds. It takes the table and the shuffled accuracies and returns
            the combiners, so that a selection that looks at the accuracies of all rows is part of the control.
        table: features of n architectures.
        y: accuracies, shape (n,).
        strata: stratum of each row, shape (n,).
        splits: folds of one cross-validation.
        seed: seed of the shuffling and of the combiners.
        jobs: number of worker processes.
        progress: called after each fold.

    Returns:
        By combiner, the metrics of its held-out predictions of the shuffled accuracies.
    """
    rng = np.random.default_rng(seed)
    shuffled = y.copy()
    for rows in rows_by_stratum(strata).values():
        shuffled[rows] = y[rng.permutation(rows)]
    held_out = held_out_predictions(prepare(table, shuffled), table, shuffled, [splits], seed, jobs, progress)
    return {
        name: prediction_metrics(predictions.accuracy[0], shuffled, strata) for name, predictions in held_out.items()
    }


def estimate_noise(table: FeatureTable, y: Array, strata: NDArray[np.int64]) -> dict[str, Any] | None:
    """Estimate the label noise within strata, and the largest ρ that it allows.

    The Gaussian process fits a noise variance σ² that is the same for all rows. Where the accuracies of a stratum have
    variance s², a perfect prediction of the rest has correlation √(1 − σ²/s²) with them. Effects that the process has
    no kernel for count as noise, so a better model may exceed this bound.

    Args:
        table: features of n architectures; proxy columns are ignored.
        y: accuracies, shape (n,).
        strata: stratum of each row, shape (n,).

    Returns:
        `std`, the standard deviation of the noise, a fraction of accuracy; `variance_fraction`, the part of the
        variance that is noise, `{"by_stratum"}`; `spearman_ceiling`, `{"within_stratum", "by_stratum"}`, the former
        the mean over strata. None for a table without feature groups, or with more rows than the process takes.
    """
    if not table.columns.groups or len(y) > MAX_ROWS:
        return None
    structure = table.columns.architectural
    process = AdditiveGaussianProcess(table.columns.select(structure)).fit(table.select(structure), y)
    variance = float(process.variances_[-1] * y.var())
    groups = {str(stratum): y[rows] for stratum, rows in rows_by_stratum(strata).items()}
    fraction = {name: min(variance / max(float(group.var()), 1e-12), 1.0) for name, group in groups.items()}
    ceiling = {name: (1 - part) ** 0.5 for name, part in fraction.items()}
    return {
        "std": variance**0.5,
        "variance_fraction": {"by_stratum": fraction},
        "spearman_ceiling": {"within_stratum": float(np.mean(list(ceiling.values()))), "by_stratum": ceiling},
    }
