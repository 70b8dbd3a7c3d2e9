"""Synaptic flow."""

import torch

from proxies.base import Measured, Need, Proxy, ProxyInfo


class Synflow(Proxy):
    """Σ Σ abs(W⊙∂R/∂W), R the sum of the logits on an input of ones, all values absolute.

    It grows exponentially with depth: its logarithm is the feature. Attention scores that differ by rounding alone are
    taken for equal: without that, rounding decides which of two joints that the skeleton makes alike is attended to,
    and the score moves by tens of orders of magnitude with the order of summation.
    """

    info = ProxyInfo(
        name="synflow",
        needs=frozenset({Need.FLOW}),
        batch_norm=False,
        direction=1,
        cost=1.0,
        version="2",
        source="Tanaka et al., NeurIPS 2020, eq. 2",
        log_feature=True,
        additive=True,
    )

    def compute(self, measured: Measured) -> float:
        logs = [torch.logsumexp((w.abs().log() + g.abs().log()).flatten(), 0) for w, g in measured[Need.FLOW]]
        return float(torch.logsumexp(torch.stack(logs), 0))
