"""What is asked of each architecture, as it is sent."""

from collections.abc import Sequence
from typing import Any


def asked(
    proxies: Sequence[str] | None,
    explain: bool = False,
    ensemble: str | None = None,
    combiner: str | None = None,
    seed: int | None = None,
) -> dict[str, Any]:
    """What is not said is left to the server. Raises `TypeError`."""
    if isinstance(proxies, str):
        raise TypeError(f"proxies: got {proxies!r}; allowed: a list of names")
    names = None if proxies is None else list(proxies)
    said = {"proxies": names, "explain": explain or None, "ensemble": ensemble, "combiner": combiner, "seed": seed}
    return {name: value for name, value in said.items() if value is not None}
