"""Pass of meco and meco_opt: one random sample through the network. No autograd."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from typing_extensions import override

from proxies.base import Need, NotApplicableError
from proxies.passes.base import UNITS, Measurement, Pass, ProxyInput, recorded_outputs, standard_normal, units
from proxies.passes.batch import Batch
from proxies.passes.stack import StackInput
from proxies.passes.units import channel_axis

MAX_SAMPLED_CHANNELS = 8


class UnitOutput(NamedTuple):
    """Feature map of a unit, (channels, positions), and the indices of its sampled channels."""

    features: Tensor
    sampled: Tensor


class RandomInputPass(Pass):
    """UNIT_OUTPUTS: `list[UnitOutput]`, on the CPU.

    The data are standard normal, in the batch's shape: one sample, of which the first row inside the network is read,
    or the whole graph, whose rows are the positions. At most 8 channels are sampled, the same ones in all units of a
    width, so that architectures are compared on the same channels.
    """

    provides = frozenset({Need.UNIT_OUTPUTS})
    stackable = provides
    requires = ((Need.UNIT_OUTPUTS, UNITS),)

    @override
    def run(self, inputs: ProxyInput, needs: frozenset[Need], chunks: int) -> Iterator[Measurement]:
        network, single = inputs.copy(), _random(inputs)
        with torch.no_grad(), recorded_outputs(units(network)) as outputs:
            network(*single.arguments())
        rows = [output[:1] if single.has_samples else output for output in outputs]
        yield Need.UNIT_OUTPUTS, _unit_outputs(rows, channel_axis(network), single.has_samples, inputs.seed)

    @override
    def run_stack(self, stack: StackInput, needs: frozenset[Need]) -> Iterator[tuple[Need, Sequence[Any]]]:
        network, single = stack.together.copy(), stack.repeated(_random(stack.members[0]))
        with torch.no_grad(), recorded_outputs(units(network)) as outputs:
            network(*single.arguments())
        by_network = [[output[:1] for output in of_network] for of_network in stack.split_each(outputs)]
        axis, seed = channel_axis(network), stack.together.seed
        yield Need.UNIT_OUTPUTS, [_unit_outputs(rows, axis, True, seed) for rows in by_network]


def _random(inputs: ProxyInput) -> Batch:
    """Return one sample, or the one graph, with standard normal data."""
    single = inputs.batch.single()
    return single.with_data(standard_normal(single.x, torch.Generator("cpu").manual_seed(inputs.seed)))


def _unit_outputs(rows: Sequence[Tensor], axis: int, has_samples: bool, seed: int) -> list[UnitOutput]:
    """Return the feature map of each unit from its rows that are read."""
    maps = [_feature_map(output, axis, has_samples) for output in rows]
    return [UnitOutput(features, _sample(len(features), seed)) for features in maps]


def _feature_map(output: Tensor, axis: int, has_samples: bool) -> Tensor:
    """Return (channels, positions) from the output of a unit for one row, or for all rows of a graph."""
    if output.ndim < (3 if has_samples else 2):
        raise NotApplicableError(f"a unit's output of shape {tuple(output.shape)} has no positions, which meco reads")
    return output.movedim(axis, 0).flatten(1).cpu()


def _sample(channels: int, seed: int) -> Tensor:
    """Return the indices of the sampled channels."""
    permutation = torch.randperm(channels, generator=torch.Generator("cpu").manual_seed(seed), device="cpu")
    return permutation[:MAX_SAMPLED_CHANNELS]
