"""Smallest eigenvalue of the correlation between a few channels."""

from typing_extensions import override

from proxies.base import Measured, Need, Proxy, ProxyInfo
from proxies.meco import smallest_eigenvalues


class MecoOpt(Proxy):
    """Σ over units of (C/8)·λ_min(P), P the correlation of 8 of the unit's C channels, sampled at random.

    A unit with fewer than 8 channels takes them all, with factor 1.
    """

    info = ProxyInfo(
        name="meco_opt",
        needs=frozenset({Need.UNIT_OUTPUTS}),
        batch_norm=True,
        direction=1,
        cost=1.0,
        source="Jiang et al., NeurIPS 2023",
        additive=True,
    )

    @override
    def compute(self, measured: Measured) -> float:
        units = measured[Need.UNIT_OUTPUTS]
        values = smallest_eigenvalues([features[sampled] for features, sampled in units])
        return sum(
            len(features) / len(sampled) * value for (features, sampled), value in zip(units, values, strict=True)
        )
