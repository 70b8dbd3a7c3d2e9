"""Synthetic skeleton motion: a probe batch that needs no download.

Each class is a movement: every joint swings about its parent with an axis, amplitude, frequency and phase of its own,
and a joint carries everything below it. Samples of a class differ in body size, view, tempo, phase and sensor noise.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from common.errors import BatchError, check_seed
from models.base import SearchSpace
from models.batches.base import ProbeBatch
from models.skeletons import Skeleton

LIMITS = {"batch_size": 1024, "frames": 4096}
SAMPLES_PER_CLASS = 2


def synthetic_batch(space: SearchSpace[Any], batch_size: int, frames: int, seed: int = 0) -> ProbeBatch:
    """A class-structured batch that fits the networks of `space`.

    Args:
        space: search space whose networks take the batch.
        batch_size: N; consecutive samples share a class in pairs, as far as there are classes.
        frames: T.
        seed: the same seed gives the same batch on every machine.
    """
    for field, value in (("batch_size", batch_size), ("frames", frames)):
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= LIMITS[field]:
            raise BatchError(field, value, f"a whole number from 1 to {LIMITS[field]}")
    check_seed(seed)
    skeleton = space.skeleton
    _, channels, _, _, num_persons = space.input_shape(batch_size, frames)
    labels = (np.arange(batch_size) // SAMPLES_PER_CLASS) % space.num_classes
    x = np.empty((batch_size, channels, frames, skeleton.joints, num_persons), dtype=np.float32)
    for n, label in enumerate(labels):
        for person in range(num_persons):
            x[n, ..., person] = _movement(skeleton, frames, (seed, int(label), person), (seed, n, person, 1))
    return ProbeBatch(torch.from_numpy(x), torch.from_numpy(labels.astype(np.int64)), f"synthetic motion, seed {seed}")


def _movement(
    skeleton: Skeleton, frames: int, class_seed: tuple[int, ...], sample_seed: tuple[int, ...]
) -> NDArray[np.float64]:
    """One person's joints over time, (C, T, V), in metres about the root."""
    kind, own = np.random.default_rng(class_seed), np.random.default_rng(sample_seed)
    v = skeleton.joints
    rest = np.random.default_rng(v).normal(size=(v, 3))  # the body's shape: the same for everybody
    bones = 0.25 * rest / np.linalg.norm(rest, axis=1, keepdims=True) * own.normal(1.0, 0.05, (v, 1))
    axes = kind.normal(size=(v, 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    amplitude = kind.gamma(1.0, 0.4, v) * own.normal(1.0, 0.15)
    cycles = kind.uniform(0.5, 3.0, v) * own.normal(1.0, 0.1)
    phase = kind.uniform(0, 2 * np.pi, v) + own.normal(0.0, 0.4)
    angles = amplitude * np.sin(2 * np.pi * cycles * np.linspace(0, 1, frames)[:, None] + phase)

    positions = np.zeros((frames, v, 3))
    turns = np.tile(np.eye(3), (frames, v, 1, 1))
    for child, parent in _from_the_root(skeleton):
        turns[:, child] = turns[:, parent] @ _rotation(axes[child], angles[:, child])
        positions[:, child] = positions[:, parent] + turns[:, child] @ bones[child]
    view = _rotation(np.array([0.0, 1.0, 0.0]), own.uniform(-0.8, 0.8, 1))[0]
    positions = positions @ view.T + own.normal(0.0, 0.3, 3) + own.normal(0.0, 0.005, positions.shape)
    coordinates_first: NDArray[np.float64] = positions.transpose(2, 0, 1)
    return coordinates_first


def _from_the_root(skeleton: Skeleton) -> list[tuple[int, int]]:
    """Links (child, parent) from 0, every parent before its children; the root is the joint that is nobody's child."""
    links = [(child - 1, parent - 1) for child, parent in skeleton.links]
    known = set(range(skeleton.joints)) - {child for child, _ in links}
    ordered: list[tuple[int, int]] = []
    while len(ordered) < len(links):
        ready = [link for link in links if link[1] in known and link[0] not in known]
        ordered += ready
        known |= {child for child, _ in ready}
    return ordered


def _rotation(axis: NDArray[np.float64], angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rodrigues' formula: one axis (3,), angles (T,) → matrices (T, 3, 3)."""
    x, y, z = axis
    crossover = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    a = angle[:, None, None]
    turned: NDArray[np.float64] = np.eye(3) + np.sin(a) * crossover + (1 - np.cos(a)) * (crossover @ crossover)
    return turned
