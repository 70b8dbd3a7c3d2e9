"""API keys: creation, hashing and verification."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence

from service.settings import KeyEntry, KeyLimits

NO_KEY_HINT = "`archrank keys create` creates a key, `archrank keys open` allows requests without one from this machine"
"""Advice for an operator whose server has no API key in use."""
_KEY = re.compile(r"ark_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")


def create_key(name: str, scopes: Sequence[str], limits: KeyLimits) -> tuple[str, KeyEntry]:
    """Create a random key.

    Args:
        name: name of the key's owner.
        scopes: scopes of the key.
        limits: limits of the key.

    Returns:
        The key, which is not stored anywhere, and the entry to keep.

    Raises:
        pydantic.ValidationError: an argument is invalid.
    """
    id = secrets.token_hex(6)  # noqa: A001
    key = f"ark_{id}_{secrets.token_urlsafe(32)}"
    entry = {"id": id, "name": name, "hash": hash_key(key), "scopes": scopes, "limits": limits}
    return key, KeyEntry.model_validate(entry)


def hash_key(key: str) -> str:
    """Return the SHA-256 hash of a key. Keys have 256 random bits, so a slow hash would protect nothing."""
    return "sha256:" + hashlib.sha256(key.encode()).hexdigest()


def matches(entry: KeyEntry, key: str) -> bool:
    """Return whether the entry is the key's, in time that does not depend on where they differ."""
    return hmac.compare_digest(entry.hash, hash_key(key))


def parse_key_id(key: str) -> str | None:
    """Return the id in a key, or None if the text is not a key."""
    match = _KEY.fullmatch(key)
    return match and match[1]
