"""The passes without batch norm: samples are independent, so each has gradients of its own."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from proxies.base import Need
from proxies.passes.base import Layer, Pass, Probe, cross_entropy, layers, recorded, working_copy


class FreeInputPass(Pass):
    """FREE_INPUT_GRADIENT: ∂(Σ logits)/∂x, shaped as x, and the labels.

    In float64: without batch norm a ten-layer network amplifies float32's rounding to several per cent of epe_nas, so
    that thread counts and devices would disagree.
    """

    provides = frozenset({Need.FREE_INPUT_GRADIENT})
    chunkable = True

    def run(self, probe: Probe, needs: frozenset[Need], chunks: int) -> dict[Need, Any]:
        network = working_copy(probe.network, batch_norm=False).double().requires_grad_(False)
        parts = [part.detach().double().requires_grad_() for part in probe.x.chunk(chunks)]
        gradients = [torch.autograd.grad(network(part).sum(), part)[0] for part in parts]
        return {Need.FREE_INPUT_GRADIENT: (torch.cat(gradients), probe.y)}


class GradientSignPass(Pass):
    """GRADIENT_SIGNS: for each layer `Σ_n sign(g_n)`, shaped as its weight; zeros where the loss does not depend on it.

    g_n is the gradient of sample n's own loss. All of them come from one backward pass: a row inside the network
    belongs to the sample whose number it divides to, as rows are (N·k) with the sample first.
    """

    provides = frozenset({Need.GRADIENT_SIGNS})
    chunkable = True

    def run(self, probe: Probe, needs: frozenset[Need], chunks: int) -> dict[Need, Any]:
        network = working_copy(probe.network, batch_norm=False)
        signs = {layer: torch.zeros_like(layer.weight) for layer in layers(network)}
        for x, y in zip(probe.x.chunk(chunks), probe.y.chunk(chunks), strict=True):
            with recorded(layers(network)) as calls:
                logits = network(x)
            _add_signs(signs, cross_entropy(logits, y, reduction="sum"), calls, len(y))
        return {Need.GRADIENT_SIGNS: list(signs.values())}


def _add_signs(
    signs: dict[Layer, Tensor], loss: Tensor, calls: list[tuple[Layer, Tensor, Tensor]], samples: int
) -> None:
    """Add this chunk's `Σ_n sign(g_n)`, layer by layer: only one layer's per-sample gradients exist at a time."""
    gradients = torch.autograd.grad(loss, [output for _, _, output in calls], allow_unused=True)
    by_layer: dict[Layer, list[tuple[Tensor, Tensor]]] = {}
    for (layer, given, _), gradient in zip(calls, gradients, strict=True):
        if gradient is not None:
            by_layer.setdefault(layer, []).append((given.detach(), gradient))
    for layer, uses in by_layer.items():
        per_sample = torch.stack([per_sample_gradient(layer, x, g, samples) for x, g in uses]).sum(0)
        signs[layer] = signs[layer] + per_sample.sign().sum(0)


def per_sample_gradient(layer: Layer, x: Tensor, gradient: Tensor, samples: int) -> Tensor:
    """Each sample's own weight gradient, (N, *weight shape), from a layer's input and ∂L/∂output, (N·k, …) both."""
    if isinstance(layer, nn.Linear):
        left, right = gradient.reshape(samples, -1, layer.out_features), x.reshape(samples, -1, layer.in_features)
        return left.transpose(1, 2) @ right
    padding = _zeros(layer) if isinstance(layer, nn.Conv2d) and layer.groups == 1 else None
    if isinstance(layer, nn.Conv2d) and padding is not None:
        if layer.kernel_size == (1, 1) and layer.stride == (1, 1) and padding == (0, 0):
            patches = x.flatten(2)
        else:
            patches = functional.unfold(x, layer.kernel_size, layer.dilation, padding, layer.stride)
        # (rows, patch, places) → (N, patch, k·places): a sample's rows are summed by the matrix product.
        left, right = (_by_sample(tensor, samples) for tensor in (gradient.flatten(2), patches))
        return (left @ right.transpose(1, 2)).view(samples, *layer.weight.shape)
    pieces = zip(x.tensor_split(samples), gradient.tensor_split(samples), strict=True)
    with torch.enable_grad():
        return torch.stack([torch.autograd.grad(layer(part), layer.weight, g)[0] for part, g in pieces])


def _zeros(layer: nn.Conv2d) -> tuple[int, ...] | None:
    """How many zeros the layer pads with; None where it pads in a way that `unfold` does not know."""
    return None if layer.padding_mode != "zeros" or isinstance(layer.padding, str) else layer.padding


def _by_sample(tensor: Tensor, samples: int) -> Tensor:
    """(N·k, channels, places) → (N, channels, k·places)."""
    rows, channels, places = tensor.shape
    return tensor.view(samples, rows // samples, channels, places).transpose(1, 2).reshape(samples, channels, -1)
