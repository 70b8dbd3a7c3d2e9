"""Conformal prediction intervals and pairwise win probabilities."""

from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from ensemble.combiners import State

Array = NDArray[np.float64]
LEVEL = 0.9
"""Nominal coverage of the intervals."""
MIN_RESIDUALS = 40
"""A stratum with fewer residuals uses those of all strata: its outer twentieths would rest on one or two of them."""
MAX_PAIRED_ROWS = 1500
"""Rows whose pairs the win probability is fitted to, 1.1 million: the first ones, an arbitrary sample."""
MIN_STD = 1e-9


@dataclass(frozen=True)
class ConformalResiduals:
    """Distribution of a combiner's residuals on held-out rows.

    Split conformal prediction (Vovk et al. 2005), stratified (Mondrian), with separate lower and upper tails (Romano et
    al. 2019): the interval from the ⌊(n+1)·α/2⌋-th smallest to the ⌈(n+1)·(1−α/2)⌉-th smallest residual around a
    prediction contains the accuracy of an exchangeable new architecture with probability 1 − α = `LEVEL`.

    Attributes:
        strata: (k,), the strata with at least `MIN_RESIDUALS` residuals.
        lower, upper, std: (k + 1,), lower tail, upper tail and standard deviation of the residuals in each stratum, and
            in the last entry over all strata.
        marginal_lower, marginal_upper: tails of the accuracy around its mean, i.e. of the error of a constant
            prediction.
        slope: of the win probability, logit P(a beats b) = slope·(a − b)/√(std_a² + std_b²).
    """

    strata: Array
    lower: Array
    upper: Array
    std: Array
    marginal_lower: float
    marginal_upper: float
    slope: float

    @classmethod
    def fit(cls, held_out: Array, y: Array, strata: NDArray[Any]) -> Self:
        """Fit to predictions for rows that the combiner was fitted without.

        Args:
            held_out: (n,), predictions; rows with NaN are left out.
            y: (n,), accuracies.
            strata: (n,), stratum of each row.
        """
        valid = ~np.isnan(held_out)
        held_out, y, strata = held_out[valid], y[valid], strata[valid].astype(np.float64)
        residuals = y - held_out
        levels, counts = np.unique(strata, return_counts=True)
        levels = levels[counts >= MIN_RESIDUALS]
        groups = [residuals[strata == level] for level in levels] + [residuals]
        tails = np.array([conformal_tails(group) for group in groups])
        std = np.array([max(float(group.std()), MIN_STD) for group in groups])
        marginal_lower, marginal_upper = conformal_tails(y - y.mean())
        unscaled = cls(levels, tails[:, 0], tails[:, 1], std, marginal_lower, marginal_upper, 1.0)
        return replace(unscaled, slope=_fit_slope(unscaled, held_out, y, strata))

    def intervals(self, accuracy: Array, strata: NDArray[Any], scale: Array | None = None) -> Array:
        """Compute prediction intervals.

        Args:
            accuracy: (m,), predictions.
            strata: (m,), stratum of each prediction.
            scale: (m,), factor by which each interval is widened, at least 1. An interval with a factor above 1 is also
                no narrower than the marginal one.

        Returns:
            Lower and upper bounds, (m, 2), within 0 … 1; NaN where the prediction is NaN.
        """
        group = self._group(strata)
        lower, upper = self.lower[group], self.upper[group]
        if scale is not None:
            widened = scale > 1
            lower = np.where(widened, np.minimum(lower * scale, self.marginal_lower), lower)
            upper = np.where(widened, np.maximum(upper * scale, self.marginal_upper), upper)
        return np.clip(accuracy[:, None] + np.stack([lower, upper], axis=1), 0.0, 1.0)

    def win_probability(self, accuracy: Array, strata: NDArray[Any], scale: Array | None = None) -> Array:
        """Compute the probability that the architecture of the row is better than that of the column.

        Args:
            accuracy: (m,), predictions.
            strata: (m,), stratum of each prediction.
            scale: (m,), factor by which each standard deviation is multiplied.

        Returns:
            Probabilities, (m, m), ½ on the diagonal.
        """
        return np.asarray(expit(self.slope * self._margin(accuracy, strata, scale)))

    def get_state(self) -> State:
        """Return the fitted state for an artifact."""
        return State({field.name: np.asarray(getattr(self, field.name)) for field in fields(self)})

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Restore from the result of `get_state`.

        Raises:
            KeyError: a part is missing.
            ValueError: the parts do not fit each other.
        """
        strata, lower, upper, std = (state.floats[name] for name in ("strata", "lower", "upper", "std"))
        if strata.ndim != 1 or any(array.shape != (len(strata) + 1,) for array in (lower, upper, std)):
            raise ValueError("the residuals' tails do not fit their strata")
        scalars = (float(state.floats[name]) for name in ("marginal_lower", "marginal_upper", "slope"))
        return cls(strata, lower, upper, std, *scalars)

    def _group(self, strata: NDArray[Any]) -> NDArray[np.int64]:
        """Index of each stratum's tails, (m,); the last index, of all strata, for one without its own."""
        matches = strata[:, None] == self.strata[None]
        return np.where(matches.any(axis=1), matches.argmax(axis=1) if len(self.strata) else 0, len(self.strata))

    def _margin(self, accuracy: Array, strata: NDArray[Any], scale: Array | None = None) -> Array:
        """Differences of the predictions in standard deviations, (m, m)."""
        std = self.std[self._group(strata)] * (1.0 if scale is None else scale)
        return np.asarray((accuracy[:, None] - accuracy[None]) / np.sqrt(std[:, None] ** 2 + std[None] ** 2))


def conformal_tails(residuals: Array) -> tuple[float, float]:
    """Return the residuals that enclose the next one with probability `LEVEL`; the extremes where there are too few."""
    n, tail = len(residuals), round((1 - LEVEL) / 2, 9)  # 0.04999… would take one rank more where 0.05·(n + 1) is whole
    ordered = np.sort(residuals)
    low, high = int(np.floor((n + 1) * tail)), int(np.ceil((n + 1) * (1 - tail)))
    return float(ordered[max(low, 1) - 1]), float(ordered[min(high, n) - 1])


def _fit_slope(residuals: ConformalResiduals, held_out: Array, y: Array, strata: Array) -> float:
    """Logistic regression without intercept over the pairs, so that swapping a pair complements its probability."""
    first, second = np.triu_indices(min(len(y), MAX_PAIRED_ROWS), k=1)
    decided = y[first] != y[second]
    first, second = first[decided], second[decided]
    rows = slice(MAX_PAIRED_ROWS)
    margin = residuals._margin(held_out[rows], strata[rows])[first, second]
    if not margin.any():
        return 1.0
    # Each pair in both orders, so that the order of the rows does not matter.
    margins = np.concatenate([margin, -margin])
    wins = np.concatenate([y[first] > y[second], y[first] < y[second]])
    model = LogisticRegression(fit_intercept=False, C=1e6).fit(margins[:, None], wins)
    return max(float(model.coef_[0, 0]), 0.0)
