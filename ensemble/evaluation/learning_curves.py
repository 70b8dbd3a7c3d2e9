"""How much a predictor learns from how many trained architectures, and from none: what no predictor can learn."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensemble.combiners import CombinerInfo
from ensemble.combiners.gaussian_process import AdditiveGaussianProcess
from ensemble.data.features import PROXY, FeatureTable
from ensemble.evaluation.crossval import HeldOut, Progress, held_out_predictions
from ensemble.evaluation.folds import Split
from ensemble.evaluation.metrics import Metrics, mean_and_sd, measure, search_measures

Array = NDArray[np.float64]
SIZES = (25, 50, 100, 200, 400)
"""Numbers of training rows; and as many as a fold leaves."""


def learning_curves(
    infos: Sequence[CombinerInfo],
    table: FeatureTable,
    y: Array,
    depths: NDArray[np.int64],
    repeats: Sequence[Sequence[Split]],
    whole: Mapping[str, HeldOut],
    seed: int = 0,
    jobs: int = 1,
    progress: Progress | None = None,
) -> dict[str, list[dict[str, Any]]]:
    """By combiner, for each number of training rows, `{"n_train", measure: {"mean", "sd"}}` over the repeats.

    Every row is predicted in every repeat, by a model that was fitted on a random part of its fold's training rows: so
    all sizes are measured on the same candidates. `whole` is what the combiners say with all of those rows.
    """
    curves: dict[str, list[dict[str, Any]]] = {info.name: [] for info in infos}
    for size in smaller_sizes(repeats):
        fewer = [[_fewer(split, size, seed) for split in splits] for splits in repeats]
        held = held_out_predictions(infos, table, y, fewer, seed, jobs, progress)
        for name, curve in curves.items():
            curve.append({"n_train": size, **_measured(held[name], y, depths)})
    for name, curve in curves.items():
        curve.append({"n_train": _most(repeats), **_measured(whole[name], y, depths)})
    return curves


def smaller_sizes(repeats: Sequence[Sequence[Split]]) -> list[int]:
    """The sizes below what a fold leaves to train on."""
    return [size for size in SIZES if size < _most(repeats)]


def _most(repeats: Sequence[Sequence[Split]]) -> int:
    return min(len(train) for splits in repeats for train, _ in splits)


def _measured(held: HeldOut, y: Array, depths: NDArray[np.int64]) -> dict[str, Any]:
    return mean_and_sd([measure(row, y, depths) | search_measures(row, y, depths) for row in held.accuracy])


def _fewer(split: Split, size: int, seed: int) -> Split:
    train, test = split
    # Seeded by the fold's own rows: another fold draws another part.
    rng = np.random.default_rng([seed, int(test[0])])
    return np.sort(rng.permutation(train)[:size]), test


def shuffled_control(
    prepare: Callable[[FeatureTable, Array], Sequence[CombinerInfo]],
    table: FeatureTable,
    y: Array,
    depths: NDArray[np.int64],
    splits: Sequence[Split],
    seed: int = 0,
    jobs: int = 1,
    progress: Progress | None = None,
) -> dict[str, Metrics]:
    """The whole procedure on accuracies that are shuffled among the architectures of a depth.

    There is nothing left to learn within a depth: a ρ within depth that is not near 0 has seen the test rows.

    Args:
        prepare: everything that is done with a table and its accuracies before the folds are drawn, which gives the
            combiners to measure. Whatever it chooses by looking at the accuracies of all rows shows here.
    """
    rng = np.random.default_rng(seed)
    shuffled = y.copy()
    for depth in np.unique(depths):
        rows = np.flatnonzero(depths == depth)
        shuffled[rows] = y[rng.permutation(rows)]
    held = held_out_predictions(prepare(table, shuffled), table, shuffled, [splits], seed, jobs, progress)
    return {name: measure(one.accuracy[0], shuffled, depths) for name, one in held.items()}


def noise(table: FeatureTable, y: Array, depths: NDArray[np.int64]) -> dict[str, Any]:
    """An estimate of how much of the differences within a depth no feature explains, and what ρ that leaves.

    The slot process fits the variance of a noise that is the same everywhere. Where a depth's accuracies vary by s² and
    the noise by σ², the correlation of a perfect prediction with them is √(1 − σ²/s²). What the process has no kernel
    for counts as noise too, so a better model may pass this mark.

    Returns:
        `sd`, the noise's standard deviation, a fraction of accuracy; `share` and `ceiling` by depth; `within_depth`,
        the mean ceiling.
    """
    structure = [name for name in table.names if not name.startswith(PROXY)]
    process = AdditiveGaussianProcess(structure).fit(table.select(structure), y)
    variance = float(process.variances_[-1] * y.var())
    groups = {f"depth={depth}": y[depths == depth] for depth in np.unique(depths)}
    share = {name: min(variance / max(float(group.var()), 1e-12), 1.0) for name, group in groups.items()}
    ceiling = {name: (1 - part) ** 0.5 for name, part in share.items()}
    return {
        "sd": variance**0.5,
        "share": share,
        "ceiling": ceiling,
        "within_depth": float(np.mean(list(ceiling.values()))),
    }
