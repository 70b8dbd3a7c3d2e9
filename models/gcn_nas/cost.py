"""Parameters and FLOPs of a `gcn-nas` network, counted analytically."""

from functools import lru_cache

from models.base import Cost
from models.gcn_nas.architecture import MODULES, GcnNasArchitecture, Row
from models.gcn_nas.backbone import BACKBONE, SUBSETS, TEMPORAL_KERNEL, WIDTH, Slot
from models.task import Shapes

_ATTENTION_KERNELS = {
    "S": (1,) * SUBSETS,
    "T": (TEMPORAL_KERNEL,) * SUBSETS,
    "ST": (1, TEMPORAL_KERNEL) * SUBSETS,
}
"""Kernel lengths in each of an attention module's two lists of convolutions; only the first three are used."""


def network_cost(arch: GcnNasArchitecture, shapes: Shapes, num_classes: int) -> Cost:
    """Count trainable parameters, and FLOPs of one forward pass.

    FLOPs are 2 × multiply-adds of all convolutions and linear layers in use, of the attention products, and of features
    times graph. Batch norm, softmax, ReLU, sums and pooling are not counted.

    Args:
        arch: architecture.
        shapes: shape of the batch, ((N, C, T, V, M),).
        num_classes: number of classes.
    """
    batch_size, coordinates, frames, joints, num_persons = shapes[0]
    params = 2 * num_persons * joints * coordinates + (WIDTH + 1) * num_classes
    multiply_adds = batch_size * WIDTH * num_classes
    for number, row in zip(arch.slots, arch.mask, strict=True):
        unit_params, unit_multiply_adds, frames = _unit(number, row, joints, frames)
        params += unit_params
        multiply_adds += batch_size * num_persons * joints * unit_multiply_adds
    return Cost(params, 2 * multiply_adds)


@lru_cache(maxsize=8192)  # 2560 per input shape: ten slots, 256 rows
def _unit(number: int, row: Row, joints: int, frames: int) -> tuple[int, int, int]:
    """Parameters, multiply-adds per joint, person and sample, and number of output frames of a unit."""
    slot = BACKBONE[number]
    modules = [name for name, present in zip(MODULES, row, strict=True) if present]
    frames_out = -(-frames // slot.stride)
    return (
        _unit_params(number, slot, modules, joints),
        _unit_multiply_adds(number, slot, modules, joints, frames, frames_out),
        frames_out,
    )


def _has_projection(number: int, slot: Slot) -> bool:
    """Return true if the unit's residual is a convolution."""
    return number != 1 and (slot.channels_in != slot.channels_out or slot.stride != 1)


def _unit_params(number: int, slot: Slot, modules: list[str], joints: int) -> int:
    c_in, c_out = slot.channels_in, slot.channels_out
    pointwise, norm = c_out * (c_in + 1), 2 * c_out
    total = SUBSETS * joints**2 + SUBSETS * pointwise + norm
    for module in modules:
        total += 2 * sum(c_out // 4 * (c_in * kernel + 1) for kernel in _ATTENTION_KERNELS.get(module, ()))
    if c_in != c_out:
        total += pointwise + norm
    total += c_out * (c_out * TEMPORAL_KERNEL + 1) + norm
    if _has_projection(number, slot):
        total += pointwise + norm
    return total


def _unit_multiply_adds(number: int, slot: Slot, modules: list[str], joints: int, frames: int, frames_out: int) -> int:
    c_in, c_out = slot.channels_in, slot.channels_out
    total = SUBSETS * frames * c_in * (joints + c_out)
    for module in modules:
        if module in _ATTENTION_KERNELS:
            kernels = _ATTENTION_KERNELS[module][:SUBSETS]
            total += c_out // 4 * frames * (2 * c_in * sum(kernels) + SUBSETS * joints)
    if c_in != c_out:
        total += c_in * c_out * frames
    total += c_out * c_out * TEMPORAL_KERNEL * frames_out
    if _has_projection(number, slot):
        total += c_in * c_out * frames_out
    return total
