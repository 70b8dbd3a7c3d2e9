"""From the orders in which searches trained to what they had found after k trainings."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pymoo.indicators.hv import HV

from benchmarks.replay.candidates import BUDGET, Array, Candidates, Rows

POINTS = (*range(1, 21), *range(25, 101, 5), *range(110, BUDGET + 1, 10))
"""The numbers of trainings that curves are given for."""
STAGES = (10, 20, 50, 100)
"""Those that tables are given for."""


def best_so_far(candidates: Candidates, order: Rows) -> Array:
    """The best accuracy after each training."""
    return np.maximum.accumulate(candidates.accuracy[order])


def regret(candidates: Candidates, best: Array) -> Array:
    """By how many percentage points the best so far falls short of the best of all, at each of the points. A search
    that ended before its budget stays where it was.
    """
    return _at_points(candidates, 100 * (candidates.accuracy.max() - best))


def lead(candidates: Candidates, order: Rows) -> Array:
    """By how many percentage points the mean of the first trained exceeds the mean of all, at each of the points.

    A mean of several trainings scatters less than the best of them, which is the luckiest.
    """
    means = np.cumsum(candidates.accuracy[order]) / np.arange(1, len(order) + 1)
    return _at_points(candidates, 100 * (means - candidates.accuracy.mean()))


def _at_points(candidates: Candidates, values: Array) -> Array:
    """What comes of each training at the points, NaN beyond the budget."""
    points = np.array(POINTS)
    return np.where(points <= candidates.budget, values[np.minimum(points, len(values)) - 1], np.nan)


def volume(candidates: Candidates, order: Rows) -> Array:
    """The share of the hypervolume under the front of all that lies under the front so far, at each of the points.

    The corner is the worst accuracy and the most FLOPs of the candidates; both are scaled to their range.
    """
    error, cost = -candidates.accuracy, candidates.flops.astype(float)
    goals = np.column_stack([(values - values.min()) / (values.max() - values.min()) for values in (error, cost)])
    measure = HV(ref_point=np.ones(2))
    whole = measure(goals)
    return _at_points(candidates, np.array([measure(goals[order[: k + 1]]) / whole for k in range(len(order))]))


def curve(runs: Sequence[Array]) -> dict[str, list[float | None]]:
    """Mean and the middle 80 % over the seeds; None where there are fewer candidates than trainings."""
    values = np.stack(runs)
    rows = {"mean": values.mean(axis=0)} | {
        name: np.quantile(values, share, axis=0) for name, share in (("low", 0.1), ("high", 0.9))
    }
    return {name: [None if np.isnan(one) else round(float(one), 4) for one in row] for name, row in rows.items()}


def saved(best: Mapping[str, Sequence[Array]], whole: Mapping[str, Sequence[Array]]) -> dict[str, dict[str, Any]]:
    """By method and stage: how many trainings it needed itself, and others need, for what it has reached by then.

    Compared seed by seed, as every seed may have its own candidates.

    Args:
        best: by method, a seed a row, the best so far.
        whole: the same of those that are compared with, run to the end, so that they reach it.

    Returns:
        `{"low", "median", "high"}` over the seeds: the middle 80 %.
    """
    shortest = min(len(run) for runs in best.values() for run in runs)
    return {
        name: {
            str(stage): {
                other: _needed(others, [run[stage - 1] for run in runs])
                for other, others in {"itself": runs, **whole}.items()
            }
            for stage in STAGES
            if stage <= shortest
        }
        for name, runs in best.items()
    }


def _needed(best: Sequence[Array], reached: Sequence[float]) -> dict[str, float]:
    """How many trainings it took to reach an accuracy, each run its own."""
    needed = [int(np.argmax(run >= accuracy)) + 1 for run, accuracy in zip(best, reached, strict=True)]
    return dict(zip(("low", "median", "high"), np.quantile(needed, [0.1, 0.5, 0.9]).tolist(), strict=True))
