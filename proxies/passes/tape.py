"""What a pass sees of a network while it runs: every convolution, linear layer, ReLU and batch norm that is called.

Calls are intercepted as functions, so it does not matter which module makes them, nor whether one call does the work of
several modules with their weights side by side.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from proxies.passes import convolution
from proxies.passes import tie_aware_softmax as ties
from proxies.passes.base import WeightGradient
from proxies.passes.functions import BATCH_NORMS, CONVOLUTIONS, LINEAR, SOFTMAXES, Function, FunctionMode, argument
from proxies.passes.normalisation import batch_norm

RELUS = (torch.relu, functional.relu, Tensor.relu)
RELUS_IN_PLACE = (torch.relu_, Tensor.relu_)


@dataclass(frozen=True)
class Call:
    """One call of a convolution or linear layer.

    Attributes:
        x: its input, an alias of its own: ∂/∂x is what this call alone passes back.
        weight: W as it was used, which may be made of several parameters.
        z: its output.
        bias: or None.
        options: of a convolution; None for a linear layer.
    """

    x: Tensor
    weight: Tensor
    z: Tensor
    bias: Tensor | None
    options: convolution.Options | None

    @property
    def channels(self) -> int:
        """The dimension of z that W makes."""
        return self.z.ndim - 1 if self.options is None else 1

    def product(self, weight: Tensor) -> Tensor:
        """Z with another weight and no bias."""
        if self.options is None:
            return self.x @ weight.T
        return convolution.forward(self.x, weight, self.options)

    @torch.no_grad()
    def along(self, slope: Tensor) -> Tensor:
        """⟨slope, z without its bias⟩, in float64."""
        product = inner_product(slope, self.z)
        if self.bias is None:
            return product
        others = [i for i in range(slope.ndim) if i != self.channels]
        return product - inner_product(slope.sum(others)[None], self.bias[None])

    @torch.no_grad()
    def weight_gradient(self, gradient: Tensor, rows: slice = slice(None)) -> Tensor:
        """∂/∂W, shaped as the weight, from ∂/∂z; of some rows of the input alone if given. No autograd."""
        x, gradient = self.x[rows], gradient[rows]
        if self.options is None:
            return gradient.flatten(0, -2).T @ x.flatten(0, -2)
        return convolution.weight_gradient(x, gradient, self.weight, self.options)


def inner_product(a: Tensor, b: Tensor) -> Tensor:
    """⟨a, b⟩ of two tensors with rows first: within a row in their own precision, over the rows in float64."""
    by_row: Tensor = torch.linalg.vecdot(a.flatten(1), b.flatten(1))
    return by_row.sum(dtype=torch.float64)


class Passed(NamedTuple):
    """What a backward pass brought to a call: ∂/∂z, and ∂/∂x if it was asked for and the call passes it on."""

    call: Call
    gz: Tensor
    gx: Tensor | None


class Tape(FunctionMode):
    """The fast engine: calls are recorded and done our way. Nothing is differentiated with respect to a parameter.

    The gradients of weights come from `Call.weight_gradient`, apart from autograd: so a backward pass computes what is
    asked for and no more, and never the second derivatives of a convolution's weight gradient, which PyTorch has no
    fast way for.

    Args:
        backward_in: precision of the convolutions' input gradients; that of their inputs where None.
        exact_ties: whether a softmax takes what differs by rounding for equal.
        without_batch_norm: whether every batch norm is the identity.

    Attributes:
        calls: of convolutions and linear layers, in the order in which they ran.
        relu_inputs: likewise.
    """

    def __init__(
        self, backward_in: torch.dtype | None = None, exact_ties: bool = False, without_batch_norm: bool = False
    ) -> None:
        super().__init__()
        self._backward_in, self._exact_ties, self._without_batch_norm = backward_in, exact_ties, without_batch_norm
        self.calls: list[Call] = []
        self.relu_inputs: list[Tensor] = []

    def call(self, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if func in CONVOLUTIONS:
            return self._convolve(*args, **kwargs)
        if func in LINEAR:
            return self._linear(*args, **kwargs)
        if func in BATCH_NORMS:
            if self._without_batch_norm:
                return argument("input", 0, args, kwargs)
            return batch_norm(*args, **kwargs) if func is functional.batch_norm else func(*args, **kwargs)
        if func in SOFTMAXES and self._exact_ties:
            return ties.softmax(*args, **kwargs)
        if func in RELUS_IN_PLACE or (func in RELUS and kwargs.get("inplace")):
            self.relu_inputs.append(args[0].detach().clone())
        elif func in RELUS:
            self.relu_inputs.append(args[0].detach())
        return func(*args, **kwargs)

    def differentiate(self, loss: Tensor, create_graph: bool = False) -> list["Passed"]:
        """∂loss/∂z of each call that the loss depends on. With `create_graph`, ∂loss/∂x too, both differentiable."""
        zs = [call.z for call in self.calls]
        xs = [call.x for call in self.calls] if create_graph else []
        made = torch.autograd.grad(loss, zs + xs, create_graph=create_graph, allow_unused=True)
        pairs = zip(made, made[len(zs) :] or [None] * len(zs), strict=False)
        return [Passed(call, gz, gx) for call, (gz, gx) in zip(self.calls, pairs, strict=True) if gz is not None]

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
        how = convolution.Options.of(weight.shape[2:], *options, **named)
        z = convolution.forward(x, w, how, b, self._backward_in)
        self.calls.append(Call(x, weight, z, b, how))
        return z

    def _linear(self, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:  # noqa: A002
        x, b = input.view_as(input), None if bias is None else bias.detach()
        z = functional.linear(x, weight.detach(), b)
        self.calls.append(Call(x, weight, z, b, None))
        return z


def by_weight(weights: Sequence[Tensor], used: Sequence[Tensor], gradients: Sequence[Tensor]) -> list[WeightGradient]:
    """Each of `weights` that was used with its gradient, from the gradients of the weights as they were used."""
    made = torch.autograd.grad(used, weights, gradients, allow_unused=True, retain_graph=True)
    return [WeightGradient(w.detach(), g) for w, g in zip(weights, made, strict=True) if g is not None]
