"""Synaptic flow."""

import torch

from proxies.base import Measured, Need, Proxy, ProxyInfo


class Synflow(Proxy):
    """Σ Σ abs(W⊙∂R/∂W), R the sum of the logits on an input of ones, all values absolute.

    It grows exponentially with depth, to 1e135 in ten layers: its logarithm is the feature."""

    info = ProxyInfo(
        name="synflow",
        needs=frozenset({Need.FLOW}),
        batch_norm=False,
        direction=1,
        cost=1.0,
        source="Tanaka et al., NeurIPS 2020, eq. 2",
        log_feature=True,
        additive=True,
    )

    def compute(self, measured: Measured) -> float:
        logs = [torch.logsumexp((w.abs().log() + g.abs().log()).flatten(), 0) for w, g in measured[Need.FLOW]]
        return float(torch.logsumexp(torch.stack(logs), 0))
