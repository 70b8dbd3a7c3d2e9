"""Which archrank this is."""

from importlib.metadata import PackageNotFoundError, version


def archrank_version() -> str:
    """Version of the installed distribution; `unknown` for a checkout that was never installed."""
    try:
        return version("archrank")
    except PackageNotFoundError:
        return "unknown"
