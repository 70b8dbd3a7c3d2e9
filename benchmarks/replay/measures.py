"""Measures of a search after k trainings, from the order in which it trained the candidates."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pymoo.indicators.hv import HV

from benchmarks.replay.candidates import MAX_BUDGET, Array, Candidates, Rows

NUM_TRAININGS = (*range(1, 21), *range(25, 101, 5), *range(110, MAX_BUDGET + 1, 10))
"""Numbers of trainings k at which curves are evaluated."""
TABLE_COLUMNS = (10, 20, 50, 100)
"""Numbers of trainings that tables show."""


def best_so_far(candidates: Candidates, order: Rows) -> Array:
    """Best accuracy after each training, (len(order),)."""
    return np.maximum.accumulate(candidates.accuracy[order])


def regret(candidates: Candidates, best: Array) -> Array:
    """Simple regret at each of `NUM_TRAININGS`: the best accuracy so far below the best of all, percentage points.

    A search that ended before its budget stays at its last value.
    """
    return _at_num_trainings(candidates, 100 * (candidates.accuracy.max() - best))


def mean_gain(candidates: Candidates, order: Rows) -> Array:
    """Mean accuracy of the first k above the mean of all, percentage points, at each of `NUM_TRAININGS`.

    A mean of several trainings is less noisy than the best of them.
    """
    means = np.cumsum(candidates.accuracy[order]) / np.arange(1, len(order) + 1)
    return _at_num_trainings(candidates, 100 * (means - candidates.accuracy.mean()))


def _at_num_trainings(candidates: Candidates, values: Array) -> Array:
    """Select the values at `NUM_TRAININGS`; NaN beyond the budget."""
    num_trainings = np.array(NUM_TRAININGS)
    selected = values[np.minimum(num_trainings, len(values)) - 1]
    return np.where(num_trainings <= candidates.budget, selected, np.nan)


def hypervolume(candidates: Candidates, order: Rows) -> Array:
    """Share of the hypervolume of all candidates that the first k dominate, at each of `NUM_TRAININGS`.

    Accuracy and FLOPs are scaled to the candidates' range; the reference point is the lowest accuracy and the most
    FLOPs.
    """
    error, cost = -candidates.accuracy, candidates.flops.astype(float)
    objectives = np.column_stack([(values - values.min()) / (values.max() - values.min()) for values in (error, cost)])
    indicator = HV(ref_point=np.ones(2))
    total = indicator(objectives)
    shares = np.array([indicator(objectives[order[: k + 1]]) / total for k in range(len(order))])
    return _at_num_trainings(candidates, shares)


def summarize(runs: Sequence[Array]) -> dict[str, list[float | None]]:
    """Mean, 10 % and 90 % quantiles over the seeds; None where there are fewer candidates than trainings."""
    values = np.stack(runs)
    rows = {"mean": values.mean(axis=0)} | {
        name: np.quantile(values, level, axis=0) for name, level in (("low", 0.1), ("high", 0.9))
    }
    return {name: [None if np.isnan(value) else round(float(value), 4) for value in row] for name, row in rows.items()}


def trainings_needed(
    best: Mapping[str, Sequence[Array]], baselines: Mapping[str, Sequence[Array]]
) -> dict[str, dict[str, Any]]:
    """Trainings that a method and the baselines need for the accuracy that the method reaches after k trainings.

    Runs are compared seed by seed, as each seed may have its own candidates.

    Args:
        best: best accuracy so far by method, one array per seed.
        baselines: the same by baseline, run to the end, so that they reach any accuracy.

    Returns:
        By method, k (as text) and method needed (`itself` or a baseline): `{"low", "median", "high"}`, the 10 %, 50 %
        and 90 % quantiles over the seeds.
    """
    shortest = min(len(run) for runs in best.values() for run in runs)
    return {
        name: {
            str(k): {
                other: _first_reached(other_runs, [run[k - 1] for run in runs])
                for other, other_runs in {"itself": runs, **baselines}.items()
            }
            for k in TABLE_COLUMNS
            if k <= shortest
        }
        for name, runs in best.items()
    }


def _first_reached(best: Sequence[Array], accuracies: Sequence[float]) -> dict[str, float]:
    """Quantiles of the trainings after which each run reaches its accuracy."""
    needed = [int(np.argmax(run >= accuracy)) + 1 for run, accuracy in zip(best, accuracies, strict=True)]
    return dict(zip(("low", "median", "high"), np.quantile(needed, [0.1, 0.5, 0.9]).tolist(), strict=True))
