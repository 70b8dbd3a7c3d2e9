"""Host names for requests without an API key, against DNS rebinding.

A page at `http://evil.example` may have its name resolved to 127.0.0.1, and then read the server's responses to its
visitors. Such a name has a dot and is not an address, as public name servers resolve no other names.

Starlette's `TrustedHostMiddleware` checks the `Host` of every request against a list; this checks requests without a
key only, accepts any address and name of this machine, and checks `Origin` as well.
"""

import ipaddress
import re
from functools import lru_cache

from fastapi import Request

from service.api.problems import ProblemError

ANY = "*"
_ORIGIN = re.compile(r"https?://(.*)")
_AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:@/\[\]]*))(?::\d*)?")


def check_host_and_origin(request: Request, allowed: frozenset[str]) -> None:
    """Check that `Host`, and `Origin` if there is one, name this server.

    Args:
        request: request without an API key.
        allowed: names besides those of this machine; `ANY`: all.

    Raises:
        ProblemError: 421 for `Host`, 403 for `Origin`.
    """
    if ANY in allowed:
        return
    headers, address = request.headers, (request.scope.get("server") or ("",))[0]
    host, origin = headers.get("host", ""), headers.get("origin")
    if not _is_local(host, address, allowed):
        raise _refusal(421, "host", host)
    site = None if origin is None else _ORIGIN.fullmatch(origin)
    if origin is not None and (site is None or not _is_local(site[1], address, allowed)):
        raise _refusal(403, "origin", origin)


@lru_cache(maxsize=256)
def _is_local(authority: str, address: str, allowed: frozenset[str]) -> bool:
    """Return whether a name names this server. Its port may be any, as of a tunnel."""
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        return False
    name = (match[1] or match[2]).lower().removesuffix(".")
    try:
        return name == address or name in allowed or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return "." not in name or name.endswith(".localhost")


def _refusal(status: int, field: str, value: str) -> ProblemError:
    allowed = "names of this machine, and of ARCHRANK_ALLOWED_HOSTS, without an API key"
    return ProblemError(status, f"{field}: got {value[:100]!r}; allowed: {allowed}")
