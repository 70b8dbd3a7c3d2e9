"""Serializable specification of a probe batch, as score tables and ensembles store it."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from common.errors import BatchError
from models.base import SearchSpace
from models.batches.base import ProbeBatch
from models.batches.files import npz_batch, ntu_batch
from models.batches.synthetic import MAX_SIZES, synthetic_batch


class BatchSpec(BaseModel):
    """Specification of a probe batch.

    Attributes:
        source: `synthetic` motion, an `ntu` array, or an `npz` file of ragged sequences.
        batch_size: number of samples.
        frames: number of frames.
        seed: seed of the batch.
        data: path of the data on the machine that scores; None for synthetic motion.
        labels: path of the labels of an `ntu` array.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: Literal["synthetic", "ntu", "npz"] = "synthetic"
    batch_size: int = Field(default=4, ge=1, le=MAX_SIZES["batch_size"])
    frames: int = Field(default=8, ge=1, le=MAX_SIZES["frames"])
    seed: int = Field(default=0, ge=0, lt=2**32)
    data: str | None = None
    labels: str | None = None

    def make(self, space: SearchSpace[Any]) -> ProbeBatch:
        """Make the batch.

        Args:
            space: search space whose networks take the batch.

        Returns:
            The batch.

        Raises:
            BatchError: the data do not fit the space, or a path is given that the source does not read.
        """
        paths = {"synthetic": (), "ntu": ("data", "labels"), "npz": ("data",)}[self.source]
        for field in ("data", "labels"):
            if (path := getattr(self, field)) is not None and field not in paths:
                raise BatchError(field, path, f"none with source {self.source!r}")
        if self.source == "synthetic":
            return synthetic_batch(space, self.batch_size, self.frames, self.seed)
        if self.source == "ntu":
            return ntu_batch(space, self.data or "", self.labels or "", self.batch_size, self.frames, self.seed)
        return npz_batch(space, self.data or "", self.batch_size, self.frames, self.seed)
