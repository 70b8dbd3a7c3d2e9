"""Floating-point operations."""

from typing_extensions import override

from proxies.base import Measured, Need, Proxy, ProxyInfo


class Flops(Proxy):
    """2 × multiply-adds of one forward pass of the batch, in convolutions, linear layers and matrix products.

    Matrix products include attention scores and features times graph. Batch norm, softmax, ReLU, sums and pooling are
    not counted.
    """

    info = ProxyInfo(
        name="flops",
        needs=frozenset({Need.FLOPS}),
        batch_norm=None,
        direction=1,
        cost=0.1,
        source="-",
        additive=True,
    )

    @override
    def compute(self, measured: Measured) -> float:
        return float(measured[Need.FLOPS])
