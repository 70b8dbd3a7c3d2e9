"""Smallest eigenvalue of the channels' correlation."""

import torch
from torch import Tensor

from proxies.base import Measured, Need, Proxy, ProxyInfo


class Meco(Proxy):
    """Σ over units of λ_min(P), P the Pearson correlation matrix of a unit's channels over frames and joints, for one
    random datum. A unit with more channels than places adds nothing.
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

    def compute(self, measured: Measured) -> float:
        return sum(smallest_eigenvalue(features) for features, _ in measured[Need.UNIT_OUTPUTS])


def smallest_eigenvalue(features: Tensor) -> float:
    """λ_min of the correlation of the rows of (channels, places), in float64.

    A constant channel, as behind a ReLU that never fires, has correlation 0 even with itself. Raises `ArithmeticError`
    where a feature is not finite.
    """
    if not bool(torch.isfinite(features).all()):
        raise ArithmeticError("a unit's output is not finite")
    matrix = torch.corrcoef(features.double()).nan_to_num(0.0, 0.0, 0.0)
    return float(torch.linalg.eigvalsh(matrix.view(len(features), len(features)))[0])
