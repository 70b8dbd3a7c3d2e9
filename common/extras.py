"""Optional dependencies, installed as extras of the `archrank` distribution."""

from importlib.util import find_spec

from common.errors import ArchrankError


class MissingExtraError(ArchrankError, ImportError):
    """A feature was used whose optional dependencies are not installed."""


def require_extra(extra: str, *modules: str) -> None:
    """Check that the modules of an extra can be imported, without importing them.

    Args:
        extra: name of the extra, such as `report`.
        modules: names of the modules that the feature imports.

    Raises:
        MissingExtraError: a module is not installed. The message names the command that installs the extra.
    """
    for module in modules:
        try:
            installed = find_spec(module) is not None
        except ModuleNotFoundError:  # a parent package is missing
            installed = False
        if not installed:
            raise MissingExtraError(f"{module} is not installed: pip install 'archrank[{extra}]'")
