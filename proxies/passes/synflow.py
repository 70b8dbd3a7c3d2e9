"""Pass of synflow: an input of ones through absolute values, in float64."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn
from typing_extensions import override

from proxies.base import Need
from proxies.passes.base import Measurement, Pass, ProxyInput
from proxies.passes.batch import Batch
from proxies.passes.copies import in_double
from proxies.passes.stack import StackInput
from proxies.passes.tape import Tape, weight_gradients


class SynflowPass(Pass):
    """SYNFLOW: `list[WeightGradient]` in float64 with ∂R/∂W, R the sum of the logits of one sample, or of one graph.

    Batch norm is off, and tensors of the state dict are replaced by their absolute values. A buffer that is not
    persistent is a constant of the architecture, such as a graph polynomial, and keeps its sign, as in the public
    benchmark's scores.
    """

    provides = frozenset({Need.SYNFLOW})
    stackable = provides

    @override
    def run(self, inputs: ProxyInput, needs: frozenset[Need], chunks: int) -> Iterator[Measurement]:
        network = take_absolute(inputs.copy(in_place=False))
        with Tape(tie_aware=True, without_batch_norm=True, with_products=not inputs.supports_tape) as tape:
            total = network(*input_of_ones(inputs.batch).arguments()).sum()
        yield Need.SYNFLOW, weight_gradients(inputs.weights(network), tape.differentiate(total))

    @override
    def run_stack(self, stack: StackInput, needs: frozenset[Need]) -> Iterator[tuple[Need, Sequence[Any]]]:
        network = take_absolute(stack.together.copy(in_place=False))
        ones = stack.repeated(input_of_ones(stack.batch))
        with Tape(tie_aware=True, without_batch_norm=True, with_products=False) as tape:
            total = network(*ones.arguments()).sum()
        yield Need.SYNFLOW, stack.weight_gradients(network, tape.differentiate(total))


@torch.no_grad()
def take_absolute(network: nn.Module) -> nn.Module:
    """Convert a working copy to float64, and replace the tensors of its state dict by their absolute values."""
    in_double(network)
    for parameter in network.parameters():
        parameter.data = parameter.abs()  # not in place: its memory may be the caller's
    for module in network.modules():
        for name, buffer in module.named_buffers(recurse=False):
            if name not in module._non_persistent_buffers_set and buffer.dtype != torch.bool:
                buffer.abs_()
    return network


def input_of_ones(batch: Batch) -> Batch:
    """Return one sample, or the one graph, with data of ones, in float64."""
    single = batch.single().double()
    return single.with_data(torch.ones_like(single.x, requires_grad=True))
