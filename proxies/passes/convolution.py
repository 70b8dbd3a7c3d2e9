"""Convolutions that are differentiable in their input alone, any number of times, and their weight gradients."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from proxies.passes import temporal_convolution


@dataclass(frozen=True)
class ConvolutionOptions:
    """Stride, padding and dilation, each with one number per dimension, and the number of groups."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    @classmethod
    def from_arguments(
        cls, kernel: torch.Size, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
    ) -> "ConvolutionOptions":
        """Return the options from arguments of `torch.nn.functional.conv2d` and its siblings, for a kernel's size.

        Raises:
            NotImplementedError: padding differs from side to side.
        """
        dilation = _each(dilation, len(kernel))
        if padding == "same":
            spans = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
            if any(span % 2 for span in spans):
                raise NotImplementedError("padding 'same' of an even kernel, one side of which is padded more")
            padding = [span // 2 for span in spans]
        padding = 0 if padding == "valid" else padding
        return cls(_each(stride, len(kernel)), _each(padding, len(kernel)), dilation, groups)

    @property
    def aten_args(self) -> tuple[Any, ...]:
        """Arguments of `torch.convolution` and its derivative: not transposed, so without padding of the output."""
        return self.stride, self.padding, self.dilation, False, (0,) * len(self.stride), self.groups


def _each(value: Any, dimensions: int) -> tuple[int, ...]:
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * dimensions if len(values) == 1 else values


def forward(
    x: Tensor,
    weight: Tensor,
    options: ConvolutionOptions,
    bias: Tensor | None = None,
    backward_in: torch.dtype | None = None,
) -> Tensor:
    """Convolve x, (rows, C, …), with weight, (C', C / groups, …).

    Weight and bias are constants. `backward_in` is the precision of ∂/∂x; that of x where None.
    """
    z: Tensor = _Convolution.apply(x, weight, options, bias, backward_in or x.dtype)  # type: ignore[no-untyped-call]
    return z


def weight_gradient(x: Tensor, gradient: Tensor, weight: Tensor, options: ConvolutionOptions) -> Tensor:
    """Return ∂/∂W, shaped as the weight, from the input and ∂/∂z. No autograd."""
    if _is_temporal(x, weight, options):
        return temporal_convolution.weight_gradients(gradient, x, weight, *_first_dimension(options))[0]
    return _backward(gradient, x, weight, options, (False, True, False))[1]


def weight_gradients(x: Tensor, gradient: Tensor, weight: Tensor, options: ConvolutionOptions, parts: int) -> Tensor:
    """Return `weight_gradient` of equal parts of the rows, (parts, *weight shape)."""
    if temporal_convolution.is_over_frames(weight, options.stride, options.padding, options.groups):
        return temporal_convolution.weight_gradients(gradient, x, weight, *_first_dimension(options), parts=parts)
    pairs = zip(x.chunk(parts), gradient.chunk(parts), strict=True)
    return torch.stack([weight_gradient(some, of_some, weight, options) for some, of_some in pairs])


def forward_each(x: Tensor, weights: Tensor, options: ConvolutionOptions) -> Tensor:
    """Convolve equal parts of the rows, each with weights of its own, (parts, *weight shape); see `forward`."""
    parts = len(weights)
    rows = len(x) // parts
    together = x.reshape(parts, rows, *x.shape[1:]).transpose(0, 1).flatten(1, 2)
    z = forward(together, weights.flatten(0, 1), replace(options, groups=parts * options.groups))
    return z.view(rows, parts, -1, *z.shape[2:]).transpose(0, 1).flatten(0, 1)


class _Convolution(torch.autograd.Function):
    """Convolution without the derivatives of the weight gradient, which PyTorch's always computes in a second pass."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, options: ConvolutionOptions, bias: Tensor | None, backward_in: torch.dtype
    ) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.options, ctx.shape, ctx.backward_in = options, x.shape, backward_in
        if _is_temporal(x, weight, options):
            return temporal_convolution.forward(x, weight, bias, *_first_dimension(options))
        return torch.convolution(x, weight, bias, *options.aten_args)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        (weight,) = (saved.to(ctx.backward_in) for saved in ctx.saved_tensors)
        grad_x: Tensor = _Transposed.apply(  # type: ignore[no-untyped-call]
            gradient.to(ctx.backward_in), ctx.shape, weight, ctx.options
        )
        return grad_x.to(gradient.dtype), None, None, None, None


class _Transposed(torch.autograd.Function):
    """∂/∂x from ∂/∂z, by a transposed convolution."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, shape: torch.Size, weight: Tensor, options: ConvolutionOptions) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.options = options
        x = gradient.new_empty(shape)  # PyTorch reads its shape alone
        if _is_temporal(x, weight, options):
            return temporal_convolution.input_gradient(gradient, shape, weight, *_first_dimension(options))
        return _backward(gradient, x, weight, options, (True, False, False))[0]

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> tuple[Tensor, None, None, None]:
        (weight,) = ctx.saved_tensors
        return forward(v, weight, ctx.options), None, None, None


def _is_temporal(x: Tensor, weight: Tensor, options: ConvolutionOptions) -> bool:
    return temporal_convolution.applies(x, weight, options.stride, options.padding, options.groups)


def _first_dimension(options: ConvolutionOptions) -> tuple[int, int, int]:
    return options.stride[0], options.padding[0], options.dilation[0]


def _backward(
    gradient: Tensor, x: Tensor, weight: Tensor, options: ConvolutionOptions, output_mask: tuple[bool, bool, bool]
) -> tuple[Tensor, Tensor, Tensor]:
    gradients: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward(
        gradient, x, weight, None, *options.aten_args, output_mask
    )
    return gradients
