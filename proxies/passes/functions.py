"""Modes in which calls of PyTorch's functions are recorded or replaced, whoever makes them, while a network runs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from proxies.passes import tie_aware_softmax as ties

Function = Callable[..., Any]
CONVOLUTIONS = (torch.conv1d, torch.conv2d, torch.conv3d)
TRANSPOSED = (torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d)
LINEAR = (functional.linear,)
BATCH_NORMS = (functional.batch_norm, torch.batch_norm)
SOFTMAXES = (torch.softmax, functional.softmax, Tensor.softmax)


def argument(name: str, position: int, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """An argument of a call, by name or by position."""
    return kwargs[name] if name in kwargs else args[position]


class FunctionMode(TorchFunctionMode):
    """A function mode whose subclasses replace some calls by `call`."""

    def __torch_function__(
        self, func: Function, types: Iterable[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return self.call(func, tuple(args), dict(kwargs or {}))

    def call(self, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return func(*args, **kwargs)


class WithoutBatchNorm(FunctionMode):
    """Every batch norm is the identity: that of a module, shared or not, and that of a function."""

    def call(self, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if func in BATCH_NORMS:
            return argument("input", 0, args, kwargs).clone()  # the network may write to what it normalised
        return func(*args, **kwargs)


class ExactTies(FunctionMode):
    """Every softmax takes what differs by rounding for equal (see `ties`)."""

    def call(self, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return ties.softmax(*args, **kwargs) if func in SOFTMAXES else func(*args, **kwargs)


@dataclass(frozen=True)
class LayerCall:
    """One call of a convolution or linear layer.

    Attributes:
        weight: W as it was used, an alias of its own.
        z: its output, before whatever is written into it afterwards.
        channels: the dimension of z that W makes; without one for rows before it, z is a single row.
    """

    weight: Tensor
    z: Tensor
    channels: int

    @property
    def weights_per_channel(self) -> int:
        return self.weight.numel() // self.z.shape[self.channels]

    def rows(self, tensor: Tensor) -> Tensor:
        """z, or a tensor shaped as z, as (rows, channels, …)."""
        return tensor[None] if self.channels == 0 else tensor.movedim(self.channels, 1)


class CallRecorder(FunctionMode):
    """Records calls of convolutions and linear layers, in the order in which they run.

    Attributes:
        calls: recorded until the mode ends; a checkpoint that runs its part again in the backward pass adds none.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[LayerCall] = []

    def call(self, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        convolves = func in CONVOLUTIONS + TRANSPOSED
        if not convolves and func not in LINEAR:
            return func(*args, **kwargs)
        x, weight = argument("input", 0, args, kwargs), argument("weight", 1, args, kwargs)
        alias = weight.view_as(weight)
        rest = {name: value for name, value in kwargs.items() if name not in ("input", "weight")}
        z = func(x, alias, *args[2:], **rest)
        channels = (1 if z.ndim == weight.ndim else 0) if convolves else z.ndim - 1
        self.calls.append(LayerCall(alias, z, channels))
        return z.clone()


class ReluRecorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records the input of every ReLU: relu in each of its forms, and a clamp or threshold that is one.

    Attributes:
        inputs: copies, in the order in which they ran.
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
        lowest, highest = (*args[1:3], None, None)[:2]
        return isinstance(lowest, int | float) and lowest == 0 and highest is None and not kwargs
    return name == "relu" or (name == "threshold" and tuple(args[1:3]) == (0, 0))
