"""Synthetic skeleton motion: a probe batch that needs no download.

Each class is a movement: every joint rotates about its parent with its own axis, amplitude, frequency and phase, and
moves all of its descendants. Samples of a class differ in body size, view, tempo, phase and sensor noise.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from common.errors import BatchError, check_seed
from models.gcn_nas.skeletons import Skeleton
from models.gcn_nas.task import SkeletonTask
from models.task import ProbeBatch

MAX_SIZES = {"batch_size": 1024, "frames": 4096}
SAMPLES_PER_CLASS = 2


def synthetic_batch(task: SkeletonTask, batch_size: int, frames: int, seed: int = 0) -> ProbeBatch:
    """Generate a batch of synthetic motion with class structure.

    Args:
        task: task of the networks.
        batch_size: number of samples; consecutive pairs share a class.
        frames: number of frames.
        seed: seed of the motion; the same seed gives the same batch on every machine.

    Returns:
        The batch.

    Raises:
        BatchError: batch size or frames are out of range.
        InputError: the seed is out of range.

    Example:
        >>> from models import get_space
        >>> from models.gcn_nas.batches import synthetic_batch
        >>> batch = synthetic_batch(get_space("gcn-nas").task, batch_size=4, frames=8)
        >>> tuple(batch.x.shape), batch.y.tolist()
        ((4, 3, 8, 25, 2), [0, 0, 1, 1])
    """
    for field, value in (("batch_size", batch_size), ("frames", frames)):
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_SIZES[field]:
            raise BatchError(field, value, f"a whole number from 1 to {MAX_SIZES[field]}")
    check_seed(seed)
    skeleton = task.skeleton
    ((_, channels, _, _, num_persons),) = task.input_shapes(batch_size=batch_size, frames=frames)
    labels = (np.arange(batch_size) // SAMPLES_PER_CLASS) % task.num_classes
    x = np.empty((batch_size, channels, frames, skeleton.joints, num_persons), dtype=np.float32)
    for n, label in enumerate(labels):
        for person in range(num_persons):
            x[n, ..., person] = _movement(skeleton, frames, (seed, int(label), person), (seed, n, person, 1))
    targets = torch.from_numpy(labels.astype(np.int64))
    return ProbeBatch((torch.from_numpy(x),), targets, f"synthetic motion, seed {seed}")


def _movement(
    skeleton: Skeleton, frames: int, class_seed: tuple[int, ...], sample_seed: tuple[int, ...]
) -> NDArray[np.float64]:
    """Joint positions of one person over time, (C, T, V), in meters relative to the root."""
    class_rng, sample_rng = np.random.default_rng(class_seed), np.random.default_rng(sample_seed)
    v = skeleton.joints
    rest = np.random.default_rng(v).normal(size=(v, 3))  # body shape, shared by all persons
    bones = 0.25 * rest / np.linalg.norm(rest, axis=1, keepdims=True) * sample_rng.normal(1.0, 0.05, (v, 1))
    axes = class_rng.normal(size=(v, 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    amplitude = class_rng.gamma(1.0, 0.4, v) * sample_rng.normal(1.0, 0.15)
    cycles = class_rng.uniform(0.5, 3.0, v) * sample_rng.normal(1.0, 0.1)
    phase = class_rng.uniform(0, 2 * np.pi, v) + sample_rng.normal(0.0, 0.4)
    angles = amplitude * np.sin(2 * np.pi * cycles * np.linspace(0, 1, frames)[:, None] + phase)

    positions = np.zeros((frames, v, 3))
    rotations = np.tile(np.eye(3), (frames, v, 1, 1))
    for child, parent in _topological_order(skeleton):
        rotations[:, child] = rotations[:, parent] @ _rotation(axes[child], angles[:, child])
        positions[:, child] = positions[:, parent] + rotations[:, child] @ bones[child]
    view = _rotation(np.array([0.0, 1.0, 0.0]), sample_rng.uniform(-0.8, 0.8, 1))[0]
    positions = positions @ view.T + sample_rng.normal(0.0, 0.3, 3) + sample_rng.normal(0.0, 0.005, positions.shape)
    channels_first: NDArray[np.float64] = positions.transpose(2, 0, 1)
    return channels_first


def _topological_order(skeleton: Skeleton) -> list[tuple[int, int]]:
    """Links (child, parent), counted from 0, every parent before its children."""
    links = [(child - 1, parent - 1) for child, parent in skeleton.links]
    reached = set(range(skeleton.joints)) - {child for child, _ in links}
    ordered: list[tuple[int, int]] = []
    while len(ordered) < len(links):
        ready = [link for link in links if link[1] in reached and link[0] not in reached]
        ordered += ready
        reached |= {child for child, _ in ready}
    return ordered


def _rotation(axis: NDArray[np.float64], angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation matrices (T, 3, 3) about one axis (3,) by angles (T,), by Rodrigues' formula."""
    x, y, z = axis
    cross_product = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    a = angle[:, None, None]
    matrices: NDArray[np.float64] = (
        np.eye(3) + np.sin(a) * cross_product + (1 - np.cos(a)) * (cross_product @ cross_product)
    )
    return matrices
