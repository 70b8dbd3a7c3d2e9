"""Smallest gain of entropy from one unit to the next."""

from itertools import pairwise

from typing_extensions import override

from proxies.base import Measured, Need, NotApplicableError, Proxy, ProxyInfo
from proxies.spectrum import entropy


class Progressivity(Proxy):
    """min over units l of H_{l+1} − H_l, H the entropy of a unit's channels as in `expressivity`."""

    info = ProxyInfo(
        name="progressivity",
        needs=frozenset({Need.UNIT_SPECTRA}),
        batch_norm=True,
        direction=1,
        cost=1.0,
        source="Lee & Ham, CVPR 2024 (AZ-NAS)",
        default=False,
    )

    @override
    def compute(self, measured: Measured) -> float:
        entropies = list(map(entropy, measured[Need.UNIT_SPECTRA]))
        if len(entropies) < 2:
            raise NotApplicableError("the network has one unit, and so no gain from one to the next")
        return min(after - before for before, after in pairwise(entropies))
