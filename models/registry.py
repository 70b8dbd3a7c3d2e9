"""The search spaces that there are."""

from typing import Any

from common.errors import InputError, UnknownNameError
from models.base import Architecture, SearchSpace
from models.gcn_nas import GcnNas

_SPACES: tuple[type[SearchSpace[Any]], ...] = (GcnNas,)


def space_names() -> list[str]:
    """Names of all search spaces."""
    return [space.name for space in _SPACES]


def get_space(name: str, /, **settings: Any) -> SearchSpace[Architecture]:
    """The search space of that name, e.g. `get_space("gcn-nas", skeleton="kinect", num_persons=1, num_classes=10)`.

    Raises `UnknownNameError` for a name that is not registered, `InputError` for a setting that does not fit.
    """
    for space in _SPACES:
        if space.name == name:
            try:
                return space(**settings)
            except TypeError as error:
                raise InputError("settings", settings, f"what {name} takes ({error})") from error
    raise UnknownNameError("space", name, space_names())
