"""Softmax over numbers so large that rounding would decide between equals.

Without batch norm, on an input of ones, attention scores reach 1e40, where float64 tells 1e24 from nothing. Joints that
the skeleton makes alike have the same score, so they share the attention; with rounding one of them takes it all, a
different one for every order of summation. Here what differs by no more than rounding is the same.
"""

from typing import Any

import torch
from torch import Tensor

RELATIVE = 1e-11
"""A hundred times the rounding that a sum of some thousand products in float64 gathers."""


def softmax(input: Tensor, dim: int, **_: Any) -> Tensor:  # noqa: A002  # PyTorch's name for it
    """As `torch.softmax`, where entries that are within rounding of the largest are as large."""
    made: Tensor = _Softmax.apply(input, dim)  # type: ignore[no-untyped-call]
    return made


class _Softmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, dim: int) -> Tensor:
        largest = x.amax(dim, keepdim=True)
        made = torch.softmax(torch.where(x >= largest - RELATIVE * largest.abs(), largest, x), dim)
        ctx.save_for_backward(made)
        ctx.dim = dim
        return made

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """p·(g − Σ p·g), where a difference within rounding is none."""
        (p,) = ctx.saved_tensors
        difference = gradient - (p * gradient).sum(ctx.dim, keepdim=True)
        rounding = RELATIVE * gradient.abs().amax(ctx.dim, keepdim=True)
        return p * torch.where(difference.abs() > rounding, difference, 0.0), None
