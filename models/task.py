"""Task of a search space's networks: their input, their targets, and the probe batch that proxies are computed on."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.errors import BatchError

if TYPE_CHECKING:
    from models.batch_spec import BatchSpec

Shapes = tuple[tuple[int, ...], ...]
"""Shapes of a network's arguments, in their order."""


@dataclass(frozen=True)
class Metric:
    """Quality measure of trained networks; higher is better.

    Attributes:
        name: identifier, e.g. `roc_auc`.
        label: name in sentences and headings, e.g. `ROC-AUC`.
        low, high: range of its values.
    """

    name: str
    label: str
    low: float = 0.0
    high: float = 1.0


ACCURACY = Metric("accuracy", "accuracy")
"""Fraction of correctly classified samples."""


@dataclass(frozen=True)
class ProbeBatch:
    """Labeled input that all compared architectures are scored on.

    Attributes:
        inputs: arguments of the network. The first is the data: float32, perturbed and differentiated by proxies.
        targets: int64 labels, (R,), or float32 targets of independent outputs, (R, num_outputs), each 0 or 1.
        source: origin in words, e.g. `synthetic motion, seed 0`.
        rows: int64, (R,): rows of the network's output that have targets; None: all, in their order.
        sample_axis: axis of every argument and of the output along which independent samples lie; None if the rows of
            the output depend on each other, as in one graph.
    """

    inputs: tuple[Tensor, ...]
    targets: Tensor
    source: str
    rows: Tensor | None = None
    sample_axis: int | None = 0

    @property
    def x(self) -> Tensor:
        """The data: the first argument of the network."""
        return self.inputs[0]

    @property
    def y(self) -> Tensor:
        """The targets."""
        return self.targets

    @property
    def shapes(self) -> Shapes:
        """Shapes of the network's arguments."""
        return tuple(tuple(tensor.shape) for tensor in self.inputs)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """All tensors by name: `x`, `x1`, … for the arguments, `y`, and `rows` if there are any."""
        named = {f"x{i or ''}": tensor for i, tensor in enumerate(self.inputs)} | {"y": self.targets}
        return named if self.rows is None else named | {"rows": self.rows}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], source: str, sample_axis: int | None = 0) -> Self:
        """Make a batch from copies of its `tensors` as arrays."""
        tensors = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
        inputs = tuple(tensors[name] for name in sorted(tensors) if name.startswith("x"))
        return cls(inputs, tensors["y"], source, tensors.get("rows"), sample_axis)

    @cached_property
    def fingerprint(self) -> str:
        """First 128 bits of the SHA-256 of shapes, values and targets, in hexadecimal."""
        tensors = self.tensors
        kinds = [str(tensor.dtype).removeprefix("torch.") for tensor in tensors.values()]
        axis = () if self.sample_axis == 0 else (self.sample_axis,)
        digest = hashlib.sha256(repr((*self.shapes, *kinds, *axis)).encode())
        for tensor in tensors.values():
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:32]

    def to(self, device: torch.device | str) -> "ProbeBatch":
        """Return the batch on a device."""
        return replace(
            self,
            inputs=tuple(tensor.to(device) for tensor in self.inputs),
            targets=self.targets.to(device),
            rows=None if self.rows is None else self.rows.to(device),
        )


class Task(ABC):
    """Data and objective of a search space's networks. The output of a network is (rows, num_outputs)."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Name of the data set."""

    @property
    @abstractmethod
    def num_outputs(self) -> int:
        """Number of outputs a row: classes, or independent targets."""

    @property
    def sample_axis(self) -> int | None:
        """Axis of independent samples of its batches, see `ProbeBatch`."""
        return 0

    @property
    def metric(self) -> Metric:
        """Quality measure of trained networks."""
        return ACCURACY

    @abstractmethod
    def synthetic_batch(self, seed: int = 0, **sizes: int) -> ProbeBatch:
        """Generate a probe batch that needs no data.

        Args:
            seed: seed of the batch; the same seed gives the same batch on every machine.
            sizes: sizes of the batch, all with defaults.

        Raises:
            BatchError: a size is unknown or out of range.
        """

    @abstractmethod
    def input_shapes(self, **sizes: int) -> Shapes:
        """Return the shapes of the network's arguments for a batch of some sizes."""

    def batch_spec(self, /, **fields: Any) -> "BatchSpec":
        """Return the serializable specification of a probe batch; by default a synthetic one.

        Args:
            fields: fields of the specification, all with defaults.

        Raises:
            BatchError: a field is unknown or out of range.
        """
        from models.batch_spec import SyntheticSpec

        return SyntheticSpec.parse(fields)

    def check(self, batch: ProbeBatch) -> None:
        """Check that a batch fits the task.

        Raises:
            BatchError: its shapes, numbers or targets do not.
        """
        check_batch(batch, self.num_outputs)


def check_batch(batch: ProbeBatch, num_outputs: int) -> None:
    """Check numbers and targets of a batch.

    Args:
        batch: the batch.
        num_outputs: number of outputs a row.

    Raises:
        BatchError: the data are not finite floating-point numbers, or there is not one valid target for each row.
    """
    x, y, rows = batch.x, batch.targets, batch.rows
    if not x.is_floating_point() or not bool(torch.isfinite(x).all()):
        raise BatchError("x", str(x.dtype), "finite floating-point numbers")
    if y.is_floating_point():
        if y.ndim != 2 or y.shape[1] != num_outputs or not bool(((y == 0) | (y == 1)).all()):
            raise BatchError("y (shape)", (tuple(y.shape), str(y.dtype)), f"0 or 1, (rows, {num_outputs})")
    elif y.ndim != 1:
        raise BatchError("y (shape)", (tuple(y.shape), str(y.dtype)), "whole numbers, one label per row")
    elif y.numel() and not 0 <= int(y.min()) <= int(y.max()) < num_outputs:
        raise BatchError("y", [int(y.min()), int(y.max())], f"labels from 0 to {num_outputs - 1}")
    if rows is None and batch.sample_axis is not None and len(y) != x.shape[batch.sample_axis]:
        allowed = f"{x.shape[batch.sample_axis]} whole numbers, one label per sample"
        raise BatchError("y (shape)", (tuple(y.shape), str(y.dtype)), allowed)
    if rows is not None and (rows.shape != y.shape[:1] or rows.is_floating_point() or int(rows.min()) < 0):
        raise BatchError("rows", (tuple(rows.shape), str(rows.dtype)), f"{len(y)} whole numbers from 0")
