"""ZiCo's pass: the gradients of each half of the batch."""

from typing import Any

import torch

from proxies.base import Need
from proxies.passes.base import Pass, Probe, cross_entropy, layers, working_copy

MINIBATCHES = 2


class MinibatchPass(Pass):
    """Batch norm on, with the statistics of the minibatch.

    MINIBATCH_GRADIENTS: `list[Tensor]` over the layers that the loss depends on, (minibatches, *weight shape): ∂L/∂W, L
    the mean cross entropy of each half of the batch.
    """

    provides = frozenset({Need.MINIBATCH_GRADIENTS})

    def run(self, probe: Probe, needs: frozenset[Need], chunks: int) -> dict[Need, Any]:
        if len(probe.y) < MINIBATCHES:
            raise ValueError(f"{len(probe.y)} sample makes no {MINIBATCHES} minibatches")
        network = working_copy(probe.network)
        weights = [layer.weight for layer in layers(network)]
        halves = zip(probe.x.tensor_split(MINIBATCHES), probe.y.tensor_split(MINIBATCHES), strict=True)
        gradients = [torch.autograd.grad(cross_entropy(network(x), y), weights, allow_unused=True) for x, y in halves]
        by_layer = zip(*gradients, strict=True)
        return {Need.MINIBATCH_GRADIENTS: [torch.stack(both) for both in by_layer if all(g is not None for g in both)]}
