"""Pass of evolved proxies: the tensors of each layer on the probe batch, on noise and on the perturbed batch."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from typing_extensions import override

from proxies.base import Need
from proxies.passes.base import Measurement, Pass, ProxyInput, as_leaf, forward_logits, loss_of, standard_normal
from proxies.passes.batch import Batch
from proxies.passes.tape import Tape, TapedCall

NOISE_SCALE = 0.01


class BatchTensors(NamedTuple):
    """Tensors of a layer on one batch.

    Attributes:
        input: (input channels, …), after the nonlinearity before the layer, if there is one.
        output: (output channels, …), before the nonlinearity and the batch norm after it.
        output_gradient: ∂L/∂output, shaped as the output.
        weight_gradient: ∂L/∂W, shaped as the weight.
    """

    input: Tensor
    output: Tensor
    output_gradient: Tensor
    weight_gradient: Tensor


class LayerTensors(NamedTuple):
    """Tensors of a layer: its weight, (output channels, …), and those on the probe batch, on noise, on perturbed data.

    Noise is standard normal in the shape of the data x, perturbed data are x + 0.01·n with n standard normal.
    """

    weight: Tensor
    data: BatchTensors
    noise: BatchTensors
    perturbed: BatchTensors


Layer = tuple[Tensor, BatchTensors]
"""Weight of a layer and its tensors on one batch."""


class LayerTensorsPass(Pass):
    """LAYER_TENSORS: `list[LayerTensors]`, of the calls of convolutions and linear layers that the loss depends on.

    With batch norm, L the mean loss. In the order of the calls.
    """

    provides = frozenset({Need.LAYER_TENSORS})

    @override
    def run(self, inputs: ProxyInput, needs: frozenset[Need], chunks: int) -> Iterator[Measurement]:
        yield Need.LAYER_TENSORS, over_batches(inputs, lambda batch: _measure(inputs, batch))


def over_batches(inputs: ProxyInput, measure: Callable[[Batch], list[Layer]]) -> list[LayerTensors]:
    """Measure the layers on the three batches. Raises `ValueError` where their number depends on the data."""
    generator = torch.Generator("cpu").manual_seed(inputs.seed)
    noise, change = standard_normal(inputs.x, generator), standard_normal(inputs.x, generator)
    batches = (inputs.batch, inputs.batch.with_data(noise), inputs.batch.with_data(inputs.x + NOISE_SCALE * change))
    measured = [measure(batch) for batch in batches]
    if len({len(layers) for layers in measured}) > 1:
        raise ValueError("the number of layers that the loss depends on depends on the data")
    return [
        LayerTensors(data[0], *(tensors for _, tensors in (data, *rest))) for data, *rest in zip(*measured, strict=True)
    ]


def layer(weight: Tensor, x: Tensor, z: Tensor, channels: int, gradients: tuple[Tensor, Tensor]) -> Layer:
    """Return the tensors of a call, with channels first.

    Args:
        weight: W as it was used.
        x: the input.
        z: the output.
        channels: the dimension of both with the channels.
        gradients: ∂L/∂z and ∂L/∂W.

    Raises:
        ValueError: the first dimension of the weight is not that of the output channels.
    """
    if len(weight) != z.shape[channels]:
        raise ValueError("a layer's weight has its output channels in another dimension than the first")
    x, z, grad_output = (tensor.detach().movedim(channels, 0) for tensor in (x, z, gradients[0]))
    return weight.detach(), BatchTensors(x, z, grad_output, gradients[1].detach())


PRODUCT = "a matrix product with a weight is no convolution or linear layer, whose tensors are measured"


def _measure(inputs: ProxyInput, batch: Batch) -> list[Layer]:
    network = inputs.copy(in_place=False)
    with Tape(with_products=not inputs.supports_tape) as tape:
        logits = forward_logits(network, batch, as_leaf(batch.x))
    records = tape.differentiate(loss_of(logits, batch))
    return [_layer(call, grad_output) for call, grad_output, _ in records]


def _layer(call: TapedCall, grad_output: Tensor) -> Layer:
    if call.product is not None:
        raise ValueError(PRODUCT)
    gradients = grad_output, call.weight_gradient(grad_output)
    return layer(call.weight, call.x, call.z, call.channels, gradients)
