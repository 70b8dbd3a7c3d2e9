"""Pass of zico: the gradients of each half of the batch."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from typing_extensions import override

from proxies.base import Need
from proxies.passes.base import Measurement, Pass, ProxyInput, as_leaf, cross_entropy, forward_logits
from proxies.passes.tape import Tape, gather_by_weight

NUM_MINIBATCHES = 2


class MinibatchPass(Pass):
    """Gradients with the batch norm statistics of each minibatch.

    MINIBATCH_GRADIENTS: `list[Tensor]` over the weights that the loss depends on, (minibatches, *weight shape): ∂L/∂W,
    L the mean cross entropy of each half of the batch.
    """

    provides = frozenset({Need.MINIBATCH_GRADIENTS})

    @override
    def run(self, inputs: ProxyInput, needs: frozenset[Need], chunks: int) -> Iterator[Measurement]:
        network = inputs.copy(in_place=False)
        weights = inputs.weights(network)
        gradients = [_gradients(network, weights, x, y) for x, y in minibatches(inputs)]
        yield Need.MINIBATCH_GRADIENTS, [torch.stack(both) for both in zip(*gradients, strict=True)]


def minibatches(inputs: ProxyInput) -> list[tuple[Tensor, Tensor]]:
    """Return the halves of the batch. Raises `ValueError` if it has too few samples."""
    if len(inputs.y) < NUM_MINIBATCHES:
        raise ValueError(f"{len(inputs.y)} sample makes no {NUM_MINIBATCHES} minibatches")
    return list(zip(inputs.x.tensor_split(NUM_MINIBATCHES), inputs.y.tensor_split(NUM_MINIBATCHES), strict=True))


def _gradients(network: nn.Module, weights: Sequence[Tensor], x: Tensor, y: Tensor) -> list[Tensor]:
    with Tape() as tape:
        logits = forward_logits(network, as_leaf(x))
    records = tape.differentiate(cross_entropy(logits, y))
    used, grads = zip(
        *((call.weight, call.weight_gradient(grad_output)) for call, grad_output, _ in records), strict=True
    )
    return [gradient for _, gradient in gather_by_weight(weights, used, grads)]
