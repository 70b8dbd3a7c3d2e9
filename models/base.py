"""Interface of a search space and of its architectures.

Each space is a subclass in a package of its own; `models.registry` lists them.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import nn

from models.skeletons import Skeleton

Shape = tuple[int, int, int, int, int]
"""Shape of a batch, (N, C, T, V, M): samples, coordinates, frames, joints, persons."""


@dataclass(frozen=True)
class Architecture:
    """Point of a search space, immutable and hashable; spaces subclass it with their own fields."""

    space: ClassVar[str]

    @cached_property
    def key(self) -> str:
        """Canonical JSON text. Two architectures are the same network exactly if their keys are equal."""
        return json.dumps({"space": self.space, **self._canonical()}, separators=(",", ":"), sort_keys=True)

    @cached_property
    def fingerprint(self) -> str:
        """First 128 bits of the SHA-256 of `key`, in hexadecimal: identifies the architecture in caches and tables."""
        return hashlib.sha256(self.key.encode()).hexdigest()[:32]

    @property
    def depth(self) -> int:
        """Number of layers."""
        raise NotImplementedError

    def _canonical(self) -> dict[str, Any]:
        raise NotImplementedError


@dataclass(frozen=True)
class Cost:
    """Cost of an architecture.

    Attributes:
        params: number of trainable parameters.
        flops: FLOPs of one forward pass of a batch.
    """

    params: int
    flops: int


ArchT = TypeVar("ArchT", bound=Architecture)


class SearchSpace(ABC, Generic[ArchT]):
    """A family of architectures: parses, writes, builds, describes and samples them.

    A space holds what its networks share (number of classes, skeleton, persons) and no other state, so it can be used
    from several threads. The *sampling distribution* is the one that the space's benchmark was drawn from.
    """

    name: ClassVar[str]

    max_layers: ClassVar[int]
    """Maximum number of layers; `parse` refuses longer input without reading it."""
    max_modules: ClassVar[int]
    """Maximum number of modules per layer; `parse` refuses longer input without reading it."""

    skeleton: Skeleton
    """Joints and links of the input."""

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Keyword arguments that reconstruct the space through `get_space`, as plain JSON."""

    presets: ClassVar[Mapping[str, Any]]
    """Published architectures by name, in a form that `parse` reads."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return the description that a user needs to write architectures, as plain JSON."""

    @abstractmethod
    def parse(self, obj: Any) -> ArchT:
        """Read an architecture from plain Python data.

        Args:
            obj: any of the space's notations.

        Returns:
            The architecture.

        Raises:
            ArchitectureError: the data are malformed; the error names the field.
        """

    @abstractmethod
    def to_json(self, arch: ArchT) -> dict[str, Any]:
        """Write an architecture as plain JSON, which `parse` reads back to an equal architecture."""

    @abstractmethod
    def build(self, arch: ArchT, seed: int = 0) -> nn.Module:
        """Build a network at initialization, on the CPU, in float32 and in train mode.

        The weights depend on architecture and seed alone; the global random state is neither read nor changed.

        Args:
            arch: architecture of the network.
            seed: seed of the initial weights.
        """

    @abstractmethod
    def input_shape(self, batch_size: int, frames: int) -> Shape:
        """Return the shape (N, C, T, V, M) of `batch_size` samples of `frames` frames."""

    @property
    @abstractmethod
    def num_classes(self) -> int:
        """Number of classes; labels are 0 to `num_classes - 1`."""

    @property
    @abstractmethod
    def feature_names(self) -> tuple[str, ...]:
        """Names of the structural features, the same for every architecture; one is `depth`, the number of layers."""

    @abstractmethod
    def feature_values(self, archs: Sequence[ArchT]) -> NDArray[np.float64]:
        """Return structural features, (len(archs), len(feature_names)). Rows do not depend on each other."""

    def features(self, arch: ArchT) -> dict[str, float]:
        """Return the structural features of one architecture by name."""
        return dict(zip(self.feature_names, self.feature_values([arch])[0].tolist(), strict=True))

    @abstractmethod
    def cost(self, arch: ArchT, batch: Shape) -> Cost:
        """Count parameters, and FLOPs of one forward pass of a batch of this shape, without building the network."""

    @property
    @abstractmethod
    def largest(self) -> ArchT:
        """Architecture with the most parameters and FLOPs."""

    @abstractmethod
    def sample(self, rng: np.random.Generator, **fixed: Any) -> ArchT:
        """Draw an architecture from the sampling distribution.

        Args:
            rng: source of randomness.
            fixed: properties to condition on, such as `depth`.
        """

    @abstractmethod
    def mutate(self, arch: ArchT, rng: np.random.Generator) -> ArchT:
        """Return a random mutation, inside the sampling distribution's support if `arch` is."""

    @abstractmethod
    def crossover(self, first: ArchT, second: ArchT, rng: np.random.Generator) -> ArchT:
        """Return a random architecture of the parents' layers, inside the distribution's support if both are."""

    @abstractmethod
    def neighbors(self, arch: ArchT) -> Iterator[ArchT]:
        """Iterate over architectures that differ in one module, inside the distribution's support if `arch` is."""

    @abstractmethod
    def warnings(self, arch: ArchT) -> list[str]:
        """Return the ways in which an architecture is outside the sampling distribution's support."""

    @abstractmethod
    def describe_feature(self, feature: str) -> str:
        """Return the description of a structural feature, for warnings.

        Raises:
            UnknownNameError: there is no such feature.
        """

    @abstractmethod
    def feature_group(self, arch: ArchT, feature: str) -> str:
        """Return the part of the architecture that a structural feature describes, for explanations."""

    @abstractmethod
    def describe_mutation(self, before: ArchT, after: ArchT) -> dict[str, Any]:
        """Describe the mutation that turns an architecture into its neighbor, as plain JSON."""
