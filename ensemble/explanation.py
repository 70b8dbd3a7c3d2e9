"""Attributions of a prediction to parts of the architecture, and mutations that raise it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensemble.combiners import Combiner
from ensemble.data.columns import COSTS, CURVE, PROXY, SOURCE
from models import Architecture, EditableSpace, EncodedSpace, SearchSpace, require

Array = NDArray[np.float64]
MIN_CONTRIBUTION = 1e-11
"""Smallest absolute contribution that is reported, a fraction of accuracy."""


@dataclass(frozen=True)
class Attribution:
    """Contribution of a group of features to a predicted accuracy.

    Attributes:
        feature_group: a part of the architecture, a proxy, a source or the training curve, in words.
        contribution: Shapley value, a fraction of accuracy. The contribution of the stratum is relative to the whole
            reference set, every other one to the mean contribution of the same group in that stratum.
    """

    feature_group: str
    contribution: float


@dataclass(frozen=True)
class Explanation:
    """Additive explanation of a prediction: `base_value` plus all contributions is the predicted accuracy.

    Attributes:
        combiner: name of the combiner that is explained.
        base_value: mean prediction over the reference set, a fraction.
        attributions: sorted by decreasing absolute contribution.
    """

    combiner: str
    base_value: float
    attributions: list[Attribution]


@dataclass(frozen=True)
class SuggestedMutation:
    """Change to a neighbor that raises the prediction.

    Attributes:
        mutation: as the search space describes it, plain JSON.
        architecture: the mutated architecture, as JSON.
        accuracy: predicted from the structure of the mutated architecture, a fraction.
        accuracy_gain: `accuracy` minus the prediction of the same model for the unchanged architecture.
    """

    mutation: dict[str, Any]
    architecture: dict[str, Any]
    accuracy: float
    accuracy_gain: float


@dataclass(frozen=True)
class MeanContributions:
    """Mean contributions over the reference set, the origin of explanations.

    Attributes:
        strata: (k,), the strata of the reference set, increasing.
        means: (k + 1, columns + 1), mean contributions in each stratum, and in the last row over all strata.
    """

    strata: Array
    means: Array

    @classmethod
    def from_training_rows(cls, model: Combiner, X: Array, strata: NDArray[Any]) -> "MeanContributions":
        """Average the contributions of a fitted, additive combiner over its training rows.

        Args:
            model: fitted combiner with `contributions`.
            X: (n, columns), the training rows.
            strata: (n,), the stratum of each row.
        """
        contributions = model.contributions(X)
        levels = np.unique(strata).astype(np.float64)
        means = [contributions[strata == level].mean(axis=0) for level in levels]
        return cls(levels, np.stack([*means, contributions.mean(axis=0)]))

    def at(self, stratum: float) -> Array:
        """Return the means of a stratum, (columns + 1,); those over all strata if the reference set lacks it."""
        matches = np.flatnonzero(self.strata == stratum)
        return np.asarray(self.means[matches[0] if len(matches) else -1])


def explain_row(
    combiner: str,
    model: Combiner,
    columns: Sequence[str],
    row: Array,
    mean_contributions: MeanContributions,
    space: EncodedSpace[Any],
    architecture: Architecture,
) -> Explanation:
    """Explain one prediction by the Shapley values of its features, summed over feature groups.

    The stratum is attributed first, with the mean of everything that comes with it; all other groups are relative to
    the mean in that stratum.

    Args:
        combiner: name of the combiner.
        model: fitted, additive estimator.
        columns: names of the model's features.
        row: (1, columns), features of the architecture.
        mean_contributions: of the model.
        space: search space, which maps features to parts of the architecture.
        architecture: the architecture.

    Returns:
        The explanation; contributions below `MIN_CONTRIBUTION` are left out.
    """
    stratum_means = mean_contributions.at(space.stratum(architecture))
    base_value = float(mean_contributions.means[-1].sum())
    relative = model.contributions(row)[0] - stratum_means
    stratum_group = space.feature_group(architecture, space.stratum_feature)
    groups: dict[str, float] = {stratum_group: float(stratum_means.sum()) - base_value}
    for column, contribution in zip(columns, relative[:-1], strict=True):
        group = _feature_group(column, space, architecture)
        groups[group] = groups.get(group, 0.0) + float(contribution)
    attributions = [Attribution(group, value) for group, value in groups.items() if abs(value) >= MIN_CONTRIBUTION]
    return Explanation(combiner, base_value, sorted(attributions, key=lambda one: -abs(one.contribution)))


def improving_mutations(
    space: SearchSpace[Any], architecture: Architecture, predict: Callable[[Sequence[Architecture]], Array]
) -> list[SuggestedMutation]:
    """Return the changes to a neighbor that raise the prediction, best first.

    Args:
        space: search space, which enumerates the neighbors.
        architecture: the architecture to mutate.
        predict: accuracies of architectures from their structure, (m,).

    Raises:
        CapabilityError: the space has no neighbors.
    """
    editable = require(space, EditableSpace)
    neighbors = list(editable.neighbors(architecture))
    current, *mutated = predict([architecture, *neighbors])
    mutations = (
        SuggestedMutation(
            editable.describe_mutation(architecture, neighbor),
            space.to_json(neighbor),
            float(accuracy),
            float(accuracy - current),
        )
        for neighbor, accuracy in zip(neighbors, mutated, strict=True)
        if accuracy > current
    )
    return sorted(mutations, key=lambda mutation: -mutation.accuracy_gain)


def _feature_group(column: str, space: EncodedSpace[Any], architecture: Architecture) -> str:
    if column.startswith(PROXY):
        return f"proxy {column.removeprefix(PROXY)}"
    if column.startswith(SOURCE):
        return f"source {column.removeprefix(SOURCE)}"
    if column.startswith(CURVE):
        return "training curve"
    return "parameters and FLOPs" if column in COSTS else space.feature_group(architecture, column)
