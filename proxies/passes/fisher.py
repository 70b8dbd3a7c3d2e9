"""Random vectors whose second moment is the Fisher information of a few entries of each weight."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate

import torch
from torch import Tensor

from proxies.passes.batch import Batch, evenly_spaced
from proxies.passes.convolution import ConvolutionOptions, weight_gradient
from proxies.passes.tape import Tape, TapedCall

ENTRIES_PER_WEIGHT = 4
NUM_VECTORS = 8
SMOOTHING = 0.05
"""Weight of the uniform distribution in the class probabilities."""
MAX_EXACT_INDEX = 2**24
"""Largest whole number up to which float32 holds all."""


def num_projections(batch: Batch) -> int:
    """Return the number of random projections: for at least 8 vectors of all samples, 8 of one graph."""
    return -(-NUM_VECTORS // len(batch.y)) if batch.has_samples else NUM_VECTORS


def projections(batch: Batch, outputs: int, seed: int) -> Iterator[Tensor]:
    """Yield random signs, (labels, outputs), for each projection, sampled on the CPU."""
    generator = torch.Generator("cpu").manual_seed(seed)
    for _ in range(num_projections(batch)):
        yield torch.randint(2, (len(batch.y), outputs), generator=generator, device="cpu").mul_(2).sub_(1)


@torch.no_grad()
def cotangents(logits: Tensor, signs: Tensor, batch: Batch) -> Tensor:
    """Return S·ξ of each row, S·Sᵀ the covariance of its label under the smoothed prediction, ξ random signs.

    With one class a row, S = diag(√p) − p·√pᵀ; with several labels a row, S = diag(√(p·(1 − p))).

    Args:
        logits: of the labelled rows, (labels, outputs).
        signs: (labels, outputs).
        batch: labels, whose kind counts.
    """
    signs = signs.to(logits)
    if not batch.has_classes:
        p = (1 - SMOOTHING) * logits.sigmoid() + SMOOTHING / 2
        return (p * (1 - p)).sqrt() * signs
    p = (1 - SMOOTHING) * logits.softmax(1) + SMOOTHING / logits.shape[1]
    projected = p.sqrt() * signs
    return projected - p * projected.sum(1, keepdim=True)


class Entries:
    """Entries that are read of each weight, evenly spaced in the order of its numbers.

    Args:
        weights: parameters of a network.
    """

    def __init__(self, weights: Sequence[Tensor]) -> None:
        self.weights = weights
        self.indices = [evenly_spaced(weight.numel(), ENTRIES_PER_WEIGHT) for weight in weights]
        self._starts = [0, *accumulate(map(len, self.indices))]

    @property
    def total(self) -> int:
        """Number of entries of all weights."""
        return self._starts[-1]

    def read(self, gradients: Sequence[Tensor | None]) -> Tensor:
        """Return the entries of ∂/∂W by weight, (entries,), 0 where there is no gradient."""
        parts = [
            weight.new_zeros(len(index)) if gradient is None else gradient.flatten()[index]
            for weight, gradient, index in zip(self.weights, gradients, self.indices, strict=True)
        ]
        return torch.cat(parts).detach()

    def used_by(self, call: TapedCall) -> tuple[list[int], list[int]]:
        """Return the numbers of the entries that a call uses, and their places in its weight, flattened.

        The derivative of a weight that is put together from parameters hands each of them its places.

        Raises:
            NotImplementedError: such a weight has more entries than its numbers can count.
        """
        for weight, index, start in zip(self.weights, self.indices, self._starts, strict=False):
            if call.weight is weight:
                return list(range(start, start + len(index))), index
        size = call.weight.numel()
        if size > MAX_EXACT_INDEX:
            raise NotImplementedError("a weight of more than 2^24 entries that is computed from parameters")
        numbered = torch.arange(1, size + 1, device=call.weight.device, dtype=call.weight.dtype).view_as(call.weight)
        places = torch.autograd.grad(call.weight, self.weights, numbered, retain_graph=True, allow_unused=True)
        read = self.read(places).long().tolist()
        used = [i for i, place in enumerate(read) if place]
        return used, [read[i] - 1 for i in used]


def fisher_vectors(
    tape: Tape, logits: Tensor, batch: Batch, weights: Sequence[Tensor], signs: Iterable[Tensor]
) -> Tensor:
    """Return ∂⟨S·ξ, logits⟩/∂(entries), (projections, samples, entries); of one graph the sum over its labelled rows.

    Args:
        tape: of the forward pass without batch norm.
        logits: its output.
        batch: what it was run on.
        weights: parameters.
        signs: ξ by projection, (labels, outputs).
    """
    entries, logits = Entries(weights), batch.labelled(logits)
    samples = len(batch.y) if batch.has_samples else 1
    used: dict[TapedCall, tuple[list[int], list[int]]] = {}
    vectors = []
    for xi in signs:
        total = (logits * cotangents(logits, xi, batch)).sum()
        vector = logits.new_zeros(samples, entries.total)
        for call, grad_output, _ in tape.differentiate(total, retain_graph=True):
            numbers, places = used[call] if call in used else used.setdefault(call, entries.used_by(call))
            if numbers:
                vector[:, numbers] += _entry_gradients(call, grad_output, places, samples)
        vectors.append(vector)
    return torch.stack(vectors)


@torch.no_grad()
def _entry_gradients(call: TapedCall, gradient: Tensor, places: list[int], samples: int) -> Tensor:
    """Return ∂/∂W at some places of W, flattened, of each sample from ∂/∂z: (samples, places)."""
    if call.product is not None:
        size = len(gradient) // samples
        rows = [slice(n * size, (n + 1) * size) for n in range(samples)]
        return torch.stack([call.weight_gradient(gradient, some).flatten()[places] for some in rows])
    index = torch.tensor(places, device=gradient.device)
    outputs, inner = index // call.weight[0].numel(), index % call.weight[0].numel()
    if call.options is None:
        return (call.x[..., inner] * gradient[..., outputs]).view(samples, -1, len(places)).sum(1)
    by_row = _convolution_entries(call.x, gradient, call.weight, call.options, outputs, inner)
    return by_row.view(samples, -1, len(places)).sum(1)


def _convolution_entries(
    x: Tensor, gradient: Tensor, weight: Tensor, options: ConvolutionOptions, outputs: Tensor, inner: Tensor
) -> Tensor:
    """Return ∂/∂W of each row at the entries of W (outputs, inner): (rows, entries).

    The channels that an entry joins, of each row, are a group of their own, of one input and one output.
    """
    kernel = weight.shape[2:]
    channels = inner // kernel.numel() + outputs // (len(weight) // options.groups) * weight.shape[1]
    x, gradient = x[:, channels].flatten(0, 1)[None], gradient[:, outputs].flatten(0, 1)[None]
    one = weight.new_empty(x.shape[1], 1, *kernel)
    taps = weight_gradient(x, gradient, one, replace(options, groups=x.shape[1])).view(-1, len(outputs), kernel.numel())
    return taps.gather(2, (inner % kernel.numel()).expand(len(taps), -1)[..., None]).squeeze(2)
