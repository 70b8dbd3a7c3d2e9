"""Image classification: the task of the `nas-bench-201` networks, and its probe batches."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from common.errors import BatchError
from models.nas_bench_201.macro import CHANNELS, DATASETS
from models.task import ProbeBatch, Shapes, Task, check_batch

if TYPE_CHECKING:
    from models.batch_spec import BatchSpec

DEFAULT_BATCH_SIZE = 8
MAX_BATCH_SIZE = 1024


@dataclass(frozen=True)
class ImageTask(Task):
    """Classification of images, (N, 3, H, W).

    Attributes:
        dataset: name of the data set, a key of `DATASETS`.
    """

    dataset: str = "cifar10"

    @property
    @override
    def name(self) -> str:
        return self.dataset

    @property
    @override
    def num_outputs(self) -> int:
        return DATASETS[self.dataset].num_classes

    @override
    def synthetic_batch(self, seed: int = 0, **sizes: int) -> ProbeBatch:
        from models.nas_bench_201.images import synthetic_batch

        return synthetic_batch(self, seed=seed, batch_size=_batch_size(**sizes))

    @override
    def input_shapes(self, **sizes: int) -> Shapes:
        size = DATASETS[self.dataset].size
        return ((_batch_size(**sizes), CHANNELS, size, size),)

    @override
    def batch_spec(self, /, **fields: Any) -> "BatchSpec":
        from models.nas_bench_201.batch_spec import ImageBatchSpec

        return ImageBatchSpec.parse(fields)

    @override
    def check(self, batch: ProbeBatch) -> None:
        _, channels, height, width = self.input_shapes()[0]
        shapes = batch.shapes
        if len(shapes) != 1 or shapes[0][1:] != (channels, height, width) or shapes[0][0] < 1:
            raise BatchError("x (shape)", shapes, f"one tensor (N, {channels}, {height}, {width})")
        check_batch(batch, self.num_outputs)


def _batch_size(batch_size: int = DEFAULT_BATCH_SIZE, **unknown: int) -> int:
    if unknown:
        raise BatchError("sizes", sorted(unknown), "batch_size")
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or not 1 <= batch_size <= MAX_BATCH_SIZE:
        raise BatchError("batch_size", batch_size, f"a whole number from 1 to {MAX_BATCH_SIZE}")
    return batch_size
