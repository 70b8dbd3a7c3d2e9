"""Synaptic flow."""

import torch
from typing_extensions import override

from proxies.base import Measured, Need, Proxy, ProxyInfo


class Synflow(Proxy):
    """Σ Σ abs(W⊙∂R/∂W), R the sum of the logits on an input of ones, with absolute values of all weights.

    It grows exponentially with depth, so its logarithm is the feature. Attention scores that differ by rounding alone
    count as equal: otherwise rounding decides between nodes that are equivalent by the symmetry of a graph, and
    the score moves by tens of orders of magnitude with the order of summation.
    """

    info = ProxyInfo(
        name="synflow",
        needs=frozenset({Need.SYNFLOW}),
        batch_norm=False,
        direction=1,
        cost=1.0,
        version="2",
        source="Tanaka et al., NeurIPS 2020, eq. 2",
        log_feature=True,
        additive=True,
    )

    @override
    def compute(self, measured: Measured) -> float:
        logs = [torch.logsumexp((w.abs().log() + g.abs().log()).flatten(), 0) for w, g in measured[Need.SYNFLOW]]
        return float(torch.logsumexp(torch.stack(logs), 0))
