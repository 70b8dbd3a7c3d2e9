"""Gain of each proxy beside the structure of an architecture, by number of labels.

Nested: the penalty of the ridge is chosen on the training rows alone, by exact leave-one-out; so are the ranks that
proxies are given as. Quality is the rank correlation given the stratum of the predictions with the accuracies of all
other rows, but those of a training row's group.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from benchmarks.proxies_measured.correlations import Material, given_stratum
from ensemble.combiners.base import Combiner
from ensemble.combiners.forest import Forest
from ensemble.combiners.rank_trees import RankTrees
from ensemble.combiners.ridge import Ridge
from ensemble.ranks import doubled_ranks

Array = NDArray[np.float64]
Rows = NDArray[np.int64]
MODELS: dict[str, Callable[[], Combiner]] = {
    "ridge": lambda: RankTrees((Ridge(),)),
    "trees": lambda: RankTrees((Forest(50, min_samples_leaf=2, max_features=0.5, extra_trees=True),)),
}
"""Models of the mean of ranks and accuracies that `rank_trees` learns: failed trainings do not outweigh all others."""
DRAWS = {"ridge": 10, "trees": 5}
"""Training sets of each number of labels."""
NUM_FOLDS = 20
"""Parts of the architectures, whole groups each, that the jackknife leaves out one at a time."""
ALL = "all"
"""Name of the input of all proxies together."""
LEVEL = 0.05


@dataclass(frozen=True)
class Gain:
    """Gain of inputs over the structure alone.

    Attributes:
        base: mean ρ of the structure alone over the draws.
        mean: mean gain of each input over the draws, (p,).
        error: standard error of the mean gains: of the draws of training rows and of the architectures, (p,).
    """

    base: float
    mean: Array
    error: Array


def measure_gains(
    model: str, structure: Array, inputs: Sequence[Array], material: Material, size: int, draws: int
) -> Gain:
    """Fit a model to random rows, with each input beside the structure, and measure it on all others.

    Args:
        model: key of `MODELS`.
        structure: features, (n, d).
        inputs: scores that are added to the structure, (n, k) each; NaN where an architecture has none.
        material: accuracies, strata and groups of the n architectures.
        size: number of training rows.
        draws: number of training sets.
    """
    accuracy, groups = material.accuracy, np.unique(material.groups, return_inverse=True)[1]
    folds = np.random.default_rng(0).permutation(np.arange(groups.max() + 1) % NUM_FOLDS)[groups]
    full, parts = [], []
    for draw in range(draws):
        order = np.random.default_rng(draw).permutation(len(accuracy))
        train = np.sort(order[:size])
        test = np.flatnonzero(~np.isin(groups, groups[train]))
        tables = [structure, *(np.column_stack([structure, training_ranks(added, train)]) for added in inputs)]
        predicted = np.column_stack([MODELS[model]().fit(X[train], accuracy[train]).predict(X[test]) for X in tables])
        full.append(_quality(predicted, material, test, np.ones(len(test), dtype=bool)))
        parts.append([_quality(predicted, material, test, folds[test] != fold) for fold in range(NUM_FOLDS)])
    quality = np.array(full)
    gains = quality[:, 1:] - quality[:, :1]
    left_out = np.array(parts)
    jackknife = (left_out[:, :, 1:] - left_out[:, :, :1]).mean(axis=0)
    of_draws = gains.var(axis=0, ddof=1) / draws
    of_architectures = (NUM_FOLDS - 1) * jackknife.var(axis=0)
    return Gain(float(quality[:, 0].mean()), gains.mean(axis=0), np.sqrt(of_draws + of_architectures))


def is_significant(mean: Array, error: Array, comparisons: int) -> NDArray[np.bool_]:
    """Return true where a gain is above 0 by a one-sided t test at 5 %, with Bonferroni's correction.

    Args:
        mean: gains.
        error: their standard errors; a gain without error is not tested.
        comparisons: number of gains that are compared.
    """
    bound = float(student.ppf(1 - LEVEL / comparisons, NUM_FOLDS - 1))
    return np.asarray((error > 0) & (mean > bound * error))


def training_ranks(scores: Array, train: Rows) -> Array:
    """Replace scores by their ranks among the training rows, from 0 to 1; ½ for a missing score.

    Args:
        scores: (n, k); NaN where an architecture has none.
        train: training rows.
    """
    ranks = np.full(scores.shape, 0.5)
    for column, values in enumerate(scores.T):
        known = np.sort(values[train][~np.isnan(values[train])])
        present = ~np.isnan(values)
        if len(known):
            ranks[present, column] = doubled_ranks(known, values[present]) / (2 * len(known))
    return ranks


def _quality(predicted: Array, material: Material, test: Rows, kept: NDArray[np.bool_]) -> Array:
    rows = test[kept]
    return given_stratum(predicted[kept], material.accuracy[rows], material.strata[rows])
