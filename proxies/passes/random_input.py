"""MeCo's pass: one random datum through the network as it is. No autograd."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from proxies.base import Need
from proxies.passes.base import Pass, ProxyInput, Result, recorded, standard_normal, units

DRAWN_CHANNELS = 8


class UnitOutput(NamedTuple):
    """A unit's feature map, (channels, places), of the first row, and which of its channels were drawn."""

    features: Tensor
    drawn: Tensor


class DatumPass(Pass):
    """UNIT_OUTPUTS: `list[UnitOutput]`, on the CPU.

    The datum is standard normal, in the batch's shape with one sample. At most 8 channels are drawn, the same ones in
    every unit of that width, so that architectures are compared on the same channels.
    """

    provides = frozenset({Need.UNIT_OUTPUTS})

    def run(self, probe: ProxyInput, needs: frozenset[Need], chunks: int) -> Iterator[Result]:
        network = probe.copy()
        hooked = units(network)
        if not hooked:
            raise AttributeError("the network names no `units`, the modules whose outputs meco looks at")
        datum = standard_normal(probe.x[:1], torch.Generator("cpu").manual_seed(probe.seed))
        with torch.no_grad(), recorded(hooked, rows=slice(1)) as outputs:
            network(datum)
        maps = [output[0].flatten(1).cpu() for output in outputs]
        yield Need.UNIT_OUTPUTS, [UnitOutput(features, _draw(len(features), probe.seed)) for features in maps]


def _draw(channels: int, seed: int) -> Tensor:
    return torch.randperm(channels, generator=torch.Generator("cpu").manual_seed(seed), device="cpu")[:DRAWN_CHANNELS]
