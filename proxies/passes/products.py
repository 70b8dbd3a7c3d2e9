"""Matrix products of data with a weight: layers that a network writes out instead of calling a linear map."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

MATRIX_PRODUCTS = frozenset({torch.matmul, Tensor.matmul, Tensor.__matmul__, Tensor.__rmatmul__, torch.mm, Tensor.mm})
ADDED_PRODUCTS = frozenset({torch.addmm, Tensor.addmm})
PRODUCTS = MATRIX_PRODUCTS | ADDED_PRODUCTS | {torch.einsum}


@dataclass(frozen=True)
class Product:
    """Call of a matrix product whose one factor, a matrix, is computed from parameters alone.

    Attributes:
        x: the other factor.
        weight: the matrix.
        channels: dimension of the result that comes from the matrix.
        apply: multiplies x with a matrix in place of the weight.
        addend: what is added to the result, or None.
    """

    x: Tensor
    weight: Tensor
    channels: int
    apply: Callable[[Tensor, Tensor], Tensor]
    addend: Tensor | None = None

    def added(self, z: Tensor) -> Tensor:
        """Return the result of the call from that of the product."""
        return z.clone() if self.addend is None else self.addend + z


def product_of(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Product | None:
    """Return a call as a product with a weight; None if it is none, or has batches of matrices or further options."""
    if func not in PRODUCTS or kwargs or not all(isinstance(arg, Tensor) for arg in args[func is torch.einsum :]):
        return None
    leading, factors = args[:-2], args[-2:]
    if len(factors) < 2 or len(leading) != (func not in MATRIX_PRODUCTS):
        return None
    is_weight = [_is_weight(factor) for factor in factors]
    if sum(is_weight) != 1:
        return None
    position = is_weight.index(True)
    x, weight = factors[1 - position], factors[position]
    channels = _channels(func, leading, x, weight, position)
    if weight.ndim != 2 or channels is None:
        return None

    def apply(x: Tensor, weight: Tensor) -> Tensor:
        both = (weight, x) if position == 0 else (x, weight)
        z: Tensor = torch.einsum(leading[0], *both) if func is torch.einsum else _multiply(func, *both)
        return z

    return Product(x, weight, channels, apply, leading[0] if func in ADDED_PRODUCTS else None)


def _multiply(func: Any, first: Tensor, second: Tensor) -> Tensor:
    return second @ first if func is Tensor.__rmatmul__ else first @ second


def _channels(func: Any, leading: Sequence[Any], x: Tensor, weight: Tensor, position: int) -> int | None:
    """Return the dimension of the result that comes from the weight; None if that is not one dimension."""
    if func is torch.einsum:
        return _channels_of_einsum(leading[0], position)
    is_first = (position == 0) != (func is Tensor.__rmatmul__)
    if x.ndim < 2 or weight.ndim != 2:
        return None
    return x.ndim - 2 if is_first else x.ndim - 1


def _channels_of_einsum(equation: str, position: int) -> int | None:
    factors, arrow, result = equation.replace(" ", "").partition("->")
    letters = factors.split(",")
    if not arrow or "." in equation or len(letters) != 2:
        return None
    channels = set(letters[position]) & set(result) - set(letters[1 - position])
    return result.index(channels.pop()) if len(channels) == 1 else None


def _is_weight(tensor: Tensor) -> bool:
    """Return True if a tensor is a parameter, or its autograd graph leads to parameters alone."""
    if tensor.grad_fn is None:
        return isinstance(tensor, nn.Parameter) and tensor.requires_grad
    seen, nodes = {tensor.grad_fn}, [tensor.grad_fn]
    while nodes:
        node = nodes.pop()
        if hasattr(node, "variable") and not isinstance(node.variable, nn.Parameter):
            return False
        successors = {successor for successor, _ in node.next_functions if successor is not None} - seen
        seen |= successors
        nodes += successors
    return True
