"""Zen's passes: random Gaussian weights, an input, and the same input slightly perturbed. No autograd."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from proxies.base import Need
from proxies.passes.base import Pass, ProxyInput, Result, recorded, standard_normal

PERTURBATION = 0.01


class Perturbed(NamedTuple):
    """One draw: |f(x) − f(x')| summed over all but the rows, (rows,), and each 2-d batch norm's running variance."""

    difference: Tensor
    variances: list[Tensor]


class PerturbationPass(Pass):
    """PERTURBATION: `list[Perturbed]`, one a draw.

    f is the output of the network's `feature_unit`. Convolutions are standard normal, biases 0, batch norms 1 and 0,
    x standard normal in the batch's shape, x' = x + 0.01·n. All draws come from the CPU, so every device sees the same.
    """

    provides = frozenset({Need.PERTURBATION})

    def run(self, probe: ProxyInput, needs: frozenset[Need], chunks: int) -> Iterator[Result]:
        if not isinstance(getattr(probe.network, "feature_unit", None), nn.Module):
            raise AttributeError("the network names no `feature_unit`, the module whose output zen looks at")
        yield Need.PERTURBATION, [self._draw(probe, draw) for draw in range(probe.repeats)]

    @staticmethod
    @torch.no_grad()
    def _draw(probe: ProxyInput, draw: int) -> Perturbed:
        generator = torch.Generator("cpu").manual_seed(probe.seed * 1_000_003 + draw)
        network = probe.copy()
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
        x, noise = standard_normal(probe.x, generator), standard_normal(probe.x, generator)
        feature_unit = network.feature_unit
        assert isinstance(feature_unit, nn.Module)
        with recorded([feature_unit]) as outputs:
            network(x.clone())
            network(x + PERTURBATION * noise)
        if len(outputs) != 2:
            raise ValueError(f"the network's `feature_unit` runs {len(outputs) // 2} times in a forward pass, not once")
        first, second = outputs
        variances = [norm.running_var for norm in norms if isinstance(norm, nn.BatchNorm2d)]
        if any(variance is None for variance in variances):
            raise ValueError("a batch norm keeps no running variance, which zen looks at")
        difference = (first - second).double().abs().flatten(1).sum(1)
        return Perturbed(difference, [variance for variance in variances if variance is not None])
