"""Convolutions that are differentiated in their input alone, any number of times, and their weight gradients."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from proxies.passes import over_frames


@dataclass(frozen=True)
class Options:
    """Stride, padding and dilation, one number a dimension each, and the number of groups."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    @classmethod
    def of(cls, kernel: torch.Size, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1) -> "Options":
        """From what `torch.nn.functional.conv2d` and its likes take, for a kernel of that size.

        Raises `NotImplementedError` for padding that differs from side to side.
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
    def in_full(self) -> tuple[Any, ...]:
        """As `torch.convolution` and its derivative take them: not transposed, so without padding of the output."""
        return self.stride, self.padding, self.dilation, False, (0,) * len(self.stride), self.groups


def _each(value: Any, dimensions: int) -> tuple[int, ...]:
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * dimensions if len(values) == 1 else values


def forward(
    x: Tensor, weight: Tensor, options: Options, bias: Tensor | None = None, backward_in: torch.dtype | None = None
) -> Tensor:
    """(rows, C, …) with (C', C / groups, …). Weight and bias are constants.

    `backward_in` is the precision of ∂/∂x, that of x where None.
    """
    made: Tensor = _Convolution.apply(x, weight, options, bias, backward_in or x.dtype)  # type: ignore[no-untyped-call]
    return made


def weight_gradient(x: Tensor, gradient: Tensor, weight: Tensor, options: Options) -> Tensor:
    """∂/∂W from the input and ∂/∂z, shaped as the weight. No autograd."""
    if _over_frames(x, weight, options):
        return over_frames.weight_gradient(gradient, x, weight, *_over_first(options))
    return _backward(gradient, x, weight, options, (False, True, False))[1]


class _Convolution(torch.autograd.Function):
    """PyTorch's own computes derivatives of the weight gradient whenever it is differentiated twice, wanted or not."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, options: Options, bias: Tensor | None, backward_in: torch.dtype
    ) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.options, ctx.shape, ctx.backward_in = options, x.shape, backward_in
        if _over_frames(x, weight, options):
            return over_frames.forward(x, weight, bias, *_over_first(options))
        return torch.convolution(x, weight, bias, *options.in_full)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        (weight,) = (saved.to(ctx.backward_in) for saved in ctx.saved_tensors)
        by_x: Tensor = _Transposed.apply(  # type: ignore[no-untyped-call]
            gradient.to(ctx.backward_in), ctx.shape, weight, ctx.options
        )
        return by_x.to(gradient.dtype), None, None, None, None


class _Transposed(torch.autograd.Function):
    """∂/∂x from ∂/∂z."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, shape: torch.Size, weight: Tensor, options: Options) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.options = options
        x = gradient.new_empty(shape)  # of which PyTorch looks at the shape alone
        if _over_frames(x, weight, options):
            return over_frames.input_gradient(gradient, shape, weight, *_over_first(options))
        return _backward(gradient, x, weight, options, (True, False, False))[0]

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> tuple[Tensor, None, None, None]:
        (weight,) = ctx.saved_tensors
        return forward(v, weight, ctx.options), None, None, None


def _over_frames(x: Tensor, weight: Tensor, options: Options) -> bool:
    return over_frames.fits(x, weight, options.stride, options.padding, options.groups)


def _over_first(options: Options) -> tuple[int, int, int]:
    return options.stride[0], options.padding[0], options.dilation[0]


def _backward(
    gradient: Tensor, x: Tensor, weight: Tensor, options: Options, wanted: tuple[bool, bool, bool]
) -> tuple[Tensor, Tensor, Tensor]:
    made: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward(
        gradient, x, weight, None, *options.in_full, wanted
    )
    return made
