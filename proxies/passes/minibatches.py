"""Pass of zico: the gradients of each half of the labels."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from proxies.base import Need
from proxies.passes.base import TWO_LABELS, Measurement, Pass, ProxyInput, as_leaf, forward_logits, loss_of
from proxies.passes.batch import Batch
from proxies.passes.stack import StackInput
from proxies.passes.tape import Tape, weight_gradients

NUM_MINIBATCHES = 2


class MinibatchPass(Pass):
    """Gradients of two minibatches.

    MINIBATCH_GRADIENTS: `list[Tensor]` over the weights that the loss depends on, (minibatches, *weight shape): ∂L/∂W,
    L the mean loss of each half of the batch, with batch norm statistics of its own; or of each half of the labelled
    rows of one graph, every other one, on the whole graph.
    """

    provides = frozenset({Need.MINIBATCH_GRADIENTS})
    stackable = provides
    requires = ((Need.MINIBATCH_GRADIENTS, TWO_LABELS),)

    @override
    def run(self, inputs: ProxyInput, needs: frozenset[Need], chunks: int) -> Iterator[Measurement]:
        network = inputs.copy(in_place=False)
        gradients = _gradients(inputs, network, minibatches(inputs.batch))
        yield Need.MINIBATCH_GRADIENTS, [torch.stack(both) for both in zip(*gradients, strict=True)]

    @override
    def run_stack(self, stack: StackInput, needs: frozenset[Need]) -> Iterator[tuple[Need, Sequence[Any]]]:
        network = stack.together.copy(in_place=False)
        halves = []
        for half in map(stack.repeated, minibatches(stack.batch)):
            with Tape(with_products=False) as tape:
                logits = forward_logits(network, half, as_leaf(half.x))
            records = tape.differentiate(stack.number * loss_of(logits, half))
            halves.append(stack.weight_gradients(network, records))
        yield (
            Need.MINIBATCH_GRADIENTS,
            [
                [torch.stack([a.gradient, b.gradient]) for a, b in zip(*of_network, strict=True)]
                for of_network in zip(*halves, strict=True)
            ],
        )


def minibatches(batch: Batch) -> list[Batch]:
    """Return the halves of the samples, or the graph with halves of its labels."""
    if batch.has_samples:
        return batch.chunks(NUM_MINIBATCHES)
    return [batch.with_labels(range(i, len(batch.y), NUM_MINIBATCHES)) for i in range(NUM_MINIBATCHES)]


def _gradients(inputs: ProxyInput, network: nn.Module, halves: Sequence[Batch]) -> list[list[Tensor]]:
    """Return ∂L/∂W by half and weight. The halves of one graph share a forward pass."""
    gradients, tape, logits = [], None, None
    for half in halves:
        if tape is None or logits is None or half.has_samples:
            with Tape(with_products=not inputs.supports_tape) as tape:
                logits = forward_logits(network, half, as_leaf(half.x))
        records = tape.differentiate(loss_of(logits, half), retain_graph=not half.has_samples)
        gradients.append([gradient for _, gradient in weight_gradients(inputs.weights(network), records)])
    return gradients
