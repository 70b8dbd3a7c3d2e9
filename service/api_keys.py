"""API keys: how they are made, and what is kept of them."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from service.storage import ApiKey

Scope = Literal["predict", "admin"]
"""predict: score and predict, jobs of one's own. admin: metrics, jobs of everybody."""
NO_KEY = "`archrank keys create` makes a key, `archrank keys open` lets everybody on this machine in"
"""Ways out for an operator whose server asks for a key that nobody has."""
MOST = 10**9
"""Largest number that a setting takes, or an allowance: 31 years, a gigabyte."""
_KEY = re.compile(r"ark_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")


class Allowance(BaseModel):
    """What a key may take of the service; the server's settings say what is not given here."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rate_limit: Annotated[int | None, Field(ge=1, le=MOST, description="requests a minute")] = None
    max_active_jobs: Annotated[int | None, Field(ge=0, le=MOST, description="jobs that are not finished")] = None
    queue_share: Annotated[float | None, Field(gt=0, le=1, description="part of the queue")] = None


class KeyEntry(BaseModel):
    """A key as it is kept, in the settings or in the store: not the key itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, Field(pattern="^[0-9a-f]{12}$", description="the key's second part, by which it is found")]
    name: Annotated[str, Field(min_length=1, max_length=100, description="whose it is")]
    hash: Annotated[str, Field(pattern="^sha256:[0-9a-f]{64}$", repr=False)]
    scopes: Annotated[frozenset[Scope], Field(min_length=1)] = frozenset({"predict"})
    limits: Allowance = Allowance()

    @classmethod
    def of(cls, stored: "ApiKey") -> "KeyEntry":
        """The entry of the store."""
        return cls.model_validate({name: getattr(stored, name) for name in cls.model_fields})

    def fits(self, key: str) -> bool:
        """Whether it is this key's, in a time that does not depend on where they differ."""
        return hmac.compare_digest(self.hash, digest(key))


def new_key(name: str, scopes: Sequence[str], limits: Allowance) -> tuple[str, KeyEntry]:
    """A key for the caller, which is shown once, and the entry to keep. Raises pydantic's `ValidationError`."""
    id = secrets.token_hex(6)  # noqa: A001
    key = f"ark_{id}_{secrets.token_urlsafe(32)}"
    kept = {"id": id, "name": name, "hash": digest(key), "scopes": scopes, "limits": limits}
    return key, KeyEntry.model_validate(kept)


def digest(key: str) -> str:
    """What is kept of a key. It has 256 random bits, so there is nothing to guess that a slow hash would hold up."""
    return "sha256:" + hashlib.sha256(key.encode()).hexdigest()


def key_id(key: str) -> str | None:
    """The id of a key; None of a text that is no key."""
    found = _KEY.fullmatch(key)
    return found and found[1]
