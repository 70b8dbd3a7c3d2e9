"""Probe batch: the minibatch (x, y) that all compared architectures are scored on."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from common.errors import BatchError
from models.base import Shape


@dataclass(frozen=True)
class ProbeBatch:
    """A labeled minibatch.

    Attributes:
        x: float32, (N, C, T, V, M).
        y: int64 labels, (N,).
        source: origin in words, e.g. `synthetic motion, seed 0`.
    """

    x: Tensor
    y: Tensor
    source: str

    @cached_property
    def fingerprint(self) -> str:
        """First 128 bits of the SHA-256 of shapes, values and labels, in hexadecimal."""
        digest = hashlib.sha256(repr((tuple(self.x.shape), "float32", "int64")).encode())
        digest.update(self.x.detach().cpu().contiguous().numpy().tobytes())
        digest.update(self.y.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:32]


def check_batch(x: Tensor, y: Tensor, shape: Shape, num_classes: int) -> None:
    """Check a batch.

    Args:
        x: inputs.
        y: labels.
        shape: expected shape of x, (N, C, T, V, M).
        num_classes: number of classes.

    Raises:
        BatchError: x is not finite floating point of this shape, or y does not hold one label below `num_classes` per
            sample.
    """
    if x.ndim != 5 or tuple(x.shape) != shape or x.shape[0] < 1 or x.shape[2] < 1:
        raise BatchError("x (shape)", tuple(x.shape), f"(N, C, T, V, M) = (N, {shape[1]}, T, {shape[3]}, {shape[4]})")
    if not x.is_floating_point() or not bool(torch.isfinite(x).all()):
        raise BatchError("x", str(x.dtype), "finite floating-point numbers")
    if y.ndim != 1 or y.shape[0] != x.shape[0] or y.is_floating_point():
        raise BatchError(
            "y (shape)", (tuple(y.shape), str(y.dtype)), f"{x.shape[0]} whole numbers, one label per sample"
        )
    if y.numel() and not 0 <= int(y.min()) <= int(y.max()) < num_classes:
        raise BatchError("y", [int(y.min()), int(y.max())], f"labels from 0 to {num_classes - 1}")
