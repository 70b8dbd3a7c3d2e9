"""Gradient signal preservation."""

from proxies.base import Measured, Need, Proxy, ProxyInfo


class Grasp(Proxy):
    """−Σ Σ W⊙(H·g), H the Hessian of the loss, g held constant."""

    info = ProxyInfo(
        name="grasp",
        needs=frozenset({Need.HESSIAN_GRADIENT}),
        batch_norm=True,
        direction=1,
        cost=9.0,
        source="Wang et al., ICLR 2020, eq. 8",
        additive=True,
    )

    def compute(self, measured: Measured) -> float:
        return -sum(float((w.double() * hg.double()).sum()) for w, hg in measured[Need.HESSIAN_GRADIENT])
