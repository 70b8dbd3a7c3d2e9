"""ZiCo's pass: the gradients of each half of the batch."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from proxies.base import Need
from proxies.passes.base import Pass, ProxyInput, Result, cross_entropy, leaf, logits_of
from proxies.passes.tape import Tape, by_weight

MINIBATCHES = 2


class MinibatchPass(Pass):
    """Batch norm on, with the statistics of the minibatch.

    MINIBATCH_GRADIENTS: `list[Tensor]` over the weights that the loss depends on, (minibatches, *weight shape): ∂L/∂W,
    L the mean cross entropy of each half of the batch.
    """

    provides = frozenset({Need.MINIBATCH_GRADIENTS})

    def run(self, probe: ProxyInput, needs: frozenset[Need], chunks: int) -> Iterator[Result]:
        network = probe.copy(in_place=False)
        weights = probe.weights(network)
        gradients = [_gradients(network, weights, x, y) for x, y in minibatches(probe)]
        yield Need.MINIBATCH_GRADIENTS, [torch.stack(both) for both in zip(*gradients, strict=True)]


def minibatches(probe: ProxyInput) -> list[tuple[Tensor, Tensor]]:
    """The halves of the batch. Raises `ValueError` where it has too few samples."""
    if len(probe.y) < MINIBATCHES:
        raise ValueError(f"{len(probe.y)} sample makes no {MINIBATCHES} minibatches")
    return list(zip(probe.x.tensor_split(MINIBATCHES), probe.y.tensor_split(MINIBATCHES), strict=True))


def _gradients(network: nn.Module, weights: Sequence[Tensor], x: Tensor, y: Tensor) -> list[Tensor]:
    with Tape() as tape:
        logits = logits_of(network, leaf(x))
    passed = tape.differentiate(cross_entropy(logits, y))
    used, made = zip(*((call.weight, call.weight_gradient(gz)) for call, gz, _ in passed), strict=True)
    return [gradient for _, gradient in by_weight(weights, used, made)]
