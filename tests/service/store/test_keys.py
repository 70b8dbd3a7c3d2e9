"""The table of API keys, on either database."""

import pytest

from models.errors import InputError
from service.store import ApiKey, NotFoundError, Store
from tests.service.store.conftest import Clock


def add(store: Store, id_: str = "k1", prefix: str = "ar_1") -> ApiKey:
    return store.keys.add(id_, prefix, "laptop", "h4sh", ["jobs:write"], {"waiting": 100})


def test_added_key_is_found(store: Store, clock: Clock) -> None:
    first, second = add(store), add(store, "k2", "ar_2")
    assert (first.scopes, first.limits, first.created, first.revoked) == (
        ["jobs:write"],
        {"waiting": 100},
        clock.time,
        None,
    )
    assert store.keys.list() == [first, second]
    assert store.keys.by_prefix("ar_2") == [second]
    assert store.keys.by_prefix("ar_") == []
    assert "h4sh" not in repr(first)


def test_id_is_taken_once(store: Store) -> None:
    add(store)
    with pytest.raises(InputError, match="id: got 'k1'"):
        add(store, prefix="other")
    with pytest.raises(InputError, match="prefix"):
        add(store, "k3", "")


def test_first_revocation_counts(store: Store, clock: Clock) -> None:
    add(store)
    revoked = store.keys.revoke("k1")
    assert revoked.revoked == clock.time
    clock.jump(days=1)
    assert store.keys.revoke("k1") == revoked
    assert store.keys.by_prefix("ar_1") == [revoked]
    with pytest.raises(NotFoundError, match="k9"):
        store.keys.revoke("k9")
