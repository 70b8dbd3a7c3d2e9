"""Options of a request, as they are sent."""

from collections.abc import Sequence
from typing import Any


def request_options(
    proxies: Sequence[str] | None,
    explain: bool = False,
    ensemble: str | None = None,
    combiner: str | None = None,
    seed: int | None = None,
) -> dict[str, Any]:
    """Return the options that are set; the server chooses the others.

    Raises:
        TypeError: `proxies` is a string.
    """
    if isinstance(proxies, str):
        raise TypeError(f"proxies: got {proxies!r}; allowed: a list of names")
    names = None if proxies is None else list(proxies)
    options = {"proxies": names, "explain": explain or None, "ensemble": ensemble, "combiner": combiner, "seed": seed}
    return {name: value for name, value in options.items() if value is not None}
