"""Spectra and Jacobians of a network's units, on the forward pass of another pass."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from models.protocols import HasChannelAxis, offers
from proxies.base import NotApplicableError
from proxies.passes.base import Requirement, units
from proxies.spectrum import squared_singular_values

ROUNDING = 4
"""Deviation of a constant channel from its mean, in units in the last place of its largest entry."""
TWO_UNITS = Requirement(
    "the network has one unit, and so none behind another, whose Jacobian could be read",
    lambda inputs: len(units(inputs.network)) > 1,
)


class UnitCall(NamedTuple):
    """Call of a unit: its arguments, the first as an alias for this call alone, and its output."""

    unit: nn.Module
    arguments: tuple[Any, ...]
    output: Any


@contextmanager
def recorded_calls(modules: Sequence[nn.Module]) -> Iterator[list[UnitCall]]:
    """Record the calls of `modules`, in the order in which they end, on the autograd graph.

    The network goes on with copies, so that nothing it writes to changes what was recorded.
    """
    calls: list[UnitCall] = []
    running: list[tuple[Any, ...]] = []

    def enter(module: nn.Module, args: Any) -> Any:
        running.append(args)
        if not args or not isinstance(args[0], Tensor):
            return None
        running[-1] = (args[0].clone(), *args[1:])
        return (running[-1][0].clone(), *args[1:])

    def leave(module: nn.Module, args: Any, output: Any) -> Any:
        calls.append(UnitCall(module, running.pop(), output))
        return output.clone() if isinstance(output, Tensor) else None

    handles = [module.register_forward_pre_hook(enter) for module in modules]
    handles += [module.register_forward_hook(leave) for module in modules]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def channel_axis(network: nn.Module) -> int:
    """Return the dimension of the channels in the outputs of a network's units."""
    return network.channel_axis if offers(network, HasChannelAxis) else 1


@torch.no_grad()
def unit_spectra(calls: Sequence[UnitCall], axis: int) -> list[Tensor]:
    """Return the eigenvalues of the covariance of each unit's channels over rows and positions, in ascending order.

    Of fewer places than channels there are as many eigenvalues as places: the others are 0.
    """
    return [_spectrum(_output(call).movedim(axis, -1).flatten(0, -2)) for call in calls]


def _output(call: UnitCall) -> Tensor:
    if not isinstance(call.output, Tensor):
        raise TypeError(f"a unit gives a {type(call.output).__name__}, where a tensor is needed")
    return call.output


def _spectrum(places: Tensor) -> Tensor:
    """Return the spectrum of (places, channels) in float64 on the CPU; zeros where only rounding varies."""
    centred = places - places.mean(0)
    bound = ROUNDING * torch.finfo(places.dtype).eps * places.abs().amax(0)
    if bool((centred.abs().amax(0) <= bound).all()):
        return torch.zeros(min(places.shape), dtype=torch.float64, device="cpu")
    return squared_singular_values(centred) / len(places)


def unit_jacobians(calls: Sequence[UnitCall], axis: int, seed: int) -> list[Tensor]:
    """Return the mean of g'ᵀ·g over the places of the output of each unit behind the first, (channels, channels').

    g are random signs in the shape of the output, sampled on the CPU, and g' is their gradient at the input, whose
    positions become channels where a stride maps several of them to one. The autograd graph is retained.

    Raises:
        NotApplicableError: a unit is the identity, or its positions are not blocks of those of its input.
    """
    return [_jacobian(call, axis, seed) for call in calls[1:]]


def _jacobian(call: UnitCall, axis: int, seed: int) -> Tensor:
    x, output = _differentiable(call)
    generator = torch.Generator("cpu").manual_seed(seed)
    signs = torch.randint(2, output.shape, generator=generator, device="cpu").mul(2).sub(1).to(output)
    gradient = _gradient(output, x, signs)
    if x.shape == output.shape and torch.equal(x, output) and torch.equal(gradient, signs):
        raise NotApplicableError("a unit is the identity, which has nothing to train")
    by_place, signs = _blocks(gradient.movedim(axis, -1), signs.movedim(axis, -1))
    return by_place.T @ signs / len(signs)


def _differentiable(call: UnitCall) -> tuple[Tensor, Tensor]:
    """Return argument and output of a unit, run again where its argument is cut off from data and weights."""
    output = _output(call)
    if not call.arguments or not isinstance(call.arguments[0], Tensor):
        raise TypeError("a unit takes no tensor as its first argument")
    x, *others = call.arguments
    if x.requires_grad:
        return x, output
    x = x.detach().requires_grad_()
    return x, call.unit(x.clone(), *others)


def _gradient(output: Tensor, x: Tensor, signs: Tensor) -> Tensor:
    """Return ∂⟨signs, output⟩/∂x, zeros where the output does not depend on x."""
    if not output.requires_grad:
        return torch.zeros_like(x)
    gradient = torch.autograd.grad(output, x, signs, retain_graph=True, allow_unused=True)[0]
    return torch.zeros_like(x) if gradient is None else gradient


def _blocks(gradient: Tensor, signs: Tensor) -> tuple[Tensor, Tensor]:
    """Return both as (places of the output, channels), from (rows, positions…, channels)."""
    inner, outer = gradient.shape[:-1], signs.shape[:-1]
    if len(inner) != len(outer) or any(a % b for a, b in zip(inner, outer, strict=True)) or inner[0] != outer[0]:
        shapes = f"{tuple(inner)} of its input and {tuple(outer)} of its output"
        raise NotApplicableError(f"a unit maps no blocks of places to one: {shapes}")
    split = [size for a, b in zip(inner, outer, strict=True) for size in (b, a // b)]
    blocks = gradient.reshape(*split, gradient.shape[-1])
    order = [*range(0, 2 * len(outer), 2), *range(1, 2 * len(outer), 2), 2 * len(outer)]
    return blocks.permute(order).flatten(len(outer)).flatten(0, -2), signs.flatten(0, -2)
