"""Synaptic flow."""

import math

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
        return float(torch.logsumexp(torch.stack([_log_flow(w, g) for w, g in measured[Need.SYNFLOW]]), 0))


def _log_flow(weight: Tensor, gradient: Tensor) -> Tensor:
    """Return log Σ abs(W⊙g), as a sum of logarithms, five times as slow, only where a product is out of range."""
    flow = (weight.double() * gradient).abs_().sum()
    if SMALLEST_FLOW < flow < math.inf:
        return flow.log()
    return torch.logsumexp((weight.abs().log() + gradient.abs().log()).flatten(), 0)
