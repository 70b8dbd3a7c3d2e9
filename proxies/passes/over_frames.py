"""Convolution over frames in float64 on a CPU, where PyTorch has no fast one: this takes half its time.

One matrix product for each frame of the kernel, straight from the input to the output: nothing is copied or padded.
"""

from collections.abc import Iterator

import torch
from torch import Tensor


def fits(x: Tensor, weight: Tensor, stride: tuple[int, ...], padding: tuple[int, ...], groups: int) -> bool:
    """Whether it is such a convolution: (rows, C, T, V) with (C', C, K, 1), padding and stride over T alone."""
    kind = (x.dtype, x.device.type, x.ndim, groups)
    return kind == (torch.float64, "cpu", 4, 1) and (weight.shape[3], stride[1], padding[1]) == (1, 1, 0)


def forward(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int, dilation: int) -> Tensor:
    """(rows, C', T', V)."""
    rows, _, frames, joints = x.shape
    frames_after = (frames + 2 * padding - dilation * (weight.shape[2] - 1) - 1) // stride + 1
    z = x.new_zeros(rows, len(weight), frames_after, joints)
    if bias is not None:
        z += bias[:, None, None]
    matrices = weight[..., 0].permute(2, 0, 1).contiguous()
    for tap, given, made in _taps(weight.shape[2], frames, frames_after, stride, padding, dilation):
        z[:, :, made].flatten(2).baddbmm_(matrices[tap].expand(rows, -1, -1), x[:, :, given].flatten(2))
    return z


def input_gradient(
    gradient: Tensor, shape: torch.Size, weight: Tensor, stride: int, padding: int, dilation: int
) -> Tensor:
    """∂/∂x, of that shape, from ∂/∂z."""
    given_gradient = gradient.new_zeros(shape)
    matrices = weight[..., 0].permute(2, 1, 0).contiguous()
    for tap, given, made in _taps(weight.shape[2], shape[2], gradient.shape[2], stride, padding, dilation):
        there, matrix = given_gradient[:, :, given], matrices[tap].expand(shape[0], -1, -1)
        if stride == 1:
            there.flatten(2).baddbmm_(matrix, gradient[:, :, made].flatten(2))
        else:  # every second frame cannot be flattened in place
            there += (matrix @ gradient[:, :, made].flatten(2)).view_as(there)
    return given_gradient


def weight_gradient(gradient: Tensor, x: Tensor, weight: Tensor, stride: int, padding: int, dilation: int) -> Tensor:
    """∂/∂W from ∂/∂z."""
    made_gradient = torch.zeros_like(weight)
    for tap, given, made in _taps(weight.shape[2], x.shape[2], gradient.shape[2], stride, padding, dilation):
        by_row = gradient[:, :, made].flatten(2) @ x[:, :, given].flatten(2).mT
        made_gradient[:, :, tap, 0] = by_row.sum(0)
    return made_gradient


def _taps(
    kernel: int, frames: int, frames_after: int, stride: int, padding: int, dilation: int
) -> Iterator[tuple[int, slice, slice]]:
    """For each frame of the kernel, which frames of the input meet which of the output there; none in the padding."""
    for tap in range(kernel):
        shift = tap * dilation - padding
        first, after = max(0, -(shift // stride)), min(frames_after, (frames - 1 - shift) // stride + 1)
        if first < after:
            yield tap, slice(first * stride + shift, (after - 1) * stride + shift + 1, stride), slice(first, after)
