"""Batch that a network is measured on: independent samples, or the rows of one graph."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from common.errors import InputError

Index = slice | list[int]
"""Samples of a batch."""


@dataclass(frozen=True)
class Batch:
    """Arguments of a network, and labels of rows of its output.

    Attributes:
        inputs: arguments in order. The first, x, holds the data, which gradients and perturbations refer to.
        y: class labels, int64 of shape (labelled rows,); or floating point of shape (labelled rows, outputs), where
            each output is a label of its own.
        rows: indices of the output's rows with a label, int64; None for all rows, and always where samples are
            independent.
        has_samples: True if samples are independent and lie along the first dimension of every argument and of the
            output: the batch can be divided. False if rows exchange messages, as the nodes of one graph do: it cannot.
        num_rows: number of rows of the output where each had a label before labels were selected; None where unknown.
    """

    inputs: tuple[Tensor, ...]
    y: Tensor
    rows: Tensor | None = None
    has_samples: bool = True
    num_rows: int | None = None

    @property
    def expected_rows(self) -> int | None:
        """Number of rows that the output must have; None where any that has the labelled rows will do."""
        if self.has_samples:
            return len(self.x)
        return len(self.y) if self.rows is None else self.num_rows

    @property
    def x(self) -> Tensor:
        """The data."""
        return self.inputs[0]

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the arguments."""
        return tuple(tuple(tensor.shape) for tensor in self.inputs)

    @property
    def has_classes(self) -> bool:
        """True if each label is one class."""
        return not self.y.is_floating_point()

    def arguments(self, x: Tensor | None = None) -> tuple[Tensor, ...]:
        """Return copies of the arguments, which a network may write to, with other data where x is given."""
        return tuple(tensor.clone() for tensor in (self.x if x is None else x, *self.inputs[1:]))

    def with_data(self, x: Tensor) -> "Batch":
        """Return the batch with other data of as many rows."""
        return replace(self, inputs=(x, *self.inputs[1:]))

    def to(self, device: torch.device | str) -> "Batch":
        """Return the batch on a device."""
        rows = None if self.rows is None else self.rows.to(device)
        return replace(self, inputs=tuple(t.to(device) for t in self.inputs), y=self.y.to(device), rows=rows)

    def double(self) -> "Batch":
        """Return the batch with floating-point arguments in float64."""
        return replace(self, inputs=tuple(t.double() if t.is_floating_point() else t for t in self.inputs))

    def labelled(self, output: Tensor) -> Tensor:
        """Return the rows of an output that have a label, in the order of the labels."""
        return output if self.rows is None else output[self.rows]

    def part(self, index: Index) -> "Batch":
        """Return some of the samples."""
        return replace(self, inputs=tuple(tensor[index] for tensor in self.inputs), y=self.y[index])

    def single(self) -> "Batch":
        """Return the first sample; the whole graph where there are no samples."""
        return self.part(slice(1)) if self.has_samples else self

    def chunks(self, number: int) -> list["Batch"]:
        """Divide samples evenly, as `torch.chunk` does; a graph stays whole."""
        if not self.has_samples or number == 1:
            return [self]
        bounds = np.cumsum([0, *map(len, self.y.chunk(number))])
        return [self.part(slice(*pair)) for pair in pairwise(bounds)]

    def with_labels(self, index: Sequence[int]) -> "Batch":
        """Return the same arguments with some of the labels. Not for independent samples."""
        rows = torch.arange(len(self.y), device=self.y.device) if self.rows is None else self.rows
        return replace(self, y=self.y[list(index)], rows=rows[list(index)], num_rows=self.expected_rows)


def evenly_spaced(total: int, number: int) -> list[int]:
    """Return up to `number` indices below `total`, evenly spaced, the first and the last included."""
    indices: list[int] = np.linspace(0, total - 1, min(number, total), dtype=int).tolist()
    return indices


