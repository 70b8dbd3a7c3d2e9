"""Registry of search spaces: those built in, then plug-ins of the entry point group `archrank.spaces`."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, overload

from common.errors import InputError, UnknownNameError
from common.plugins import load_plugins, refuse_plugin
from models.base import Architecture, SearchSpace
from models.gcn_nas import GcnNas
from models.nas_bench_201 import NasBench201
from models.nas_bench_graph import NasBenchGraph

ENTRY_POINTS = "archrank.spaces"
BUILT_IN: tuple[type[SearchSpace[Any]], ...] = (GcnNas, NasBenchGraph, NasBench201)


@dataclass(frozen=True)
class SpaceInfo:
    """Registered search space.

    Attributes:
        name: its name.
        kind: its class.
        origin: `built in`, or the distribution of the plug-in.
    """

    name: str
    kind: type[SearchSpace[Any]]
    origin: str


@lru_cache(maxsize=1)
def space_infos() -> tuple[SpaceInfo, ...]:
    """Return all registered spaces, the built-in ones first."""
    infos = [SpaceInfo(space.name, space, "built in") for space in BUILT_IN]
    for plugin in load_plugins(ENTRY_POINTS, [info.name for info in infos]):
        space = plugin.value
        if not isinstance(space, type) or not issubclass(space, SearchSpace):
            refuse_plugin(ENTRY_POINTS, plugin.name, plugin.origin, "it is no subclass of SearchSpace")
        elif getattr(space, "name", None) != plugin.name:
            reason = f"the name of its space is {getattr(space, 'name', None)!r}"
            refuse_plugin(ENTRY_POINTS, plugin.name, plugin.origin, reason)
        else:
            infos.append(SpaceInfo(plugin.name, space, plugin.origin))
    return tuple(infos)


def space_names() -> list[str]:
    """Names of all search spaces."""
    return [info.name for info in space_infos()]


@overload
def get_space(name: Literal["gcn-nas"], /, **settings: Any) -> GcnNas: ...
@overload
def get_space(name: str, /, **settings: Any) -> SearchSpace[Architecture]: ...
def get_space(name: str, /, **settings: Any) -> SearchSpace[Any]:
    """Return the search space registered under a name.

    Args:
        name: name of the space, one of `space_names()`.
        settings: keyword arguments of the space, see its `settings`.

    Returns:
        The space, which parses, writes, describes and samples architectures; other capabilities vary, see
        `models.base`.

    Raises:
        UnknownNameError: no space has this name, or the space has no setting of a name.
        InputError: the space does not take this value of a setting, or lacks one.

    Example:
        >>> from models import get_space
        >>> space = get_space("gcn-nas", skeleton="kinect", num_persons=1, num_classes=10)
        >>> architecture = space.parse([["L2", "S"], ["L", "T"], ["L3", "S", "ST"], ["L4n", "T"]])
        >>> architecture.depth
        4
        >>> space.cost(architecture, space.task.input_shapes(batch_size=1, frames=8)).params
        3319874
    """
    for info in space_infos():
        if info.name == name:
            if settings:
                _check_settings(info, settings)
            try:
                return info.kind(**settings)
            except TypeError as error:
                raise InputError("settings", settings, f"the settings of {name} ({error})") from error
    raise UnknownNameError("space", name, space_names())


def _check_settings(info: SpaceInfo, settings: Mapping[str, Any]) -> None:
    """Check names of settings. Raises `UnknownNameError`."""
    parameters = inspect.signature(info.kind).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters) and "self" not in settings:
        return
    known = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    for name in settings:
        if name not in known:
            raise UnknownNameError("settings", name, known)
