"""Interfaces of the data of a training, and of the trainings of a search space."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from torch import nn

from models import Architecture, BuildableSpace, ProbeBatch, Task
from training.recipe import Recipe

Split = Literal["training", "validation", "test"]
"""Part of the data."""


class TrainingData(ABC):
    """Labeled samples of a task, held in memory once a process and shared by its trainings.

    Attributes:
        task: task that the samples fit.
        description: origin, hash, split, sizes, sampling of frames, normalisation and augmentation, as plain JSON.
    """

    task: Task
    description: dict[str, Any]

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


class SpaceTraining(ABC):
    """Data, recipe and networks of the trainings of a search space. Registered by the name of the space."""

    space: ClassVar[str]

    @abstractmethod
    def load(
        self, space: BuildableSpace[Any], path: Path, split: str | None, fields: Mapping[str, Any]
    ) -> TrainingData:
        """Read the data of a training.

        Args:
            space: the search space, whose task the data have to fit.
            path: file or folder of the data.
            split: name of the rule that divides the samples; None for the default.
            fields: further choices by name.

        Raises:
            InputError: a file, the split or a field is not allowed.
        """

    @abstractmethod
    def recipe(self, space: BuildableSpace[Any]) -> Recipe:
        """Return the hyperparameters of the space's public benchmark."""

    def network(self, space: BuildableSpace[Any], architecture: Architecture, seed: int) -> nn.Module:
        """Build a network to train. Its state dict has the keys of the network that `space.build` builds.

        Args:
            space: the search space.
            architecture: architecture of the network.
            seed: seed of the initial weights.
        """
        return space.build(architecture, seed)
