"""Interface of a pass, and the batch and network that it measures."""

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
from proxies.passes.trace import ForwardTrace, trace_forward
from proxies.passes.weights import weight_names
from proxies.time_limit import TimeLimitError


class WeightGradient(NamedTuple):
    """Weight tensor W and ∂/∂W."""

    weight: Tensor
    gradient: Tensor


@dataclass(frozen=True)
class ProxyInput:
    """Network and batch to measure.

    Attributes:
        network: the caller's, never changed.
        x: (N, C, T, V, M), or another shape that the network accepts, with samples first.
        y: labels, (N,).
        seed: of the passes that sample.
        repeats: number of random draws that zen averages.
    """

    network: nn.Module
    x: Tensor
    y: Tensor
    seed: int
    repeats: int

    def copy(self, in_place: bool = True) -> nn.Module:
        """Return a working copy of the network (see `working_copy`)."""
        return working_copy(self.network, share=self.supports_tape, in_place=in_place)

    @cached_property
    def supports_tape(self) -> bool:
        """True if the network's class states (`supports_tape = True`) that passes under a tape are right for it.

        The statement: the weights are those of its convolutions and linear layers, which use them by
        `torch.nn.functional` calls and nothing else does; nothing is written in place; within the network, too, the
        first dimension holds whole samples in their order. It does not hold for subclasses, nor for a network that got
        hooks or other modules, or parameters that are not trained, afterwards (`is_modified`).
        """
        return (
            vars(type(self.network)).get("supports_tape") is True
            and not is_modified(self.network)
            and all(parameter.requires_grad for parameter in self.network.parameters())
        )

    def subsample(self, samples: int, seed: int) -> "ProxyInput":
        """Return a few samples, evenly spaced, with a float64 copy of the network whose parameters have noise.

        Noise keeps parameters that start at zero, and ReLUs that never fire, from hiding a difference.
        """
        indices = np.linspace(0, len(self.y) - 1, min(samples, len(self.y)), dtype=int).tolist()
        x, y = self.x[indices], self.y[indices]
        return ProxyInput(with_noise(in_double(self.copy()), seed), x.double(), y, self.seed, self.repeats)

    @cached_property
    def forward_trace(self) -> ForwardTrace:
        """Operations of a forward pass of two samples. Raises the network's errors."""
        return self._trace(torch.cat([self.x[:1], self.x[-1:]]))

    @cached_property
    def has_static_graph(self) -> bool:
        """True if the whole batch takes the same operations as two samples, and no operation depends on numbers."""
        if self.forward_trace.reads_numbers:
            return False
        hashes = attempt(self._operations_on_meta)
        if isinstance(hashes, Exception):
            hashes = attempt(lambda: (self.forward_trace.operations_hash, self._trace(self.x).operations_hash))
        return not isinstance(hashes, Exception) and hashes[0] == hashes[1]

    def _operations_on_meta(self) -> tuple[str, str]:
        """Hashes of the operations of two samples and of the whole batch, on shapes alone; some networks need data."""
        network, x = self.copy().to("meta"), self.x.to("meta")
        return trace_forward(network, x[:2]).operations_hash, trace_forward(network, x).operations_hash

    def _trace(self, x: Tensor) -> ForwardTrace:
        """Trace x, in float64 if the network fails in its own precision."""
        with self.isolated_rng():
            traced = attempt(lambda: trace_forward(self.copy(), x))
            return trace_forward(in_double(self.copy()), x.double()) if isinstance(traced, Exception) else traced

    @contextmanager
    def isolated_rng(self) -> Iterator[None]:
        """Restore the random state of PyTorch afterwards."""
        with torch.random.fork_rng([self.x.device] if self.x.is_cuda else []):
            yield

    @cached_property
    def weight_names(self) -> tuple[str, ...]:
        """Names of the weights in every working copy. Raises `ValueError` if there is none."""
        if self.supports_tape:
            return weight_names(self.network, frozenset)
        return weight_names(self.copy(), lambda: self.forward_trace.used_parameters)

    def weights(self, network: nn.Module) -> list[Tensor]:
        """Return the weights of a working copy. Raises `ValueError` if there is none."""
        named = dict(network.named_parameters())
        return [named[name] for name in self.weight_names]


