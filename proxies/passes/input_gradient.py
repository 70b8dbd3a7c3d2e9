"""The gradient of the input, without batch norm, so that samples are independent."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from proxies.base import Need
from proxies.passes.base import Pass, ProxyInput, Result, leaf, logits_of
from proxies.passes.copies import in_double
from proxies.passes.tape import Tape


class FreeInputPass(Pass):
    """FREE_INPUT_GRADIENT: ∂(Σ logits)/∂x, shaped as x, and the labels.

    Forward in float64: without batch norm a ten-layer network may amplify float32's rounding to several per cent of
    epe_nas, so that thread counts and devices would disagree. The way back, which is linear, amplifies nothing.
    """

    provides = frozenset({Need.FREE_INPUT_GRADIENT})
    chunkable = True

    def run(self, probe: ProxyInput, needs: frozenset[Need], chunks: int) -> Iterator[Result]:
        network = in_double(probe.copy(in_place=False)).requires_grad_(False)
        gradients = [_input_gradient(network, leaf(part.double())) for part in probe.x.chunk(chunks)]
        yield Need.FREE_INPUT_GRADIENT, (torch.cat(gradients), probe.y)


def _input_gradient(network: nn.Module, x: Tensor) -> Tensor:
    with Tape(backward_in=torch.float32, without_batch_norm=True):
        total = logits_of(network, x).sum()
    return torch.autograd.grad(total, x)[0]
