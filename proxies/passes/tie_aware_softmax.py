"""Softmax over large numbers, in which entries that differ by rounding are equal.

Without batch norm, on an input of ones, attention scores reach 1e40, where the rounding of float64 is 1e24. Nodes that
are equivalent by the symmetry of a graph have the same score and share the attention; with rounding one of them
takes it all, a different one for every order of summation.
"""

from typing import Any

import torch
from torch import Tensor

RELATIVE_TOLERANCE = 1e-11
"""A hundred times the rounding error of a sum of some thousand products in float64."""


def softmax(input: Tensor, dim: int, **_: Any) -> Tensor:  # noqa: A002  # PyTorch's name for it
    """Apply softmax as `torch.softmax`, with entries within rounding of the largest set to the largest."""
    p: Tensor = _Softmax.apply(input, dim)  # type: ignore[no-untyped-call]
    return p


class _Softmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, dim: int) -> Tensor:
        largest = x.amax(dim, keepdim=True)
        p = torch.softmax(torch.where(x >= largest - RELATIVE_TOLERANCE * largest.abs(), largest, x), dim)
        ctx.save_for_backward(p)
        ctx.dim = dim
        return p

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Return p·(g − Σ p·g), with differences within rounding set to 0."""
        (p,) = ctx.saved_tensors
        difference = gradient - (p * gradient).sum(ctx.dim, keepdim=True)
        rounding = RELATIVE_TOLERANCE * gradient.abs().amax(ctx.dim, keepdim=True)
        return p * torch.where(difference.abs() > rounding, difference, 0.0), None
