"""Convolution over frames, in float64 on a CPU in half the time of PyTorch's.

One matrix product for each frame of the kernel, directly from the input to the output: nothing is copied or padded.
"""

from collections.abc import Iterator

import torch
from torch import Tensor


def applies(x: Tensor, weight: Tensor, stride: tuple[int, ...], padding: tuple[int, ...], groups: int) -> bool:
    """Return True for a convolution over frames in float64 on a CPU."""
    return (x.dtype, x.device.type) == (torch.float64, "cpu") and is_over_frames(weight, stride, padding, groups)


def is_over_frames(weight: Tensor, stride: tuple[int, ...], padding: tuple[int, ...], groups: int) -> bool:
    """Return True for a convolution of (rows, C, T, V) with (C', C, K, 1), with padding and stride over T alone."""
    return (weight.ndim, groups) == (4, 1) and (weight.shape[3], stride[1], padding[1]) == (1, 1, 0)


def forward(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int, dilation: int) -> Tensor:
    """Return z, (rows, C', T', V)."""
    rows, _, frames, nodes = x.shape
    frames_out = (frames + 2 * padding - dilation * (weight.shape[2] - 1) - 1) // stride + 1
    z = x.new_zeros(rows, len(weight), frames_out, nodes)
    if bias is not None:
        z += bias[:, None, None]
    matrices = weight[..., 0].permute(2, 0, 1).contiguous()
    for tap, input_frames, output_frames in _taps(weight.shape[2], frames, frames_out, stride, padding, dilation):
        z[:, :, output_frames].flatten(2).baddbmm_(matrices[tap].expand(rows, -1, -1), x[:, :, input_frames].flatten(2))
    return z


def input_gradient(
    gradient: Tensor, shape: torch.Size, weight: Tensor, stride: int, padding: int, dilation: int
) -> Tensor:
    """Return ∂/∂x, of the given shape, from ∂/∂z."""
    grad_x = gradient.new_zeros(shape)
    matrices = weight[..., 0].permute(2, 1, 0).contiguous()
    for tap, input_frames, output_frames in _taps(
        weight.shape[2], shape[2], gradient.shape[2], stride, padding, dilation
    ):
        target, matrix = grad_x[:, :, input_frames], matrices[tap].expand(shape[0], -1, -1)
        if stride == 1:
            target.flatten(2).baddbmm_(matrix, gradient[:, :, output_frames].flatten(2))
        else:  # strided frames cannot be flattened in place
            target += (matrix @ gradient[:, :, output_frames].flatten(2)).view_as(target)
    return grad_x


def weight_gradients(
    gradient: Tensor, x: Tensor, weight: Tensor, stride: int, padding: int, dilation: int, parts: int = 1
) -> Tensor:
    """Return ∂/∂W of equal parts of the rows, (parts, *weight shape), from ∂/∂z."""
    gradients = weight.new_zeros(parts, *weight.shape)
    for tap, input_frames, output_frames in _taps(
        weight.shape[2], x.shape[2], gradient.shape[2], stride, padding, dilation
    ):
        products = gradient[:, :, output_frames].flatten(2) @ x[:, :, input_frames].flatten(2).mT
        gradients[:, :, :, tap, 0] = products.view(parts, -1, *weight.shape[:2]).sum(1)
    return gradients


def _taps(
    kernel: int, frames: int, frames_out: int, stride: int, padding: int, dilation: int
) -> Iterator[tuple[int, slice, slice]]:
    """Yield each frame of the kernel with the frames of input and output that it connects, padding left out."""
    for tap in range(kernel):
        shift = tap * dilation - padding
        first, after = max(0, -(shift // stride)), min(frames_out, (frames - 1 - shift) // stride + 1)
        if first < after:
            yield tap, slice(first * stride + shift, (after - 1) * stride + shift + 1, stride), slice(first, after)
