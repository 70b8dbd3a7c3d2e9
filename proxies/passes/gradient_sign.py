"""The signs of each sample's own gradients, without batch norm, so that samples are independent."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from proxies.base import Need
from proxies.passes.base import Pass, ProxyInput, Result, cross_entropy, leaf, logits_of
from proxies.passes.tape import Passed, Tape, by_weight


class GradientSigns(NamedTuple):
    """`Σ_n sign(g_n)` of the weights that a loss depends on, and how many entries all weights have."""

    sums: list[Tensor]
    entries: int

    def __bool__(self) -> bool:
        return bool(self.sums)


class GradientSignPass(Pass):
    """GRADIENT_SIGNS: `GradientSigns`; g_n is the gradient of sample n's own loss.

    All of them come from one backward pass: a row inside the network belongs to the sample whose number it divides to,
    as rows are (N·k) with the sample first.
    """

    provides = frozenset({Need.GRADIENT_SIGNS})
    chunkable = True

    def run(self, probe: ProxyInput, needs: frozenset[Need], chunks: int) -> Iterator[Result]:
        network = probe.copy(in_place=False)
        weights = probe.weights(network)
        parts = zip(probe.x.chunk(chunks), probe.y.chunk(chunks), strict=True)
        sums: list[Tensor] = []
        for x, y in parts:
            found = _signs(network, weights, x, y)
            sums = [total.add_(more) for total, more in zip(sums, found, strict=True)] if sums else found
        yield Need.GRADIENT_SIGNS, GradientSigns(sums, sum(weight.numel() for weight in weights))


def _signs(network: nn.Module, weights: Sequence[Tensor], x: Tensor, y: Tensor) -> list[Tensor]:
    """`Σ_n sign(g_n)` by weight; only one sample's gradient of one weight exists at a time."""
    with Tape(without_batch_norm=True) as tape:
        logits = logits_of(network, leaf(x))
    uses: dict[Tensor, list[Passed]] = {}
    for passed in tape.differentiate(cross_entropy(logits, y, reduction="sum")):
        uses.setdefault(passed.call.weight, []).append(passed)
    sums = by_weight(weights, list(uses), [_agreement(of_weight, len(y)) for of_weight in uses.values()])
    return [total for _, total in sums]


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
