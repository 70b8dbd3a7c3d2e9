"""The gradient of the input, without batch norm, so that samples are independent."""

from typing import Any

import torch
from torch import Tensor, nn

from proxies.base import Need
from proxies.passes.base import Pass, Probe, working_copy
from proxies.passes.tape import Tape


class FreeInputPass(Pass):
    """FREE_INPUT_GRADIENT: ∂(Σ logits)/∂x, shaped as x, and the labels.

    Forward in float64: without batch norm a ten-layer network may amplify float32's rounding to several per cent of
    epe_nas, so that thread counts and devices would disagree. The way back, which is linear, amplifies nothing.
    """

    provides = frozenset({Need.FREE_INPUT_GRADIENT})
    chunkable = True

    def run(self, probe: Probe, needs: frozenset[Need], chunks: int) -> dict[Need, Any]:
        network = working_copy(probe.network, batch_norm=False).double().requires_grad_(False)
        gradients = [
            _input_gradient(network, part.detach().double().requires_grad_()) for part in probe.x.chunk(chunks)
        ]
        return {Need.FREE_INPUT_GRADIENT: (torch.cat(gradients), probe.y)}


def _input_gradient(network: nn.Module, x: Tensor) -> Tensor:
    with Tape(backward_in=torch.float32):
        total = network(x).sum()
    return torch.autograd.grad(total, x)[0]
