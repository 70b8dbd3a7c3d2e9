"""Interface of a pass, and the batch and network that it measures."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.protocols import HasFeatureUnit, HasTopology, HasUnits, offers
from proxies.base import Need, NotApplicableError
from proxies.passes.batch import Batch, evenly_spaced
from proxies.passes.copies import in_double, is_modified, working_copy
from proxies.passes.row_gradients import depends_on, row_gradients
from proxies.passes.trace import ForwardTrace, trace_forward
from proxies.passes.weights import weight_names
from proxies.time_limit import TimeLimitError

if TYPE_CHECKING:
    from proxies.passes.stack import StackInput
    from proxies.passes.tape import TapedCall


class WeightGradient(NamedTuple):
    """Weight tensor W and ∂/∂W."""

    weight: Tensor
    gradient: Tensor


@dataclass(frozen=True)
class ProxyInput:
    """Network and batch to measure.

    Attributes:
        network: the caller's, never changed.
        batch: arguments and labels.
        seed: of the passes that sample.
        repeats: number of random draws that zen averages.
    """

    network: nn.Module
    batch: Batch
    seed: int = 0
    repeats: int = 1

    @property
    def x(self) -> Tensor:
        """The data."""
        return self.batch.x

    def copy(self, in_place: bool = True) -> nn.Module:
        """Return a working copy of the network (see `working_copy`)."""
        return working_copy(self.network, share=self.supports_tape, in_place=in_place)

    @cached_property
    def supports_tape(self) -> bool:
        """True if the network's class states (`supports_tape = True`) that passes under a tape are right for it.

        The statement: the weights are those of its convolutions and linear layers, which use them by
        `torch.nn.functional` calls and nothing else does; nothing is written in place; within the network, too, the
        first dimension holds whole samples in their order, or the rows of the one graph; the operations do not depend
        on numbers, and without dropout they are not random. It does not hold for subclasses, nor for a network that got
        hooks or other modules, or parameters that are not trained, afterwards (`is_modified`).
        """
        return (
            vars(type(self.network)).get("supports_tape") is True
            and not is_modified(self.network)
            and all(parameter.requires_grad for parameter in self.network.parameters())
        )

    def subsample(self, labels: int, seed: int) -> "ProxyInput":
        """Return a few labels, evenly spaced, with a float64 copy of the network whose parameters have noise.

        With independent samples, only those with the labels are kept. Noise keeps parameters that start at zero, and
        ReLUs that never fire, from hiding a difference.
        """
        indices = evenly_spaced(len(self.batch.y), labels)
        batch = self.batch.part(indices) if self.batch.has_samples else self.batch.with_labels(indices)
        return replace(self, network=with_noise(in_double(self.copy()), seed), batch=batch.double())

    @cached_property
    def forward_trace(self) -> ForwardTrace:
        """Operations of a forward pass of two samples, or of the one graph. Raises the network's errors."""
        return self._trace(self.batch.part([0, len(self.x) - 1]) if self.batch.has_samples else self.batch)

    @cached_property
    def has_static_graph(self) -> bool:
        """True if the whole batch takes the same operations as two samples, and no operation depends on numbers."""
        if self.forward_trace.reads_numbers:
            return False
        if not self.batch.has_samples:
            return True
        hashes = attempt(self._operations_on_meta)
        if isinstance(hashes, Exception):
            hashes = attempt(lambda: (self.forward_trace.operations_hash, self._trace(self.batch).operations_hash))
        return not isinstance(hashes, Exception) and hashes[0] == hashes[1]

    def _operations_on_meta(self) -> tuple[str, str]:
        """Hashes of the operations of two samples and of the whole batch, on shapes alone; some networks need data."""
        network, batch = self.copy().to("meta"), self.batch.to("meta")
        two, whole = (trace_forward(network, part.inputs) for part in (batch.part(slice(2)), batch))
        return two.operations_hash, whole.operations_hash

    def _trace(self, batch: Batch) -> ForwardTrace:
        """Trace a forward pass, in float64 if the network fails in its own precision."""
        with self.isolated_rng():
            traced = attempt(lambda: trace_forward(self.copy(), batch.inputs))
            if isinstance(traced, ForwardTrace):
                return traced
            return trace_forward(in_double(self.copy()), batch.double().inputs)

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


@dataclass(frozen=True)
class Requirement:
    """Property of a network or its task that a measurement is defined by.

    Attributes:
        reason: sentence for a network or task without it.
        is_met: returns True if network and task have it.
    """

    reason: str
    is_met: Callable[[ProxyInput], bool]


