"""Probe batches: synthetic motion or recorded sequences."""

from typing import TYPE_CHECKING, Any

from models.gcn_nas.batches.files import npz_batch, ntu_batch
from models.gcn_nas.batches.synthetic import synthetic_batch

if TYPE_CHECKING:
    from models.gcn_nas.batches.spec import MotionBatchSpec

__all__ = ["MotionBatchSpec", "npz_batch", "ntu_batch", "synthetic_batch"]


def __getattr__(name: str) -> Any:
    """Import `MotionBatchSpec` on first use: only it needs pydantic, which scoring alone does not."""
    if name == "MotionBatchSpec":
        from models.gcn_nas.batches.spec import MotionBatchSpec

        return MotionBatchSpec
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
