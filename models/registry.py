"""Registry of search spaces."""

from typing import Any

from common.errors import InputError, UnknownNameError
from models.base import Architecture, SearchSpace
from models.gcn_nas import GcnNas

_SPACES: tuple[type[SearchSpace[Any]], ...] = (GcnNas,)


def space_names() -> list[str]:
    """Names of all search spaces."""
    return [space.name for space in _SPACES]


def get_space(name: str, /, **settings: Any) -> SearchSpace[Architecture]:
    """Return the search space registered under a name.

    Args:
        name: name of the space, one of `space_names()`.
        settings: keyword arguments of the space; `gcn-nas` takes `skeleton`, `num_persons` and `num_classes`.

    Returns:
        The space, which parses, samples, mutates and builds architectures.

    Raises:
        UnknownNameError: no space has this name.
        InputError: the space does not take a setting, or not this value of it.

    Example:
        >>> from models import get_space
        >>> space = get_space("gcn-nas", skeleton="kinect", num_persons=1, num_classes=10)
        >>> architecture = space.parse([["L2", "S"], ["L", "T"], ["L3", "S", "ST"], ["L4n", "T"]])
        >>> architecture.depth
        4
        >>> space.cost(architecture, space.input_shape(batch_size=1, frames=8)).params
        3319874
    """
    for space in _SPACES:
        if space.name == name:
            try:
                return space(**settings)
            except TypeError as error:
                raise InputError("settings", settings, f"the settings of {name} ({error})") from error
    raise UnknownNameError("space", name, space_names())
