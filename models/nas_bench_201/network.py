"""The `nas-bench-201` network as the benchmark trained it (Dong & Yang 2020, Sec. 2)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.initial_weights import fill_uniform
from models.nas_bench_201.architecture import NasBench201Architecture
from models.nas_bench_201.cell import AVG_POOL, CONV_1X1, CONV_3X3, EDGES, OUTPUT
from models.nas_bench_201.cost import network_cost
from models.nas_bench_201.macro import CELLS_PER_STAGE, CHANNELS, WIDTHS
from models.task import Shapes


class ReluConvNorm(nn.Module):
    """ReLU, convolution without bias, batch norm: (N, C, H, W) → (N, C', H/stride, W/stride)."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        conv = nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2, bias=False)
        self.op = nn.Sequential(nn.ReLU(), conv, nn.BatchNorm2d(channels_out))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C', H/stride, W/stride)."""
        y: Tensor = self.op(x)
        return y


def _operation(op: int, channels: int) -> nn.Module:
    if op in (CONV_1X1, CONV_3X3):
        return ReluConvNorm(channels, channels, {CONV_1X1: 1, CONV_3X3: 3}[op])
    return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False) if op == AVG_POOL else nn.Identity()


class Cell(nn.Module):
    """Cell: (N, C, H, W) → (N, C, H, W), zeros without a path from input to output.

    Only live edges are computed; operations on other edges are built, as in the benchmark, for their parameters.
    """

    def __init__(self, arch: NasBench201Architecture, channels: int) -> None:
        super().__init__()
        self.live_edges = arch.live_edges
        self.layers = nn.ModuleList(_operation(op, channels) for op in arch.ops)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        nodes: dict[int, Tensor] = {0: x}
        for edge, layer in enumerate(self.layers):
            if edge in self.live_edges:
                source, target = EDGES[edge]
                y = layer(nodes[source])
                nodes[target] = nodes[target] + y if target in nodes else y
        return nodes[OUTPUT] if OUTPUT in nodes else torch.zeros_like(x)


class ResidualBlock(nn.Module):
    """Residual block between two stages: (N, C, H, W) → (N, C', H/2, W/2)."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv_a = ReluConvNorm(channels_in, channels_out, 3, stride=2)
        self.conv_b = ReluConvNorm(channels_out, channels_out, 3)
        self.downsample = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(channels_in, channels_out, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C', H/2, W/2)."""
        y: Tensor = self.conv_b(self.conv_a(x)) + self.downsample(x)
        return y


class NasBench201Network(nn.Module):
    """Network of a `nas-bench-201` architecture: images (N, 3, H, W) → logits (N, num_classes).

    H and W are multiples of 4.

    Args:
        arch: architecture.
        num_classes: number of classes.
    """

    supports_tape = True

    def __init__(self, arch: NasBench201Architecture, num_classes: int) -> None:
        super().__init__()
        self.arch = arch
        self.stem = nn.Sequential(nn.Conv2d(CHANNELS, WIDTHS[0], 3, padding=1, bias=False), nn.BatchNorm2d(WIDTHS[0]))
        self.cells = nn.ModuleList(_units(arch, WIDTHS))
        self.lastact = nn.Sequential(nn.BatchNorm2d(WIDTHS[-1]), nn.ReLU())
        self.classifier = nn.Linear(WIDTHS[-1], num_classes)

    @property
    def feature_unit(self) -> nn.Module:
        """Module whose output is pooled (used by zen)."""
        return self.lastact

    @property
    def units(self) -> tuple[nn.Module, ...]:
        """Cells and residual blocks in the order of execution (used by meco and others)."""
        return tuple(self.cells)

    def flops(self, shapes: Shapes) -> int:
        """Count the FLOPs of one forward pass of images ((N, 3, H, W),), as `network_cost` does."""
        return network_cost(self.arch, shapes, self.classifier.out_features).flops

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, 3, H, W) to logits (N, num_classes)."""
        x = self.stem(x)
        for unit in self.cells:
            x = unit(x)
        logits: Tensor = self.classifier(self.lastact(x).mean(dim=(2, 3)))
        return logits


def _units(arch: NasBench201Architecture, widths: Sequence[int]) -> list[nn.Module]:
    """Cells of each stage, and a residual block before every stage but the first."""
    units: list[nn.Module] = []
    for i, channels in enumerate(widths):
        if i:
            units.append(ResidualBlock(widths[i - 1], channels))
        units += [Cell(arch, channels) for _ in range(CELLS_PER_STAGE)]
    return units


def build(arch: NasBench201Architecture, num_classes: int, seed: int) -> NasBench201Network:
    """Build a network at initialization.

    Weights and the bias are uniform in ±1/√(fan-in), PyTorch's default, which the benchmark used. Every tensor has its
    own random generator, seeded by (seed, key): an edge has the same initial weights in every architecture with the
    same operation there (common random numbers make scores comparable), and neither the order of construction nor the
    global random state matters.

    Args:
        arch: architecture.
        num_classes: number of classes.
        seed: seed of the initial weights.
    """
    with torch.device("meta"):
        network = NasBench201Network(arch, num_classes)
    network.to_empty(device="cpu")
    with torch.no_grad():
        for name, module in network.named_modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_parameters()
            elif isinstance(module, nn.Conv2d | nn.Linear):
                bound = module.weight[0].numel() ** -0.5
                for key, parameter in module.named_parameters(prefix=name):
                    fill_uniform(parameter, bound, seed, key)
    return network
