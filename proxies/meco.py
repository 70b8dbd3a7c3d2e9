"""Smallest eigenvalue of the correlation between channels."""

from collections.abc import Sequence

import torch
from torch import Tensor
from typing_extensions import override

from proxies.base import Measured, Need, NotApplicableError, Proxy, ProxyInfo

ROUNDING = 4
"""Bound of a rounded zero eigenvalue, in units in the last place for each channel."""


class Meco(Proxy):
    """Σ over units of λ_min(P), P the Pearson correlation of a unit's channels over its positions.

    The input is one random sample, or random features of one graph. A unit whose P is singular, as with at least as
    many channels as positions, adds nothing; the score is not applicable where all units are of this kind.
    """

    info = ProxyInfo(
        name="meco",
        needs=frozenset({Need.UNIT_OUTPUTS}),
        batch_norm=True,
        direction=1,
        cost=1.0,
        source="Jiang et al., NeurIPS 2023",
        additive=True,
    )

    @override
    def compute(self, measured: Measured) -> float:
        maps = [features for features, _ in measured[Need.UNIT_OUTPUTS]]
        return sum(smallest_eigenvalues(maps))


def smallest_eigenvalues(maps: Sequence[Tensor]) -> list[float]:
    """Return λ_min of each unit's correlation.

    Args:
        maps: (channels, positions) by unit.

    Raises:
        NotApplicableError: all of them are 0, but for rounding.
    """
    values = [smallest_eigenvalue(features) for features in maps]
    if all(value < _rounding(features) for value, features in zip(values, maps, strict=True)):
        few = all(len(features) >= features[0].numel() for features in maps)
        kind = (
            "has at least as many channels as positions" if few else "has channels that depend linearly on each other"
        )
        raise NotApplicableError(f"every unit {kind}, so that the smallest eigenvalue is 0")
    return values


def _rounding(features: Tensor) -> float:
    """Return the bound of λ_min of a singular correlation: the features are rounded in their dtype, P in float64."""
    eps = max(torch.finfo(features.dtype).eps ** 2, torch.finfo(torch.float64).eps)
    return ROUNDING * len(features) * eps


def smallest_eigenvalue(features: Tensor) -> float:
    """Return λ_min of the correlation of the rows in float64.

    A constant channel, as behind a ReLU that never fires, has correlation 0 even with itself.

    Args:
        features: (channels, positions).

    Raises:
        ArithmeticError: a feature is not finite.
    """
    if not bool(torch.isfinite(features).all()):
        raise ArithmeticError("a unit's output is not finite")
    matrix = torch.corrcoef(features.double()).nan_to_num()
    return float(torch.linalg.eigvalsh(matrix.view(len(features), len(features)))[0])
