"""Batch norm in training with a fast second derivative: PyTorch's is twenty times as slow."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def batch_norm(
    input: Tensor,  # noqa: A002  # PyTorch's name for it
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Apply batch norm as `torch.nn.functional.batch_norm`, twice differentiable in the input alone.

    Running statistics are not updated. Arguments are those of PyTorch.

    Raises:
        ValueError: there is one value per channel in training, whose variance is always 0; PyTorch raises it, too.
    """
    if not training:
        return functional.batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    if input.numel() == input.shape[1]:
        raise ValueError(f"batch norm in training over one value a channel, of an input of shape {tuple(input.shape)}")
    w, b = (None if tensor is None else tensor.detach() for tensor in (weight, bias))
    z: Tensor = _BatchNorm.apply(input, w, b, eps)  # type: ignore[no-untyped-call]
    return z


class _BatchNorm(torch.autograd.Function):
    """z = γ·x̂ + β, x̂ = (x − mean)/σ over all but the channels, σ² = variance + ε."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
        z, mean, inverse = torch.native_batch_norm(x, weight, bias, None, None, True, 0.0, eps)
        ctx.save_for_backward(x, mean, inverse)
        ctx.weight, ctx.eps = weight, eps
        return z

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        x, mean, inverse = ctx.saved_tensors
        grad_x: Tensor = _Backward.apply(gradient, x, ctx.weight, mean, inverse, ctx.eps)  # type: ignore[no-untyped-call]
        return grad_x, None, None, None


class _Backward(torch.autograd.Function):
    """G(u) = γ/σ·(u − mean(u) − x̂·mean(u·x̂)), the derivative of batch norm applied to u; G is symmetric."""

    @staticmethod
    def forward(
        ctx: Any, u: Tensor, x: Tensor, weight: Tensor | None, mean: Tensor, inverse: Tensor, eps: float
    ) -> Tensor:
        g_u, dot_u = _apply(u, x, weight, mean, inverse, eps)
        ctx.save_for_backward(x, mean, inverse, g_u, dot_u)
        ctx.weight, ctx.eps = weight, eps
        return g_u

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> tuple[Tensor, Tensor, None, None, None, None]:
        """Return ∂⟨v, G(u)⟩ with respect to u and x.

        With respect to u it is G(v). x̂ and σ move with x: −1/σ·(G(u)·mean(v·x̂) + G(v)·mean(u·x̂)) − ⟨v, G(u)⟩·x̂/(nσ).
        """
        x, mean, inverse, g_u, dot_u = ctx.saved_tensors
        g_v, dot_v = _apply(v, x, ctx.weight, mean, inverse, ctx.eps)
        channels, n = (1, -1, *(1,) * (x.ndim - 2)), x.numel() // x.shape[1]
        by_channel = (v * g_u).sum([i for i in range(x.ndim) if i != 1])
        slope = by_channel * inverse.square() / n
        grad_x = g_u * (inverse * dot_v / -n).view(channels)
        grad_x.addcmul_(g_v, (inverse * dot_u / -n).view(channels))
        grad_x.addcmul_(x, -slope.view(channels)).add_((slope * mean).view(channels))
        return g_v, grad_x, None, None, None, None


def _apply(
    u: Tensor, x: Tensor, weight: Tensor | None, mean: Tensor, inverse: Tensor, eps: float
) -> tuple[Tensor, Tensor]:
    """Return G(u), and Σ u·x̂ by channel."""
    w = torch.ones_like(mean) if weight is None else weight
    g_u, dot_u, _ = torch.ops.aten.native_batch_norm_backward(
        u, x, w, None, None, mean, inverse, True, eps, (True, True, True)
    )
    return g_u, dot_u