def checked_batch(x: Any, y: Any, rows: Any, sample_axis: Any) -> Batch:
    """Return the batch of `proxies.score` from its arguments.

    Raises:
        InputError: one of them is malformed.
    """
    inputs = tuple(x) if isinstance(x, tuple | list) else (x,)
    if not inputs or not _is_plain(inputs[0]) or not inputs[0].is_floating_point() or inputs[0].ndim < 2:
        raise InputError("x", _described(inputs[0] if inputs else x), ALLOWED_DATA)
    for i, tensor in enumerate(inputs):
        if not isinstance(tensor, Tensor) or tensor.is_meta or (i == 0 and len(tensor) < 1):
            raise InputError(f"x[{i}]" if i else "x", _described(tensor), "a tensor" if i else ALLOWED_DATA)
    if isinstance(sample_axis, bool) or sample_axis not in (0, None):
        raise InputError("sample_axis", sample_axis, "0 for independent samples, None for rows of one graph")
    has_samples = sample_axis is not None
    for i, tensor in enumerate(inputs):
        if has_samples and (tensor.ndim == 0 or len(tensor) != len(inputs[0])):
            raise InputError(f"x[{i}]", _described(tensor), f"{len(inputs[0])} samples along the first dimension")
    count = _checked_rows(rows, len(inputs[0]) if has_samples else None)
    _check_labels(y, len(inputs[0]) if has_samples and rows is None else count)
    if has_samples and rows is not None:
        inputs, rows = tuple(tensor[rows.to(tensor.device)] for tensor in inputs), None
    return Batch(inputs, y, rows, has_samples)


ALLOWED_DATA = "a floating-point tensor with samples first"


def _checked_rows(rows: Any, samples: int | None) -> int | None:
    """Check indices of rows, below the number of samples where given, and return how many there are."""
    if rows is None:
        return None
    allowed = "distinct indices of rows" + ("" if samples is None else f" from 0 to {samples - 1}")
    if not _is_plain(rows) or rows.dtype != torch.int64 or rows.ndim != 1 or not len(rows):
        raise InputError("rows", _described(rows), allowed)
    if int(rows.min()) < 0 or len(rows.unique()) < len(rows) or (samples is not None and int(rows.max()) >= samples):
        raise InputError("rows", rows.tolist(), allowed)
    return len(rows)


def _check_labels(y: Any, count: int | None) -> None:
    """Check labels, of as many rows as given."""
    number = "" if count is None else f"{count} "
    if _is_plain(y) and y.is_floating_point():
        if y.ndim != 2 or not y.numel() or count not in (None, len(y)) or not bool(((y >= 0) & (y <= 1)).all()):
            raise InputError("y", _described(y), f"{number}rows of labels from 0 to 1, or {number}whole numbers from 0")
        return
    if (
        not _is_plain(y)
        or y.is_complex()
        or y.ndim != 1
        or not len(y)
        or count not in (None, len(y))
        or int(y.min()) < 0
    ):
        raise InputError("y", _described(y), f"{number}whole numbers from 0, one label a row")


def _is_plain(tensor: Any) -> bool:
    return isinstance(tensor, Tensor) and not tensor.is_meta and tensor.layout == torch.strided


def _described(value: Any) -> Any:
    return f"{value.dtype} of shape {tuple(value.shape)} on {value.device}" if isinstance(value, Tensor) else value


def plain_batch(batch: Batch) -> Batch:
    """Return a batch of detached tensors, none of them made in inference mode, with labels in int64."""
    inputs = tuple(map(_detached, batch.inputs))
    y = _detached(batch.y) if batch.y.is_floating_point() else _detached(batch.y).long()
    return Batch(inputs, y, None if batch.rows is None else _detached(batch.rows), batch.has_samples)


def _detached(tensor: Tensor) -> Tensor:
    detached = tensor.detach()
    return detached.clone() if detached.is_inference() else detached
