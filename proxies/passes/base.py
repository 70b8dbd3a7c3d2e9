"""The interface of a pass, and the batch and network that it measures."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from proxies.base import Need
from proxies.passes.copies import in_double, is_modified, working_copy
from proxies.passes.trace import Structure, trace
from proxies.passes.weights import weight_names
from proxies.time_limit import TimeLimitError


class WeightGradient(NamedTuple):
    """A weight tensor W and ∂/∂W."""

    weight: Tensor
    gradient: Tensor


@dataclass(frozen=True)
class ProxyInput:
    """The network and the batch that are measured.

    Attributes:
        network: the caller's, never changed.
        x: (N, C, T, V, M), or whatever the network takes with samples first.
        y: labels, (N,).
        seed: for the passes that draw.
        repeats: number of random draws that zen averages.
    """

    network: nn.Module
    x: Tensor
    y: Tensor
    seed: int
    repeats: int

    def copy(self, in_place: bool = True) -> nn.Module:
        """A working copy of the network (see `working_copy`)."""
        return working_copy(self.network, share=self.taped, in_place=in_place)

    @cached_property
    def taped(self) -> bool:
        """True if the network's class states (`taped = True`) that passes under a tape are right for it.

        The statement: the weights are those of its convolutions and linear layers, which use them by
        `torch.nn.functional` calls and nothing else does; nothing is written in place; within the network, too, the
        first dimension holds whole samples in their order. It does not hold for subclasses, nor for a network that got
        hooks or other modules, or parameters that are not trained, afterwards (`is_modified`).
        """
        return (
            vars(type(self.network)).get("taped") is True
            and not is_modified(self.network)
            and all(parameter.requires_grad for parameter in self.network.parameters())
        )

    def few(self, samples: int, draw: int) -> "ProxyInput":
        """Some samples from the first to the last, with a copy of the network whose parameters are others, in float64.

        So no part that begins at zero, and no ReLU that happens to be idle, keeps anything from being seen.
        """
        chosen = np.linspace(0, len(self.y) - 1, min(samples, len(self.y)), dtype=int).tolist()
        x, y = self.x[chosen], self.y[chosen]
        return ProxyInput(moved(in_double(self.copy()), draw), x.double(), y, self.seed, self.repeats)

    @cached_property
    def structure(self) -> Structure:
        """The operations of a forward pass of two samples. Raises whatever the network raises."""
        return self._trace(torch.cat([self.x[:1], self.x[-1:]]))

    @cached_property
    def steady(self) -> bool:
        """True if the whole batch takes the same operations as two samples, and no number decides on any."""
        if self.structure.reads_numbers:
            return False
        outlines = attempt(self._outlines_of_shapes)
        if isinstance(outlines, Exception):
            outlines = attempt(lambda: (self.structure.outline, self._trace(self.x).outline))
        return not isinstance(outlines, Exception) and outlines[0] == outlines[1]

    def _outlines_of_shapes(self) -> tuple[str, str]:
        """Of two samples and of the whole batch, without numbers; some networks do not run so."""
        network, x = self.copy().to("meta"), self.x.to("meta")
        return trace(network, x[:2]).outline, trace(network, x).outline

    def _trace(self, x: Tensor) -> Structure:
        """In float64 if the network does not run as it is."""
        with self.draws_apart():
            found = attempt(lambda: trace(self.copy(), x))
            return trace(in_double(self.copy()), x.double()) if isinstance(found, Exception) else found

    @contextmanager
    def draws_apart(self) -> Iterator[None]:
        """While it lasts, what the network draws leaves the random state alone."""
        with torch.random.fork_rng([self.x.device] if self.x.is_cuda else []):
            yield

    @cached_property
    def weight_names(self) -> tuple[str, ...]:
        """Names of the weights in every working copy. Raises `ValueError` where there is none."""
        if self.taped:
            return weight_names(self.network, frozenset)
        return weight_names(self.copy(), lambda: self.structure.used)

    def weights(self, network: nn.Module) -> list[Tensor]:
        """The weights of a working copy. Raises `ValueError` where there is none."""
        named = dict(network.named_parameters())
        return [named[name] for name in self.weight_names]


SHORTAGES = ("DefaultCPUAllocator", "ALLOC_FAILED", "CUDA error: out of memory")
"""In the messages of PyTorch's CPU allocator, of cuBLAS and cuDNN, and of the CUDA runtime when memory runs out."""
Result = tuple[Need, Any]
"""A need with what was measured for it, or the exception that says why it could not be."""


class Pass(ABC):
    """One forward (and backward) computation that serves every need in `provides` at once."""

    provides: ClassVar[frozenset[Need]]
    chunkable: ClassVar[bool] = False
    """Whether samples are independent in it, so that a batch may be cut into chunks without changing a score."""

    @abstractmethod
    def run(self, probe: ProxyInput, needs: frozenset[Need], chunks: int) -> Iterator[Result]:
        """Measure `needs`, each as soon as it can be had; a chunkable pass takes the batch in `chunks` parts.

        What is raised is the failure of all needs that were not measured before.
        """


def attempt(measure: Callable[[], Any]) -> Any:
    """A measurement, or its failure; the end of its time, which is that of the whole pass, is raised."""
    try:
        return measure()
    except TimeLimitError:
        raise
    except Exception as error:
        return error


def is_out_of_memory(error: Exception) -> bool:
    """True if memory ran out; not every library below PyTorch has an error class for it."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and any(text in str(error) for text in SHORTAGES)
    )


@torch.no_grad()
def moved(network: nn.Module, seed: int) -> nn.Module:
    """A working copy with noise in its parameters, of the size of what was there; of 0.1 where they are 0."""
    generator = torch.Generator("cpu").manual_seed(seed)
    for parameter in network.parameters():
        if parameter.is_floating_point():
            size = float(parameter.square().mean().sqrt())
            parameter.data = parameter + (size or 0.1) * standard_normal(parameter, generator)
    return network


def leaf(x: Tensor) -> Tensor:
    """X as a tensor that gradients are taken by. A network takes its `clone`, which it may write to."""
    return x.detach().requires_grad_()


def logits_of(network: nn.Module, x: Tensor) -> Tensor:
    """The network's output for x, (N, classes).

    Raises:
        TypeError: it is no tensor.
        ValueError: it has another shape.
        ArithmeticError: it is not finite.
    """
    logits = network(x.clone())
    if not isinstance(logits, Tensor):
        raise TypeError(f"the network gives a {type(logits).__name__}, where logits (N, classes) are needed")
    if logits.ndim != 2 or len(logits) != len(x):
        raise ValueError(f"the network gives {tuple(logits.shape)} for {len(x)} samples, where (N, classes) is needed")
    if not bool(logits.isfinite().all()):
        raise ArithmeticError("the network's output is not finite")
    return logits


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


def standard_normal(like: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normal numbers that are the same on every device: drawn on the CPU in float32."""
    return torch.empty(like.shape, dtype=torch.float32, device="cpu").normal_(generator=generator).to(like)


@contextmanager
def recorded(modules: Sequence[nn.Module], rows: slice = slice(None)) -> Iterator[list[Tensor]]:
    """While it lasts, the output of every call of one of `modules` is recorded: some rows of it, copied."""
    outputs: list[Tensor] = []

    def record(module: nn.Module, args: Any, output: Any) -> None:
        outputs.append(output[rows].detach().clone())

    handles = [module.register_forward_hook(record) for module in modules]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()
