"""Measurements without data: weights, parameter count, topology, FLOPs."""

import operator
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from proxies.base import Need
from proxies.passes.base import Pass, ProxyInput, Result, attempt
from proxies.passes.functions import WithoutBatchNorm


class WeightsPass(Pass):
    """WEIGHTS: `list[Tensor]`, every weight of the network.

    TRAINABLE: int, the number of trainable parameters of the whole network, unused ones included.
    """

    provides = frozenset({Need.WEIGHTS, Need.TRAINABLE})

    def run(self, probe: ProxyInput, needs: frozenset[Need], chunks: int) -> Iterator[Result]:
        if Need.TRAINABLE in needs:
            yield Need.TRAINABLE, sum(p.numel() for p in probe.network.parameters() if p.requires_grad)
        if Need.WEIGHTS in needs:
            network = probe.network if probe.taped else probe.copy()
            yield Need.WEIGHTS, attempt(lambda: [weight.detach() for weight in probe.weights(network)])


class TopologyPass(Pass):
    """TOPOLOGY: `tuple[UnitTopology, ...]`, as the network's `topology` says."""

    provides = frozenset({Need.TOPOLOGY})

    def run(self, probe: ProxyInput, needs: frozenset[Need], chunks: int) -> Iterator[Result]:
        topology = getattr(probe.network, "topology", None)
        if not topology:
            raise AttributeError("the network names no `topology`, what its units do to joints, which sed looks at")
        yield Need.TOPOLOGY, topology


class FlopsPass(Pass):
    """FLOPS: int, of one forward pass of the batch: as the network's `flops` says, else counted.

    Counted on shapes alone, or, where the network looks at numbers, on the batch.
    """

    provides = frozenset({Need.FLOPS})

    def run(self, probe: ProxyInput, needs: frozenset[Need], chunks: int) -> Iterator[Result]:
        count = attempt(lambda: operator.index(probe.network.flops(tuple(probe.x.shape))))  # type: ignore[operator]
        if isinstance(count, Exception):  # many networks have a `flops` of another kind, or none
            count = attempt(lambda: _count(probe.copy().to("meta"), probe.x.to("meta")))
        yield Need.FLOPS, _count(probe.copy(), probe.x.clone()) if isinstance(count, Exception) else count


def _count(network: nn.Module, x: Tensor) -> int:
    with WithoutBatchNorm(), FlopCounterMode(display=False, custom_mapping=UNCOUNTED) as counter:
        network(x)
    return int(counter.get_total_flops())


def _vector_product(matrix: Any, *_: Any, **__: Any) -> int:
    return 2 * int(torch.Size(matrix).numel())


def _bilinear(x: Any, weight: Any, *_: Any, **__: Any) -> int:
    """x·W·y, (N, I), (O, I, J) and (N, J): x·W, and that times y."""
    outputs, inner, others = weight
    return int(2 * x[0] * outputs * others * (inner + 1))


def _attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    """Scores of (…, L, E) and (…, S, E), and their products with (…, S, V)."""
    return int(2 * torch.Size(query[:-1]).numel() * key[-2] * (key[-1] + value[-1]))


def _recurrent_layer(x: Any, by_input: Any, by_state: Any, *_: Any, **__: Any) -> int:
    """One direction over (T, N, C) with weights (gates, C) and (gates, H)."""
    return int(2 * torch.Size(x[:-1]).numel() * by_input[0] * (by_input[1] + by_state[1]))


aten = torch.ops.aten
UNCOUNTED = {
    aten.mv: _vector_product,
    aten.dot: _vector_product,
    aten.addmv: lambda _, matrix, *rest, **named: _vector_product(matrix),
    aten._trilinear: _bilinear,
    aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    aten.mkldnn_rnn_layer: _recurrent_layer,
}
"""Operations that PyTorch's counter leaves out."""
