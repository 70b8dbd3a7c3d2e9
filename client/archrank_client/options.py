"""Options of a request, as they are sent."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

Detail = Literal["full", "brief"]


def request_options(
    proxies: Sequence[str] | None = None,
    explain: bool = False,
    ensemble: str | None = None,
    combiner: str | None = None,
    seed: int | None = None,
    space: str | None = None,
    settings: Mapping[str, Any] | None = None,
    batch: Mapping[str, int] | None = None,
    detail: Detail = "full",
) -> dict[str, Any]:
    """Return the options that are set; the server chooses the others.

    Raises:
        TypeError: `proxies` is a string.
        ValueError: `detail` is neither `full` nor `brief`.
    """
    if isinstance(proxies, str):
        raise TypeError(f"proxies: got {proxies!r}; allowed: a list of names")
    if detail not in ("full", "brief"):
        raise ValueError(f"detail: got {detail!r}; allowed: 'full' or 'brief'")
    options = {
        "proxies": None if proxies is None else list(proxies),
        "explain": explain or None,
        "ensemble": ensemble,
        "combiner": combiner,
        "seed": seed,
        "space": space,
        "settings": None if settings is None else dict(settings),
        "batch": None if batch is None else dict(batch),
        "detail": None if detail == "full" else detail,
    }
    return {name: value for name, value in options.items() if value is not None}
