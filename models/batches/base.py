"""The probe batch: one minibatch (x, y) that every architecture of a comparison is shown."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from common.errors import BatchError
from models.base import Shape


@dataclass(frozen=True)
class ProbeBatch:
    """One minibatch.

    Attributes:
        x: float32, (N, C, T, V, M).
        y: int64 labels, (N,).
        source: where it came from, for people, e.g. `synthetic motion, seed 0`.
    """

    x: Tensor
    y: Tensor
    source: str

    @cached_property
    def fingerprint(self) -> str:
        """128 bits of the SHA-256 over shapes, values and labels, in hexadecimal."""
        digest = hashlib.sha256(repr((tuple(self.x.shape), "float32", "int64")).encode())
        digest.update(self.x.detach().cpu().contiguous().numpy().tobytes())
        digest.update(self.y.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:32]


def check_batch(x: Tensor, y: Tensor, shape: Shape, num_classes: int) -> None:
    """Raise `BatchError` unless x is finite float of that shape and y holds one label below `num_classes` a sample."""
    if x.ndim != 5 or tuple(x.shape) != shape or x.shape[0] < 1 or x.shape[2] < 1:
        raise BatchError("x (shape)", tuple(x.shape), f"(N, C, T, V, M) = (N, {shape[1]}, T, {shape[3]}, {shape[4]})")
    if not x.is_floating_point() or not bool(torch.isfinite(x).all()):
        raise BatchError("x", str(x.dtype), "finite floating-point numbers")
    if y.ndim != 1 or y.shape[0] != x.shape[0] or y.is_floating_point():
        raise BatchError("y (shape)", (tuple(y.shape), str(y.dtype)), f"{x.shape[0]} whole numbers, one label a sample")
    if y.numel() and not 0 <= int(y.min()) <= int(y.max()) < num_classes:
        raise BatchError("y", [int(y.min()), int(y.max())], f"labels from 0 to {num_classes - 1}")
