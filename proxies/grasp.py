"""Gradient signal preservation."""

from typing_extensions import override

from proxies.base import Measured, Need, Proxy, ProxyInfo


class Grasp(Proxy):
    """−Σ Σ W⊙(H·g), H the Hessian of the loss, g held constant."""

    info = ProxyInfo(
        name="grasp",
        needs=frozenset({Need.CURVATURE}),
        batch_norm=True,
        direction=1,
        cost=9.0,
        source="Wang et al., ICLR 2020, eq. 8",
        additive=True,
    )

    @override
    def compute(self, measured: Measured) -> float:
        return -float(measured[Need.CURVATURE])
