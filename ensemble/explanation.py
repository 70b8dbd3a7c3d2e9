"""What moved a prediction, and which single edits of an architecture would raise it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensemble.combiners import Combiner
from ensemble.data.features import PROXY
from models import Architecture, SearchSpace

Array = NDArray[np.float64]
POINTS = 100.0
"""Percentage points of accuracy in a fraction."""


@dataclass(frozen=True)
class Reason:
    """What one part of an architecture, or one proxy, adds to its predicted accuracy.

    Attributes:
        part: in words.
        points: percentage points of accuracy: against the whole population for the depth, and for all else against what
            the same part adds on average among the architectures of that depth.
    """

    part: str
    points: float


@dataclass(frozen=True)
class Explanation:
    """Why a combiner predicts what it does.

    Attributes:
        combiner: which one.
        base: its mean prediction over the population, a fraction. With the sum of all points it is the prediction.
        reasons: largest first, whichever way they go.
    """

    combiner: str
    base: float
    reasons: list[Reason]


@dataclass(frozen=True)
class Edit:
    """One module added or taken away.

    Attributes:
        edit: what is done, as the search space says it: `{"layer": 3, "module": "S", "action": "add"}`.
        accuracy: predicted from the structure of the edited architecture, a fraction.
        points: percentage points that this is more than the same model's prediction for the architecture itself.
    """

    edit: dict[str, Any]
    accuracy: float
    points: float


@dataclass(frozen=True)
class Reference:
    """Mean contributions over the population, which explanations start from.

    Attributes:
        depths: (k,), the population's depths, increasing.
        means: (k + 1, columns + 1), mean contributions of each depth's members, then of all.
    """

    depths: Array
    means: Array

    @classmethod
    def of(cls, model: Combiner, X: Array, depths: NDArray[Any]) -> "Reference":
        """Of a fitted, additive combiner over its training rows."""
        parts = model.contributions(X)
        own = np.unique(depths).astype(np.float64)
        return cls(own, np.stack([*(parts[depths == depth].mean(axis=0) for depth in own), parts.mean(axis=0)]))

    def at(self, depth: float) -> Array:
        """Means at that depth, (columns + 1,); those of all for a depth that the population does not have."""
        found = np.flatnonzero(self.depths == depth)
        return np.asarray(self.means[found[0] if len(found) else -1])


def explanation(
    name: str,
    model: Combiner,
    columns: Sequence[str],
    row: Array,
    reference: Reference,
    space: SearchSpace[Architecture],
    arch: Architecture,
) -> Explanation:
    """Shapley values of the model's columns, gathered by what they describe.

    First the depth, with all that it brings on average, then everything else against the average at that depth.

    Args:
        name: the combiner's.
        model: additive.
        columns: names of what the model sees.
        row: (1, columns), the architecture's features.
        reference: of the model.
        space: the search space, which says what a feature describes.
        arch: the architecture.
    """
    depth = arch.depth
    typical, overall = reference.at(depth), float(reference.means[-1].sum())
    beyond = model.contributions(row)[0] - typical
    points: dict[str, float] = {f"{depth:g} layers": POINTS * (float(typical.sum()) - overall)}
    for column, value in zip(columns, beyond[:-1], strict=True):
        part = _part(column, space, arch)
        points[part] = points.get(part, 0.0) + POINTS * float(value)
    reasons = [Reason(part, value) for part, value in points.items() if abs(value) >= 1e-9]
    return Explanation(name, overall, sorted(reasons, key=lambda reason: -abs(reason.points)))


def single_edits(
    space: SearchSpace[Architecture], arch: Architecture, predict: Callable[[Sequence[Architecture]], Array]
) -> list[Edit]:
    """The edits of one module that raise the prediction, best first. `predict` gives accuracies from structure."""
    around = list(space.neighbors(arch))
    own, *others = predict([arch, *around])
    edits = (
        Edit(space.edit(arch, other), float(accuracy), POINTS * float(accuracy - own))
        for other, accuracy in zip(around, others, strict=True)
        if accuracy > own
    )
    return sorted(edits, key=lambda edit: -edit.points)


def _part(column: str, space: SearchSpace[Architecture], arch: Architecture) -> str:
    if column.startswith(PROXY):
        return f"proxy {column.removeprefix(PROXY)}"
    return "parameters and FLOPs" if column.startswith("cost.") else space.part(arch, column)
