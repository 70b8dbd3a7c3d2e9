"""Number of parameters."""

from proxies.base import Measured, Need, Proxy, ProxyInfo


class Params(Proxy):
    """Number of trainable parameters; modules that are never used count."""

    info = ProxyInfo(
        name="params",
        needs=frozenset({Need.TRAINABLE}),
        batch_norm=None,
        direction=1,
        cost=0.0,
        source="-",
        additive=True,
    )

    def compute(self, measured: Measured) -> float:
        return float(measured[Need.TRAINABLE])
