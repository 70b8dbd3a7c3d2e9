"""Probe batches from recorded data: NTU-style arrays and ragged `.npz` files. Pickles are never read."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from common.errors import BatchError, InputError, check_seed
from common.files import read_json
from models.gcn_nas.task import SkeletonTask
from models.npz import UNREADABLE, check_data_file, load_npz
from models.task import ProbeBatch

PICKLE_HELP = (
    "labels as .npy or .json, since a pickle can run code when it is read; convert yours once with: "
    "python -c \"import json, pickle; labels = pickle.load(open('val_label.pkl', 'rb'))[1]; "
    "json.dump([int(label) for label in labels], open('val_label.json', 'w'))\""
)
IGNORE_OVERFLOW = np.errstate(all="ignore")
"""Numbers too large for float32 become infinite, which `check_batch` refuses."""
NUMERIC_KINDS = "iuf"
"""NumPy kinds that are converted to float32."""


@IGNORE_OVERFLOW
def ntu_batch(
    task: SkeletonTask, data: str | Path, labels: str | Path, batch_size: int, frames: int, seed: int = 0
) -> ProbeBatch:
    """Sample a batch from an NTU-style array.

    The array is memory-mapped; only the sampled sequences are read. Trailing frames of zeros are removed, and each
    sequence is resampled to `frames` frames.

    Args:
        task: task of the networks.
        data: a `.npy` file, (N, C, T, V, M).
        labels: a `.npy` or `.json` file, one label per sequence.
        batch_size: number of sequences.
        frames: number of frames.
        seed: seed of the sample.

    Returns:
        The batch.

    Raises:
        BatchError: a file is missing, malformed or a pickle, or a shape or label does not fit the task.
    """
    array = _load_npy(data, "data")
    y = _labels(labels)
    ((_, channels, _, joints, num_persons),) = task.input_shapes(batch_size=batch_size, frames=frames)
    if array.ndim != 5 or (array.shape[1], *array.shape[3:]) != (channels, joints, num_persons):
        raise BatchError("data (shape)", array.shape, f"(N, {channels}, T, {joints}, {num_persons})")
    if len(y) != len(array):
        raise BatchError("labels (length)", len(y), f"{len(array)}, one per sequence")
    chosen = _sample_sequences(y, batch_size, seed)
    x = np.stack([_resample(_trim(np.asarray(array[i], dtype=np.float32)), frames) for i in chosen])
    return _make_batch(task, x, y[chosen], f"{Path(data).name}, seed {seed}")


@IGNORE_OVERFLOW
def npz_batch(task: SkeletonTask, path: str | Path, batch_size: int, frames: int, seed: int = 0) -> ProbeBatch:
    """Sample a batch from an `.npz` file of ragged sequences of one person each.

    The file holds the arrays `frames`, (sum of lengths, V, C), `lengths`, (n,), and `label`, (n,). Classes are numbered
    by the rank of their label. Sequences are resampled to `frames` frames; further persons of the task are zero.

    Args:
        task: task of the networks.
        path: the `.npz` file.
        batch_size: number of sequences.
        frames: number of frames.
        seed: seed of the sample.

    Returns:
        The batch.

    Raises:
        BatchError: the file is missing or malformed, or a shape or label does not fit the task.
    """
    points, lengths, y = load_npz(path, ("frames", "lengths", "label"))
    ((_, channels, _, joints, num_persons),) = task.input_shapes(batch_size=batch_size, frames=frames)
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
    y = np.unique(y, return_inverse=True)[1]  # classes may be numbered from 1, as in nw-ucla
    chosen = _sample_sequences(y, batch_size, seed)
    starts = np.concatenate([[0], np.cumsum(lengths.astype(np.int64))])
    x = np.zeros((batch_size, channels, frames, joints, num_persons), dtype=np.float32)
    for row, i in enumerate(chosen):
        sequence = points[starts[i] : starts[i + 1]].astype(np.float32).transpose(2, 0, 1)[..., None]
        x[row, ..., :1] = _resample(sequence, frames)
    return _make_batch(task, x, y[chosen], f"{Path(path).name}, seed {seed}")


def _make_batch(task: SkeletonTask, x: NDArray[Any], y: NDArray[Any], source: str) -> ProbeBatch:
    batch = ProbeBatch((torch.from_numpy(x),), torch.from_numpy(y.astype(np.int64)), source)
    task.check(batch)
    return batch


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


def _sample_sequences(labels: NDArray[Any], batch_size: int, seed: int) -> NDArray[np.int64]:
    """Indices of `batch_size` random sequences, in pairs of the same class as far as possible."""
    if batch_size < 1 or batch_size > len(labels):
        raise BatchError("batch_size", batch_size, f"1 to {len(labels)}, the number of sequences")
    check_seed(seed)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(labels))
    by_class = [order[labels[order] == label] for label in rng.permutation(np.unique(labels))]
    rounds = max(len(members) for members in by_class)
    pairs = [members[i : i + 2] for i in range(0, rounds, 2) for members in by_class]
    chosen: NDArray[np.int64] = np.concatenate(pairs)[:batch_size]
    return chosen


def _trim(sequence: NDArray[np.float32]) -> NDArray[np.float32]:
    """Remove the trailing frames of zeros from (C, T, V, M)."""
    nonzero = np.flatnonzero(np.abs(sequence).sum(axis=(0, 2, 3)) > 0)
    return sequence[:, : nonzero[-1] + 1] if len(nonzero) else sequence


def _resample(sequence: NDArray[np.float32], frames: int) -> NDArray[np.float32]:
    """Interpolate linearly in time, (C, T, V, M) → (C, frames, V, M)."""
    position = np.linspace(0, sequence.shape[1] - 1, frames)
    low = np.floor(position).astype(int)
    high = np.minimum(low + 1, sequence.shape[1] - 1)
    weight = (position - low).astype(np.float32)[None, :, None, None]
    resampled: NDArray[np.float32] = sequence[:, low] * (1 - weight) + sequence[:, high] * weight
    return resampled
