"""The `gcn-nas` network (Peng et al. 2020) as the public benchmark trained it, quirks included.

Inside the network each person is a sample: (B, C, T, V) with B = N·M.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.gcn_nas.architecture import FIXED_MODULES, MODULES, GcnNasArchitecture
from models.gcn_nas.backbone import (
    BACKBONE,
    COORDINATES,
    FEATURE_SLOT,
    SUBSETS,
    TEMPORAL_KERNEL,
    WIDTH,
    Slot,
    fixed_graph,
    polynomials,
)
from models.gcn_nas.cost import network_cost
from models.gcn_nas.skeletons import Skeleton
from models.initial_weights import fill_normal
from models.task import Shapes
from models.topology import UnitTopology

ATTENTION_CONVS = {"S": ("conv_a", "conv_b"), "T": ("conv_T1", "conv_T2"), "ST": ("conv_ST11", "conv_ST12")}


def _convs(kernels: Sequence[int], channels_in: int, channels_out: int) -> nn.ModuleList:
    """Temporal convolutions of these kernel lengths, padded to keep the number of frames."""
    return nn.ModuleList(nn.Conv2d(channels_in, channels_out, (k, 1), padding=(k // 2, 0)) for k in kernels)


def _apply_together(convs: Sequence[nn.Conv2d], x: Tensor) -> tuple[Tensor, ...]:
    """Apply convolutions of the same shape to one input, as one convolution."""
    weight, bias = (torch.cat([getattr(conv, name) for conv in convs]) for name in ("weight", "bias"))
    outputs: tuple[Tensor, ...] = functional.conv2d(x, weight, bias, padding=convs[0].padding).chunk(len(convs), dim=1)
    return outputs


class ConvNorm(nn.Module):
    """Strided temporal convolution and batch norm: (B, C, T, V) → (B, C', T/stride, V)."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, (kernel, 1), (stride, 1), (kernel // 2, 0))
        self.bn = nn.BatchNorm2d(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, T, V) to (B, C', T/stride, V)."""
        y: Tensor = self.bn(self.conv(x))
        return y


class GraphConv(nn.Module):
    """Graph convolution over fixed and attention graphs: (B, C, T, V) → (B, C', T, V).

    `y = Σ_i conv_d[i](x · (fixed_i + PA_i + S_i + T_i + ST_i))`, batch norm, plus the input, ReLU.
    """

    graph: Tensor
    PA: Tensor

    def __init__(self, slot: Slot, row: Sequence[bool], joints: int) -> None:
        super().__init__()
        modules = {name for name, present in zip(MODULES, row, strict=True) if present}
        c_in, c_out = slot.channels_in, slot.channels_out
        inner = c_out // 4
        self.register_buffer("graph", torch.empty(SUBSETS, joints, joints), persistent=False)
        self.PA = nn.Parameter(torch.empty(SUBSETS, joints, joints))
        # Registered in the order of the public implementation's state dict.
        if "S" in modules:
            self.conv_a = _convs([1] * SUBSETS, c_in, inner)
            self.conv_b = _convs([1] * SUBSETS, c_in, inner)
        self.conv_d = _convs([1] * SUBSETS, c_in, c_out)
        if "T" in modules:
            self.conv_T1 = _convs([TEMPORAL_KERNEL] * SUBSETS, c_in, inner)
            self.conv_T2 = _convs([TEMPORAL_KERNEL] * SUBSETS, c_in, inner)
        if "ST" in modules:
            # Only the first three of six convolutions are used: a quirk that counts in `params`.
            self.conv_ST11 = _convs([1, TEMPORAL_KERNEL] * SUBSETS, c_in, inner)
            self.conv_ST12 = _convs([1, TEMPORAL_KERNEL] * SUBSETS, c_in, inner)
        self.attention = tuple(pair for module, pair in ATTENTION_CONVS.items() if module in modules)
        self.down = nn.Identity() if c_in == c_out else nn.Sequential(nn.Conv2d(c_in, c_out, 1), nn.BatchNorm2d(c_out))
        self.bn = nn.BatchNorm2d(c_out)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, T, V) to (B, C', T, V)."""
        b, c, t, v = x.shape
        flat = x.reshape(b, c * t, v)
        y: Tensor | None = None
        for conv, graph in zip(self.conv_d, self._graphs(x), strict=True):
            z = conv((flat @ graph).view(b, c, t, v))
            y = z if y is None else y + z
        out: Tensor = self.relu(self.bn(y) + self.down(x))
        return out

    def _graphs(self, x: Tensor) -> Iterator[Tensor]:
        """Sum of the graphs of each subset, (V, V) or (B, V, V)."""
        for i, attention in enumerate(self._attention(x)):
            yield sum(attention.values(), self.graph[i] + self.PA[i])

    def _attention(self, x: Tensor) -> list[dict[str, Tensor]]:
        """Graphs of the attention modules, (B, V, V) each, by subset and name of the first convolutions.

        Convolutions of one kernel length are applied together: up to 18 become two.
        """
        pairs = [
            (i, name, getattr(self, name)[i], getattr(self, second)[i])
            for i in range(SUBSETS)
            for name, second in self.attention
        ]
        graphs: list[dict[str, Tensor]] = [{} for _ in range(SUBSETS)]
        for kernel in dict.fromkeys(first.kernel_size for _, _, first, _ in pairs):
            same_kernel = [pair for pair in pairs if pair[2].kernel_size == kernel]
            outputs = iter(_apply_together([conv for _, _, *both in same_kernel for conv in both], x))
            for (i, name, _, _), a, b in zip(same_kernel, outputs, outputs, strict=True):
                graphs[i][name] = self._attend(a, b)
        return graphs

    @staticmethod
    def _attend(a: Tensor, b: Tensor) -> Tensor:
        """Similarity of joints over (c, T): two (B, c, T, V) → (B, V, V), columns sum to 1."""
        features = a.shape[1] * a.shape[2]
        left, right = a.flatten(1, 2), b.flatten(1, 2)
        return torch.softmax(left.transpose(1, 2) @ right / features, dim=-2)


class Unit(nn.Module):
    """One layer of the backbone: graph convolution, temporal convolution, residual, ReLU."""

    def __init__(self, number: int, row: Sequence[bool], joints: int) -> None:
        super().__init__()
        slot = BACKBONE[number]
        self.gtcn = GraphConv(slot, row, joints)
        self.tcn = ConvNorm(slot.channels_out, slot.channels_out, TEMPORAL_KERNEL, slot.stride)
        self.residual: nn.Module | None
        if number == 1:
            self.residual = None
        elif slot.channels_in == slot.channels_out and slot.stride == 1:
            self.residual = nn.Identity()
        else:
            self.residual = ConvNorm(slot.channels_in, slot.channels_out, 1, slot.stride)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, T, V) to (B, C', T/stride, V)."""
        y = self.tcn(self.gtcn(x))
        if self.residual is not None:
            y = y + self.residual(x)
        out: Tensor = self.relu(y)
        return out


class GcnNasNetwork(nn.Module):
    """Network of a `gcn-nas` architecture: (N, C, T, V, M) → logits (N, num_classes).

    State-dict keys are those of the public implementation: `l<slot>.gtcn.…`.

    Args:
        arch: architecture.
        skeleton: joints and links of the input.
        num_persons: number of persons, M.
        num_classes: number of classes.
    """

    supports_tape = True

    def __init__(self, arch: GcnNasArchitecture, skeleton: Skeleton, num_persons: int, num_classes: int) -> None:
        super().__init__()
        self.arch, self.skeleton = arch, skeleton
        self.data_bn = nn.BatchNorm1d(num_persons * skeleton.joints * COORDINATES)
        for number, row in zip(arch.slots, arch.mask, strict=True):
            self.add_module(f"l{number}", Unit(number, row, skeleton.joints))
        self.fc = nn.Linear(WIDTH, num_classes)

    @property
    def feature_unit(self) -> nn.Module:
        """Unit whose output are the network's features (used by zen): backbone slot 9."""
        return self.get_submodule(f"l{FEATURE_SLOT}")

    @property
    def units(self) -> tuple[nn.Module, ...]:
        """Layers of the backbone in the order of execution (used by meco and others)."""
        return tuple(self.get_submodule(f"l{number}") for number in self.arch.slots)

    @property
    def topology(self) -> tuple[UnitTopology, ...]:
        """Connectivity of each unit over joints and frames (used by sed); `PA`, initialized to 1e-6, is left out.

        The fixed-graph modules are one aggregation. Each attention module is another, approximated by uniform
        attention, to which it is close at initialization. The residuals of the graph convolution and of the unit are
        skips.
        """
        adjacency = self.skeleton.adjacency()
        ball, terms = adjacency.sum(axis=0) > 0, polynomials(adjacency)
        uniform = np.full(adjacency.shape, 1 / self.skeleton.joints)
        topology = []
        for number, row in zip(self.arch.slots, self.arch.mask, strict=True):
            fixed = [terms[name] for name, present in zip(FIXED_MODULES, row, strict=False) if present]
            attention = (uniform,) * sum(row[len(FIXED_MODULES) :])
            aggregations = (np.concatenate(fixed), *attention) if fixed else attention
            skips = 1 if number == 1 else 2
            topology.append(UnitTopology(ball, aggregations, skips, TEMPORAL_KERNEL, BACKBONE[number].stride))
        return tuple(topology)

    def flops(self, shapes: Shapes) -> int:
        """Count the FLOPs of one forward pass of a batch of shape ((N, C, T, V, M),), as `network_cost` does."""
        return network_cost(self.arch, shapes, self.fc.out_features).flops

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, T, V, M) to logits (N, num_classes)."""
        n, c, t, v, m = x.shape
        x = self.data_bn(x.permute(0, 4, 3, 1, 2).reshape(n, m * v * c, t))
        x = x.view(n, m, v, c, t).permute(0, 1, 3, 4, 2).reshape(n * m, c, t, v)
        for unit in self.units:
            x = unit(x)
        pooled = x.mean(dim=(2, 3)).view(n, m, -1).mean(dim=1)
        logits: Tensor = self.fc(pooled)
        return logits


def build(arch: GcnNasArchitecture, skeleton: Skeleton, num_persons: int, num_classes: int, seed: int) -> GcnNasNetwork:
    """Build a network at initialization.

    Every tensor has its own random generator, seeded by (seed, key): a slot has the same initial weights in every
    architecture that has them (common random numbers make scores comparable), and neither the order of construction nor
    the global random state matters.

    Args:
        arch: architecture.
        skeleton: joints and links of the input.
        num_persons: number of persons, M.
        num_classes: number of classes.
        seed: seed of the initial weights.
    """
    with torch.device("meta"):
        network = GcnNasNetwork(arch, skeleton, num_persons, num_classes)
    network.to_empty(device="cpu")
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.reset_parameters()
        set_graphs(network)
        for key, parameter in network.named_parameters():
            if key.endswith("PA"):
                parameter.fill_(1e-6)
            elif parameter.ndim > 1:
                std = _init_std(key, parameter.shape, num_classes)
                fill_normal(parameter, std, seed, key)
            elif key.endswith("bias"):
                parameter.zero_()
            elif key.endswith("gtcn.bn.weight"):
                parameter.fill_(1e-6)
    return network


def set_graphs(network: GcnNasNetwork) -> None:
    """Set the fixed graphs of a network's architecture, which no state dict has."""
    for number, row in zip(network.arch.slots, network.arch.mask, strict=True):
        graph = torch.from_numpy(fixed_graph(network.skeleton, row))
        network.get_submodule(f"l{number}.gtcn").register_buffer("graph", graph.float(), persistent=False)


def _init_std(key: str, shape: torch.Size, num_classes: int) -> float:
    """Standard deviation of a weight's normal initialization: Kaiming fan-out, except `conv_d` and `fc`."""
    if key == "fc.weight":
        return float((2 / num_classes) ** 0.5)
    out, fan_in, kernel = shape[0], shape[1], shape[2] * shape[3]
    if ".conv_d." in key:
        return float((2 / (out * fan_in * SUBSETS)) ** 0.5)
    return float((2 / (out * kernel)) ** 0.5)
