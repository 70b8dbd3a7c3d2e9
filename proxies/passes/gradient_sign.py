"""Pass of grad_sign: the signs of each sample's gradients, without batch norm, so that samples are independent."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from typing_extensions import override

from proxies.base import Need
from proxies.passes.base import Measurement, Pass, ProxyInput, as_leaf, forward_logits, gradient_rows, loss_of
from proxies.passes.batch import Batch
from proxies.passes.tape import BackwardRecord, Tape, TapedCall, gather_by_weight


class GradientSigns(NamedTuple):
    """`Σ_n sign(g_n)` of the weights that the loss depends on, and the number of entries of all weights."""

    sums: list[Tensor]
    num_entries: int

    def __bool__(self) -> bool:
        return bool(self.sums)


class GradientSignPass(Pass):
    """GRADIENT_SIGNS: `GradientSigns`; g_n is the gradient of the loss of sample n, or of a labelled row of one graph.

    Gradients of independent samples come from one backward pass. Row r inside the network belongs to sample r // k of
    N·k rows; the gradients of samples rely on this order. On one graph each of up to 16 labelled rows has a backward
    pass of its own, as its loss depends on many rows.
    """

    provides = frozenset({Need.GRADIENT_SIGNS})
    chunkable = True

    @override
    def run(self, inputs: ProxyInput, needs: frozenset[Need], chunks: int) -> Iterator[Measurement]:
        network = inputs.copy(in_place=False)
        weights = inputs.weights(network)
        sums: list[Tensor] = []
        for part in gradient_rows(inputs.batch).chunks(chunks):
            chunk = (_signs if part.has_samples else _signs_on_graph)(inputs, network, part)
            sums = [total.add_(more) for total, more in zip(sums, chunk, strict=True)] if sums else chunk
        yield Need.GRADIENT_SIGNS, GradientSigns(sums, sum(weight.numel() for weight in weights))


def _signs(inputs: ProxyInput, network: nn.Module, batch: Batch) -> list[Tensor]:
    """Return `Σ_n sign(g_n)` by weight, with the gradient of one sample and one weight in memory at a time."""
    with Tape(without_batch_norm=True, with_products=not inputs.supports_tape) as tape:
        logits = forward_logits(network, batch, as_leaf(batch.x))
    uses: dict[Tensor, list[BackwardRecord]] = {}
    for record in tape.differentiate(loss_of(logits, batch, reduction="sum")):
        uses.setdefault(record.call.weight, []).append(record)
    samples = len(batch.y)
    sums = gather_by_weight(
        inputs.weights(network), list(uses), [_sum_of_signs(records, samples) for records in uses.values()]
    )
    return [total for _, total in sums]


def _signs_on_graph(inputs: ProxyInput, network: nn.Module, batch: Batch) -> list[Tensor]:
    """Return `Σ_n sign(g_n)` by weight, n the labelled rows of one graph."""
    with Tape(without_batch_norm=True, with_products=not inputs.supports_tape) as tape:
        logits = forward_logits(network, batch, as_leaf(batch.x))
    uses: dict[Tensor, list[TapedCall]] = {}
    for call in tape.calls:
        uses.setdefault(call.weight, []).append(call)
    sums: dict[Tensor, Tensor] = {}
    for n in range(len(batch.y)):
        gradients: dict[Tensor, Tensor] = {}
        for call, grad_output, _ in tape.differentiate(loss_of(logits, batch.with_labels([n])), retain_graph=True):
            weight = call.weight
            if len(uses[weight]) == 1:
                gradients[weight] = call.nonzero_weight_gradient(grad_output)
            else:
                gradient = call.weight_gradient(grad_output)
                gradients[weight] = gradients[weight] + gradient if weight in gradients else gradient
        for weight, gradient in gradients.items():
            sums[weight] = sums[weight].add_(gradient.sign_()) if weight in sums else gradient.sign_()
    by_use = [uses[w][0].with_zero_columns(total) if len(uses[w]) == 1 else total for w, total in sums.items()]
    return [total for _, total in gather_by_weight(inputs.weights(network), list(sums), by_use)]


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
