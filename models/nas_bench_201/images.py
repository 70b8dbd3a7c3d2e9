"""Probe batches of images: synthetic ones, and samples of an `.npz` file. Pickles are never read."""

import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile, ZipFile

import numpy as np
import torch
from numpy.typing import NDArray

from common.errors import BatchError, InputError, check_seed
from common.files import check_file
from models.task import ProbeBatch

if TYPE_CHECKING:
    from models.nas_bench_201.task import ImageTask

SAMPLES_PER_CLASS = 2
WAVES = 6
"""Plane waves that a class's pattern is the sum of."""
MAX_CYCLES = 2
"""Highest frequency of a plane wave along an axis, in cycles per image."""
MAX_SHIFT = 0.06
"""Largest shift of a sample along an axis, in image widths."""
NOISE = 0.3
"""Standard deviation of a sample's pixel noise; the pattern's is 1."""
MAX_UNPACKED_BYTES = 2**32
UNREADABLE = (
    *(OSError, ValueError, LookupError, EOFError, TypeError, ArithmeticError, MemoryError, RuntimeError),
    *(BadZipFile, zlib.error),
)
"""Errors that NumPy and its dependencies raise for malformed files."""


def synthetic_batch(task: "ImageTask", batch_size: int, seed: int = 0) -> ProbeBatch:
    """Generate a batch of synthetic images with class structure.

    A class is a pattern, a random sum of plane waves of low frequency in three channels. Samples of a class differ in
    shift, contrast, brightness and pixel noise. Numbers have about mean 0 and standard deviation 1, as those of
    normalized photographs.

    Args:
        task: task of the networks.
        batch_size: number of images; consecutive pairs share a class.
        seed: seed of the images; the same seed gives the same batch on every machine.

    Returns:
        The batch.

    Raises:
        BatchError: the batch size is out of range.
        InputError: the seed is out of range.

    Example:
        >>> from models import get_space
        >>> batch = get_space("nas-bench-201").task.synthetic_batch(batch_size=4)
        >>> tuple(batch.x.shape), batch.y.tolist()
        ((4, 3, 32, 32), [0, 0, 1, 1])
    """
    check_seed(seed)
    ((_, channels, size, _),) = task.input_shapes(batch_size=batch_size)
    labels = (np.arange(batch_size) // SAMPLES_PER_CLASS) % task.num_outputs
    x = np.stack([_image(channels, size, (seed, int(label), 0), (seed, n, 1)) for n, label in enumerate(labels)])
    images = torch.from_numpy(x.astype(np.float32))
    return ProbeBatch((images,), torch.from_numpy(labels.astype(np.int64)), f"synthetic images, seed {seed}")


def _image(channels: int, size: int, class_seed: tuple[int, ...], sample_seed: tuple[int, ...]) -> NDArray[np.float64]:
    """One image, (channels, size, size)."""
    class_rng, sample_rng = np.random.default_rng(class_seed), np.random.default_rng(sample_seed)
    cycles = class_rng.integers(-MAX_CYCLES, MAX_CYCLES + 1, (WAVES, 2))
    phases = class_rng.uniform(0, 1, WAVES)
    amplitudes = class_rng.normal(0, np.sqrt(2 / WAVES), (channels, WAVES))
    shift = sample_rng.uniform(-MAX_SHIFT, MAX_SHIFT, 2)
    rows, columns = np.meshgrid(*(np.arange(size) / size + offset for offset in shift), indexing="ij")
    turns = cycles[:, 0, None, None] * rows + cycles[:, 1, None, None] * columns + phases[:, None, None]
    pattern = (amplitudes[:, :, None, None] * np.sin(2 * np.pi * turns)).sum(axis=1)
    image: NDArray[np.float64] = sample_rng.uniform(0.8, 1.2) * pattern + sample_rng.normal(0, 0.1, (channels, 1, 1))
    return image + sample_rng.normal(0, NOISE, image.shape)


def npz_batch(task: "ImageTask", path: str | Path, batch_size: int, seed: int = 0) -> ProbeBatch:
    """Sample a batch from an `.npz` file of images.

    The file holds the arrays `x`, (n, 3, H, W) or (n, H, W, 3), and `y`, (n,), labels from 0. Pixels of 8 bits are
    scaled from 0…255 to −1…1; floating-point numbers are taken as they are.

    Args:
        task: task of the networks.
        path: the `.npz` file.
        batch_size: number of images, in pairs of one class as far as possible.
        seed: seed of the sample.

    Returns:
        The batch.

    Raises:
        BatchError: the file is missing or malformed, or images or labels do not fit the task.
        InputError: the seed is out of range.
    """
    check_seed(seed)
    x, y = _load(path)
    ((_, channels, height, width),) = task.input_shapes(batch_size=1)
    layouts = {(channels, height, width): (0, 1, 2, 3), (height, width, channels): (0, 3, 1, 2)}
    if x.shape[1:] not in layouts or (x.dtype != np.uint8 and x.dtype.kind != "f"):
        shapes = " or ".join(f"(n, {', '.join(map(str, shape))})" for shape in layouts)
        raise BatchError("x (shape)", (x.shape, str(x.dtype)), f"floating-point numbers or 8-bit pixels, {shapes}")
    if y.shape != x.shape[:1] or y.dtype.kind not in "iu":
        raise BatchError("y (shape)", (y.shape, str(y.dtype)), f"{len(x)} whole numbers, one label per image")
    if not 1 <= batch_size <= len(x):
        raise BatchError("batch_size", batch_size, f"1 to {len(x)}, the number of images")
    chosen = _sample_pairs(y, batch_size, seed)
    images = x[chosen].transpose(layouts[x.shape[1:]])
    with np.errstate(over="ignore"):  # numbers too large for float32 become infinite, which the check refuses
        images = images / np.float32(127.5) - np.float32(1) if x.dtype == np.uint8 else images.astype(np.float32)
    tensors = torch.from_numpy(np.ascontiguousarray(images)), torch.from_numpy(y[chosen].astype(np.int64))
    batch = ProbeBatch(tensors[:1], tensors[1], f"{Path(path).name}, seed {seed}")
    task.check(batch)
    return batch


def _load(path: str | Path) -> tuple[NDArray[Any], NDArray[Any]]:
    try:
        check_file(Path(path), "data")
    except InputError as error:
        raise error.renamed("data", BatchError) from error
    try:
        with ZipFile(path) as archive:
            if sum(archive.getinfo(f"{name}.npy").file_size for name in "xy") > MAX_UNPACKED_BYTES:
                raise ValueError(f"more than {MAX_UNPACKED_BYTES} bytes unpacked")
        with np.load(path, allow_pickle=False) as arrays:
            return np.asarray(arrays["x"]), np.asarray(arrays["y"])
    except UNREADABLE as error:
        raise BatchError("data", str(path), f"an .npz file with the arrays x and y ({error})") from error


def _sample_pairs(labels: NDArray[Any], batch_size: int, seed: int) -> NDArray[np.int64]:
    """Indices of random images, in pairs of one class as far as possible."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(labels))
    by_class = [order[labels[order] == label] for label in rng.permutation(np.unique(labels))]
    longest = max(len(members) for members in by_class)
    pairs = [members[i : i + SAMPLES_PER_CLASS] for i in range(0, longest, SAMPLES_PER_CLASS) for members in by_class]
    chosen: NDArray[np.int64] = np.concatenate(pairs)[:batch_size]
    return chosen
