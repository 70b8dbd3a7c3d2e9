"""Connection sensitivity."""

from typing_extensions import override

from proxies.base import Measured, Need, Proxy, ProxyInfo, total


class Snip(Proxy):
    """Σ Σ abs(W⊙g)."""

    info = ProxyInfo(
        name="snip",
        needs=frozenset({Need.GRADIENTS}),
        batch_norm=True,
        direction=1,
        cost=3.0,
        source="Lee et al., ICLR 2019, eq. 5",
        additive=True,
    )

    @override
    def compute(self, measured: Measured) -> float:
        return total((w.double() * g.double()).abs().sum() for w, g in measured[Need.GRADIENTS])
