"""Serializable specification of a probe batch of motion."""

from typing import Literal, cast

from pydantic import Field
from typing_extensions import override

from common.errors import BatchError
from models.batch_spec import BatchSpec
from models.gcn_nas.batches.files import npz_batch, ntu_batch
from models.gcn_nas.batches.synthetic import MAX_SIZES, synthetic_batch
from models.gcn_nas.task import DEFAULT_BATCH_SIZE, DEFAULT_FRAMES, SkeletonTask
from models.task import ProbeBatch, Shapes, Task


class MotionBatchSpec(BatchSpec):
    """Specification of a probe batch of motion sequences.

    Attributes:
        source: `synthetic` motion, an `ntu` array, or an `npz` file of ragged sequences.
        batch_size: number of samples.
        frames: number of frames.
        seed: seed of the batch.
        data: path of the data on the machine that scores; None for synthetic motion.
        labels: path of the labels of an `ntu` array.
    """

    source: Literal["synthetic", "ntu", "npz"] = "synthetic"
    batch_size: int = Field(default=DEFAULT_BATCH_SIZE, ge=1, le=MAX_SIZES["batch_size"])
    frames: int = Field(default=DEFAULT_FRAMES, ge=1, le=MAX_SIZES["frames"])
    seed: int = Field(default=0, ge=0, lt=2**32)
    data: str | None = None
    labels: str | None = None

    @override
    def make(self, task: Task) -> ProbeBatch:
        paths = {"synthetic": (), "ntu": ("data", "labels"), "npz": ("data",)}[self.source]
        for field in ("data", "labels"):
            if (path := getattr(self, field)) is not None and field not in paths:
                raise BatchError(field, path, f"none with source {self.source!r}")
        skeleton_task = cast(SkeletonTask, task)
        if self.source == "synthetic":
            return synthetic_batch(skeleton_task, self.batch_size, self.frames, self.seed)
        if self.source == "ntu":
            return ntu_batch(skeleton_task, self.data or "", self.labels or "", self.batch_size, self.frames, self.seed)
        return npz_batch(skeleton_task, self.data or "", self.batch_size, self.frames, self.seed)

    @override
    def shapes(self, task: Task) -> Shapes:
        return task.input_shapes(batch_size=self.batch_size, frames=self.frames)
