"""Interface of the data of a training."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Literal

from models import ProbeBatch, Task

Split = Literal["training", "validation", "test"]
"""Part of the data."""


class TrainingData(ABC):
    """Labeled samples of a task, held in memory once a process and shared by its trainings."""

    @property
    @abstractmethod
    def task(self) -> Task:
        """Task that the samples fit."""

    @property
    @abstractmethod
    def description(self) -> dict[str, Any]:
        """Origin, hash, split, sizes, sampling of frames, normalisation and augmentation, as plain JSON."""

    @abstractmethod
    def size(self, split: Split) -> int:
        """Return the number of samples of a part; 0 if the data lack it."""

    @abstractmethod
    def batches(self, split: Split, batch_size: int | None, seed: int) -> Iterator[ProbeBatch]:
        """Yield all samples of a part once, on the CPU.

        Training samples come in an order, and with an augmentation, that the seed determines. The others come in their
        own order, without augmentation.

        Args:
            split: the part.
            batch_size: samples a batch; None: all at once.
            seed: seed of the epoch, of which both the trainings' seed and the epoch are part.
        """
