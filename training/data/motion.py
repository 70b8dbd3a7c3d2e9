"""Recorded motion as data of `gcn-nas` trainings."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from common.errors import BatchError
from models import BuildableSpace, ProbeBatch
from models.gcn_nas import GcnNas
from models.gcn_nas.batches.recordings import IGNORE_OVERFLOW, Recording, npz_recording, ntu_recording
from models.gcn_nas.skeletons import KINECT, NTU
from models.gcn_nas.task import SkeletonTask
from training.data.base import SpaceTraining, Split, TrainingData
from training.data.fields import DataFields, file_hash
from training.data.normalisation import normalise, rotate
from training.recipe import Recipe

GROUPS = ("view", "subject")
"""Splits by an array of the `.npz` file."""
HELD_OUT_VIEW = 3
"""View of Northwestern-UCLA that is held out, as in all its publications (Wang et al., CVPR 2014)."""


class MotionFields(DataFields):
    """Choices about recorded motion.

    Attributes:
        frames: frames of a sample; sequences are interpolated linearly to this number.
        labels: labels of an NTU-style array.
        held_out: views or subjects of the validation samples; by default view 3.
        fraction: part of the samples for validation in a random split.
        split_seed: seed of a random split.
        validation_data, validation_labels: NTU-style array of the validation samples.
        normalisation: `pose` as the public benchmark did it: the spine at the origin, and the first frame upright,
            facing the sensor; `none` by default for NTU-style arrays, which are written normalised.
        augmentation: `none` as in the public benchmark, or `rotation` of each training sample, about the three axes,
            by angles from −0.3 to 0.3 radians.
    """

    frames: int = Field(default=64, ge=1, le=4096)
    labels: str | None = None
    held_out: tuple[int, ...] | None = None
    fraction: float = Field(default=0.2, gt=0, lt=1)
    split_seed: int = Field(default=0, ge=0, lt=2**32)
    validation_data: str | None = None
    validation_labels: str | None = None
    normalisation: Literal["pose", "none"] | None = None
    augmentation: Literal["none", "rotation"] = "none"


class MotionTraining(SpaceTraining):
    """Trainings of `gcn-nas` networks on NTU-style arrays and ragged `.npz` files."""

    space = GcnNas.name

    @override
    def load(
        self, space: BuildableSpace[Any], path: Path, split: str | None, fields: Mapping[str, Any]
    ) -> TrainingData:
        assert isinstance(space, GcnNas)
        return load_motion(space.task, path, split, MotionFields.parse(fields))

    @override
    def recipe(self, space: BuildableSpace[Any]) -> Recipe:
        return Recipe()


@dataclass(frozen=True, eq=False)
class MotionData(TrainingData):
    """Motion sequences in memory.

    Attributes:
        task, description: see `TrainingData`.
        samples: data, (N, C, T, V, M), and labels, (N,), by part.
        augmentation: augmentation of the training samples.
    """

    task: SkeletonTask
    samples: dict[Split, tuple[Tensor, Tensor]]
    description: dict[str, Any]
    augmentation: str = "none"

    @override
    def size(self, split: Split) -> int:
        return len(self.samples[split][1]) if split in self.samples else 0

    @override
    def batches(self, split: Split, batch_size: int | None, seed: int) -> Iterator[ProbeBatch]:
        x, y = self.samples[split]
        rng = np.random.default_rng(seed)
        is_training = split == "training"
        order = torch.from_numpy(rng.permutation(len(y))) if is_training else None
        for start in range(0, len(y), batch_size or len(y)):
            part = slice(start, start + (batch_size or len(y)))
            index: Tensor | slice = part if order is None else order[part]
            inputs = x[index]
            if is_training and self.augmentation == "rotation":
                inputs = rotate(inputs, rng)
            yield ProbeBatch((inputs,), y[index], f"{self.description['data']}, {split}")


def load_motion(task: SkeletonTask, path: Path, split: str | None, fields: MotionFields) -> MotionData:
    """Read, divide, resample and normalise recorded motion.

    Args:
        task: task of the networks.
        path: a ragged `.npz` file, or an NTU-style `.npy` file.
        split: `view` or `subject` with an `.npz` file, `files` with an array, or `random`, the default.
        fields: further choices.

    Raises:
        BatchError: a file or field is not allowed.
    """
    split = split or ("files" if fields.validation_data else "random")
    is_array = path.suffix == ".npy"
    _check_choices(is_array, split, fields)
    normalisation = fields.normalisation or ("none" if is_array else "pose")
    if normalisation == "pose" and task.skeleton not in (NTU, KINECT):
        raise BatchError("normalisation", normalisation, f"none with the skeleton {task.skeleton.name}")
    recording = (
        ntu_recording(task, path, fields.labels or "")
        if is_array
        else npz_recording(task, path, (split,) if split in GROUPS else ())
    )
    if fields.validation_data:
        held_out = ntu_recording(task, fields.validation_data, fields.validation_labels or "")
        parts = _all(recording), _all(held_out)
    else:
        is_held_out = _held_out(recording, split, fields)
        parts = (recording, np.flatnonzero(~is_held_out)), (recording, np.flatnonzero(is_held_out))
    names: tuple[Split, Split] = ("training", "validation")
    samples = {
        name: _samples(task, source, index, fields.frames, normalisation)
        for name, (source, index) in zip(names, parts, strict=True)
    }
    description = {
        "data": path.name,
        "sha256": file_hash(path),
        "split": {"rule": split, **_split_choices(split, fields)},
        "sizes": {name: len(labels) for name, (_, labels) in samples.items()},
        "frames": fields.frames,
        "frame_sampling": "linear interpolation of the whole sequence",
        "normalisation": normalisation,
        "augmentation": fields.augmentation,
    }
    return MotionData(task, samples, description, fields.augmentation)


def _check_choices(is_array: bool, split: str, fields: MotionFields) -> None:
    """Check that file, split and fields go together. Raises `BatchError`."""
    allowed = ("random", "files") if is_array else (*GROUPS, "random")
    if split not in allowed:
        raise BatchError("split", split, f"{' or '.join(allowed)} with {'an array' if is_array else 'an .npz file'}")
    needed = {
        "labels": is_array,
        "validation_data": split == "files",
        "validation_labels": split == "files",
        "held_out": split == "subject",
    }
    for name, is_needed in needed.items():
        value = getattr(fields, name)
        if is_needed and value is None:
            raise BatchError(name, value, f"a value with split {split!r}")
        if not is_needed and value is not None and (name, split) != ("held_out", "view"):
            raise BatchError(name, value, f"none with split {split!r} of this file")


def _split_choices(split: str, fields: MotionFields) -> dict[str, Any]:
    """Choices that determine the split, as plain JSON."""
    if split == "files":
        path = Path(fields.validation_data or "")
        return {"validation_data": path.name, "validation_sha256": file_hash(path)}
    if split == "random":
        return {"fraction": fields.fraction, "seed": fields.split_seed}
    return {"held_out": list(fields.held_out or (HELD_OUT_VIEW,))}


def _held_out(recording: Recording, split: str, fields: MotionFields) -> NDArray[np.bool_]:
    """Validation samples."""
    number = len(recording.labels)
    if split == "random":
        if not 1 <= (size := round(number * fields.fraction)) < number:
            raise BatchError("fraction", fields.fraction, f"one that divides {number} samples in two parts")
        order = np.random.default_rng(fields.split_seed).permutation(number)
        return np.isin(np.arange(number), order[:size])
    groups, held_out = recording.groups[split], fields.held_out or (HELD_OUT_VIEW,)
    known = np.unique(groups).tolist()
    if not set(held_out) < set(known):
        raise BatchError("held_out", held_out, f"some, not all, of {', '.join(map(str, known))}")
    return np.isin(groups, held_out)


def _all(recording: Recording) -> tuple[Recording, NDArray[np.int64]]:
    return recording, np.arange(len(recording.labels))


@IGNORE_OVERFLOW
def _samples(
    task: SkeletonTask, recording: Recording, index: NDArray[np.int64], frames: int, normalisation: str
) -> tuple[Tensor, Tensor]:
    """Data, (N, C, frames, V, M), and labels of some sequences. Raises `BatchError` if they do not fit the task."""
    if normalisation == "pose":
        recording = recording.mapped(normalise)
    ((_, *shape),) = task.input_shapes(batch_size=1, frames=frames)
    x = np.empty((len(index), *shape), dtype=np.float32)
    for row, i in enumerate(index):
        x[row] = recording.resampled(int(i), frames)
    batch = ProbeBatch((torch.from_numpy(x),), torch.from_numpy(recording.labels[index]), "recorded motion")
    task.check(batch)
    return batch.x, batch.y
