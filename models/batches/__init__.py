"""Probe batches: synthetic motion or recorded sequences."""

from typing import TYPE_CHECKING, Any

from models.batches.base import ProbeBatch, check_batch
from models.batches.files import npz_batch, ntu_batch
from models.batches.synthetic import synthetic_batch

if TYPE_CHECKING:
    from models.batches.spec import BatchSpec

__all__ = ["BatchSpec", "ProbeBatch", "check_batch", "npz_batch", "ntu_batch", "synthetic_batch"]


def __getattr__(name: str) -> Any:
    """Import `BatchSpec` on first use: only it needs pydantic, which scoring alone does not."""
    if name == "BatchSpec":
        from models.batches.spec import BatchSpec

        return BatchSpec
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
