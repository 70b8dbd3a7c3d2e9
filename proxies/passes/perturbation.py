"""Pass of zen: random Gaussian weights, an input, and the same input slightly perturbed. No autograd."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from typing_extensions import override

from models.protocols import HasFeatureUnit
from proxies.base import Need, NotApplicableError
from proxies.passes.base import FEATURE_UNIT, Measurement, Pass, ProxyInput, recorded_outputs, standard_normal
from proxies.passes.functions import BATCH_NORMS, LAYERS, Function, FunctionMode, argument

NOISE_SCALE = 0.01
SECOND_STREAM = 500_001
"""Offset of the seed for weights other than convolutions', beyond the number of repeats."""


class PerturbedOutputs(NamedTuple):
    """One repeat: Σ abs(f(x) − f(x')) of each row, (rows,), and the running variances of batch norms."""

    difference: Tensor
    variances: list[Tensor]


class PerturbationPass(Pass):
    """PERTURBATION: `list[PerturbedOutputs]`, one per repeat.

    f is the output of the network's `feature_unit`. Weights are standard normal, biases 0, those of batch norms 1 and
    0; x and n are standard normal in the shape of the batch's data, x' = x + 0.01·n. All numbers are sampled on the
    CPU, so that they are the same on every device. A batch norm that runs before the first layer normalises the data,
    and does not count.
    """

    provides = frozenset({Need.PERTURBATION})
    requires = ((Need.PERTURBATION, FEATURE_UNIT),)

    @override
    def run(self, inputs: ProxyInput, needs: frozenset[Need], chunks: int) -> Iterator[Measurement]:
        yield Need.PERTURBATION, [_repeat(inputs, number) for number in range(inputs.repeats)]


@torch.no_grad()
def _repeat(inputs: ProxyInput, number: int) -> PerturbedOutputs:
    network, batch = inputs.copy(), inputs.batch
    generator = torch.Generator("cpu").manual_seed(inputs.seed * 1_000_003 + number)
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    _sample_weights(network, inputs.weights(network), generator)
    for norm in norms:
        norm.reset_running_stats()
        if norm.affine:
            norm.weight.data = torch.ones_like(norm.weight)
            norm.bias.data = torch.zeros_like(norm.bias)
    x, noise = standard_normal(batch.x, generator), standard_normal(batch.x, generator)
    with recorded_outputs([cast(HasFeatureUnit, network).feature_unit]) as outputs:
        with NormRecorder() as recorder:
            network(*batch.arguments(x))
        network(*batch.arguments(x + NOISE_SCALE * noise))
    if len(outputs) != 2:
        raise ValueError(f"the network's `feature_unit` runs {len(outputs) // 2} times in a forward pass, not once")
    if None in recorder.variances.values():
        raise NotApplicableError("a batch norm keeps no running variance, which zen reads")
    variances = [norm.running_var for norm in norms if id(norm.running_var) in recorder.variances]
    difference = (outputs[0] - outputs[1]).double().abs().flatten(1).sum(1)
    return PerturbedOutputs(difference, [variance for variance in variances if variance is not None])


def _sample_weights(network: nn.Module, weights: Sequence[Tensor], generator: torch.Generator) -> None:
    """Set the weights of a working copy to standard normal numbers, and biases to 0.

    Convolutions, used or not, take the given generator, which samples x and n afterwards; other weights take one of
    their own.
    """
    convolutions = [module for module in network.modules() if isinstance(module, nn.modules.conv._ConvNd)]
    for module in convolutions:
        module.weight.data = standard_normal(module.weight, generator)  # tied weights stay tied
    sampled = {id(module.weight) for module in convolutions}
    other = torch.Generator("cpu").manual_seed(generator.initial_seed() + SECOND_STREAM)
    for weight in weights:
        if id(weight) not in sampled:
            weight.data = standard_normal(weight, other)
    for name, parameter in network.named_parameters():
        if name.rpartition(".")[2] == "bias" and id(parameter) not in {id(weight) for weight in weights}:
            parameter.data = torch.zeros_like(parameter)


class NormRecorder(FunctionMode):
    """Mode that records the running variances of the batch norms that run after the first layer, by identity."""

    def __init__(self) -> None:
        super().__init__()
        self.variances: dict[int, Tensor | None] = {}
        self._is_behind_layer = False

    @override
    def call(self, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self._is_behind_layer |= func in LAYERS
        if func in BATCH_NORMS and self._is_behind_layer:
            variance = argument("running_var", BATCH_NORMS[func], args, kwargs)
            self.variances[id(variance)] = variance
        return func(*args, **kwargs)
