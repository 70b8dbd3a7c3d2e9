"""Pass of zen: random Gaussian weights, an input, and the same input slightly perturbed. No autograd."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from typing_extensions import override

from proxies.base import Need
from proxies.passes.base import FEATURE_UNIT, Measurement, Pass, ProxyInput, recorded_outputs, standard_normal

NOISE_SCALE = 0.01


class PerturbedOutputs(NamedTuple):
    """One repeat: Σ abs(f(x) − f(x')) of each row, (rows,), and the running variances of 2-d batch norms."""

    difference: Tensor
    variances: list[Tensor]


class PerturbationPass(Pass):
    """PERTURBATION: `list[PerturbedOutputs]`, one per repeat.

    f is the output of the network's `feature_unit`. Weights of convolutions are standard normal, their biases 0, those
    of batch norms 1 and 0; x and n are standard normal in the batch's shape, x' = x + 0.01·n. All numbers are sampled
    on the CPU, so that they are the same on every device.
    """

    provides = frozenset({Need.PERTURBATION})
    requires = ((Need.PERTURBATION, FEATURE_UNIT),)

    @override
    def run(self, inputs: ProxyInput, needs: frozenset[Need], chunks: int) -> Iterator[Measurement]:
        yield Need.PERTURBATION, [self._repeat(inputs, number) for number in range(inputs.repeats)]

    @staticmethod
    @torch.no_grad()
    def _repeat(inputs: ProxyInput, number: int) -> PerturbedOutputs:
        generator = torch.Generator("cpu").manual_seed(inputs.seed * 1_000_003 + number)
        network = inputs.copy()
        norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
        for module in network.modules():
            if isinstance(module, nn.modules.conv._ConvNd):
                module.weight.data = standard_normal(module.weight, generator)  # tied weights stay tied
                if module.bias is not None:
                    module.bias.data = torch.zeros_like(module.bias)
        for norm in norms:
            norm.reset_running_stats()
            if norm.affine:
                norm.weight.data = torch.ones_like(norm.weight)
                norm.bias.data = torch.zeros_like(norm.bias)
        x, noise = standard_normal(inputs.x, generator), standard_normal(inputs.x, generator)
        feature_unit = network.feature_unit
        assert isinstance(feature_unit, nn.Module)
        with recorded_outputs([feature_unit]) as outputs:
            network(*inputs.batch.arguments(x))
            network(*inputs.batch.arguments(x + NOISE_SCALE * noise))
        if len(outputs) != 2:
            raise ValueError(f"the network's `feature_unit` runs {len(outputs) // 2} times in a forward pass, not once")
        first, second = outputs
        variances = [norm.running_var for norm in norms if isinstance(norm, nn.BatchNorm2d)]
        if any(variance is None for variance in variances):
            raise ValueError("a batch norm keeps no running variance, which zen reads")
        difference = (first - second).double().abs().flatten(1).sum(1)
        return PerturbedOutputs(difference, [variance for variance in variances if variance is not None])