CLASS_LABELS = Requirement("the task has several labels a row, not one class", lambda inputs: inputs.batch.has_classes)
REPEATED_CLASS = Requirement(
    "no class has two labelled rows, which epe_nas compares",
    lambda inputs: inputs.batch.has_samples or len(set(inputs.batch.y.tolist())) < len(inputs.batch.y),
)
TWO_LABELS = Requirement(
    "the batch has one label, which makes no two minibatches", lambda inputs: len(inputs.batch.y) > 1
)
UNITS = Requirement(
    "the network names no `units`, the modules whose outputs are read", lambda inputs: bool(units(inputs.network))
)
FEATURE_UNIT = Requirement(
    "the network names no `feature_unit`, the module whose output zen reads",
    lambda inputs: offers(inputs.network, HasFeatureUnit) and isinstance(inputs.network.feature_unit, nn.Module),
)
TOPOLOGY = Requirement(
    "the network names no `topology`, the effect of its units on the nodes of a graph, which sed reads",
    lambda inputs: offers(inputs.network, HasTopology) and len(inputs.network.topology) > 0,
)


class Pass(ABC):
    """Forward (and backward) computation that serves every need in `provides` at once.

    Attributes:
        provides: needs that it can measure.
        requires: needs, and properties of network and task that they are defined by.
        chunkable: True if chunks of independent samples give the same scores.
        stackable: needs that it can measure of several networks in one pass, by `run_stack`.
    """

    provides: ClassVar[frozenset[Need]]
    requires: ClassVar[tuple[tuple[Need, Requirement], ...]] = ()
    chunkable: ClassVar[bool] = False
    stackable: ClassVar[frozenset[Need]] = frozenset()

    def lacking(self, inputs: ProxyInput, need: Need) -> NotApplicableError | None:
        """Return the error with the first requirement of a need that is not met; None if all are."""
        for needed_by, requirement in self.requires:
            if needed_by == need and not requirement.is_met(inputs):
                return NotApplicableError(requirement.reason)
        return None

    def run_stack(self, stack: "StackInput", needs: frozenset[Need]) -> Iterator[tuple[Need, Sequence[Any]]]:
        """Measure needs of several networks together; any failure is an exception.

        Args:
            stack: networks and batch.
            needs: a subset of `stackable`.

        Yields:
            Each need with its value for each network.
        """
        raise NotImplementedError

    @abstractmethod
    def run(self, inputs: ProxyInput, needs: frozenset[Need], chunks: int) -> Iterator[Measurement]:
        """Measure needs, each as soon as possible. An exception is the failure of all needs not measured before.

        Args:
            inputs: network and batch.
            needs: a subset of `provides`, whose requirements are met.
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


def forward_logits(network: nn.Module, batch: Batch, x: Tensor | None = None) -> Tensor:
    """Run the network on copies of its arguments, and check its output.

    Args:
        network: a working copy.
        batch: arguments.
        x: data in place of the batch's.

    Returns:
        Logits, (rows, outputs).

    Raises:
        TypeError: the output is no tensor.
        ValueError: the output has another shape.
        ArithmeticError: the output is not finite.
    """
    logits = network(*batch.arguments(x))
    if not isinstance(logits, Tensor):
        raise TypeError(f"the network gives a {type(logits).__name__}, where logits (N, classes) are needed")
    count = batch.expected_rows
    if logits.ndim != 2 or (count is not None and len(logits) != count):
        labels = len(batch.y) if count is None else count
        rows = f"{count} samples" if batch.has_samples else f"a graph with {labels} labels"
        raise ValueError(f"the network gives {tuple(logits.shape)} for {rows}, where (N, classes) is needed")
    if batch.rows is not None and int(batch.rows.max()) >= len(logits):
        raise ValueError(f"row {int(batch.rows.max())} has a label, and the network gives {len(logits)} rows")
    if not bool(logits.isfinite().all()):
        raise ArithmeticError("the network's output is not finite")
    return logits


def units(network: nn.Module) -> tuple[nn.Module, ...]:
    """Return the modules in the network's attribute `units`, in the order in which they run; none without it."""
    attribute = network.units if offers(network, HasUnits) else ()
    modules = tuple(attribute) if isinstance(attribute, Iterable) else ()
    return modules if all(isinstance(module, nn.Module) for module in modules) else ()


