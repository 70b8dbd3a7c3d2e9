"""What is read off the network without computing: weights, parameter count, topology, FLOPs."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from proxies.base import Need
from proxies.passes.base import Pass, Probe, layers, working_copy


class Weights(NamedTuple):
    """Every layer's weight tensor, and the number of trainable parameters of the whole network."""

    tensors: list[Tensor]
    trainable: int


class WeightsPass(Pass):
    """WEIGHTS: `Weights`."""

    provides = frozenset({Need.WEIGHTS})

    def run(self, probe: Probe, needs: frozenset[Need], chunks: int) -> dict[Need, Any]:
        tensors = [layer.weight.detach() for layer in layers(probe.network)]
        trainable = sum(p.numel() for p in probe.network.parameters() if p.requires_grad)
        return {Need.WEIGHTS: Weights(tensors, trainable)}


class TopologyPass(Pass):
    """TOPOLOGY: `tuple[UnitTopology, ...]`, as the network's `topology` says."""

    provides = frozenset({Need.TOPOLOGY})

    def run(self, probe: Probe, needs: frozenset[Need], chunks: int) -> dict[Need, Any]:
        topology = getattr(probe.network, "topology", None)
        if not topology:
            raise AttributeError("the network names no `topology`, what its units do to joints, which sed looks at")
        return {Need.TOPOLOGY: topology}


class FlopsPass(Pass):
    """FLOPS: int, of one forward pass of the batch: as the network's `flops` says, else counted on shapes alone."""

    provides = frozenset({Need.FLOPS})

    def run(self, probe: Probe, needs: frozenset[Need], chunks: int) -> dict[Need, Any]:
        counts_itself = getattr(probe.network, "flops", None)
        if callable(counts_itself):
            return {Need.FLOPS: int(counts_itself(tuple(probe.x.shape)))}
        shapes_only = working_copy(probe.network, batch_norm=False).to("meta")  # norms are not counted
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            shapes_only(probe.x.to("meta"))
        return {Need.FLOPS: counter.get_total_flops()}
