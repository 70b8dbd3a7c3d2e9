"""Pass of grad_sign and vkdnw: gradients of each sample, without batch norm, so that samples are independent."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from typing_extensions import override

from proxies.base import Need
from proxies.passes.base import Measurement, Pass, ProxyInput, as_leaf, attempt, forward_logits, gradient_rows, loss_of
from proxies.passes.batch import Batch
from proxies.passes.fisher import fisher_vectors, projections
from proxies.passes.stack import StackInput
from proxies.passes.tape import BackwardRecord, Tape, TapedCall, gather_by_weight


class GradientSigns(NamedTuple):
    """`Σ_n sign(g_n)` of the weights that the loss depends on, and the number of entries of all weights."""

    sums: list[Tensor]
    num_entries: int

    def __bool__(self) -> bool:
        return bool(self.sums)


class GradientSignPass(Pass):
    """Gradients of single samples without batch norm.

    GRADIENT_SIGNS: `GradientSigns`; g_n is the gradient of the loss of sample n, or of a labelled row of one graph.
    FISHER_VECTORS: (vectors, entries), whose second moment is in proportion to the Fisher information of the entries in
    `fisher.Entries`.

    Gradients of independent samples come from one backward pass. Row r inside the network belongs to sample r // k of
    N·k rows; the gradients of samples rely on this order. On one graph each of up to 16 labelled rows, and each of 8
    vectors, has a backward pass of its own.
    """

    provides = frozenset({Need.GRADIENT_SIGNS, Need.FISHER_VECTORS})
    chunkable = True
    stackable = frozenset({Need.GRADIENT_SIGNS})

    @override
    def run(self, inputs: ProxyInput, needs: frozenset[Need], chunks: int) -> Iterator[Measurement]:
        network = inputs.copy(in_place=False)
        weights = inputs.weights(network)
        signs: Any = None
        vectors: Any = None
        for part in inputs.batch.chunks(chunks):
            with Tape(without_batch_norm=True, with_products=not inputs.supports_tape) as tape:
                logits = forward_logits(network, part, as_leaf(part.x))
            if Need.FISHER_VECTORS in needs:
                done = 0 if vectors is None or isinstance(vectors, Exception) else vectors.shape[1]
                chunk = attempt(partial(_vectors, tape, logits, part, weights, inputs, done))
                vectors = _joined(vectors, chunk, lambda old, new: torch.cat([old, new], 1))
            if Need.GRADIENT_SIGNS in needs:
                chunk = attempt(partial(_signs if part.has_samples else _signs_on_graph, tape, logits, part, weights))
                signs = _joined(signs, chunk, lambda old, new: [a.add_(b) for a, b in zip(old, new, strict=True)])
        if vectors is not None:
            yield Need.FISHER_VECTORS, vectors if isinstance(vectors, Exception) else vectors.flatten(0, 1)
        if signs is not None:
            num_entries = sum(weight.numel() for weight in weights)
            yield Need.GRADIENT_SIGNS, signs if isinstance(signs, Exception) else GradientSigns(signs, num_entries)

    @override
    def run_stack(self, stack: StackInput, needs: frozenset[Need]) -> Iterator[tuple[Need, Sequence[Any]]]:
        batch = stack.together.batch
        network = stack.together.copy(in_place=False)
        with Tape(without_batch_norm=True, with_products=False) as tape:
            logits = forward_logits(network, batch, as_leaf(batch.x))
        uses = _records_by_weight(tape, logits, batch)
        signs = (_signs_of_samples(records, len(batch.y)) for records in uses.values())
        sums = [of_weight.view(stack.number, -1, *of_weight.shape[1:]).sum(1) for of_weight in signs]
        numbers = [sum(weight.numel() for weight in member.weights(member.network)) for member in stack.members]
        by_network = stack.by_network(network, list(uses), sums)
        yield (
            Need.GRADIENT_SIGNS,
            [GradientSigns([g for _, g in of_network], n) for of_network, n in zip(by_network, numbers, strict=True)],
        )


def _joined(before: Any, chunk: Any, join: Callable[[Any, Any], Any]) -> Any:
    """Join the measurement of a chunk to that of the chunks before; an exception stays one."""
    if before is None or isinstance(chunk, Exception):
        return chunk
    return before if isinstance(before, Exception) else join(before, chunk)


def _vectors(
    tape: Tape, logits: Tensor, part: Batch, weights: Sequence[Tensor], inputs: ProxyInput, done: int
) -> Tensor:
    """Return the vectors of a chunk behind `done` samples, (projections, samples, entries)."""
    rows = slice(done, done + len(part.y))
    signs = (of_all[rows] for of_all in projections(inputs.batch, logits.shape[1], inputs.seed))
    return fisher_vectors(tape, logits, part, weights, signs)


def _signs(tape: Tape, logits: Tensor, batch: Batch, weights: Sequence[Tensor]) -> list[Tensor]:
    """Return `Σ_n sign(g_n)` by weight, with the gradient of one sample and one weight in memory at a time."""
    uses = _records_by_weight(tape, logits, batch)
    sums = gather_by_weight(weights, list(uses), [_sum_of_signs(records, len(batch.y)) for records in uses.values()])
    return [total for _, total in sums]


def _records_by_weight(tape: Tape, logits: Tensor, batch: Batch) -> dict[Tensor, list[BackwardRecord]]:
    """Return the records of the calls that use a weight, with the gradients of the sum of the samples' losses."""
    uses: dict[Tensor, list[BackwardRecord]] = {}
    for record in tape.differentiate(loss_of(logits, batch, reduction="sum")):
        uses.setdefault(record.call.weight, []).append(record)
    return uses


def _signs_on_graph(tape: Tape, logits: Tensor, batch: Batch, weights: Sequence[Tensor]) -> list[Tensor]:
    """Return `Σ_n sign(g_n)` by weight, n the labelled rows of one graph whose gradients are taken."""
    batch = gradient_rows(batch)
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
    return [total for _, total in gather_by_weight(weights, list(sums), by_use)]


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


def _signs_of_samples(records: Sequence[BackwardRecord], samples: int) -> Tensor:
    """Return `sign(g_n)` of one weight, (samples, *weight shape), from the records of the calls that use it."""
    gradients = [call.weight_gradients(grad_output, samples) for call, grad_output, _ in records]
    return torch.stack(gradients).sum(0).sign_() if len(gradients) > 1 else gradients[0].sign_()


def _rows(rows: int, sample: int, samples: int) -> slice:
    size = rows // samples
    return slice(sample * size, (sample + 1) * size)
