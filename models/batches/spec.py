"""A probe batch written down: what a score table or an ensemble stores to make its batch again."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from common.errors import BatchError
from models.base import SearchSpace
from models.batches.base import ProbeBatch
from models.batches.files import npz_batch, ntu_batch
from models.batches.synthetic import LIMITS, synthetic_batch


class BatchSpec(BaseModel):
    """Which probe batch. `data` and `labels` are paths on the machine that scores, never URLs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: Literal["synthetic", "ntu", "npz"] = "synthetic"
    batch_size: int = Field(default=4, ge=1, le=LIMITS["batch_size"])
    frames: int = Field(default=8, ge=1, le=LIMITS["frames"])
    seed: int = Field(default=0, ge=0, lt=2**32)
    data: str | None = None
    labels: str | None = None

    def make(self, space: SearchSpace[Any]) -> ProbeBatch:
        """The batch itself, fitting `space`. Raises `BatchError`, also for a path that the source would not read."""
        read = {"synthetic": (), "ntu": ("data", "labels"), "npz": ("data",)}[self.source]
        for field in ("data", "labels"):
            if (path := getattr(self, field)) is not None and field not in read:
                raise BatchError(field, path, f"none with source {self.source!r}")
        if self.source == "synthetic":
            return synthetic_batch(space, self.batch_size, self.frames, self.seed)
        if self.source == "ntu":
            return ntu_batch(space, self.data or "", self.labels or "", self.batch_size, self.frames, self.seed)
        return npz_batch(space, self.data or "", self.batch_size, self.frames, self.seed)
