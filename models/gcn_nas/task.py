"""Skeleton-based action recognition: the task of the `gcn-nas` networks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from common.errors import BatchError, InputError
from models.gcn_nas.backbone import COORDINATES
from models.gcn_nas.skeletons import Skeleton, get_skeleton
from models.task import ProbeBatch, Shapes, Task, check_batch

if TYPE_CHECKING:
    from models.batch_spec import BatchSpec

DEFAULT_BATCH_SIZE, DEFAULT_FRAMES = 4, 8
"""Size of the probe batch: the cheapest at which informative proxies keep their ranking, see docs/performance.md."""
SETTING_LIMITS = {"num_persons": 16, "num_classes": 10_000}


@dataclass(frozen=True)
class SkeletonTask(Task):
    """Classification of motion sequences, (N, C, T, V, M).

    Attributes:
        skeleton: joints and links of the input.
        num_persons: number of persons per sample, M.
        num_classes: number of classes; labels are 0 to `num_classes - 1`.
    """

    skeleton: Skeleton
    num_persons: int = 2
    num_classes: int = 60

    @classmethod
    def from_settings(
        cls, skeleton: str | Skeleton | Mapping[str, Any], num_persons: int, num_classes: int
    ) -> "SkeletonTask":
        """Check the settings of a space. Raises `InputError`."""
        for field, value in (("num_persons", num_persons), ("num_classes", num_classes)):
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= SETTING_LIMITS[field]:
                raise InputError(field, value, f"a whole number from 1 to {SETTING_LIMITS[field]}")
        return cls(get_skeleton(skeleton), num_persons, num_classes)

    @property
    @override
    def name(self) -> str:
        return self.skeleton.name

    @property
    @override
    def num_outputs(self) -> int:
        return self.num_classes

    @override
    def synthetic_batch(self, seed: int = 0, **sizes: int) -> ProbeBatch:
        from models.gcn_nas.batches import synthetic_batch

        return synthetic_batch(self, *_sizes(**sizes), seed)

    @override
    def input_shapes(self, **sizes: int) -> Shapes:
        batch_size, frames = _sizes(**sizes)
        return ((batch_size, COORDINATES, frames, self.skeleton.joints, self.num_persons),)

    @override
    def batch_spec(self, /, **fields: Any) -> "BatchSpec":
        from models.gcn_nas.batches import MotionBatchSpec

        return MotionBatchSpec.parse(fields)

    @override
    def check(self, batch: ProbeBatch) -> None:
        shapes = batch.shapes
        expected = self.input_shapes()[0]
        if len(shapes) != 1 or len(shapes[0]) != 5 or 0 in shapes[0]:
            raise BatchError("x (shape)", shapes, f"one tensor (N, C, T, V, M) = {_described(expected)}")
        if (shapes[0][1], *shapes[0][3:]) != (expected[1], *expected[3:]):
            raise BatchError("x (shape)", shapes[0], f"(N, C, T, V, M) = {_described(expected)}")
        check_batch(batch, self.num_classes)


def _sizes(batch_size: int = DEFAULT_BATCH_SIZE, frames: int = DEFAULT_FRAMES, **unknown: int) -> tuple[int, int]:
    if unknown:
        raise BatchError("sizes", sorted(unknown), "batch_size and frames")
    return batch_size, frames


def _described(shape: tuple[int, ...]) -> str:
    return f"(N, {shape[1]}, T, {shape[3]}, {shape[4]})"
