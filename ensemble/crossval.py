"""K-fold cross-validation of every combiner on the same folds, in parallel over the folds."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from joblib import Parallel, delayed, parallel_config  # type: ignore[import-untyped]
from numpy.typing import NDArray

from ensemble.combiners import Combiner, CombinerInfo
from ensemble.features import FeatureTable
from ensemble.folds import Split

Array = NDArray[np.float64]
Progress = Callable[[int, int], None]
"""Called with the number of folds that are done and the number of all."""


def fit_combiner(info: CombinerInfo, table: FeatureTable, y: Array, seed: int) -> Combiner:
    """Fit one combiner on a table; one that needs every score leaves out the rows that lack some."""
    X = table.select(info.columns(table.names))
    rows = np.ones(len(y), dtype=bool) if info.missing else ~np.isnan(X).any(axis=1)
    return info.build(table.names, seed).fit(X[rows], y[rows])


def predict_combiner(info: CombinerInfo, model: Combiner, table: FeatureTable) -> Array:
    """Accuracies, shape (m,); NaN for the rows that lack scores which the combiner needs."""
    X = table.select(info.columns(table.names))
    rows = np.ones(len(X), dtype=bool) if info.missing else ~np.isnan(X).any(axis=1)
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
) -> dict[str, Array]:
    """Predictions for rows that the combiner was not fitted on, by combiner, each (repeats, n).

    Everything that is learned (normalisation, directions, subsets, weights, calibration) is learned on the training
    rows of the fold only: test rows are not even handed to `fit`.
    """
    tasks = [(repeat, split) for repeat, splits in enumerate(repeats) for split in splits]
    result = {info.name: np.full((len(repeats), len(y)), np.nan) for info in infos}
    # One thread a worker: several would fight over the cores, and their sums would depend on how many there are.
    with parallel_config("loky", inner_max_num_threads=1):
        answers: Iterator[dict[str, Array]] = Parallel(n_jobs=jobs, return_as="generator")(
            delayed(_one_fold)(infos, table, y, split, seed) for _, split in tasks
        )
        for done, ((repeat, (_, test)), predictions) in enumerate(zip(tasks, answers, strict=True), start=1):
            for name, values in predictions.items():
                result[name][repeat, test] = values
            if progress is not None:
                progress(done, len(tasks))
    return result


def _one_fold(
    infos: Sequence[CombinerInfo], table: FeatureTable, y: Array, split: Split, seed: int
) -> dict[str, Array]:
    train, test = split
    seen, unseen = (FeatureTable(table.names, table.values[rows]) for rows in (train, test))
    return {info.name: predict_combiner(info, fit_combiner(info, seen, y[train], seed), unseen) for info in infos}
