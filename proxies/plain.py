"""First-order saliency with its sign."""

from proxies.base import Measured, Need, Proxy, ProxyInfo


class Plain(Proxy):
    """Σ Σ W⊙g: how fast the loss would move if all weights grew together."""

    info = ProxyInfo(
        name="plain",
        needs=frozenset({Need.GRADIENTS}),
        batch_norm=True,
        direction=1,
        cost=3.0,
        source="Mozer & Smolensky, NeurIPS 1988; as in Abdelfattah et al., ICLR 2021",
        additive=True,
    )

    def compute(self, measured: Measured) -> float:
        return sum(float((w.double() * g.double()).sum()) for w, g in measured[Need.GRADIENTS])
