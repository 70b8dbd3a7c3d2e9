"""The pass with batch norm on: one forward of the batch, and the backward passes that branch off it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from proxies.base import Need
from proxies.passes.base import Pass, Probe, cross_entropy, working_copy
from proxies.passes.tape import Passed, Tape, by_layer, inner_product


class OutputGradient(NamedTuple):
    """A layer's output z and ∂L/∂z, both (rows, channels, …), and the number of weights that make one channel."""

    output: Tensor
    gradient: Tensor
    weights_per_channel: int


class TrainingPass(Pass):
    """Everything that needs batch norm, so the whole batch at once. L is the mean cross entropy.

    RELU_INPUTS: `list[Tensor]`, the input of each ReLU, (rows, …).
    GRADIENTS: `list[WeightGradient]` over the layers that are called.
    OUTPUT_GRADIENTS: `list[OutputGradient]`.
    CURVATURE: float, Wᵀ·H·g over all weights, g held constant.
    INPUT_GRADIENT: ∂(Σ logits)/∂x, shaped as x.
    """

    provides = frozenset({Need.RELU_INPUTS, Need.GRADIENTS, Need.OUTPUT_GRADIENTS, Need.CURVATURE, Need.INPUT_GRADIENT})

    def run(self, probe: Probe, needs: frozenset[Need], chunks: int) -> dict[Need, Any]:
        network, x = working_copy(probe.network), probe.x.detach().requires_grad_()
        measured: dict[Need, Any] = {}
        with torch.no_grad() if needs == {Need.RELU_INPUTS} else torch.enable_grad(), Tape() as tape:
            logits = network(x)
        if Need.RELU_INPUTS in needs:
            measured[Need.RELU_INPUTS] = tape.relu_inputs
        if Need.INPUT_GRADIENT in needs:
            measured[Need.INPUT_GRADIENT] = torch.autograd.grad(logits.sum(), x, retain_graph=True)[0]
        if not needs & {Need.GRADIENTS, Need.OUTPUT_GRADIENTS, Need.CURVATURE}:
            return measured
        curved = Need.CURVATURE in needs
        passed = tape.differentiate(cross_entropy(logits, probe.y), create_graph=curved)
        if Need.OUTPUT_GRADIENTS in needs:
            measured[Need.OUTPUT_GRADIENTS] = [
                OutputGradient(call.z.detach(), gz.detach(), call.weight[0].numel()) for call, gz, _ in passed
            ]
        if needs & {Need.GRADIENTS, Need.CURVATURE}:
            gradients = [call.weight_gradient(gz) for call, gz, _ in passed]
            if Need.GRADIENTS in needs:
                measured[Need.GRADIENTS] = by_layer(network, passed, gradients)
            if curved:
                measured[Need.CURVATURE] = _curvature(passed, gradients)
        return measured


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
