"""Floating-point operations."""

from proxies.base import Measured, Need, Proxy, ProxyInfo


class Flops(Proxy):
    """2 × multiply-adds of one forward pass of the batch: convolutions, linear layers and matrix products (attention
    scores, features times graph). Batch norm, softmax, ReLU, sums and pooling are not counted.
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

    def compute(self, measured: Measured) -> float:
        return float(measured[Need.FLOPS])
