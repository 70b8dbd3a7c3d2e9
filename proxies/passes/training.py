"""The pass with batch norm on: one forward of the batch, and the backward passes that branch off it."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from proxies.base import Need
from proxies.passes.base import Pass, ProxyInput, Result, attempt, cross_entropy, leaf, logits_of
from proxies.passes.tape import Passed, Tape, by_weight, inner_product

BY_LOSS = frozenset({Need.GRADIENTS, Need.OUTPUT_GRADIENTS, Need.CURVATURE})


class OutputGradient(NamedTuple):
    """A layer's output z and ∂L/∂z, both (rows, channels, …), and the number of weights that make one channel."""

    output: Tensor
    gradient: Tensor
    weights_per_channel: int


class TrainingPass(Pass):
    """Everything that needs batch norm, so the whole batch at once. L is the mean cross entropy.

    RELU_INPUTS: `list[Tensor]`, the input of each ReLU, (rows, …).
    GRADIENTS: `list[WeightGradient]` over the weights that the loss depends on.
    OUTPUT_GRADIENTS: `list[OutputGradient]` over the calls of convolutions and linear layers.
    CURVATURE: float, Wᵀ·H·g over all weights, g held constant.
    INPUT_GRADIENT: ∂(Σ logits)/∂x, shaped as x.
    """

    provides = BY_LOSS | {Need.RELU_INPUTS, Need.INPUT_GRADIENT}

    def run(self, probe: ProxyInput, needs: frozenset[Need], chunks: int) -> Iterator[Result]:
        network, x = probe.copy(in_place=False), leaf(probe.x)
        with torch.set_grad_enabled(needs != {Need.RELU_INPUTS}), Tape() as tape:
            logits = logits_of(network, x)
        if Need.RELU_INPUTS in needs:
            yield Need.RELU_INPUTS, tape.relu_inputs
        if Need.INPUT_GRADIENT in needs:
            yield Need.INPUT_GRADIENT, attempt(lambda: torch.autograd.grad(logits.sum(), x, retain_graph=True)[0])
        if not needs & BY_LOSS:
            return
        passed = tape.differentiate(cross_entropy(logits, probe.y), create_graph=Need.CURVATURE in needs)
        if Need.OUTPUT_GRADIENTS in needs:
            yield Need.OUTPUT_GRADIENTS, [_output_gradient(one) for one in passed]
        if needs & {Need.GRADIENTS, Need.CURVATURE}:
            used, gradients = zip(*((call.weight, call.weight_gradient(gz)) for call, gz, _ in passed), strict=True)
            if Need.GRADIENTS in needs:
                yield Need.GRADIENTS, by_weight(probe.weights(network), used, gradients)
            if Need.CURVATURE in needs:
                yield Need.CURVATURE, _curvature(passed, gradients)


def _output_gradient(passed: Passed) -> OutputGradient:
    call, gz, _ = passed
    z, gz = (tensor.detach().movedim(call.channels, 1) for tensor in (call.z, gz))
    return OutputGradient(z, gz, call.weight[0].numel())


def _curvature(passed: Sequence[Passed], directions: Sequence[Tensor]) -> float:
    """Wᵀ·H·v = d/ds ⟨v, ∇L(s·W)⟩ at s = 1, v the directions.

    ⟨v, ∇L⟩ = Σ ⟨z(v), ∂L/∂z⟩ over the calls, z(v) made with v in place of W. By way of W, s scales what each call makes
    and nothing else: z without its bias, and ∂L/∂x. So the slope of ⟨v, ∇L⟩ towards each of these, times it, summed,
    is the derivative: it takes four forward passes, and no second derivative of a weight gradient.
    """
    products = [call.product(v) for (call, _, _), v in zip(passed, directions, strict=True)]
    zs, gzs = [call.z for call, _, _ in passed], [gz for _, gz, _ in passed]
    gxs = [gx for _, _, gx in passed if gx is not None]
    cotangents = [tensor.detach() for tensor in [*products, *gzs]]
    slopes = torch.autograd.grad([*gzs, *products], [*zs, *gxs], cotangents, allow_unused=True)
    parts = [call.along(slope) for (call, _, _), slope in zip(passed, slopes, strict=False) if slope is not None]
    parts += [
        inner_product(gx.detach(), slope) for gx, slope in zip(gxs, slopes[len(zs) :], strict=True) if slope is not None
    ]
    return float(torch.stack(parts).sum())
