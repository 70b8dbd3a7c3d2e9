"""K-fold cross-validation of combiners on common folds, parallel over the folds."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from threading import Thread

import numpy as np
from joblib import Parallel, delayed, parallel_config
from numpy.typing import NDArray

from ensemble.calibration.conformal import ConformalResiduals
from ensemble.combiners import Combiner, CombinerInfo
from ensemble.combiners.fitting import fit_cached, stored_out_of_fold_predictions
from ensemble.data.features import FeatureTable
from ensemble.data.folds import Split

Array = NDArray[np.float64]
Progress = Callable[[int, int], None]
"""Called with the number of finished folds and the total number of folds."""
MAX_PAIRED_ROWS = 500
"""Test rows of a fold that are compared in pairs, 124,750 of them. A benchmark is in the order of its fingerprints,
so that the first rows are a random sample."""
PARENT_POLL_INTERVAL_S = 1.0


@dataclass(frozen=True)
class HeldOutPredictions:
    """Predictions of one combiner for rows that it was not fitted on.

    Pairs are the pairs of the first `MAX_PAIRED_ROWS` test rows of a fold that both have a prediction.

    Attributes:
        accuracy: predicted accuracies, shape (repeats, n); NaN where a score is missing.
        interval: lower and upper bounds, shape (repeats, n, 2).
        probability: by repeat, the predicted probability that the first of a pair is better, shape (pairs,).
        outcome: by repeat, 1 where the first of a pair is better, 0 where it is not, ½ for a tie, shape (pairs,).
        same_stratum: by repeat, true where both of a pair are in one stratum, shape (pairs,).
    """

    accuracy: Array
    interval: Array
    probability: list[Array]
    outcome: list[Array]
    same_stratum: list[NDArray[np.bool_]]

    def first(self, repeats: int) -> "HeldOutPredictions":
        """Return the predictions of the first repeats."""
        return HeldOutPredictions(
            self.accuracy[:repeats],
            self.interval[:repeats],
            self.probability[:repeats],
            self.outcome[:repeats],
            self.same_stratum[:repeats],
        )


@dataclass(frozen=True)
class _FoldPredictions:
    accuracy: Array
    interval: Array
    win_probability: Array


def fit_combiner(info: CombinerInfo, table: FeatureTable, y: Array, seed: int) -> tuple[Combiner, ConformalResiduals]:
    """Fit one combiner, and its residuals on held-out rows of the same table.

    Rows with missing scores are left out for a combiner that does not accept them.

    Args:
        info: the combiner.
        table: features of n architectures.
        y: accuracies, shape (n,).
        seed: seed of the combiner and of the folds for the residuals.
    """
    X = table.select(info.columns(table.names))
    rows = np.ones(len(y), dtype=bool) if info.accepts_missing else ~np.isnan(X).any(axis=1)
    X, y, strata = X[rows], y[rows], table.strata[rows]
    model = fit_cached(info.build(table.columns, seed), X, y)
    return model, ConformalResiduals.fit(stored_out_of_fold_predictions(model, X, y, seed=seed), y, strata)


def predict_combiner(info: CombinerInfo, model: Combiner, table: FeatureTable) -> Array:
    """Predict accuracies, shape (m,); NaN for rows that lack scores which the combiner needs.

    Args:
        info: the combiner.
        model: the fitted combiner.
        table: features of m architectures.
    """
    X = table.select(info.columns(table.names))
    rows = np.ones(len(X), dtype=bool) if info.accepts_missing else ~np.isnan(X).any(axis=1)
    accuracies = np.full(len(X), np.nan)
    if rows.any():
        accuracies[rows] = model.predict(X[rows])
    return accuracies


def held_out_predictions(
    infos: Sequence[CombinerInfo],
    table: FeatureTable,
    y: Array,
    repeats: Sequence[Sequence[Split]],
    seed: int = 0,
    jobs: int = 1,
    progress: Progress | None = None,
) -> dict[str, HeldOutPredictions]:
    """Cross-validate combiners.

    Everything that is learned (normalization, directions, subsets, weights, calibration, residuals) is learned from the
    training rows of a fold: `fit` never receives the test rows.

    Args:
        infos: the combiners.
        table: features of n architectures.
        y: accuracies, shape (n,).
        repeats: folds of each repeat.
        seed: seed of the combiners.
        jobs: number of worker processes.
        progress: called after each fold.

    Returns:
        Held-out predictions by combiner.
    """
    tasks = [(repeat, split) for repeat, splits in enumerate(repeats) for split in splits]
    results = {info.name: _empty(len(repeats), len(y)) for info in infos}
    strata = table.strata
    with worker_processes():
        folds: Iterator[dict[str, _FoldPredictions]] = Parallel(n_jobs=jobs, return_as="generator")(
            delayed(_predict_fold)(infos, table, y, split, seed) for _, split in tasks
        )
        for done, ((repeat, (_, test)), by_combiner) in enumerate(zip(tasks, folds, strict=True), start=1):
            for name, fold in by_combiner.items():
                _add_fold(results[name], repeat, test, fold, y, strata)
            if progress is not None:
                progress(done, len(tasks))
    return results


def worker_processes() -> AbstractContextManager[None]:
    """Configure `joblib.Parallel` to use processes that end with this one, even when it is killed.

    Each runs one thread: more would compete for the cores, and sums would depend on their number.
    """
    config: AbstractContextManager[None] = parallel_config(
        "loky", inner_max_num_threads=1, initializer=_exit_with_parent, initargs=(os.getpid(),)
    )
    return config


def _exit_with_parent(parent: int) -> None:
    """End this process when its parent is gone: a loky worker can wait forever for the rest of a task."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_POLL_INTERVAL_S)
        os._exit(1)

    Thread(target=watch, name="exit with parent", daemon=True).start()


