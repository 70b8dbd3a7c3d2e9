"""Several `gcn-nas` networks of one depth in one: they share their initial weights and differ in graphs."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from common.errors import InputError
from models.gcn_nas.architecture import GcnNasArchitecture
from models.gcn_nas.backbone import COORDINATES
from models.gcn_nas.network import GcnNasNetwork, GraphConv, build, set_graphs
from models.gcn_nas.skeletons import Skeleton
from models.stack import NetworkStack

BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d


class StackedGraphConv(GraphConv):
    """Graph convolution with the graphs of each network's own: (B, C, T, V) → (B, C', T, V), B = K·rows.

    It computes every attention graph that one of the networks has.

    Its buffers are `graph`, the fixed graphs of each network, (K, 3, V, V), and for each attention module
    `has_<name of its first convolutions>`, (K,), True for the networks that have it.
    """

    @override
    def _graphs(self, x: Tensor) -> Iterator[Tensor]:
        rows = len(x) // len(self.graph)
        present = {
            name: getattr(self, f"has_{name}").repeat_interleave(rows)[:, None, None] for name, _ in self.attention
        }
        fixed = self.graph.repeat_interleave(rows, 0)
        for i, attention in enumerate(self._attention(x)):
            own = (torch.where(present[name], graph, 0) for name, graph in attention.items())
            yield sum(own, fixed[:, i] + self.PA[i])


class StackedBatchNorm(nn.Module):
    """Batch norm in training over the rows of each network: (B, C, …) → (B, C, …), B = K·rows.

    Args:
        norm: the layer whose parameters it takes.
        number: K.
    """

    def __init__(self, norm: BatchNorm, number: int) -> None:
        super().__init__()
        self.weight, self.bias, self.eps, self.number = norm.weight, norm.bias, norm.eps, number

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C, …)."""
        rows = len(x) // self.number
        z = x.reshape(self.number, rows, *x.shape[1:]).transpose(0, 1).flatten(1, 2)
        weight, bias = self.weight.repeat(self.number), self.bias.repeat(self.number)
        z = functional.batch_norm(z, None, None, weight, bias, training=True, eps=self.eps)
        return z.view(rows, self.number, *x.shape[1:]).transpose(0, 1).reshape(x.shape)


class StackedNetwork(GcnNasNetwork):
    """Networks of one depth: (K·N, C, T, V, M) → logits (K·N, num_classes)."""

    supports_tape = True


def build_stack(
    archs: Sequence[GcnNasArchitecture], skeleton: Skeleton, num_persons: int, num_classes: int, seed: int
) -> NetworkStack:
    """Build several networks of one depth at initialization; see `models.stack.StackableSpace`.

    Args:
        archs: architectures.
        skeleton: joints and links of the input.
        num_persons: number of persons, M.
        num_classes: number of classes.
        seed: seed of the initial weights.

    Raises:
        InputError: there is no architecture, or they are of several depths.
    """
    if len({arch.depth for arch in archs}) != 1:
        raise InputError("archs", sorted({arch.depth for arch in archs}), "architectures of one depth, at least one")
    rows = zip(*(arch.mask for arch in archs), strict=True)
    union = GcnNasArchitecture(tuple(tuple(map(any, zip(*row, strict=True))) for row in rows))
    stacked = build(union, skeleton, num_persons, num_classes, seed)
    state = stacked.state_dict(keep_vars=True)
    networks = tuple(_with_state(arch, stacked, state) for arch in archs)
    stacked.__class__ = StackedNetwork
    for name, module in list(stacked.named_modules()):
        if isinstance(module, BatchNorm):
            parent, _, attribute = name.rpartition(".")
            setattr(stacked.get_submodule(parent), attribute, StackedBatchNorm(module, len(archs)))
        elif isinstance(module, GraphConv):
            module.__class__ = StackedGraphConv
            own: list[Any] = [network.get_submodule(name) for network in networks]
            module.graph = torch.stack([conv.graph for conv in own])
            for pair in module.attention:
                has = torch.tensor([pair in conv.attention for conv in own])
                module.register_buffer(f"has_{pair[0]}", has, persistent=False)
    return NetworkStack(stacked, networks)


def _with_state(arch: GcnNasArchitecture, like: GcnNasNetwork, state: Mapping[str, Tensor]) -> GcnNasNetwork:
    """Return the network of an architecture, with tensors of a state dict."""
    with torch.device("meta"):
        num_persons = like.data_bn.num_features // (like.skeleton.joints * COORDINATES)
        network = GcnNasNetwork(arch, like.skeleton, num_persons, like.fc.out_features)
    network.load_state_dict({key: state[key] for key in network.state_dict()}, assign=True)
    set_graphs(network)
    return network
