"""Terminals of expressions: features of other proxies, and tensors of each layer."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from typing_extensions import override

from models.task import ProbeBatch
from proxies.base import Measured, Need, Proxy, ProxyInfo
from proxies.evolved.types import Matrix
from proxies.passes.base import ProxyInput
from proxies.passes.batch import checked_batch, plain_batch
from proxies.passes.layer_tensors import BatchTensors, LayerTensors

NUM_LAYERS = "num_layers"
"""Terminal of the number of weights, that is of layers that can be trained."""
BATCHES = ("data", "noise", "perturbed")
"""Batches of which each layer has tensors: the probe batch, random data, and the probe batch with noise."""
_SHAPES = {
    "input": Matrix("inputs", "input places"),
    "output": Matrix("outputs", "places"),
    "output_gradient": Matrix("outputs", "places"),
    "weight_gradient": Matrix("outputs", "fan-in"),
}
_WORDS = {
    "input": "the layer's input",
    "output": "the layer's output",
    "output_gradient": "the loss's gradient by the output",
    "weight_gradient": "the loss's gradient by the weight",
}
TENSORS: Mapping[str, Matrix] = {"weight": Matrix("outputs", "fan-in")} | {
    f"{batch}.{name}": shape for batch in BATCHES for name, shape in _SHAPES.items()
}
"""Types of the tensors of a layer by terminal."""


def tensor_in_words(terminal: str) -> str:
    """Return a tensor of a layer in words."""
    batch, _, name = terminal.rpartition(".")
    context = {"": "", "data": "", "noise": " on noise", "perturbed": " on perturbed data"}[batch]
    return _WORDS.get(name, "the weight") + context


def matrix_of(layer: LayerTensors, terminal: str) -> NDArray[np.float64]:
    """Return a tensor of a layer as a matrix, (channels, everything else), in float64."""
    batch, _, name = terminal.rpartition(".")
    if not batch:
        return _matrix(layer.weight)
    tensors: BatchTensors = getattr(layer, batch)
    return _matrix(getattr(tensors, name))


def _matrix(tensor: Tensor) -> NDArray[np.float64]:
    return tensor.detach().flatten(1).double().cpu().numpy()


class NumLayers(Proxy):
    """Number of weights, which expressions read."""

    info = ProxyInfo(
        name=NUM_LAYERS,
        needs=frozenset({Need.WEIGHTS}),
        batch_norm=None,
        direction=1,
        cost=0.0,
        source="count",
        additive=True,
    )

    @override
    def compute(self, measured: Measured) -> float:
        return float(len(measured[Need.WEIGHTS]))


def count_layers(network: nn.Module, batch: ProbeBatch) -> int:
    """Return the value of `num_layers`. Raises `ValueError` if the network has no weight."""
    checked = checked_batch(batch.inputs, batch.targets, batch.rows, batch.sample_axis)
    return len(ProxyInput(network, plain_batch(checked)).weight_names)


def score_terminal(info: ProxyInfo, feature: Any) -> float:
    """Return what an expression reads of a proxy: sign(s)·log(1 + abs(s)) of the score s.

    Of a proxy that has a logarithm (`log_feature`), that logarithm.
    """
    number = float(feature)
    return number if info.log_feature else math.copysign(math.log1p(abs(number)), number)
