"""Interfaces of search spaces, by capability, and of their architectures.

Each space is a class in a package of its own, with the capabilities that it has as base classes; `models.registry`
lists the spaces.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import nn

from common.errors import CapabilityError
from models.task import Shapes, Task

_ENCODER = json.JSONEncoder(separators=(",", ":"), sort_keys=True)


@dataclass(frozen=True)
class Architecture:
    """Point of a search space, immutable and hashable; spaces subclass it with their own fields."""

    space: ClassVar[str]

    @cached_property
    def key(self) -> str:
        """Canonical JSON text. Two architectures are the same network exactly if their keys are equal."""
        return _ENCODER.encode({"space": self.space, **self._canonical()})

    @cached_property
    def fingerprint(self) -> str:
        """First 128 bits of the SHA-256 of `key`, in hexadecimal: identifies the architecture in caches and tables."""
        return hashlib.sha256(self.key.encode()).hexdigest()[:32]

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


@dataclass(frozen=True)
class FeatureGroup:
    """Structural features of one part of an architecture: one summand of an additive kernel.

    The part is present in an architecture exactly if one of its `counts` is set; always if it has none.

    Attributes:
        name: name of the part.
        indicators: features that are 0 or 1, compared linearly.
        counts: one-hot features of a number, and the number that each stands for; compared by their distance.
        measures: real-valued features, standardized and compared by their distance.
    """

    name: str
    indicators: tuple[str, ...] = ()
    counts: Mapping[str, float] = field(default_factory=dict)
    measures: tuple[str, ...] = ()

    @property
    def features(self) -> tuple[str, ...]:
        """Names of all features."""
        return (*self.indicators, *self.counts, *self.measures)


ArchT = TypeVar("ArchT", bound=Architecture)
CapabilityT = TypeVar("CapabilityT", bound="SearchSpace[Any]")


class SearchSpace(ABC, Generic[ArchT]):
    """A family of architectures: parses, writes, describes and samples them.

    A space holds the settings that its networks share, such as the data set, and no other state, so it can be used from
    several threads. The *sampling distribution* is the one that the space's benchmark was drawn from.
    """

    name: ClassVar[str]
    ability: ClassVar[str] = "architectures"
    """The capability in words, as `require` says what a space does not have."""

    @property
    def presets(self) -> Mapping[str, Any]:
        """Published architectures by name, in a form that `parse` reads; none by default."""
        return {}

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Keyword arguments that reconstruct the space through `get_space`, as plain JSON."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return the description that a user needs to write architectures, as plain JSON."""

    @abstractmethod
    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the objects that `parse` reads."""

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
    def sample(self, rng: np.random.Generator, **fixed: Any) -> ArchT:
        """Draw an architecture from the sampling distribution.

        Args:
            rng: source of randomness.
            fixed: properties to condition on.

        Raises:
            InputError: the space cannot condition on a property, or the value is not allowed.
        """

    def warnings(self, arch: ArchT) -> list[str]:
        """Return the ways in which an architecture is outside the sampling distribution's support."""
        return []


class BuildableSpace(SearchSpace[ArchT]):
    """A space whose architectures can be built as networks for a task."""

    ability = "networks"

    @property
    @abstractmethod
    def task(self) -> Task:
        """Data and objective of the networks."""

    @abstractmethod
    def build(self, arch: ArchT, seed: int = 0) -> nn.Module:
        """Build a network at initialization, on the CPU, in float32 and in train mode.

        The weights depend on architecture and seed alone; the global random state is neither read nor changed.

        Args:
            arch: architecture of the network.
            seed: seed of the initial weights.
        """


class CostedSpace(SearchSpace[ArchT]):
    """A space whose costs are known without building a network."""

    ability = "costs"

    @abstractmethod
    def cost(self, arch: ArchT, shapes: Shapes | None = None) -> Cost:
        """Count parameters, and FLOPs of one forward pass, without building the network.

        Args:
            arch: architecture of the network.
            shapes: shapes of the network's arguments; by default those of the space's reference input.
        """

    @property
    @abstractmethod
    def largest(self) -> ArchT:
        """Architecture with the most FLOPs."""


