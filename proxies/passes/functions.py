"""Modes that record or replace calls of PyTorch's functions, from any module, while a network runs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from typing_extensions import override

from proxies.passes import tie_aware_softmax
from proxies.passes.products import product_of

Function = Callable[..., Any]
CONVOLUTIONS = (torch.conv1d, torch.conv2d, torch.conv3d)
TRANSPOSED = (torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d)
LINEAR = (functional.linear,)
LAYERS = CONVOLUTIONS + TRANSPOSED + LINEAR
BATCH_NORMS = {functional.batch_norm: 2, torch.batch_norm: 4}
"""Functions, with the position of the argument `running_var`."""
DROPOUTS = (
    *(functional.dropout, functional.dropout1d, functional.dropout2d, functional.dropout3d, functional.alpha_dropout),
    *(functional.feature_alpha_dropout, torch.dropout, torch.alpha_dropout, torch.feature_dropout),
    *(torch.feature_alpha_dropout, torch.dropout_, torch.alpha_dropout_, torch.feature_dropout_),
)
SOFTMAXES = (torch.softmax, functional.softmax, Tensor.softmax)


def argument(name: str, position: int, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Return an argument of a call, by name or by position."""
    return kwargs[name] if name in kwargs else args[position]


class FunctionMode(TorchFunctionMode):
    """Function mode whose subclasses override `call` to replace some calls."""

    def __torch_function__(
        self, func: Function, types: Iterable[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return self.call(func, tuple(args), dict(kwargs or {}))

    def call(self, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the result of a call of `func`."""
        return func(*args, **kwargs)


class WithoutBatchNorm(FunctionMode):
    """Mode in which every batch norm is the identity, of a module, shared or not, and of a function."""

    @override
    def call(self, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if func in BATCH_NORMS:
            return argument("input", 0, args, kwargs).clone()  # the network may write to the result
        return func(*args, **kwargs)


class WithoutDropout(FunctionMode):
    """Mode in which every dropout that a network calls as a function is the identity."""

    @override
    def call(self, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if func in DROPOUTS:
            return argument("input", 0, args, kwargs).clone()
        if func is functional.scaled_dot_product_attention:
            named = dict(zip(("query", "key", "value", "attn_mask", "dropout_p", "is_causal"), args, strict=False))
            return func(**named | kwargs | {"dropout_p": 0.0})
        return func(*args, **kwargs)


class TieAwareSoftmax(FunctionMode):
    """Mode in which every softmax treats entries that differ by rounding as equal (see `tie_aware_softmax`)."""

    @override
    def call(self, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return tie_aware_softmax.softmax(*args, **kwargs) if func in SOFTMAXES else func(*args, **kwargs)


@dataclass(frozen=True)
class LayerCall:
    """Call of a convolution, linear layer or matrix product with a weight.

    Attributes:
        weight: W as it was used, an alias for this call alone.
        x: the input.
        z: the output, before anything is written into it.
        channels: the dimension of z with W's output channels.
        is_single: True if z is a single row, without a dimension of rows.
        is_product: True for a matrix product.
    """

    weight: Tensor
    x: Tensor
    z: Tensor
    channels: int
    is_single: bool = False
    is_product: bool = False

    @property
    def weights_per_channel(self) -> int:
        """Number of weights of one output channel."""
        return self.weight.numel() // self.z.shape[self.channels]

    def rows(self, tensor: Tensor) -> Tensor:
        """Return z, or a tensor shaped as z, as (rows, channels, …)."""
        return tensor[None] if self.is_single else tensor.movedim(self.channels, 1)


class CallRecorder(FunctionMode):
    """Mode that records calls of layers, in the order in which they run.

    Attributes:
        calls: recorded until the mode ends; a checkpoint that recomputes its part in the backward pass adds none.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[LayerCall] = []

    @override
    def call(self, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        product = product_of(func, args, kwargs)
        if product is not None:
            alias = product.weight.view_as(product.weight)
            z = product.apply(product.x, alias)
            self.calls.append(LayerCall(alias, product.x.detach(), z, product.channels, is_product=True))
            return product.added(z)
        if func not in LAYERS:
            return func(*args, **kwargs)
        x, weight = argument("input", 0, args, kwargs), argument("weight", 1, args, kwargs)
        alias, before = weight.view_as(weight), x.detach().clone()
        rest = {name: value for name, value in kwargs.items() if name not in ("input", "weight")}
        z = func(x, alias, *args[2:], **rest)
        is_single = z.ndim < weight.ndim
        channels = z.ndim - 1 if func in LINEAR else z.ndim - (weight.ndim - 1)
        self.calls.append(LayerCall(alias, before, z, channels, is_single))
        return z.clone()


class ReluRecorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Mode that records the input of every ReLU: relu in each of its forms, and an equivalent clamp or threshold.

    Attributes:
        inputs: copies, in the order of the calls.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.inputs: list[Tensor] = []

    def __torch_dispatch__(
        self, func: Any, types: Iterable[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if _is_relu(func._schema.name, args, kwargs):
            self.inputs.append(args[0].detach().clone())
        return func(*args, **kwargs)


def _is_relu(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    name = name.partition("::")[2].rstrip("_")
    if name in ("clamp", "clamp_min"):
        minimum, maximum = (*args[1:3], None, None)[:2]
        return isinstance(minimum, int | float) and minimum == 0 and maximum is None and not kwargs
    return name == "relu" or (name == "threshold" and tuple(args[1:3]) == (0, 0))
