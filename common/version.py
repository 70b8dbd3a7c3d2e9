"""Version of archrank."""

from importlib.metadata import PackageNotFoundError, version


def archrank_version() -> str:
    """Return the version of the installed distribution; `unknown` if archrank is not installed."""
    try:
        return version("archrank")
    except PackageNotFoundError:
        return "unknown"
