"""Synaptic flow: one input of ones through absolute values, in float64."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from proxies.base import Need
from proxies.passes.base import Pass, ProxyInput, Result
from proxies.passes.copies import in_double
from proxies.passes.tape import Tape, by_weight


class FlowPass(Pass):
    """Batch norm off; whatever is in the state dict is replaced by its absolute value.

    A buffer that is not persistent is a constant of the architecture (a graph polynomial, say) and keeps its sign, as
    in the public benchmark's scores.

    FLOW: `list[WeightGradient]` in float64 with ∂R/∂W, R the sum of the logits.
    """

    provides = frozenset({Need.FLOW})

    def run(self, probe: ProxyInput, needs: frozenset[Need], chunks: int) -> Iterator[Result]:
        network = absolute(probe.copy(in_place=False))
        with Tape(exact_ties=True, without_batch_norm=True) as tape:
            total = network(ones(probe).clone()).sum()
        passed = tape.differentiate(total)
        used, gradients = zip(*((call.weight, call.weight_gradient(gz)) for call, gz, _ in passed), strict=True)
        yield Need.FLOW, by_weight(probe.weights(network), used, gradients)


@torch.no_grad()
def absolute(network: nn.Module) -> nn.Module:
    """A working copy in float64, with the absolute value of all numbers in its state dict."""
    in_double(network)
    for parameter in network.parameters():
        parameter.data = parameter.abs()  # its memory may be the caller's
    for module in network.modules():
        for name, buffer in module.named_buffers(recurse=False):
            if name not in module._non_persistent_buffers_set and buffer.dtype != torch.bool:
                buffer.abs_()
    return network


def ones(probe: ProxyInput) -> Tensor:
    """The input, of one sample."""
    return torch.ones_like(probe.x[:1], dtype=torch.float64, requires_grad=True)
