"""Measurements without data: weights, parameter count, topology, FLOPs."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from proxies.base import Need
from proxies.passes.base import Pass, Probe, Result, attempt
from proxies.passes.functions import WithoutBatchNorm


class WeightsPass(Pass):
    """WEIGHTS: `list[Tensor]`, every weight of the network.

    TRAINABLE: int, the number of trainable parameters of the whole network, unused ones included.
    """

    provides = frozenset({Need.WEIGHTS, Need.TRAINABLE})

    def run(self, probe: Probe, needs: frozenset[Need], chunks: int) -> Iterator[Result]:
        if Need.TRAINABLE in needs:
            yield Need.TRAINABLE, sum(p.numel() for p in probe.network.parameters() if p.requires_grad)
        if Need.WEIGHTS in needs:
            network = probe.network if probe.taped else probe.copy()
            yield Need.WEIGHTS, attempt(lambda: [weight.detach() for weight in probe.weights(network)])


class TopologyPass(Pass):
    """TOPOLOGY: `tuple[UnitTopology, ...]`, as the network's `topology` says."""

    provides = frozenset({Need.TOPOLOGY})

    def run(self, probe: Probe, needs: frozenset[Need], chunks: int) -> Iterator[Result]:
        topology = getattr(probe.network, "topology", None)
        if not topology:
            raise AttributeError("the network names no `topology`, what its units do to joints, which sed looks at")
        yield Need.TOPOLOGY, topology


class FlopsPass(Pass):
    """FLOPS: int, of one forward pass of the batch: as the network's `flops` says, else counted.

    Counted on shapes alone, or, where the network looks at numbers, on the batch.
    """

    provides = frozenset({Need.FLOPS})

    def run(self, probe: Probe, needs: frozenset[Need], chunks: int) -> Iterator[Result]:
        counts_itself = getattr(probe.network, "flops", None)
        if callable(counts_itself):
            yield Need.FLOPS, int(counts_itself(tuple(probe.x.shape)))
            return
        count = attempt(lambda: _count(probe.copy().to("meta"), probe.x.to("meta")))
        yield Need.FLOPS, _count(probe.copy(), probe.x.clone()) if isinstance(count, Exception) else count


def _count(network: nn.Module, x: Tensor) -> int:
    with torch.no_grad(), WithoutBatchNorm(), FlopCounterMode(display=False, custom_mapping=VECTOR_PRODUCTS) as counter:
        network(x)
    return int(counter.get_total_flops())


def _twice_the_matrix(matrix: Any, *_: Any, **__: Any) -> int:
    return 2 * int(torch.Size(matrix).numel())


VECTOR_PRODUCTS = {
    torch.ops.aten.mv: _twice_the_matrix,
    torch.ops.aten.dot: _twice_the_matrix,
    torch.ops.aten.addmv: lambda _, matrix, *rest, **named: _twice_the_matrix(matrix),
}
"""What PyTorch's counter leaves out."""
