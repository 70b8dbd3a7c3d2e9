"""Resolution of study definitions against the search spaces and the loaded ensembles."""

from collections.abc import Mapping, Sequence
from typing import Any

from common.errors import InputError, UnknownNameError
from models import CapabilityError, CostedSpace, EncodedSpace, SearchSpace, get_space
from service.inference.registry import EnsembleRegistry


def resolve_space(name: str, settings: Mapping[str, Any] | None) -> SearchSpace[Any]:
    """Return the search space of a study.

    Raises:
        InputError: the space or a setting is unknown, or the space has neither structural features nor costs.
    """
    space = get_space(name, **(settings or {}))
    if not isinstance(space, EncodedSpace | CostedSpace):
        raise CapabilityError(space.name, "structural features or costs")
    return space


def resolve_sources(names: Sequence[str] | None, space: str, ensembles: EnsembleRegistry) -> tuple[str, ...]:
    """Return the names of a study's sources.

    Args:
        names: names of ensembles; None for all of the space that predict from structure.
        space: name of the study's space.
        ensembles: the loaded ensembles.

    Raises:
        InputError: an ensemble is not loaded, is of another space, does not predict from structure, or is repeated.
    """
    fitting = {
        name: loaded.ensemble.default_combiner is not None
        for name, loaded in sorted(ensembles.ensembles.items())
        if loaded.space.name == space
    }
    if names is None:
        return tuple(name for name, predicts in fitting.items() if predicts)
    for i, name in enumerate(names):
        if name in names[:i]:
            raise InputError(f"sources[{i}]", name, "each ensemble once")
        if name not in fitting:
            raise UnknownNameError(f"sources[{i}]", name, list(fitting) or [f"(no ensemble is of space {space})"])
        if not fitting[name]:
            raise InputError(f"sources[{i}]", name, "an ensemble with a combiner that predicts from structure")
    return tuple(names)


def check_imported_sources(names: Sequence[str], space: str, ensembles: EnsembleRegistry) -> None:
    """Check the sources of an imported study. Those that are not loaded are allowed: a note says that they are missing.

    Raises:
        InputError: a loaded ensemble is of another space, or does not predict from structure.
    """
    for i, name in enumerate(names):
        if name in ensembles.ensembles:
            try:
                resolve_sources([name], space, ensembles)
            except InputError as error:
                raise error.renamed(f"study.sources[{i}]", InputError) from error
