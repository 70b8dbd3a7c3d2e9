"""Effective rank of the activations."""

from typing_extensions import override

from proxies.base import Measured, Need, Proxy, ProxyInfo


class Near(Proxy):
    """Σ over ReLUs of the effective ranks of their input and of their output, matrices of places times channels.

    Places are the rows and their positions; of more places than channels, as many as channels are sampled. The
    effective rank is exp(−Σ p·log p), p the singular values by their sum; 0 for a matrix of zeros.
    """

    info = ProxyInfo(
        name="near",
        needs=frozenset({Need.ACTIVATION_RANKS}),
        batch_norm=True,
        direction=1,
        cost=1.0,
        source="Husistein, Reiher & Eckhoff, ICLR 2025 (NEAR)",
        additive=True,
        default=False,
    )

    @override
    def compute(self, measured: Measured) -> float:
        return float(sum(rank for rank, _ in measured[Need.ACTIVATION_RANKS]))
