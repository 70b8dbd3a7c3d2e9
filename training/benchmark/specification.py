"""Specification of a benchmark: everything that its accuracies depend on, but for the machine."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.errors import InputError, check_seed
from models import Architecture, BuildableSpace
from models.batch_spec import BatchSpec
from proxies import proxy_versions
from training.data import TrainingData
from training.recipe import Recipe


@dataclass(frozen=True)
class DataSource:
    """Arguments of `load_training_data` besides the space.

    Attributes:
        path: file or folder of the data.
        split: name of the split; None for the default one.
        fields: further fields, e.g. `frames`.
    """

    path: Path
    split: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)

    def load(self, space: BuildableSpace[Any]) -> TrainingData:
        """Load the data for the task of a space."""
        from training.data import load_training_data

        return load_training_data(space, self.path, self.split, **self.fields)

    def to_json(self) -> dict[str, Any]:
        """Return the arguments as plain JSON."""
        return {"path": str(self.path.absolute()), "split": self.split, "fields": dict(self.fields)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "DataSource":
        """Restore the result of `to_json`."""
        return cls(Path(data["path"]), data["split"], data["fields"])


@dataclass(frozen=True)
class Training:
    """One training of an architecture.

    Attributes:
        architecture: the architecture.
        seed: seed of weights, order of the samples and augmentation.
    """

    architecture: Architecture
    seed: int

    @property
    def name(self) -> str:
        """Unique name within a benchmark."""
        return f"{self.architecture.fingerprint}-{self.seed}"

    @property
    def checkpoint(self) -> str:
        """Name of the file of its checkpoint."""
        return f"{self.name}.safetensors"


@dataclass(frozen=True)
class BuildSpecification:
    """Specification of a benchmark.

    Attributes:
        space: search space of the architectures.
        recipe: hyperparameters of the trainings.
        seed: seed of the first training of each architecture, and of the sample of architectures.
        repeat: fraction of the architectures that are trained with several seeds.
        num_seeds: number of these seeds: `seed`, `seed + 1`, …
        proxies: proxies that are computed during the trainings.
        probe_epochs: numbers of completed epochs after which they are computed; 0 for the initial weights.
        batch: probe batch of the proxies; None without proxies.
    """

    space: BuildableSpace[Any]
    recipe: Recipe
    seed: int = 0
    repeat: float = 0.1
    num_seeds: int = 2
    proxies: tuple[str, ...] = ()
    probe_epochs: tuple[int, ...] = ()
    batch: BatchSpec | None = None

    def __post_init__(self) -> None:
        check_seed(self.seed)
        if isinstance(self.repeat, bool) or not 0 <= self.repeat <= 1:
            raise InputError("repeat", self.repeat, "a fraction from 0 to 1")
        if isinstance(self.num_seeds, bool) or not 2 <= self.num_seeds <= 100:
            raise InputError("seeds", self.num_seeds, "a whole number from 2 to 100")
        for epoch in self.probe_epochs:
            if not 0 <= epoch <= self.recipe.epochs:
                raise InputError("probe_epochs", epoch, f"numbers from 0 to {self.recipe.epochs}, the recipe's epochs")

    def to_json(self) -> dict[str, Any]:
        """Return the specification as plain JSON."""
        return {
            "space": self.space.name,
            "settings": self.space.settings,
            "recipe": self.recipe.to_json(),
            "seed": self.seed,
            "repeat": self.repeat,
            "num_seeds": self.num_seeds,
            "proxies": proxy_versions(list(self.proxies)) if self.proxies else {},
            "probe_epochs": list(self.probe_epochs),
            "batch": None if self.batch is None else self.batch.model_dump(),
        }

    def trainings(self, architectures: Sequence[Architecture], repeated: Collection[Architecture]) -> list[Training]:
        """Return the trainings of a sample, those of one architecture in succession.

        Args:
            architectures: the sample, in its order.
            repeated: those of them that are trained with several seeds.
        """
        return [
            Training(architecture, self.seed + offset)
            for architecture in architectures
            for offset in range(self.num_seeds if architecture in repeated else 1)
        ]
