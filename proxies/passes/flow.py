"""Synaptic flow: one input of ones through absolute values, in float64."""

from typing import Any

import torch
from torch import nn

from proxies.base import Need
from proxies.passes.base import Pass, Probe, working_copy
from proxies.passes.tape import Tape, WeightGradient


class FlowPass(Pass):
    """Batch norm off; whatever is in the state dict is replaced by its absolute value.

    A buffer that is not persistent is a constant of the architecture (a graph polynomial, say) and keeps its sign, as
    in the public benchmark's scores.

    FLOW: `list[WeightGradient]` in float64 with ∂R/∂W, R the sum of the logits.
    """

    provides = frozenset({Need.FLOW})

    def run(self, probe: Probe, needs: frozenset[Need], chunks: int) -> dict[Need, Any]:
        network = working_copy(probe.network, batch_norm=False).double()
        learned = {id(tensor) for tensor in network.state_dict(keep_vars=True).values()}
        for module in network.modules():
            for name, parameter in module.named_parameters(recurse=False):
                setattr(module, name, nn.Parameter(parameter.detach().abs()))
            for name, buffer in module.named_buffers(recurse=False):
                setattr(module, name, buffer.abs() if id(buffer) in learned else buffer)
        ones = torch.ones_like(probe.x[:1], dtype=torch.float64, requires_grad=True)
        with Tape(exact_ties=True) as tape:
            total = network(ones).sum()
        passed = tape.differentiate(total)
        return {Need.FLOW: [WeightGradient(call.weight.detach(), call.weight_gradient(gz)) for call, gz, _ in passed]}