OUT_OF_MEMORY_MESSAGES = ("DefaultCPUAllocator", "ALLOC_FAILED", "CUDA error: out of memory")
"""Parts of the messages of PyTorch's CPU allocator, of cuBLAS and cuDNN, and of the CUDA runtime."""
Measurement = tuple[Need, Any]
"""A need with its value, or with the exception that prevented it."""


class Pass(ABC):
    """Forward (and backward) computation that serves every need in `provides` at once.

    Attributes:
        provides: needs that it can measure.
        chunkable: True if samples are independent, so that chunks of a batch give the same scores.
    """

    provides: ClassVar[frozenset[Need]]
    chunkable: ClassVar[bool] = False

    @abstractmethod
    def run(self, inputs: ProxyInput, needs: frozenset[Need], chunks: int) -> Iterator[Measurement]:
        """Measure needs, each as soon as possible. An exception is the failure of all needs not measured before.

        Args:
            inputs: network and batch.
            needs: a subset of `provides`.
            chunks: number of parts of the batch for a chunkable pass.

        Yields:
            Each need with its value, or with the exception that prevented it.
        """


def attempt(measure: Callable[[], Any]) -> Any:
    """Return a value or its exception; raise `TimeLimitError`, as a limit is that of the whole pass."""
    try:
        return measure()
    except TimeLimitError:
        raise
    except Exception as error:
        return error


def is_out_of_memory(error: Exception) -> bool:
    """Return True for any error of a lack of memory; not every library below PyTorch has a class for it."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and any(text in str(error) for text in OUT_OF_MEMORY_MESSAGES)
    )


@torch.no_grad()
def with_noise(network: nn.Module, seed: int) -> nn.Module:
    """Add Gaussian noise to the parameters of a working copy, of their own scale, or of 0.1 where they are all 0."""
    generator = torch.Generator("cpu").manual_seed(seed)
    for parameter in network.parameters():
        if parameter.is_floating_point():
            scale = float(parameter.square().mean().sqrt())
            parameter.data = parameter + (scale or 0.1) * standard_normal(parameter, generator)
    return network


def as_leaf(x: Tensor) -> Tensor:
    """Return x as a leaf that requires gradients. A network takes its `clone`, which it may write to."""
    return x.detach().requires_grad_()


def forward_logits(network: nn.Module, x: Tensor) -> Tensor:
    """Run the network on a copy of x, and check its output.

    Returns:
        Logits, (N, num_classes).

    Raises:
        TypeError: the output is no tensor.
        ValueError: the output has another shape.
        ArithmeticError: the output is not finite.
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
    """Return the modules in the network's attribute `units`, in the order in which they run; none without it."""
    attribute = getattr(network, "units", None)
    modules = tuple(attribute) if isinstance(attribute, Iterable) else ()
    return modules if all(isinstance(module, nn.Module) for module in modules) else ()


def cross_entropy(logits: Tensor, y: Tensor, reduction: str = "mean") -> Tensor:
    """Compute the loss.

    Raises:
        ValueError: a label is beyond the classes, which on a GPU would end the process.
    """
    if int(y.max()) >= logits.shape[1]:
        raise ValueError(f"label {int(y.max())} does not fit a network with {logits.shape[1]} classes")
    return functional.cross_entropy(logits, y, reduction=reduction)


def standard_normal(like: Tensor, generator: torch.Generator) -> Tensor:
    """Sample standard normal numbers on the CPU in float32, so that they are the same on every device."""
    return torch.empty(like.shape, dtype=torch.float32, device="cpu").normal_(generator=generator).to(like)


@contextmanager
def recorded_outputs(modules: Sequence[nn.Module], rows: slice = slice(None)) -> Iterator[list[Tensor]]:
    """Record the outputs of all calls of `modules`: copies of the given rows."""
    outputs: list[Tensor] = []

    def record(module: nn.Module, args: Any, output: Any) -> None:
        outputs.append(output[rows].detach().clone())

    handles = [module.register_forward_hook(record) for module in modules]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()
