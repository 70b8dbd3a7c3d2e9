"""Synaptic flow."""

import torch
from torch import Tensor
from typing_extensions import override

from proxies.base import Measured, Need, Proxy, ProxyInfo

SMALLEST_FLOW = 1e-280
"""Smallest sum of products to which products that underflow in float64 add nothing."""


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
        flows = torch.stack([(weight.double() * gradient).abs_().sum() for weight, gradient in measured[Need.SYNFLOW]])
        logs = flows.log()
        for i in ((flows <= SMALLEST_FLOW) | ~flows.isfinite()).nonzero().flatten().tolist():
            logs[i] = _log_flow(*measured[Need.SYNFLOW][i])
        return float(torch.logsumexp(logs, 0))


def _log_flow(weight: Tensor, gradient: Tensor) -> Tensor:
    """Return log Σ abs(W⊙g) as a sum of logarithms, five times as slow, for products that are out of range."""
    return torch.logsumexp((weight.abs().log() + gradient.abs().log()).flatten(), 0)
