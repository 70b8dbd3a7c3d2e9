"""Entropy of the channels' covariance."""

from typing_extensions import override

from proxies.base import Measured, Need, Proxy, ProxyInfo
from proxies.spectrum import entropy


class Expressivity(Proxy):
    """Σ over units of H = −Σ p·log(p + 1e-8), p the eigenvalues of the covariance of a unit's channels by their sum."""

    info = ProxyInfo(
        name="expressivity",
        needs=frozenset({Need.UNIT_SPECTRA}),
        batch_norm=True,
        direction=1,
        cost=1.0,
        source="Lee & Ham, CVPR 2024 (AZ-NAS)",
        additive=True,
        default=False,
    )

    @override
    def compute(self, measured: Measured) -> float:
        return sum(map(entropy, measured[Need.UNIT_SPECTRA]))
