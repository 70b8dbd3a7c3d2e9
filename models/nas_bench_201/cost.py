"""Parameters and FLOPs of a `nas-bench-201` network, counted analytically."""

from models.base import Cost
from models.nas_bench_201.architecture import NasBench201Architecture
from models.nas_bench_201.cell import CONV_1X1, CONV_3X3
from models.nas_bench_201.macro import CELLS_PER_STAGE, CHANNELS, WIDTHS
from models.task import Shapes

KERNEL_AREA = {CONV_1X1: 1, CONV_3X3: 9}
"""Positions of a convolution's kernel."""


def network_cost(arch: NasBench201Architecture, shapes: Shapes, num_classes: int) -> Cost:
    """Count trainable parameters, and FLOPs of one forward pass.

    Parameters are those of all edges, as published; FLOPs, 2 × multiply-adds of convolutions and the linear layer, are
    those of live edges alone, as the others are not computed. Batch norm, ReLU, sums and pooling are not counted.

    Args:
        arch: architecture.
        shapes: shape of the images, ((N, 3, H, W),).
        num_classes: number of classes.
    """
    ((batch_size, _, height, width),) = shapes
    stem = 9 * CHANNELS * WIDTHS[0]
    params = stem + 2 * WIDTHS[0] + 2 * WIDTHS[-1] + (WIDTHS[-1] + 1) * num_classes
    multiply_adds = height * width * stem + WIDTHS[-1] * num_classes
    previous = WIDTHS[0]
    for channels in WIDTHS:
        if channels != previous:
            height, width = -(-height // 2), -(-width // 2)
            # Two 3×3 convolutions, and a 1×1 convolution in the shortcut.
            weights = 9 * previous * channels + 9 * channels**2 + previous * channels
            params += weights + 4 * channels
            multiply_adds += height * width * weights
            previous = channels
        for edge, op in enumerate(arch.ops):
            if op in KERNEL_AREA:
                weights = KERNEL_AREA[op] * channels**2
                params += CELLS_PER_STAGE * (weights + 2 * channels)
                multiply_adds += CELLS_PER_STAGE * height * width * weights * (edge in arch.live_edges)
    return Cost(params, 2 * batch_size * multiply_adds)
