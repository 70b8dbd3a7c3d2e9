"""How far a combiner is off: conformal intervals, and the probability that one architecture beats another."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from ensemble.combiners import State

Array = NDArray[np.float64]
LEVEL = 0.9
"""Nominal coverage of the intervals."""
LEAST = 40
"""A depth with fewer residuals takes those of all depths: their outer twentieths would hang on one or two of them."""


@dataclass(frozen=True)
class ConformalResiduals:
    """What a combiner's residuals on held-out rows say about its next error.

    Split conformal prediction (Vovk et al. 2005), one group a depth (Mondrian), with a tail for each side (Romano et
    al. 2019): the interval from the ⌊(n+1)·α/2⌋-th smallest to the ⌈(n+1)·(1−α/2)⌉-th smallest residual around a
    prediction holds the next architecture's accuracy with probability 1 − α = 0.9, if it is drawn like the others.

    Attributes:
        depths: (k,), the depths that have residuals of their own.
        lower, upper, spread: (k + 1,), the tails and the standard deviation of their residuals; last, of all residuals.
        far_lower, far_upper: tails of accuracy around its mean: how sure one can be without looking.
        steepness: of the pairwise probability, logit P(a beats b) = steepness·(a − b)/√(spread_a² + spread_b²).
    """

    depths: Array
    lower: Array
    upper: Array
    spread: Array
    far_lower: float
    far_upper: float
    steepness: float

    @classmethod
    def fit(cls, held_out: Array, y: Array, depths: NDArray[Any]) -> Self:
        """From predictions for rows that the combiner was fitted without, (n,), their accuracies and depths.

        Rows without a prediction (NaN) are left out.
        """
        there = ~np.isnan(held_out)
        held_out, y, depths = held_out[there], y[there], depths[there].astype(np.float64)
        residuals = y - held_out
        own, rows = np.unique(depths, return_counts=True)
        own = own[rows >= LEAST]
        groups = [residuals[depths == depth] for depth in own] + [residuals]
        tails = np.array([_tails(group) for group in groups])
        spread = np.array([max(float(group.std()), 1e-9) for group in groups])
        far_lower, far_upper = _tails(y - y.mean())
        plain = cls(own, tails[:, 0], tails[:, 1], spread, far_lower, far_upper, 1.0)
        return replace(plain, steepness=_steepness(plain, held_out, y, depths))

    def intervals(self, accuracy: Array, depths: NDArray[Any], stretch: Array | None = None) -> Array:
        """Intervals around predictions (m,), shape (m, 2), inside 0 … 1; NaN where there is no prediction.

        `stretch`, (m,), is 1 for an architecture like those of the benchmark. Above 1 its interval is that many times
        as wide, and no narrower than what one could say without looking at it.
        """
        group = self._group(depths)
        lower, upper = self.lower[group], self.upper[group]
        if stretch is not None:
            far = stretch > 1
            lower = np.where(far, np.minimum(lower * stretch, self.far_lower), lower)
            upper = np.where(far, np.maximum(upper * stretch, self.far_upper), upper)
        return np.clip(accuracy[:, None] + np.stack([lower, upper], axis=1), 0.0, 1.0)

    def beats(self, accuracy: Array, depths: NDArray[Any], stretch: Array | None = None) -> Array:
        """Probability that the row's architecture is better than the column's, (m, m); ½ on the diagonal."""
        return np.asarray(expit(self.steepness * self._margin(accuracy, depths, stretch)))

    def get_state(self) -> State:
        """As arrays, for an artifact."""
        scalars = np.array([self.far_lower, self.far_upper, self.steepness])
        return State({"depths": self.depths, "tails": np.stack([self.lower, self.upper, self.spread]), "far": scalars})

    @classmethod
    def of_state(cls, state: State) -> Self:
        """What `get_state` gave. Raises `KeyError` or `ValueError` where it is not that."""
        depths, (lower, upper, spread), far = (state.floats[name] for name in ("depths", "tails", "far"))
        if len(lower) != len(depths) + 1 or len(far) != 3:
            raise ValueError("the errors' groups do not fit their depths")
        return cls(depths, lower, upper, spread, *map(float, far))

    def _group(self, depths: NDArray[Any]) -> NDArray[np.int64]:
        """Number of each depth's group; the last, of all, for a depth without one."""
        matches = depths[:, None] == self.depths[None]
        return np.where(matches.any(axis=1), matches.argmax(axis=1) if len(self.depths) else 0, len(self.depths))

    def _margin(self, accuracy: Array, depths: NDArray[Any], stretch: Array | None = None) -> Array:
        spread = self.spread[self._group(depths)] * (1.0 if stretch is None else stretch)
        return np.asarray((accuracy[:, None] - accuracy[None]) / np.sqrt(spread[:, None] ** 2 + spread[None] ** 2))


def _tails(residuals: Array) -> tuple[float, float]:
    """The residuals between which the next one lies with probability `LEVEL`; the outermost where there are few."""
    n, tail = len(residuals), round((1 - LEVEL) / 2, 9)  # 0.04999… would take one rank more where 0.05·(n + 1) is whole
    ordered = np.sort(residuals)
    low, high = int(np.floor((n + 1) * tail)), int(np.ceil((n + 1) * (1 - tail)))
    return float(ordered[max(low, 1) - 1]), float(ordered[min(high, n) - 1])


def _steepness(errors: ConformalResiduals, held_out: Array, y: Array, depths: Array) -> float:
    """Logistic regression without intercept over all pairs: swapping a pair must swap its probability."""
    first, second = np.triu_indices(len(y), k=1)
    decided = y[first] != y[second]
    first, second = first[decided], second[decided]
    margin = errors._margin(held_out, depths)[first, second]
    if not margin.any():
        return 1.0
    # Each pair both ways, so that it does not matter how the rows were sorted.
    both = np.concatenate([margin, -margin])
    better = np.concatenate([y[first] > y[second], y[first] < y[second]])
    model = LogisticRegression(fit_intercept=False, C=1e6).fit(both[:, None], better)
    return max(float(model.coef_[0, 0]), 0.0)
