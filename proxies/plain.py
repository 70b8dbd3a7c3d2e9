"""Signed first-order saliency."""

from typing_extensions import override

from proxies.base import Measured, Need, Proxy, ProxyInfo, total


class Plain(Proxy):
    """Σ Σ W⊙g, the slope of the loss as all weights are scaled together."""

    info = ProxyInfo(
        name="plain",
        needs=frozenset({Need.GRADIENTS}),
        batch_norm=True,
        direction=1,
        cost=3.0,
        source="Mozer & Smolensky, NeurIPS 1988; as in Abdelfattah et al., ICLR 2021",
        additive=True,
    )

    @override
    def compute(self, measured: Measured) -> float:
        return total((w.double() * g.double()).sum() for w, g in measured[Need.GRADIENTS])
