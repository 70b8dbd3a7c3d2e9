"""Samples of architectures: random ones within limits, a given list, or suggestions of a study."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from common.errors import InputError
from models import Architecture, EncodedSpace, SearchSpace, Shapes, require
from search import SpaceDomain

MAX_DRAWS = 10_000
"""Random architectures in a row of which none is new before the sample is refused."""
MAX_REQUESTS = 3
"""Requests to a study in a row of which none gives a new architecture."""


def strata_of(space: SearchSpace[Any], architectures: Sequence[Architecture]) -> list[int]:
    """Return the stratum of each architecture; 0 in a space without structural features."""
    if not isinstance(space, EncodedSpace) or not architectures:
        return [0] * len(architectures)
    strata: list[int] = space.strata(architectures).tolist()
    return strata


class Sample(Protocol):
    """Source of the architectures of a benchmark. A longer sample starts with the shorter one."""

    @property
    def description(self) -> dict[str, Any]:
        """Origin of the architectures, as plain JSON."""

    def extend(self, known: Sequence[Architecture], number: int) -> list[Architecture]:
        """Return the architectures that follow on the known ones, up to `number` in all.

        Raises:
            InputError: there are fewer.
        """


class RandomSample:
    """Architectures of the sampling distribution without repeats.

    Args:
        space: the search space.
        seed: seed of the sample.
        strata: strata that the sample is divided evenly among, in turn; none for the strata of the distribution.
        fixed: properties of all architectures, as the space's `sample` takes them.
        max_params: maximum number of parameters.
        max_flops: maximum FLOPs of a forward pass.
        shapes: shapes of the input that FLOPs are counted for.

    Raises:
        InputError: no architecture is within the limits.
    """

    def __init__(
        self,
        space: SearchSpace[Any],
        seed: int = 0,
        strata: Sequence[int] = (),
        fixed: Mapping[str, Any] | None = None,
        max_params: int | None = None,
        max_flops: int | None = None,
        shapes: Shapes | None = None,
    ) -> None:
        if len(set(strata)) < len(strata):
            raise InputError("strata", list(strata), "each stratum once")
        if strata:
            require(space, EncodedSpace)
        self._space, self._seed, self._strata = space, seed, tuple(strata)
        self._domain = SpaceDomain(space, fixed, max_flops, max_params, shapes)

    @property
    def description(self) -> dict[str, Any]:
        """Seed and constraints."""
        domain = self._domain
        return {
            "source": "random",
            "seed": self._seed,
            "strata": list(self._strata),
            "fixed": domain.fixed,
            "max_params": domain.max_params,
            "max_flops": domain.max_flops,
        }

    def extend(self, known: Sequence[Architecture], number: int) -> list[Architecture]:
        """Draw the sample from its start, and return the part after the known architectures."""
        rng = np.random.default_rng(self._seed)
        drawn: dict[Architecture, None] = {}
        while len(drawn) < number:
            drawn[self._draw(rng, drawn)] = None
        return list(drawn)[len(known) :]

    def _draw(self, rng: np.random.Generator, drawn: Mapping[Architecture, None]) -> Architecture:
        stratum = self._strata[len(drawn) % len(self._strata)] if self._strata else None
        for _ in range(MAX_DRAWS):
            architecture = self._domain.sample(rng)
            if architecture not in drawn and stratum in (None, self._stratum(architecture)):
                return architecture
        within = "" if stratum is None else f" of stratum {stratum}"
        raise InputError(
            "architectures", len(drawn) + 1, f"at most {len(drawn)}: {MAX_DRAWS} draws gave no further one{within}"
        )

    def _stratum(self, architecture: Architecture) -> int | None:
        return self._space.stratum(architecture) if isinstance(self._space, EncodedSpace) else None


class GivenSample:
    """A list of architectures, in its order.

    Args:
        architectures: the architectures.
        name: name of the list, such as that of its file.

    Raises:
        InputError: an architecture is repeated.
    """

    def __init__(self, architectures: Sequence[Architecture], name: str) -> None:
        if len(set(architectures)) < len(architectures):
            repeated = next(arch for i, arch in enumerate(architectures) if arch in architectures[:i])
            raise InputError(name, repeated.key, "each architecture once")
        self._architectures, self._name = list(architectures), name

    @property
    def description(self) -> dict[str, Any]:
        """Name of the list."""
        return {"source": "file", "name": self._name}

    def extend(self, known: Sequence[Architecture], number: int) -> list[Architecture]:
        """Return the part of the list after the known architectures."""
        if number > len(self._architectures):
            raise InputError("architectures", number, f"at most {len(self._architectures)}, those of {self._name}")
        if self._architectures[: len(known)] != list(known):
            raise InputError(self._name, "other architectures", "those of the build, in their order, and further ones")
        return self._architectures[len(known) : number]


class SuggestedSample:
    """Architectures that a study suggests.

    Args:
        suggest: returns so many suggestions of the study.
        name: name of the study.
    """

    def __init__(self, suggest: Callable[[int], Sequence[Architecture]], name: str) -> None:
        self._suggest, self._name = suggest, name

    @property
    def description(self) -> dict[str, Any]:
        """Name of the study."""
        return {"source": "study", "name": self._name}

    def extend(self, known: Sequence[Architecture], number: int) -> list[Architecture]:
        """Ask the study for the missing architectures."""
        sample = dict.fromkeys(known)
        failed_requests = 0
        while len(sample) < number and failed_requests < MAX_REQUESTS:
            size = len(sample)
            # A study may suggest again what is known here and not yet observed there.
            sample |= dict.fromkeys(self._suggest(number - len(sample) + len(known)))
            failed_requests = failed_requests + 1 if len(sample) == size else 0
        if len(sample) < number:
            raise InputError("architectures", number, f"at most {len(sample)}: {self._name} suggests no further ones")
        return list(sample)[len(known) : number]
