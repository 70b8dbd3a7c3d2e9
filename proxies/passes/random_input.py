"""Pass of meco and meco_opt: one random sample through the network. No autograd."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from typing_extensions import override

from proxies.base import Need
from proxies.passes.base import Measurement, Pass, ProxyInput, recorded_outputs, standard_normal, units

MAX_SAMPLED_CHANNELS = 8


class UnitOutput(NamedTuple):
    """Feature map of a unit for the first row, (channels, positions), and the indices of its sampled channels."""

    features: Tensor
    sampled: Tensor


class RandomInputPass(Pass):
    """UNIT_OUTPUTS: `list[UnitOutput]`, on the CPU.

    The input is standard normal, in the batch's shape with one sample. At most 8 channels are sampled, the same ones in
    all units of a width, so that architectures are compared on the same channels.
    """

    provides = frozenset({Need.UNIT_OUTPUTS})

    @override
    def run(self, inputs: ProxyInput, needs: frozenset[Need], chunks: int) -> Iterator[Measurement]:
        network = inputs.copy()
        modules = units(network)
        if not modules:
            raise AttributeError("the network names no `units`, the modules whose outputs meco reads")
        x = standard_normal(inputs.x[:1], torch.Generator("cpu").manual_seed(inputs.seed))
        with torch.no_grad(), recorded_outputs(modules, rows=slice(1)) as outputs:
            network(x)
        maps = [output[0].flatten(1).cpu() for output in outputs]
        yield Need.UNIT_OUTPUTS, [UnitOutput(features, _sample(len(features), inputs.seed)) for features in maps]


def _sample(channels: int, seed: int) -> Tensor:
    """Return the indices of the sampled channels."""
    permutation = torch.randperm(channels, generator=torch.Generator("cpu").manual_seed(seed), device="cpu")
    return permutation[:MAX_SAMPLED_CHANNELS]
