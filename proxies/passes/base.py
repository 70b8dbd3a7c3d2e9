"""What a pass is, and the working copies of a network that passes run on."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from proxies.base import Need

Layer = nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear
"""What counts as a layer: every convolution and linear layer. Their weights are `W` in the definitions."""


@dataclass(frozen=True)
class Probe:
    """What is measured, and on what: the caller's network, never changed, and the batch on its device.

    Attributes:
        network: the caller's.
        x: (N, C, T, V, M), or whatever the network takes with samples first.
        y: labels, (N,).
        seed: for the passes that draw.
        draws: how many draws they average.
    """

    network: nn.Module
    x: Tensor
    y: Tensor
    seed: int
    draws: int


class Pass(ABC):
    """One forward (and backward) computation that serves every need in `provides` at once."""

    provides: ClassVar[frozenset[Need]]
    chunkable: ClassVar[bool] = False
    """Whether samples are independent in it, so that a batch may be cut into chunks without changing a score."""

    @abstractmethod
    def run(self, probe: Probe, needs: frozenset[Need], chunks: int) -> dict[Need, Any]:
        """Measure `needs`; a chunkable pass takes the batch in `chunks` parts."""


def working_copy(network: nn.Module, batch_norm: bool = True) -> nn.Module:
    """A copy in train mode whose parameters share the caller's memory, but whose buffers are its own.

    So running statistics, gradients and flags of the caller's network stay as they are, at no cost in memory. Without
    `batch_norm` every batch norm is an identity.
    """
    memo = {id(p): nn.Parameter(p.detach(), requires_grad=p.is_floating_point()) for p in network.parameters()}
    copied = copy.deepcopy(network, memo)
    for module in copied.modules():
        if isinstance(getattr(module, "inplace", None), bool):
            setattr(module, "inplace", False)  # noqa: B010  # or it would overwrite what a hook has recorded
    if not batch_norm:
        _remove_batch_norm(copied)
    return copied.train()


def _remove_batch_norm(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.modules.batchnorm._BatchNorm):
            setattr(module, name, nn.Identity())
        else:
            _remove_batch_norm(child)


def layers(network: nn.Module) -> list[Layer]:
    """Every convolution and linear layer, in the order of registration."""
    return [module for module in network.modules() if isinstance(module, Layer)]


def units(network: nn.Module) -> tuple[nn.Module, ...]:
    """The network's units in the order in which they run, as its `units` names them; none where it names none."""
    named = getattr(network, "units", None)
    found = tuple(named) if isinstance(named, Iterable) else ()
    return found if all(isinstance(unit, nn.Module) for unit in found) else ()


def cross_entropy(logits: Tensor, y: Tensor, reduction: str = "mean") -> Tensor:
    """The loss. A label beyond the classes raises `ValueError`: on a GPU it would take the whole process down."""
    if int(y.max()) >= logits.shape[1]:
        raise ValueError(f"label {int(y.max())} does not fit a network with {logits.shape[1]} classes")
    return functional.cross_entropy(logits, y, reduction=reduction)


def fill_normal(tensor: Tensor, generator: torch.Generator) -> None:
    """Fill with standard normal numbers that are the same on every device: drawn on the CPU in float32."""
    tensor.copy_(torch.empty(tensor.shape).normal_(generator=generator))


@contextmanager
def recorded(modules: Sequence[nn.Module]) -> Iterator[list[tuple[Any, Tensor, Tensor]]]:
    """While it lasts, every call of one of `modules` is recorded as (module, first input, output)."""
    calls: list[tuple[Any, Tensor, Tensor]] = []
    handles = [
        module.register_forward_hook(lambda module, args, output: calls.append((module, args[0], output)))
        for module in modules
    ]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()
