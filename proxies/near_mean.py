"""Mean share of the channels in the effective rank of the activations."""

from typing_extensions import override

from proxies.base import Measured, Need, Proxy, ProxyInfo


class NearMean(Proxy):
    """Mean over ReLUs, and over their input and output, of the effective rank by the number of channels.

    The matrices are those of `near`, which grows with depth and width; the mean does not.
    """

    info = ProxyInfo(
        name="near_mean",
        needs=frozenset({Need.ACTIVATION_RANKS}),
        batch_norm=True,
        direction=1,
        cost=1.0,
        source="after Husistein, Reiher & Eckhoff, ICLR 2025 (NEAR)",
        default=False,
    )

    @override
    def compute(self, measured: Measured) -> float:
        shares = [rank / channels for rank, channels in measured[Need.ACTIVATION_RANKS]]
        return float(sum(shares) / len(shares))
