"""Smallest eigenvalue of the correlation between channels."""

import torch
from torch import Tensor
from typing_extensions import override

from proxies.base import Measured, Need, Proxy, ProxyInfo


class Meco(Proxy):
    """Σ over units of λ_min(P), P the Pearson correlation of a unit's channels over its positions.

    The input is one random sample, or random features of one graph. A unit with more channels than positions adds
    nothing.
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
        return sum(smallest_eigenvalue(features) for features, _ in measured[Need.UNIT_OUTPUTS])


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
