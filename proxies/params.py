"""Number of parameters."""

from typing_extensions import override

from proxies.base import Measured, Need, Proxy, ProxyInfo


class Params(Proxy):
    """Number of trainable parameters, those of unused modules included."""

    info = ProxyInfo(
        name="params",
        needs=frozenset({Need.NUM_PARAMETERS}),
        batch_norm=None,
        direction=1,
        cost=0.0,
        source="-",
        additive=True,
    )

    @override
    def compute(self, measured: Measured) -> float:
        return float(measured[Need.NUM_PARAMETERS])
