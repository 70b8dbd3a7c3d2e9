"""Recorded motion: NTU-style arrays and ragged `.npz` files. Pickles are never read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import BatchError, InputError
from common.files import read_json
from models.gcn_nas.task import SkeletonTask
from models.npz import UNREADABLE, check_data_file, load_npz

PICKLE_HELP = (
    "labels as .npy or .json, since a pickle can run code when it is read; convert yours once with: "
    "python -c \"import json, pickle; labels = pickle.load(open('val_label.pkl', 'rb'))[1]; "
    "json.dump([int(label) for label in labels], open('val_label.json', 'w'))\""
)
IGNORE_OVERFLOW = np.errstate(all="ignore")
"""Numbers too large for float32 become infinite, which `check_batch` refuses."""
NUMERIC_KINDS = "iuf"
"""NumPy kinds that are converted to float32."""


@dataclass(frozen=True, eq=False)
class Recording:
    """Labeled motion sequences of a file.

    Attributes:
        labels: class of each sequence, from 0, (n,).
        sequence: returns the sequence of an index, float32, (C, T, V, M), with its own number of frames T.
        groups: further whole numbers of each sequence by name, e.g. `subject`, (n,).
    """

    labels: NDArray[np.int64]
    sequence: Callable[[int], NDArray[np.float32]]
    groups: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)

    def mapped(self, change: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> "Recording":
        """Return the recording with each sequence changed by a function."""
        return replace(self, sequence=lambda index: change(self.sequence(index)))

    def resampled(self, index: int, frames: int) -> NDArray[np.float32]:
        """Interpolate a sequence linearly in time, (C, frames, V, M)."""
        sequence = self.sequence(index)
        position = np.linspace(0, sequence.shape[1] - 1, frames)
        low = np.floor(position).astype(int)
        high = np.minimum(low + 1, sequence.shape[1] - 1)
        weight = (position - low).astype(np.float32)[None, :, None, None]
        resampled: NDArray[np.float32] = sequence[:, low] * (1 - weight) + sequence[:, high] * weight
        return resampled


@IGNORE_OVERFLOW
def ntu_recording(task: SkeletonTask, data: str | Path, labels: str | Path) -> Recording:
    """Open an NTU-style array. It is memory-mapped; trailing frames of zeros of a sequence are removed.

    Args:
        task: task of the networks.
        data: a `.npy` file, (N, C, T, V, M).
        labels: a `.npy` or `.json` file, one label per sequence.

    Raises:
        BatchError: a file is missing, malformed or a pickle, or a shape does not fit the task.
    """
    array = _load_npy(data, "data")
    y = _labels(labels)
    ((_, channels, _, joints, num_persons),) = task.input_shapes()
    if array.ndim != 5 or (array.shape[1], *array.shape[3:]) != (channels, joints, num_persons):
        raise BatchError("data (shape)", array.shape, f"(N, {channels}, T, {joints}, {num_persons})")
    if len(y) != len(array):
        raise BatchError("labels (length)", len(y), f"{len(array)}, one per sequence")
    return Recording(y, lambda index: _trim(np.asarray(array[index], dtype=np.float32)))


@IGNORE_OVERFLOW
def npz_recording(task: SkeletonTask, path: str | Path, groups: tuple[str, ...] = ()) -> Recording:
    """Read an `.npz` file of ragged sequences of one person each. Further persons of the task are zero.

    The file holds the arrays `frames`, (sum of lengths, V, C), `lengths`, (n,), and `label`, (n,). Classes are numbered
    by the rank of their label.

    Args:
        task: task of the networks.
        path: the `.npz` file.
        groups: further arrays of whole numbers, (n,).

    Raises:
        BatchError: the file is missing or malformed, or a shape does not fit the task.
    """
    points, lengths, y, *others = load_npz(path, ("frames", "lengths", "label", *groups))
    ((_, channels, _, joints, num_persons),) = task.input_shapes()
    if points.ndim != 3 or points.shape[1:] != (joints, channels) or points.dtype.kind not in NUMERIC_KINDS:
        allowed = f"numbers, (frames of all sequences, {joints}, {channels})"
        raise BatchError("frames (shape)", (points.shape, str(points.dtype)), allowed)
    well_formed = lengths.dtype.kind in "iu" and lengths.ndim == 1 and y.shape == lengths.shape
    # Each length is bounded before they are summed, so that the sum cannot overflow.
    if (
        not well_formed
        or not ((lengths >= 1) & (lengths <= len(points))).all()
        or lengths.sum(dtype=object) != len(points)
    ):
        allowed = f"one positive length and one label per sequence; sum {len(points)}"
        raise BatchError("lengths", (lengths.shape, str(lengths.dtype)), allowed)
    for name, values in zip(groups, others, strict=True):
        if values.shape != lengths.shape or values.dtype.kind not in "iu":
            raise BatchError(name, (values.shape, str(values.dtype)), f"{len(lengths)} whole numbers, one per sequence")
    y = np.unique(y, return_inverse=True)[1]  # classes may be numbered from 1, as in nw-ucla
    starts = np.concatenate([[0], np.cumsum(lengths.astype(np.int64))])

    def sequence(index: int) -> NDArray[np.float32]:
        person = points[starts[index] : starts[index + 1]].astype(np.float32).transpose(2, 0, 1)
        persons = np.zeros((*person.shape, num_persons), dtype=np.float32)
        persons[..., 0] = person
        return persons

    return Recording(
        y.astype(np.int64),
        sequence,
        {name: values.astype(np.int64) for name, values in zip(groups, others, strict=True)},
    )


def _load_npy(path: str | Path, field: str) -> NDArray[Any]:
    if Path(path).suffix != ".npy":
        raise BatchError(field, str(path), "a .npy file")
    check_data_file(path, field)
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except UNREADABLE as error:
        raise BatchError(field, str(path), f"a readable .npy file of numbers ({error})") from error
    if array.dtype.kind not in NUMERIC_KINDS or 0 in array.shape:
        raise BatchError(field, (array.shape, str(array.dtype)), "at least one number in every dimension")
    return array


def _labels(path: str | Path) -> NDArray[np.int64]:
    suffix = Path(path).suffix
    if suffix in {".pkl", ".pickle"}:
        raise BatchError("labels", str(path), PICKLE_HELP)
    if suffix == ".json":
        try:
            values = read_json(Path(path), "labels")
        except (InputError, OSError) as error:
            raise BatchError("labels", str(path), f"a readable .json file ({error})") from error
        if not isinstance(values, list) or not all(type(value) is int and 0 <= value < 2**31 for value in values):
            raise BatchError("labels", str(path), "a JSON list of whole numbers from 0 on, one per sequence")
        return np.array(values, dtype=np.int64)
    array = _load_npy(path, "labels")
    if array.ndim != 1 or array.dtype.kind not in "iu" or array.min() < 0 or array.max() >= 2**31:
        raise BatchError("labels", (array.shape, str(array.dtype)), "whole numbers from 0 on, one per sequence")
    return np.asarray(array, dtype=np.int64)


def _trim(sequence: NDArray[np.float32]) -> NDArray[np.float32]:
    """Remove the trailing frames of zeros from (C, T, V, M)."""
    nonzero = np.flatnonzero(np.abs(sequence).sum(axis=(0, 2, 3)) > 0)
    return sequence[:, : nonzero[-1] + 1] if len(nonzero) else sequence