def loss_of(logits: Tensor, batch: Batch, reduction: str = "mean") -> Tensor:
    """Compute the loss over the labelled rows: cross entropy, or binary cross entropy of several labels a row.

    Raises:
        ValueError: a label is beyond the outputs, which on a GPU would end the process, or labels have another shape.
    """
    logits, y = batch.labelled(logits), batch.y
    if not batch.has_classes:
        if logits.shape != y.shape:
            raise ValueError(f"labels of shape {tuple(y.shape)} do not fit logits of shape {tuple(logits.shape)}")
        return functional.binary_cross_entropy_with_logits(logits, y.to(logits), reduction=reduction)
    if int(y.max()) >= logits.shape[1]:
        raise ValueError(f"label {int(y.max())} does not fit a network with {logits.shape[1]} classes")
    return functional.cross_entropy(logits, y, reduction=reduction)


MAX_GRADIENT_ROWS = 16
"""Rows of one graph of which a proxy takes gradients row by row, each by a backward pass of the whole graph."""
ROWS_PER_CLASS = 4
"""Of these rows, those of one class."""
MAX_KERNEL_ROWS = 128
"""Rows of one graph that nwot compares with each other."""


def gradient_rows(batch: Batch) -> Batch:
    """Return the batch, of one graph with at most 16 labels, whose gradients are taken row by row.

    They are the first 4 rows of each of the most frequent classes, of the lower one among equally frequent ones, so
    that rows of a class can be compared; evenly spaced where a row has several labels.
    """
    if batch.has_samples:
        return batch
    if not batch.has_classes:
        return batch.with_labels(evenly_spaced(len(batch.y), MAX_GRADIENT_ROWS))
    labels = batch.y.tolist()
    classes = sorted(set(labels), key=lambda label: (-labels.count(label), label))
    rows = [[i for i, label in enumerate(labels) if label == kind][:ROWS_PER_CLASS] for kind in classes]
    return batch.with_labels(list(chain.from_iterable(rows))[:MAX_GRADIENT_ROWS])


def check_same_rows(tensor: Tensor, logits: Tensor, what: str) -> None:
    """Raise `NotApplicableError` if a tensor of one graph has other rows than the output."""
    if tensor.ndim == 0 or len(tensor) != len(logits):
        shapes = f"{tuple(tensor.shape)} and {tuple(logits.shape)}"
        raise NotApplicableError(f"rows of {what} are not rows of the output: shapes {shapes}")


def kernel_rows(relu_inputs: list[Tensor], logits: Tensor, batch: Batch) -> list[Tensor]:
    """Return the rows of ReLU inputs that nwot compares: all, or up to 128 labelled rows of one graph.

    Raises:
        NotApplicableError: rows of one of the graph's ReLUs are not rows of the output.
    """
    if batch.has_samples:
        return relu_inputs
    for tensor in relu_inputs:
        check_same_rows(tensor, logits, "a ReLU")
    chosen = batch.with_labels(evenly_spaced(len(batch.y), MAX_KERNEL_ROWS))
    return [chosen.labelled(tensor) for tensor in relu_inputs]


def input_gradient(logits: Tensor, x: Tensor, batch: Batch, calls: Sequence["TapedCall"] = ()) -> Tensor:
    """Return the gradients of the data, (rows, …), with the autograd graph retained.

    With independent samples ∂(Σ logits)/∂x. On one graph row i is ∂(Σ_c logits_ic)/∂x_i of each labelled row: of its
    own logits by its own data; of fewer rows than a row has numbers, as the correlation of more is singular.

    Args:
        logits: output of the network.
        x: the data, a leaf.
        batch: labels and their rows.
        calls: calls of layers that a tape has recorded, which make it faster.

    Raises:
        ValueError: the output does not depend on the data, or not differentiably.
        NotApplicableError: rows of the graph's data are not rows of the output.
    """
    if not depends_on(logits, x):
        raise ValueError("the output has no gradient with respect to the input")
    if batch.has_samples:
        return torch.autograd.grad(logits.sum(), x, retain_graph=True)[0]
    check_same_rows(x, logits, "the data")
    rows = (range(len(logits)) if batch.rows is None else batch.rows.tolist())[: x[0].numel() - 1]
    if not rows:
        raise NotApplicableError("a row of the data is one number, so that its gradients have no correlation")
    return row_gradients(logits, x, rows, calls)


def standard_normal(like: Tensor, generator: torch.Generator) -> Tensor:
    """Sample standard normal numbers on the CPU in float32, so that they are the same on every device."""
    return torch.empty(like.shape, dtype=torch.float32, device="cpu").normal_(generator=generator).to(like)


@contextmanager
def recorded_outputs(modules: Sequence[nn.Module]) -> Iterator[list[Tensor]]:
    """Record copies of the outputs of all calls of `modules`."""
    outputs: list[Tensor] = []

    def record(module: nn.Module, args: Any, output: Any) -> None:
        outputs.append(output.detach().clone())

    handles = [module.register_forward_hook(record) for module in modules]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()
