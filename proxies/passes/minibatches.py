"""ZiCo's pass: the gradients of each half of the batch."""

from typing import Any

import torch
from torch import Tensor, nn

from proxies.base import Need
from proxies.passes.base import Pass, Probe, cross_entropy, working_copy
from proxies.passes.tape import Tape, by_layer

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
        halves = zip(probe.x.tensor_split(MINIBATCHES), probe.y.tensor_split(MINIBATCHES), strict=True)
        gradients = [_gradients(network, x.detach().requires_grad_(), y) for x, y in halves]
        return {Need.MINIBATCH_GRADIENTS: [torch.stack(both) for both in zip(*gradients, strict=True)]}


def _gradients(network: nn.Module, x: Tensor, y: Tensor) -> list[Tensor]:
    with Tape() as tape:
        logits = network(x)
    passed = tape.differentiate(cross_entropy(logits, y))
    found = by_layer(network, passed, [call.weight_gradient(gz) for call, gz, _ in passed])
    return [gradient for _, gradient in found]
