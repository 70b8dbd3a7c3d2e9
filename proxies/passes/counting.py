"""Passes without data: weights, parameter count, topology, FLOPs."""

import operator
from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from typing_extensions import override

from models.protocols import HasFlops, HasTopology
from proxies.base import Need
from proxies.passes.base import TOPOLOGY, Measurement, Pass, ProxyInput, attempt
from proxies.passes.batch import Batch
from proxies.passes.functions import WithoutBatchNorm


class WeightsPass(Pass):
    """WEIGHTS: `list[Tensor]`, every weight of the network.

    NUM_PARAMETERS: int, the number of trainable parameters of the whole network, unused ones included.
    """

    provides = frozenset({Need.WEIGHTS, Need.NUM_PARAMETERS})

    @override
    def run(self, inputs: ProxyInput, needs: frozenset[Need], chunks: int) -> Iterator[Measurement]:
        if Need.NUM_PARAMETERS in needs:
            yield Need.NUM_PARAMETERS, sum(p.numel() for p in inputs.network.parameters() if p.requires_grad)
        if Need.WEIGHTS in needs:
            network = inputs.network if inputs.supports_tape else inputs.copy()
            yield Need.WEIGHTS, attempt(lambda: [weight.detach() for weight in inputs.weights(network)])


class TopologyPass(Pass):
    """TOPOLOGY: `tuple[UnitTopology, ...]`, the network's `topology`."""

    provides = frozenset({Need.TOPOLOGY})
    requires = ((Need.TOPOLOGY, TOPOLOGY),)

    @override
    def run(self, inputs: ProxyInput, needs: frozenset[Need], chunks: int) -> Iterator[Measurement]:
        yield Need.TOPOLOGY, tuple(cast(HasTopology, inputs.network).topology)


class FlopsPass(Pass):
    """FLOPS: int, of one forward pass of the batch: by the network's method `flops`, else counted.

    Counted on shapes alone, or on the batch for a network that reads numbers.
    """

    provides = frozenset({Need.FLOPS})

    @override
    def run(self, inputs: ProxyInput, needs: frozenset[Need], chunks: int) -> Iterator[Measurement]:
        batch = inputs.batch
        count = attempt(lambda: operator.index(cast(HasFlops, inputs.network).flops(batch.shapes)))
        if isinstance(count, Exception):  # no `flops`, or one with another signature
            count = attempt(lambda: _count(inputs.copy().to("meta"), batch.to("meta")))
        yield Need.FLOPS, _count(inputs.copy(), batch) if isinstance(count, Exception) else count


def _count(network: nn.Module, batch: Batch) -> int:
    with WithoutBatchNorm(), FlopCounterMode(display=False, custom_mapping=FLOP_COUNTERS) as counter:
        network(*batch.arguments())
    return int(counter.get_total_flops())


def _vector_product(matrix: Any, *_: Any, **__: Any) -> int:
    return 2 * int(torch.Size(matrix).numel())


def _bilinear(x: Any, weight: Any, *_: Any, **__: Any) -> int:
    """Count x·W·y of (N, I), (O, I, J) and (N, J): x·W, and the product with y."""
    outputs, inputs_x, inputs_y = weight
    return int(2 * x[0] * outputs * inputs_y * (inputs_x + 1))


def _attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    """Count the scores of (…, L, E) and (…, S, E), and their products with (…, S, V)."""
    return int(2 * torch.Size(query[:-1]).numel() * key[-2] * (key[-1] + value[-1]))


def _recurrent_layer(x: Any, input_weight: Any, state_weight: Any, *_: Any, **__: Any) -> int:
    """Count one direction over (T, N, C) with weights (gates, C) and (gates, H)."""
    return int(2 * torch.Size(x[:-1]).numel() * input_weight[0] * (input_weight[1] + state_weight[1]))


aten = torch.ops.aten
FLOP_COUNTERS = {
    aten.mv: _vector_product,
    aten.dot: _vector_product,
    aten.addmv: lambda _, matrix, *rest, **named: _vector_product(matrix),
    aten._trilinear: _bilinear,
    aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    aten.mkldnn_rnn_layer: _recurrent_layer,
}
"""Counters of operations that PyTorch leaves out."""
