"""The signs of each sample's own gradients, without batch norm, so that samples are independent."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from proxies.base import Need
from proxies.passes.base import Pass, Probe, cross_entropy, layers, working_copy
from proxies.passes.tape import Passed, Tape


class GradientSigns(NamedTuple):
    """`Σ_n sign(g_n)` of the weights as they were used, and how many weights all layers have."""

    sums: list[Tensor]
    entries: int


class GradientSignPass(Pass):
    """GRADIENT_SIGNS: `GradientSigns`; g_n is the gradient of sample n's own loss.

    All of them come from one backward pass: a row inside the network belongs to the sample whose number it divides to,
    as rows are (N·k) with the sample first.
    """

    provides = frozenset({Need.GRADIENT_SIGNS})
    chunkable = True

    def run(self, probe: Probe, needs: frozenset[Need], chunks: int) -> dict[Need, Any]:
        network = working_copy(probe.network, batch_norm=False)
        parts = zip(probe.x.chunk(chunks), probe.y.chunk(chunks), strict=True)
        sums = [sum(column) for column in zip(*(_signs(network, x, y) for x, y in parts), strict=True)]
        return {Need.GRADIENT_SIGNS: GradientSigns(sums, sum(layer.weight.numel() for layer in layers(network)))}


def _signs(network: nn.Module, x: Tensor, y: Tensor) -> list[Tensor]:
    """`Σ_n sign(g_n)` by weight; only one sample's gradient of one weight exists at a time."""
    with Tape() as tape:
        logits = network(x.detach().requires_grad_())
    uses: dict[Tensor, list[Passed]] = {}
    for passed in tape.differentiate(cross_entropy(logits, y, reduction="sum")):
        uses.setdefault(passed.call.weight, []).append(passed)
    return [_agreement(of_weight, len(y)) for of_weight in uses.values()]


def _agreement(uses: Sequence[Passed], samples: int) -> Tensor:
    """`Σ_n sign(g_n)` of one weight, from every call that uses it."""
    total = torch.zeros_like(uses[0].call.weight)
    for sample in range(samples):
        gradients = [call.weight_gradient(gz, _rows(len(gz), sample, samples)) for call, gz, _ in uses]
        total += torch.stack(gradients).sum(0).sign_() if len(gradients) > 1 else gradients[0].sign_()
    return total


def _rows(rows: int, sample: int, samples: int) -> slice:
    size = rows // samples
    return slice(sample * size, (sample + 1) * size)
