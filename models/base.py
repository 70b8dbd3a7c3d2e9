"""What a search space is. One subclass a space; `models.registry` lists them."""

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
    """One point of a search space, immutable and hashable. Spaces subclass it with their own fields.

    `key` is the canonical JSON text: two architectures are the same network exactly if their keys are equal.
    """

    space: ClassVar[str]

    @cached_property
    def key(self) -> str:
        return json.dumps({"space": self.space, **self._canonical()}, separators=(",", ":"), sort_keys=True)

    @cached_property
    def fingerprint(self) -> str:
        """128 bits of the SHA-256 of `key`, in hexadecimal: the name of the architecture in caches and tables."""
        return hashlib.sha256(self.key.encode()).hexdigest()[:32]

    @property
    def depth(self) -> int:
        """Number of layers."""
        raise NotImplementedError

    def _canonical(self) -> dict[str, Any]:
        raise NotImplementedError


@dataclass(frozen=True)
class Cost:
    """What an architecture costs: `params` trainable parameters, `flops` for one forward pass of the batch."""

    params: int
    flops: int


ArchT = TypeVar("ArchT", bound=Architecture)


class SearchSpace(ABC, Generic[ArchT]):
    """A family of architectures: reads, writes, builds, describes and draws them.

    A space object holds what its networks share (number of classes, skeleton, persons) and no other state, so it may
    be used from several threads at once.
    """

    name: ClassVar[str]

    max_layers: ClassVar[int]
    """Most layers that an architecture may have; `parse` refuses more by their number, without a look into them."""
    max_modules: ClassVar[int]
    """Most modules that a layer may have; likewise."""

    skeleton: Skeleton
    """Joints and links of the input."""

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """The keyword arguments that make this space again through `get_space`."""

    presets: ClassVar[Mapping[str, Any]]
    """Architectures worth starting from, as `parse` reads them, by name."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """What a user needs to write an architecture down, as plain JSON."""

    @abstractmethod
    def parse(self, obj: Any) -> ArchT:
        """Read an architecture from plain Python data. Raises `ArchitectureError`, which names the field."""

    @abstractmethod
    def to_json(self, arch: ArchT) -> dict[str, Any]:
        """The architecture as plain data for people; `parse` reads it back to an equal architecture."""

    @abstractmethod
    def build(self, arch: ArchT, seed: int = 0) -> nn.Module:
        """The network at initialisation, on the CPU in float32, in train mode.

        The same architecture and seed give the same weights, whatever was drawn before; the global random state is
        neither read nor changed.
        """

    @abstractmethod
    def input_shape(self, batch_size: int, frames: int) -> Shape:
        """Shape (N, C, T, V, M) of `batch_size` samples of `frames` frames."""

    @property
    @abstractmethod
    def num_classes(self) -> int:
        """Number of classes; labels run from 0 to this less one."""

    @property
    @abstractmethod
    def feature_names(self) -> tuple[str, ...]:
        """Names of the structural features, the same for every architecture; one is `depth`, the number of layers."""

    @abstractmethod
    def feature_values(self, archs: Sequence[ArchT]) -> NDArray[np.float64]:
        """Structural features, shape (len(archs), len(feature_names)). A row does not depend on the others."""

    def features(self, arch: ArchT) -> dict[str, float]:
        """Structural features of one architecture, by name."""
        return dict(zip(self.feature_names, self.feature_values([arch])[0].tolist(), strict=True))

    @abstractmethod
    def cost(self, arch: ArchT, batch: Shape) -> Cost:
        """Parameters and FLOPs of one forward pass of a batch of that shape; analytic, nothing is built."""

    @property
    @abstractmethod
    def largest(self) -> ArchT:
        """The architecture that no other has more parameters or FLOPs than."""

    @abstractmethod
    def sample(self, rng: np.random.Generator, **fixed: Any) -> ArchT:
        """A random architecture of the population that the space's benchmark was drawn from."""

    @abstractmethod
    def mutate(self, arch: ArchT, rng: np.random.Generator) -> ArchT:
        """A random architecture one edit away; from inside the benchmark's population it stays inside."""

    @abstractmethod
    def crossover(self, one: ArchT, other: ArchT, rng: np.random.Generator) -> ArchT:
        """A random architecture whose layers are each a parent's; from two of the benchmark's population one of it."""

    @abstractmethod
    def neighbors(self, arch: ArchT) -> Iterator[ArchT]:
        """Every architecture one module away at the same depth; all are inside the population if this one is."""

    @abstractmethod
    def warnings(self, arch: ArchT) -> list[str]:
        """In which ways the architecture lies outside the benchmark's population; empty if it lies inside."""

    @abstractmethod
    def meaning(self, feature: str) -> str:
        """A structural feature in words, for warnings. Raises `UnknownNameError`."""

    @abstractmethod
    def part(self, arch: ArchT, feature: str) -> str:
        """The part of the architecture that a structural feature describes, in words, for explanations."""

    @abstractmethod
    def edit(self, before: ArchT, after: ArchT) -> dict[str, Any]:
        """What was done to come from one architecture to its neighbour, as plain data."""
