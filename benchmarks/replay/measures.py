"""From the orders in which searches trained to what they had found after k trainings."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pymoo.indicators.hv import HV  # type: ignore[import-untyped]

from benchmarks.replay.candidates import Array, Candidates, Rows

BUDGET = 200
POINTS = (*range(1, 21), *range(25, 101, 5), *range(110, BUDGET + 1, 10))
"""The numbers of trainings that curves are given for."""
STAGES = (10, 20, 50, 100)
"""Those that tables are given for."""


def best_so_far(candidates: Candidates, order: Rows) -> Array:
    """The best accuracy after each training."""
    return np.maximum.accumulate(candidates.accuracy[order])


def regret(candidates: Candidates, best: Array) -> Array:
    """By how many percentage points the best so far falls short of the best of all, at each of the points that there
    are candidates for. A search that ended stays where it was."""
    points = np.array(POINTS)
    at = np.minimum(points, len(best)) - 1
    return np.where(points <= len(candidates), 100 * (candidates.accuracy.max() - best[at]), np.nan)


def lead(candidates: Candidates, order: Rows) -> Array:
    """By how many percentage points the mean of the first trained exceeds the mean of all, at each of the points.

    A mean of several trainings scatters less than the best of them, which is the luckiest.
    """
    points = np.array(POINTS)
    means = np.cumsum(candidates.accuracy[order]) / np.arange(1, len(order) + 1)
    at = np.minimum(points, len(order)) - 1
    return np.where(points <= len(candidates), 100 * (means[at] - candidates.accuracy.mean()), np.nan)


def volume(candidates: Candidates, order: Rows) -> Array:
    """The share of the hypervolume under the front of all that lies under the front so far, at each of the points.

    The corner is the worst accuracy and the most FLOPs of the candidates; both are scaled to their range.
    """
    error, cost = -candidates.accuracy, candidates.flops.astype(float)
    goals = np.column_stack([(values - values.min()) / (values.max() - values.min()) for values in (error, cost)])
    measure = HV(ref_point=np.ones(2))
    whole = measure(goals)
    return np.array([measure(goals[order[: min(point, len(order))]]) / whole for point in POINTS])


def curve(runs: Sequence[Array]) -> dict[str, list[float | None]]:
    """Mean and the middle 80 % over the seeds; None where there are fewer candidates than trainings."""
    values = np.stack(runs)
    rows = {"mean": values.mean(axis=0)} | {
        name: np.quantile(values, share, axis=0) for name, share in (("low", 0.1), ("high", 0.9))
    }
    return {name: [None if np.isnan(one) else round(float(one), 4) for one in row] for name, row in rows.items()}


def saved(best: Mapping[str, Sequence[Array]], whole: Mapping[str, Sequence[Array]]) -> dict[str, dict[str, Any]]:
    """By method and stage: how many trainings others need to reach what it has reached by then, each.

    Compared seed by seed, as every seed may have its own candidates.

    Args:
        best: by method, a seed a row, the best so far.
        whole: the same of those that are compared with, run to the end, so that they reach it.

    Returns:
        `{"low", "median", "high"}` over the seeds: the middle 80 %.
    """
    return {
        name: {
            str(stage): {other: _needed(others, [run[stage - 1] for run in runs]) for other, others in whole.items()}
            for stage in STAGES
        }
        for name, runs in best.items()
    }


def _needed(best: Sequence[Array], reached: Sequence[float]) -> dict[str, float]:
    """How many trainings it took to reach an accuracy, each run its own."""
    needed = [int(np.argmax(run >= accuracy)) + 1 for run, accuracy in zip(best, reached, strict=True)]
    return dict(zip(("low", "median", "high"), np.quantile(needed, [0.1, 0.5, 0.9]).tolist(), strict=True))
