"""Probe batches from recorded data: NTU-style arrays and ragged `.npz` files."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from common.errors import BatchError, check_seed
from models.gcn_nas.batches.recordings import IGNORE_OVERFLOW, Recording, npz_recording, ntu_recording
from models.gcn_nas.task import SkeletonTask
from models.task import ProbeBatch


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
    return _sample_batch(task, ntu_recording(task, data, labels), Path(data).name, batch_size, frames, seed)


def npz_batch(task: SkeletonTask, path: str | Path, batch_size: int, frames: int, seed: int = 0) -> ProbeBatch:
    """Sample a batch from an `.npz` file of ragged sequences of one person each (see `npz_recording`).

    Sequences are resampled to `frames` frames.

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
    return _sample_batch(task, npz_recording(task, path), Path(path).name, batch_size, frames, seed)


@IGNORE_OVERFLOW
def _sample_batch(
    task: SkeletonTask, recording: Recording, name: str, batch_size: int, frames: int, seed: int
) -> ProbeBatch:
    chosen = _sample_sequences(recording.labels, batch_size, seed)
    x = np.stack([recording.resampled(index, frames) for index in chosen])
    batch = ProbeBatch((torch.from_numpy(x),), torch.from_numpy(recording.labels[chosen]), f"{name}, seed {seed}")
    task.check(batch)
    return batch


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
