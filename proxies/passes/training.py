"""The pass with batch norm on: one forward of the batch, and the backward passes that branch off it."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from proxies.base import Need
from proxies.passes.base import Pass, Probe, cross_entropy, layers, recorded, working_copy


class OutputGradient(NamedTuple):
    """A layer's output z and ∂L/∂z, both (rows, channels, …), and the number of weights that make one channel."""

    output: Tensor
    gradient: Tensor
    weights_per_channel: int


class WeightGradient(NamedTuple):
    """A weight tensor W and g = ∂L/∂W (or another tensor of its shape)."""

    weight: Tensor
    gradient: Tensor


class TrainingPass(Pass):
    """Everything that needs batch norm, so the whole batch at once.

    RELU_INPUTS: `list[Tensor]`, the input of each ReLU, (rows, …).
    GRADIENTS: `list[WeightGradient]` over the layers that the loss depends on; L is the mean cross entropy.
    OUTPUT_GRADIENTS: `list[OutputGradient]`.
    HESSIAN_GRADIENT: `list[WeightGradient]` with H·g in place of g, where g is held constant.
    INPUT_GRADIENT: ∂(Σ logits)/∂x, shaped as x.
    """

    provides = frozenset(
        {Need.RELU_INPUTS, Need.GRADIENTS, Need.OUTPUT_GRADIENTS, Need.HESSIAN_GRADIENT, Need.INPUT_GRADIENT}
    )

    def run(self, probe: Probe, needs: frozenset[Need], chunks: int) -> dict[Need, Any]:
        network = working_copy(probe.network)
        relus = [module for module in network.modules() if isinstance(module, nn.ReLU)]
        measured: dict[Need, Any] = {}
        with_backward = needs != {Need.RELU_INPUTS}
        x = probe.x.detach().requires_grad_(Need.INPUT_GRADIENT in needs)
        with (
            torch.set_grad_enabled(with_backward),
            recorded(relus if Need.RELU_INPUTS in needs else []) as relu_calls,
            recorded(layers(network)) as layer_calls,
        ):
            logits = network(x)
        if Need.RELU_INPUTS in needs:
            measured[Need.RELU_INPUTS] = [given.detach() for _, given, _ in relu_calls]
        if with_backward:
            loss = cross_entropy(logits, probe.y)
            self._backward(network, x, logits, loss, layer_calls, needs, measured)
        return measured

    def _backward(
        self,
        network: nn.Module,
        x: Tensor,
        logits: Tensor,
        loss: Tensor,
        calls: list[tuple[Any, Tensor, Tensor]],
        needs: frozenset[Need],
        measured: dict[Need, Any],
    ) -> None:
        second_order = Need.HESSIAN_GRADIENT in needs
        weights = [layer.weight for layer in layers(network)]
        outputs = [output for _, _, output in calls] if Need.OUTPUT_GRADIENTS in needs else []
        if Need.INPUT_GRADIENT in needs:
            measured[Need.INPUT_GRADIENT] = torch.autograd.grad(logits.sum(), x, retain_graph=True)[0]
        if needs == {Need.INPUT_GRADIENT}:
            return
        gradients = torch.autograd.grad(loss, weights + outputs, create_graph=second_order, allow_unused=True)
        used = [(w, g) for w, g in zip(weights, gradients, strict=False) if g is not None]
        if Need.GRADIENTS in needs:
            measured[Need.GRADIENTS] = [WeightGradient(w.detach(), g.detach()) for w, g in used]
        if Need.OUTPUT_GRADIENTS in needs:
            measured[Need.OUTPUT_GRADIENTS] = [
                OutputGradient(output.detach(), gradient.detach(), layer.weight[0].numel())
                for (layer, _, output), gradient in zip(calls, gradients[len(weights) :], strict=True)
                if gradient is not None
            ]
        if second_order:
            product = torch.stack([(g * g.detach()).sum() for _, g in used]).sum()
            curved = torch.autograd.grad(product, [w for w, _ in used], allow_unused=True)
            measured[Need.HESSIAN_GRADIENT] = [
                WeightGradient(w.detach(), hg) for (w, _), hg in zip(used, curved, strict=True) if hg is not None
            ]
