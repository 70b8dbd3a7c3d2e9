"""Number of channels that share the variance."""

import math

from typing_extensions import override

from proxies.base import Measured, Need, Proxy, ProxyInfo
from proxies.spectrum import variance_shares


class Participation(Proxy):
    """Mean over units of log((Σλ)² / Σλ²), λ the eigenvalues of the covariance of a unit's channels.

    The participation ratio (Σλ)² / Σλ² is the number of channels where all have the same variance and are not
    correlated, and 1 where all are multiples of one.
    """

    info = ProxyInfo(
        name="participation",
        needs=frozenset({Need.UNIT_SPECTRA}),
        batch_norm=True,
        direction=1,
        cost=1.0,
        source="after the capacity of InTrain, arXiv 2606.18676",
        default=False,
    )

    @override
    def compute(self, measured: Measured) -> float:
        spectra = measured[Need.UNIT_SPECTRA]
        return -sum(math.log(float(variance_shares(spectrum).square().sum())) for spectrum in spectra) / len(spectra)
