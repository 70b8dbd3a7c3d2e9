"""Plug-ins: objects that installed packages provide under an entry point group."""

import warnings
from collections.abc import Collection
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any


class PluginWarning(UserWarning):
    """A plug-in cannot be used. Everything else works."""


@dataclass(frozen=True)
class Plugin:
    """Loaded plug-in.

    Attributes:
        name: name of the entry point.
        origin: name and version of the distribution that provides it.
        value: the loaded object.
    """

    name: str
    origin: str
    value: Any


def load_plugins(group: str, taken: Collection[str]) -> list[Plugin]:
    """Load the plug-ins of an entry point group, ordered by name.

    A plug-in that cannot be imported, or whose name is taken, is left out with a `PluginWarning` that names it.

    Args:
        group: entry point group, e.g. `archrank.spaces`.
        taken: names of the built-in objects.
    """
    plugins: dict[str, Plugin] = {}
    for entry in sorted(entry_points(group=group), key=lambda entry: (entry.name, _origin(entry))):
        if entry.name in taken or entry.name in plugins:
            owner = plugins[entry.name].origin if entry.name in plugins else "archrank"
            refuse_plugin(group, entry.name, _origin(entry), f"{owner} has a plug-in of that name")
            continue
        try:
            plugins[entry.name] = Plugin(entry.name, _origin(entry), entry.load())
        except (Exception, SystemExit) as error:
            refuse_plugin(group, entry.name, _origin(entry), f"{type(error).__name__}: {error}")
    return list(plugins.values())


def refuse_plugin(group: str, name: str, origin: str, reason: str) -> None:
    """Warn that a plug-in is left out.

    Args:
        group: its entry point group.
        name: its name.
        origin: its distribution.
        reason: the reason.
    """
    warnings.warn(f"plug-in {name!r} of {origin} ({group}) is left out: {reason}", PluginWarning, stacklevel=2)


def _origin(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else "an unknown distribution"
