"""Gradients of several `gcn-nas` architectures of one depth in one forward and backward pass, by `torch.func.vmap`.

They share their initial weights and differ in masks: one network has every module that one of them has, and the graphs
of attention modules that an architecture lacks are multiplied by 0.
"""

from collections.abc import Callable, Sequence
from itertools import chain

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional

from models.gcn_nas import GcnNasArchitecture
from models.gcn_nas.backbone import SUBSETS
from models.gcn_nas.network import GcnNasNetwork, GraphConv
from models.gcn_nas.space import GcnNas
from models.task import ProbeBatch

Gradients = list[dict[str, Tensor]]
"""∂L/∂W by name, for each architecture."""


class MaskedGraphConv(GraphConv):
    """Graph convolution with the attention modules whose entry of the buffer `present`, (modules,), is 1."""

    present: Tensor

    def _attention(self, x: Tensor) -> list[list[Tensor]]:
        kernels = [[getattr(self, first)[i].kernel_size for first, _ in self.attention] for i in range(SUBSETS)]
        order = list(dict.fromkeys(chain.from_iterable(kernels)))  # in which the graphs of a subset are made
        masked = []
        for row, graphs in zip(kernels, super()._attention(x), strict=True):
            modules = sorted(range(len(row)), key=lambda module, row=row: order.index(row[module]))  # type: ignore[misc]
            masked.append([graph * self.present[module] for module, graph in zip(modules, graphs, strict=True)])
        return masked


def one_by_one(space: GcnNas, archs: Sequence[GcnNasArchitecture], batch: ProbeBatch) -> Callable[[], Gradients]:
    """Return the computation of all gradients, one architecture after the other."""
    networks = [space.build(arch).to(batch.x.dtype) for arch in archs]

    def gradients(network: nn.Module) -> dict[str, Tensor]:
        parameters = dict(network.named_parameters())
        loss = functional.cross_entropy(network(batch.x), batch.y)
        values = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
        return {name: value for name, value in zip(parameters, values, strict=True) if value is not None}

    return lambda: [gradients(network) for network in networks]


def together(space: GcnNas, archs: Sequence[GcnNasArchitecture], batch: ProbeBatch) -> Callable[[], Gradients]:
    """Return the computation of all gradients in one pass."""
    rows = zip(*(arch.mask for arch in archs), strict=True)
    network = space.build(GcnNasArchitecture(tuple(tuple(map(any, zip(*row, strict=True))) for row in rows)))
    masks = _masks(network, [space.build(arch) for arch in archs])
    parameters = {name: p.detach() for name, p in network.to(batch.x.dtype).named_parameters()}
    buffers = {name: mask.to(batch.x.dtype) for name, mask in masks.items()}

    def loss(weights: dict[str, Tensor], masks: dict[str, Tensor]) -> Tensor:
        return functional.cross_entropy(functional_call(network, (weights, masks), (batch.x,)), batch.y)

    def gradients() -> Gradients:
        stacked = vmap(grad(loss), in_dims=(None, 0))(parameters, buffers)
        return [{name: values[i] for name, values in stacked.items()} for i in range(len(archs))]

    return gradients


def _masks(network: GcnNasNetwork, networks: Sequence[GcnNasNetwork]) -> dict[str, Tensor]:
    """Give the network masks, and return those of each of the other networks, (networks, …), by name of the buffer."""
    masks = {}
    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):  # without running statistics, which vmap cannot update
            module.track_running_stats = False
            module.running_mean = module.running_var = module.num_batches_tracked = None
        elif isinstance(module, GraphConv):
            module.__class__ = MaskedGraphConv
            module.register_buffer("present", torch.ones(len(module.attention)))
            others = [other.get_submodule(name) for other in networks]
            masks[f"{name}.graph"] = torch.stack([other.get_buffer("graph") for other in others])
            masks[f"{name}.present"] = torch.tensor(
                [[float(pair in other.attention) for pair in module.attention] for other in others]  # type: ignore[operator]
            )
    return masks


def largest_difference(expected: Gradients, found: Gradients) -> float:
    """Return the largest difference of the gradients of weights, relative to the largest number of a tensor.

    Gradients of biases in front of a batch norm are 0 but for rounding, and left out.
    """
    pairs = ((one[name], other[name]) for one, other in zip(expected, found, strict=True) for name in one)
    return max(float((a - b).abs().max() / a.abs().max()) for a, b in pairs if a.ndim > 1)