def _predict_fold(
    infos: Sequence[CombinerInfo], table: FeatureTable, y: Array, split: Split, seed: int
) -> dict[str, _FoldPredictions]:
    train, test = split
    train_table, test_table = table.take(train), table.take(test)
    strata = test_table.strata
    paired = slice(MAX_PAIRED_ROWS)
    folds = {}
    for info in infos:
        model, residuals = fit_combiner(info, train_table, y[train], seed)
        accuracy = predict_combiner(info, model, test_table)
        folds[info.name] = _FoldPredictions(
            accuracy,
            residuals.intervals(accuracy, strata),
            residuals.win_probability(accuracy[paired], strata[paired]),
        )
    return folds


def _empty(repeats: int, n: int) -> HeldOutPredictions:
    accuracy, interval = np.full((repeats, n), np.nan), np.full((repeats, n, 2), np.nan)
    no_pairs = np.empty(0)
    return HeldOutPredictions(
        accuracy, interval, [no_pairs] * repeats, [no_pairs] * repeats, [no_pairs.astype(bool)] * repeats
    )


def _add_fold(
    result: HeldOutPredictions,
    repeat: int,
    test: NDArray[np.int64],
    fold: _FoldPredictions,
    y: Array,
    strata: Array,
) -> None:
    result.accuracy[repeat, test] = fold.accuracy
    result.interval[repeat, test] = fold.interval
    first, second = np.triu_indices(len(fold.win_probability), k=1)
    known = ~np.isnan(fold.win_probability[first, second])
    first, second = first[known], second[known]
    outcome = 0.5 + 0.5 * np.sign(y[test[first]] - y[test[second]])
    for by_repeat, values in (
        (result.probability, fold.win_probability[first, second]),
        (result.outcome, outcome),
        (result.same_stratum, strata[test[first]] == strata[test[second]]),
    ):
        by_repeat[repeat] = np.concatenate([by_repeat[repeat], values])
