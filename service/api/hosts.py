"""Names under which a server may be asked without a key, against DNS rebinding.

A page of `http://evil.example` may let its name lead to 127.0.0.1, and then read what this server answers its visitors.
Its name has a dot and is no address: public name servers know no other names.
"""

import ipaddress
import re
from collections.abc import Container

from fastapi import Request

from service.api.problems import ProblemError

ANY = "*"
_ORIGIN = re.compile(r"https?://(.*)")
_AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:@/\[\]]*))(?::\d*)?")


def check_names(request: Request, allowed: Container[str]) -> None:
    """Raise `ProblemError` where `Host` is no name of this server, or `Origin` that of a page of another.

    Args:
        request: of a caller without a key.
        allowed: names besides those of this machine; `ANY`: all.
    """
    if ANY in allowed:
        return
    headers, address = request.headers, (request.scope.get("server") or ("",))[0]
    host, origin = headers.get("host", ""), headers.get("origin")
    if not _is_own(host, address, allowed):
        raise _refusal(421, "host", host)
    site = None if origin is None else _ORIGIN.fullmatch(origin)
    if origin is not None and (site is None or not _is_own(site[1], address, allowed)):
        raise _refusal(403, "origin", origin)


def _is_own(authority: str, address: str, allowed: Container[str]) -> bool:
    """True if a name (with any port, which may be a tunnel's) is one of this server."""
    found = _AUTHORITY.fullmatch(authority)
    if found is None:
        return False
    name = (found[1] or found[2]).lower().removesuffix(".")
    try:
        return name == address or name in allowed or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return "." not in name or name.endswith(".localhost")


def _refusal(status: int, field: str, value: str) -> ProblemError:
    allowed = "names of this machine, and of ARCHRANK_ALLOWED_HOSTS, where no API key is sent"
    return ProblemError(status, f"{field}: got {value[:100]!r}; allowed: {allowed}")
