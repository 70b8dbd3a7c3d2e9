"""What a pass sees of a network while it runs: every convolution, linear layer, ReLU and batch norm that is called.

Calls are intercepted as functions, so it does not matter which module makes them, nor whether one call does the work of
several modules with their weights side by side.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from proxies.passes import convolution, ties
from proxies.passes.base import layers
from proxies.passes.normalisation import batch_norm

CONVOLUTIONS = (torch.conv1d, torch.conv2d, torch.conv3d)
RELUS = (torch.relu, functional.relu)


class WeightGradient(NamedTuple):
    """A weight tensor W and ∂/∂W."""

    weight: Tensor
    gradient: Tensor


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

    def product(self, weight: Tensor) -> Tensor:
        """z with another weight and no bias."""
        if self.options is None:
            return self.x @ weight.T
        return convolution.forward(self.x, weight, self.options)

    @torch.no_grad()
    def along(self, slope: Tensor) -> Tensor:
        """⟨slope, z without its bias⟩, in float64."""
        product = inner_product(slope, self.z)
        if self.bias is None:
            return product
        channels = self.z.ndim - 1 if self.options is None else 1
        return product - inner_product(
            slope.sum([i for i in range(slope.ndim) if i != channels])[None], self.bias[None]
        )

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


class Tape(TorchFunctionMode):
    """While it is on, calls are recorded and done our way. Nothing is differentiated with respect to a parameter.

    The gradients of weights come from `Call.weight_gradient`, apart from autograd: so a backward pass computes what is
    asked for and no more, and never the second derivatives of a convolution's weight gradient, which PyTorch has no
    fast way for.

    Args:
        backward_in: precision of the convolutions' input gradients; that of their inputs where None.
        exact_ties: whether a softmax takes what differs by rounding for equal.

    Attributes:
        calls: of convolutions and linear layers, in the order in which they ran.
        relu_inputs: likewise.
    """

    def __init__(self, backward_in: torch.dtype | None = None, exact_ties: bool = False) -> None:
        super().__init__()
        self._backward_in, self._exact_ties = backward_in, exact_ties
        self.calls: list[Call] = []
        self.relu_inputs: list[Tensor] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in CONVOLUTIONS:
            return self._convolve(*args, **kwargs)
        if func is functional.linear:
            return self._linear(*args, **kwargs)
        if func is functional.batch_norm:
            return batch_norm(*args, **kwargs)
        if func is torch.softmax and self._exact_ties:
            return ties.softmax(*args, **kwargs)
        if func in RELUS:
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


def by_layer(network: nn.Module, passed: Sequence[Passed], gradients: Sequence[Tensor]) -> list[WeightGradient]:
    """Every called layer's weight with its gradient, from the gradients of the weights as they were used."""
    weights = [layer.weight for layer in layers(network)]
    used = [call.weight for call, _, _ in passed]
    made = torch.autograd.grad(used, weights, gradients, allow_unused=True, retain_graph=True)
    return [WeightGradient(w.detach(), g) for w, g in zip(weights, made, strict=True) if g is not None]
