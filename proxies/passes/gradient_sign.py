"""Pass of grad_sign: the signs of each sample's gradients, without batch norm, so that samples are independent."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from typing_extensions import override

from proxies.base import Need
from proxies.passes.base import Measurement, Pass, ProxyInput, as_leaf, cross_entropy, forward_logits
from proxies.passes.tape import BackwardRecord, Tape, gather_by_weight


class GradientSigns(NamedTuple):
    """`Σ_n sign(g_n)` of the weights that the loss depends on, and the number of entries of all weights."""

    sums: list[Tensor]
    num_entries: int

    def __bool__(self) -> bool:
        return bool(self.sums)


class GradientSignPass(Pass):
    """GRADIENT_SIGNS: `GradientSigns`; g_n is the gradient of the loss of sample n.

    All gradients come from one backward pass. Row r inside the network belongs to sample r // k of N·k rows; the
    gradients of samples rely on this order.
    """

    provides = frozenset({Need.GRADIENT_SIGNS})
    chunkable = True

    @override
    def run(self, inputs: ProxyInput, needs: frozenset[Need], chunks: int) -> Iterator[Measurement]:
        network = inputs.copy(in_place=False)
        weights = inputs.weights(network)
        parts = zip(inputs.x.chunk(chunks), inputs.y.chunk(chunks), strict=True)
        sums: list[Tensor] = []
        for x, y in parts:
            chunk = _signs(network, weights, x, y)
            sums = [total.add_(more) for total, more in zip(sums, chunk, strict=True)] if sums else chunk
        yield Need.GRADIENT_SIGNS, GradientSigns(sums, sum(weight.numel() for weight in weights))


def _signs(network: nn.Module, weights: Sequence[Tensor], x: Tensor, y: Tensor) -> list[Tensor]:
    """Return `Σ_n sign(g_n)` by weight, with the gradient of one sample and one weight in memory at a time."""
    with Tape(without_batch_norm=True) as tape:
        logits = forward_logits(network, as_leaf(x))
    uses: dict[Tensor, list[BackwardRecord]] = {}
    for record in tape.differentiate(cross_entropy(logits, y, reduction="sum")):
        uses.setdefault(record.call.weight, []).append(record)
    sums = gather_by_weight(weights, list(uses), [_sum_of_signs(records, len(y)) for records in uses.values()])
    return [total for _, total in sums]


def _sum_of_signs(records: Sequence[BackwardRecord], samples: int) -> Tensor:
    """Return `Σ_n sign(g_n)` of one weight from the records of the calls that use it."""
    total = torch.zeros_like(records[0].call.weight)
    for sample in range(samples):
        gradients = [
            call.weight_gradient(grad_output, _rows(len(grad_output), sample, samples))
            for call, grad_output, _ in records
        ]
        total += torch.stack(gradients).sum(0).sign_() if len(gradients) > 1 else gradients[0].sign_()
    return total


def _rows(rows: int, sample: int, samples: int) -> slice:
    size = rows // samples
    return slice(sample * size, (sample + 1) * size)