class EncodedSpace(SearchSpace[ArchT]):
    """A space whose architectures are described by structural features.

    The *stratum*, one of the features, is the number that separates architectures most: correlations are also computed
    within it, trees are fitted to the residuals from its means, intervals depend on it.
    """

    ability = "structural features"

    feature_version: ClassVar[str] = "1"
    """Raised whenever names or values change, so that no model reads features that it was not fitted on."""
    stratum_feature: ClassVar[str]
    """Name of the feature that is the stratum, a whole number."""
    stratum_label: ClassVar[str]
    """The stratum in words, e.g. `number of layers`."""

    @property
    @abstractmethod
    def feature_names(self) -> tuple[str, ...]:
        """Names of the structural features, the same for every architecture."""

    @abstractmethod
    def feature_values(self, archs: Sequence[ArchT]) -> NDArray[np.float64]:
        """Return structural features, (len(archs), len(feature_names)). Rows do not depend on each other."""

    def features(self, arch: ArchT) -> dict[str, float]:
        """Return the structural features of one architecture by name."""
        return dict(zip(self.feature_names, self.feature_values([arch])[0].tolist(), strict=True))

    @property
    @abstractmethod
    def feature_groups(self) -> tuple[FeatureGroup, ...]:
        """Groups of features, one for each part of an architecture; a feature is in at most one of them."""

    def strata(self, archs: Sequence[ArchT]) -> NDArray[np.int64]:
        """Return the stratum of each architecture, (len(archs),)."""
        return self.feature_values(archs)[:, self.feature_names.index(self.stratum_feature)].astype(np.int64)

    def stratum(self, arch: ArchT) -> int:
        """Return the stratum of an architecture."""
        return int(self.strata([arch])[0])

    @abstractmethod
    def describe_feature(self, feature: str) -> str:
        """Return the description of a structural feature, for warnings.

        Raises:
            UnknownNameError: there is no such feature.
        """

    @abstractmethod
    def feature_group(self, arch: ArchT, feature: str) -> str:
        """Return the part of the architecture that a structural feature describes, for explanations."""


class EditableSpace(SearchSpace[ArchT]):
    """A space with small changes of an architecture. They stay inside the sampling distribution's support."""

    ability = "mutations, crossovers and neighbors"

    @abstractmethod
    def mutate(self, arch: ArchT, rng: np.random.Generator) -> ArchT:
        """Return a random mutation."""

    @abstractmethod
    def crossover(self, first: ArchT, second: ArchT, rng: np.random.Generator) -> ArchT:
        """Return a random architecture of the parents' parts."""

    @abstractmethod
    def neighbors(self, arch: ArchT) -> Iterator[ArchT]:
        """Iterate over the architectures that differ in one choice."""

    @abstractmethod
    def describe_mutation(self, before: ArchT, after: ArchT) -> dict[str, Any]:
        """Describe the mutation that turns an architecture into its neighbor, as plain JSON."""


CAPABILITIES: Mapping[str, Any] = {
    "build": BuildableSpace,
    "cost": CostedSpace,
    "features": EncodedSpace,
    "edit": EditableSpace,
}
"""Capabilities beyond those of every space, by name."""


def capabilities(space: SearchSpace[Any] | type[SearchSpace[Any]]) -> tuple[str, ...]:
    """Return the names of a space's capabilities."""
    kind = space if isinstance(space, type) else type(space)
    return tuple(name for name, capability in CAPABILITIES.items() if issubclass(kind, capability))


def require(space: SearchSpace[Any], capability: type[CapabilityT]) -> CapabilityT:
    """Return the space as one with a capability.

    Args:
        space: a search space.
        capability: class of the capability, e.g. `EditableSpace`.

    Raises:
        CapabilityError: the space does not have it.
    """
    if isinstance(space, capability):
        return space
    raise CapabilityError(space.name, capability.ability)
