"""Pass of epe_nas: the gradient of the input, without batch norm, so that samples are independent."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from typing_extensions import override

from proxies.base import Need
from proxies.passes.base import Measurement, Pass, ProxyInput, as_leaf, forward_logits
from proxies.passes.copies import in_double
from proxies.passes.tape import Tape


class InputGradientPass(Pass):
    """INPUT_GRADIENT_WITHOUT_BATCH_NORM: ∂(Σ logits)/∂x, shaped as x, and the labels.

    Forward in float64: without batch norm a ten-layer network may amplify float32's rounding to several per cent of
    epe_nas, so that thread counts and devices would disagree. The backward pass, which is linear, runs in float32.
    """

    provides = frozenset({Need.INPUT_GRADIENT_WITHOUT_BATCH_NORM})
    chunkable = True

    @override
    def run(self, inputs: ProxyInput, needs: frozenset[Need], chunks: int) -> Iterator[Measurement]:
        network = in_double(inputs.copy(in_place=False)).requires_grad_(False)
        gradients = [_input_gradient(network, as_leaf(part.double())) for part in inputs.x.chunk(chunks)]
        yield Need.INPUT_GRADIENT_WITHOUT_BATCH_NORM, (torch.cat(gradients), inputs.y)


def _input_gradient(network: nn.Module, x: Tensor) -> Tensor:
    with Tape(backward_in=torch.float32, without_batch_norm=True):
        total = forward_logits(network, x).sum()
    return torch.autograd.grad(total, x)[0]
