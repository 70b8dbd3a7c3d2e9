"""K-fold cross-validation of every combiner on the same folds, in parallel over the folds."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from threading import Thread

import numpy as np
from joblib import Parallel, delayed, parallel_config  # type: ignore[import-untyped]
from numpy.typing import NDArray

from ensemble.calibration.conformal import ConformalResiduals
from ensemble.combiners import Combiner, CombinerInfo
from ensemble.combiners.fitting import fit_cached, stored_out_of_fold_predictions
from ensemble.data.features import FeatureTable
from ensemble.evaluation.folds import Split

Array = NDArray[np.float64]
Progress = Callable[[int, int], None]
"""Called with the number of folds that are done and the number of all."""


@dataclass(frozen=True)
class HeldOut:
    """What a combiner said of rows that it was not fitted on.

    Attributes:
        accuracy: (repeats, n); NaN where it cannot tell.
        interval: (repeats, n, 2).
        probability, better, same_depth: by repeat, over the pairs of test rows of a fold: the probability that the
            first is better, whether it is (½ for a tie), and whether both have the same depth.
    """

    accuracy: Array
    interval: Array
    probability: list[Array]
    better: list[Array]
    same_depth: list[NDArray[np.bool_]]

    def first(self, repeats: int) -> "HeldOut":
        """Only the first repeats."""
        return HeldOut(
            self.accuracy[:repeats],
            self.interval[:repeats],
            self.probability[:repeats],
            self.better[:repeats],
            self.same_depth[:repeats],
        )


@dataclass(frozen=True)
class _Fold:
    accuracy: Array
    interval: Array
    beats: Array


def fit_combiner(info: CombinerInfo, table: FeatureTable, y: Array, seed: int) -> tuple[Combiner, ConformalResiduals]:
    """Fit one combiner on a table, and what is known of its errors from held-out rows of the same table.

    A combiner that needs every score leaves out the rows that lack some.
    """
    X = table.select(info.columns(table.names))
    rows = np.ones(len(y), dtype=bool) if info.accepts_missing else ~np.isnan(X).any(axis=1)
    X, y, depths = X[rows], y[rows], table.select(["depth"])[rows, 0]
    model = fit_cached(info.build(table.names, seed), X, y)
    return model, ConformalResiduals.fit(stored_out_of_fold_predictions(model, X, y, seed=seed), y, depths)


def predict_combiner(info: CombinerInfo, model: Combiner, table: FeatureTable) -> Array:
    """Accuracies, shape (m,); NaN for the rows that lack scores which the combiner needs."""
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
) -> dict[str, HeldOut]:
    """What each combiner says of rows that it was not fitted on, by combiner.

    Everything that is learned (normalisation, directions, subsets, weights, calibration, errors) is learned on the
    training rows of the fold only: test rows are not even handed to `fit`.
    """
    tasks = [(repeat, split) for repeat, splits in enumerate(repeats) for split in splits]
    result = {info.name: _nothing(len(repeats), len(y)) for info in infos}
    depths = table.select(["depth"])[:, 0]
    with workers():
        answers: Iterator[dict[str, _Fold]] = Parallel(n_jobs=jobs, return_as="generator")(
            delayed(_one_fold)(infos, table, y, split, seed) for _, split in tasks
        )
        for done, ((repeat, (_, test)), folds) in enumerate(zip(tasks, answers, strict=True), start=1):
            for name, fold in folds.items():
                _record(result[name], repeat, test, fold, y, depths)
            if progress is not None:
                progress(done, len(tasks))
    return result


def workers() -> AbstractContextManager[None]:
    """Processes for `Parallel`, which end with this one, however it ends.

    One thread each: several would fight over the cores, and their sums would depend on how many there are.
    """
    config: AbstractContextManager[None] = parallel_config(
        "loky", inner_max_num_threads=1, initializer=_end_with, initargs=(os.getpid(),)
    )
    return config


def _end_with(parent: int) -> None:
    """End this process when its parent is gone: loky's may wait for ever for the rest of a task."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    Thread(target=watch, name="end with parent", daemon=True).start()


def _one_fold(
    infos: Sequence[CombinerInfo], table: FeatureTable, y: Array, split: Split, seed: int
) -> dict[str, _Fold]:
    train, test = split
    seen, unseen = (FeatureTable(table.names, table.values[rows]) for rows in (train, test))
    depths = unseen.select(["depth"])[:, 0]
    folds = {}
    for info in infos:
        model, errors = fit_combiner(info, seen, y[train], seed)
        accuracy = predict_combiner(info, model, unseen)
        folds[info.name] = _Fold(accuracy, errors.intervals(accuracy, depths), errors.win_probability(accuracy, depths))
    return folds


def _nothing(repeats: int, n: int) -> HeldOut:
    accuracy, interval = np.full((repeats, n), np.nan), np.full((repeats, n, 2), np.nan)
    nothing = np.empty(0)
    return HeldOut(accuracy, interval, [nothing] * repeats, [nothing] * repeats, [nothing.astype(bool)] * repeats)


def _record(held: HeldOut, repeat: int, test: NDArray[np.int64], fold: _Fold, y: Array, depths: Array) -> None:
    held.accuracy[repeat, test] = fold.accuracy
    held.interval[repeat, test] = fold.interval
    first, second = np.triu_indices(len(test), k=1)
    told = ~np.isnan(fold.beats[first, second])
    first, second = first[told], second[told]
    one, other = test[first], test[second]
    better = 0.5 + 0.5 * np.sign(y[one] - y[other])
    for part, more in (
        (held.probability, fold.beats[first, second]),
        (held.better, better),
        (held.same_depth, depths[one] == depths[other]),
    ):
        part[repeat] = np.concatenate([part[repeat], more])
