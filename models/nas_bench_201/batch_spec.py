"""Serializable specification of a probe batch of images."""

from typing import Literal, cast

from pydantic import Field
from typing_extensions import override

from common.errors import BatchError
from models.batch_spec import BatchSpec
from models.nas_bench_201.images import npz_batch
from models.nas_bench_201.task import DEFAULT_BATCH_SIZE, MAX_BATCH_SIZE, ImageTask
from models.task import ProbeBatch, Shapes, Task


class ImageBatchSpec(BatchSpec):
    """Specification of a probe batch of images.

    Attributes:
        source: `synthetic` images, or an `npz` file of images.
        batch_size: number of images.
        seed: seed of the batch.
        data: path of the file on the machine that scores; None for synthetic images.
    """

    source: Literal["synthetic", "npz"] = "synthetic"
    batch_size: int = Field(default=DEFAULT_BATCH_SIZE, ge=1, le=MAX_BATCH_SIZE)
    data: str | None = None

    @override
    def make(self, task: Task) -> ProbeBatch:
        if (self.data is None) != (self.source == "synthetic"):
            allowed = "none with source 'synthetic'" if self.source == "synthetic" else "path of an .npz file"
            raise BatchError("data", self.data, allowed)
        if self.data is None:
            return task.synthetic_batch(self.seed, batch_size=self.batch_size)
        return npz_batch(cast(ImageTask, task), self.data, self.batch_size, self.seed)

    @override
    def shapes(self, task: Task) -> Shapes:
        return task.input_shapes(batch_size=self.batch_size)
