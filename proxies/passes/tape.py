"""Tape of a forward pass: every call of a layer, ReLU and batch norm.

Calls are intercepted as functions, whichever module makes them; one call may do the work of several modules with their
weights concatenated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from proxies.passes import convolution, tie_aware_softmax
from proxies.passes.base import WeightGradient
from proxies.passes.functions import BATCH_NORMS, CONVOLUTIONS, LINEAR, SOFTMAXES, Function, FunctionMode, argument
from proxies.passes.normalisation import batch_norm
from proxies.passes.products import Product, product_of

RELUS = (torch.relu, functional.relu, Tensor.relu)
RELUS_IN_PLACE = (torch.relu_, Tensor.relu_)


@dataclass(frozen=True)
class TapedCall:
    """Call of a convolution, linear layer or matrix product with a weight.

    Attributes:
        x: the input, an alias for this call alone, so that ∂/∂x is the part of this call.
        weight: W as it was used, which may be computed from several parameters.
        z: the output.
        bias: the bias, or None.
        options: of a convolution; None for any other call.
        product: the matrix product; None for a convolution or linear layer.
    """

    x: Tensor
    weight: Tensor
    z: Tensor
    bias: Tensor | None
    options: convolution.ConvolutionOptions | None = None
    product: Product | None = None

    @property
    def is_linear(self) -> bool:
        """True for a linear layer, False for a convolution or matrix product."""
        return self.options is None and self.product is None

    @property
    def channels(self) -> int:
        """The dimension of z with W's output channels."""
        if self.product is not None:
            return self.product.channels
        return self.z.ndim - 1 if self.options is None else 1

    def apply(self, weight: Tensor) -> Tensor:
        """Return z with another weight and without bias."""
        if self.product is not None:
            return self.product.apply(self.x, weight)
        if self.options is None:
            return self.x @ weight.T
        return convolution.forward(self.x, weight, self.options)

    def apply_each(self, weights: Tensor) -> Tensor:
        """Return `apply` of equal parts of the rows with weights of their own, (parts, *weight shape)."""
        if len(weights) == 1:
            return self.apply(weights[0])
        if self.options is not None:
            return convolution.forward_each(self.x, weights, self.options)
        if self.product is None:
            z = self.x.reshape(len(weights), -1, self.x.shape[-1]) @ weights.mT
            return z.view(*self.x.shape[:-1], -1)
        pairs = zip(self.x.chunk(len(weights)), weights, strict=True)
        return torch.cat([self.product.apply(x, weight) for x, weight in pairs])

    @torch.no_grad()
    def inner_products(self, slope: Tensor, parts: int) -> Tensor:
        """Return ⟨slope, z without its bias⟩ of equal parts of the rows, (parts,) in float64."""
        products = inner_products(slope, self.z, parts)
        if self.bias is None:
            return products
        by_part = slope.movedim(self.channels, 1)
        by_part = by_part.reshape(parts, -1, *by_part.shape[1:])
        sums = by_part.sum([1, *range(3, by_part.ndim)])
        return products - inner_products(sums, self.bias.expand_as(sums), parts)

    @torch.no_grad()
    def weight_gradient(self, gradient: Tensor, rows: slice = slice(None)) -> Tensor:
        """Return ∂/∂W, shaped as the weight, from ∂/∂z, for the given rows of the input. No autograd."""
        x, gradient = self.x[rows], gradient[rows]
        if self.product is not None:
            with torch.enable_grad():
                weight = self.weight.detach().requires_grad_()
                z = self.product.apply(x.detach(), weight)
            return torch.autograd.grad(z, weight, gradient)[0]
        if self.options is None:
            return gradient.flatten(0, -2).T @ x.flatten(0, -2)
        return convolution.weight_gradient(x, gradient, self.weight, self.options)

    @torch.no_grad()
    def weight_gradients(self, gradient: Tensor, parts: int) -> Tensor:
        """Return `weight_gradient` of equal parts of the rows, (parts, *weight shape)."""
        if parts == 1:
            return self.weight_gradient(gradient)[None]
        if self.is_linear:
            by_part = (tensor.reshape(parts, -1, tensor.shape[-1]) for tensor in (gradient, self.x))
            return torch.einsum("pro,pri->poi", *by_part)
        if self.options is None:
            rows = range(0, len(gradient), len(gradient) // parts)
            return torch.stack([self.weight_gradient(gradient, slice(i, i + rows.step)) for i in rows])
        return convolution.weight_gradients(self.x, gradient, self.weight, self.options, parts)

    @cached_property
    def _nonzero(self) -> tuple[Tensor, Tensor] | None:
        """Columns of a linear layer's input that are not all 0, and these columns, where they are less than half."""
        if not self.is_linear or self.x.ndim != 2:
            return None
        x = self.x.detach()
        columns = x.any(0).nonzero().squeeze(1)
        return (columns, x[:, columns]) if 2 * len(columns) < x.shape[1] else None

    @torch.no_grad()
    def nonzero_weight_gradient(self, gradient: Tensor) -> Tensor:
        """Return `weight_gradient` without the columns of W whose inputs are all 0, where these are most columns."""
        if self._nonzero is None:
            return self.weight_gradient(gradient)
        return gradient.T @ self._nonzero[1]

    def with_zero_columns(self, values: Tensor) -> Tensor:
        """Return values with the shape of `nonzero_weight_gradient` in the shape of W."""
        if self._nonzero is None:
            return values
        return values.new_zeros(self.weight.shape).index_copy_(1, self._nonzero[0], values)


def inner_products(a: Tensor, b: Tensor, parts: int) -> Tensor:
    """Return ⟨a, b⟩ of equal parts of the rows, (parts,): within a row in their precision, over rows in float64."""
    by_row: Tensor = torch.linalg.vecdot(a.flatten(1), b.flatten(1))
    return by_row.view(parts, -1).sum(1, dtype=torch.float64)


class BackwardRecord(NamedTuple):
    """Gradients of a call: ∂/∂z, and ∂/∂x if requested and not None."""

    call: TapedCall
    grad_output: Tensor
    grad_input: Tensor | None


class Tape(FunctionMode):
    """The fast engine: a mode that records calls, and replaces them by functions that are constant in parameters.

    Gradients of weights come from `TapedCall.weight_gradient`, apart from autograd. So a backward pass computes no more
    than requested, and never the second derivatives of a convolution's weight gradient, which are slow in PyTorch.

    Args:
        backward_in: precision of the convolutions' input gradients; that of their inputs where None.
        tie_aware: a softmax treats entries that differ by rounding as equal.
        without_batch_norm: every batch norm is the identity.
        with_products: matrix products with a weight are layers; False for a network without any, which saves the search
            for weights among the factors of all products.

    Attributes:
        calls: calls of layers, in their order.
        relu_inputs: inputs of ReLUs, in the order of the calls.
    """

    def __init__(
        self,
        backward_in: torch.dtype | None = None,
        tie_aware: bool = False,
        without_batch_norm: bool = False,
        with_products: bool = True,
    ) -> None:
        super().__init__()
        self._with_products = with_products
        self._backward_in, self._tie_aware, self._without_batch_norm = backward_in, tie_aware, without_batch_norm
        self.calls: list[TapedCall] = []
        self.relu_inputs: list[Tensor] = []

    @override
    def call(self, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if func in CONVOLUTIONS:
            return self._convolve(*args, **kwargs)
        if func in LINEAR:
            return self._linear(*args, **kwargs)
        if func in BATCH_NORMS:
            if self._without_batch_norm:
                return argument("input", 0, args, kwargs)
            return batch_norm(*args, **kwargs) if func is functional.batch_norm else func(*args, **kwargs)
        if self._with_products and (product := product_of(func, args, kwargs)) is not None:
            return self._multiply(product)
        if func in SOFTMAXES and self._tie_aware:
            return tie_aware_softmax.softmax(*args, **kwargs)
        if func in RELUS_IN_PLACE or (func in RELUS and kwargs.get("inplace")):
            self.relu_inputs.append(args[0].detach().clone())
        elif func in RELUS:
            self.relu_inputs.append(args[0].detach())
        return func(*args, **kwargs)

    def differentiate(
        self, loss: Tensor, create_graph: bool = False, retain_graph: bool | None = None
    ) -> list[BackwardRecord]:
        """Return ∂loss/∂z of each call that the loss depends on; with `create_graph` also ∂loss/∂x, differentiable."""
        calls = [call for call in self.calls if call.z.requires_grad]
        if not calls or not loss.requires_grad:
            return []
        zs = [call.z for call in calls]
        xs = [call.x for call in calls if call.x.requires_grad] if create_graph else []
        grads = torch.autograd.grad(loss, zs + xs, None, retain_graph, create_graph, allow_unused=True)
        by_x = dict(zip(xs, grads[len(zs) :], strict=True))
        return [
            BackwardRecord(call, grad_output, by_x.get(call.x))
            for call, grad_output in zip(calls, grads, strict=False)
            if grad_output is not None
        ]

    def _convolve(
        self,
        input: Tensor,  # noqa: A002
        weight: Tensor,
        bias: Tensor | None = None,
        *options: Any,
        **named: Any,
    ) -> Tensor:
        x, w = input.view_as(input), weight.detach()
        b = None if bias is None else bias.detach()
        convolution_options = convolution.ConvolutionOptions.from_arguments(weight.shape[2:], *options, **named)
        z = convolution.forward(x, w, convolution_options, b, self._backward_in)
        self.calls.append(TapedCall(x, weight, _differentiable(z, weight), b, convolution_options))
        return z

    def _linear(self, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:  # noqa: A002
        x, b = input.view_as(input), None if bias is None else bias.detach()
        z = functional.linear(x, weight.detach(), b)
        self.calls.append(TapedCall(x, weight, _differentiable(z, weight), b))
        return z

    def _multiply(self, product: Product) -> Tensor:
        x = product.x.view_as(product.x)
        z = product.apply(x, product.weight.detach())
        self.calls.append(TapedCall(x, product.weight, _differentiable(z, product.weight), None, product=product))
        return product.added(z)


def _differentiable(z: Tensor, weight: Tensor) -> Tensor:
    """Return z, as a leaf that requires gradients where only the weight, which is detached, gives it one."""
    if weight.requires_grad and not z.requires_grad and torch.is_grad_enabled():
        z.requires_grad_()
    return z


def gather_by_weight(
    weights: Sequence[Tensor], used: Sequence[Tensor], gradients: Sequence[Tensor]
) -> list[WeightGradient]:
    """Return the gradients of parameters from those of the weights as used, for the parameters that were used.

    Args:
        weights: parameters.
        used: weights of the calls, computed from parameters.
        gradients: ∂/∂W by weight in `used`.
    """
    grads = gather(weights, used, gradients)
    return [WeightGradient(w.detach(), g) for w, g in zip(weights, grads, strict=True) if g is not None]


def gather(
    weights: Sequence[Tensor], used: Sequence[Tensor], gradients: Sequence[Tensor], parts: int | None = None
) -> Sequence[Tensor | None]:
    """Return the gradient of each parameter from those of the weights as used; None for one that was not used.

    Args:
        weights: parameters.
        used: weights of the calls, computed from parameters.
        gradients: ∂/∂W by weight in `used`; (parts, *weight shape) where parts are given.
        parts: number of gradients of each weight, which are those of the parameters, too.
    """
    if not used:
        return [None] * len(weights)
    return torch.autograd.grad(
        used, weights, gradients, allow_unused=True, retain_graph=True, is_grads_batched=parts is not None
    )


def weight_gradients(weights: Sequence[Tensor], records: Sequence[BackwardRecord]) -> list[WeightGradient]:
    """Return ∂loss/∂W of the parameters that the recorded calls use."""
    gradients = [call.weight_gradient(grad_output) for call, grad_output, _ in records]
    return gather_by_weight(weights, [record.call.weight for record in records], gradients)
