"""Measurements of single fits."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import kendalltau, spearmanr

from ensemble import CombinerInfo, FeatureTable, get_combiner, load_benchmark
from ensemble.combiners.calibrated import Calibrated
from ensemble.evaluation.baselines import baselines
from ensemble.evaluation.cross_validation import fit_combiner, predict_combiner
from ensemble.evaluation.protocol import benchmark_features

COMBINER = "rank_trees"
CALIBRATED_SIZE = 500
ALL = 10**6
"""Stands for nine tenths of all rows."""
Numbers = dict[str, float]
Array = np.ndarray[Any, np.dtype[Any]]


@lru_cache
def _table(path: Path) -> tuple[FeatureTable, Array]:
    benchmark = load_benchmark(path, "nas-bench-graph")
    return benchmark_features(benchmark, None), benchmark.accuracy


def measure(folder: Path, dataset: str, size: int, draw: int) -> dict[str, Numbers]:
    """Fit the combiner and the baselines to random rows, and measure them on all others.

    Args:
        folder: folder of the tables.
        dataset: name of the data set.
        size: number of training rows, or `ALL`.
        draw: seed of the rows.
    """
    torch.set_num_threads(1)
    table, y = _table(folder / f"{dataset}.npz")
    rows = np.random.default_rng([draw, size]).permutation(len(y))
    first = round(0.9 * len(y)) if size == ALL else size
    train, test = np.sort(rows[:first]), np.sort(rows[first:])
    infos = (get_combiner(COMBINER), *baselines(table.columns))
    calibrated = size == CALIBRATED_SIZE and draw == 0
    return {info.name: _evaluate(info, table, y, train, test, calibrated) for info in infos}


def _evaluate(
    info: CombinerInfo, table: FeatureTable, y: Array, train: Array, test: Array, calibrated: bool
) -> Numbers:
    """Metrics on the test rows; those of intervals only of a calibrated combiner."""
    if calibrated:
        model, residuals = fit_combiner(info, table.take(train), y[train], 0)
    else:
        model = info.build(table.columns, 0)
        model = model.base_estimator if isinstance(model, Calibrated) else model
        model.fit(table.take(train).select(info.columns(table.names)), y[train])
    predicted = predict_combiner(info, model, table.take(test))
    numbers = {
        "spearman": float(spearmanr(predicted, y[test]).statistic),
        "kendall": float(kendalltau(predicted, y[test]).statistic),
    }
    if calibrated:
        interval = residuals.intervals(predicted, table.take(test).strata)
        inside = (interval[:, 0] <= y[test]) & (y[test] <= interval[:, 1])
        numbers |= {
            "coverage": float(inside.mean()),
            "interval_width": float((interval[:, 1] - interval[:, 0]).mean()),
            "mae": float(np.abs(predicted - y[test]).mean()),
        }
    return numbers
