"""The table of API keys, on either database."""

import pytest

from common.errors import InputError
from service.storage import ApiKey, NotFoundError, Store
from tests.service.storage.conftest import Clock


def add(store: Store, key_id: str = "k1", name: str = "laptop") -> ApiKey:
    return store.keys.add(key_id, name, "h4sh", ["jobs:write"], {"queued": 100})


def test_added_keys_are_listed(store: Store, clock: Clock) -> None:
    first, second = add(store), add(store, "k2", "desktop")
    assert (first.id, first.name, first.hash) == ("k1", "laptop", "h4sh")
    assert (first.scopes, first.limits, first.created_at, first.revoked_at) == (
        ["jobs:write"],
        {"queued": 100},
        clock.time,
        None,
    )
    assert store.keys.list() == [first, second]
    assert "h4sh" not in repr(first)


def test_id_is_taken_once(store: Store) -> None:
    add(store)
    with pytest.raises(InputError, match="id: got 'k1'"):
        add(store, name="other")
    with pytest.raises(InputError, match="name"):
        add(store, "k3", "")


def test_first_revocation_counts(store: Store, clock: Clock) -> None:
    add(store)
    revoked = store.keys.revoke("k1")
    assert revoked.revoked_at == clock.time
    clock.jump(days=1)
    assert store.keys.revoke("k1") == revoked
    assert store.keys.list() == [revoked]
    with pytest.raises(NotFoundError, match="k9"):
        store.keys.revoke("k9")


def test_first_key_closes_until_an_operator_opens(store: Store) -> None:
    assert store.keys.anonymous()
    add(store)
    assert not store.keys.anonymous()
    with pytest.raises(InputError, match="keys in use: got 'k1'; allowed: none: `archrank keys revoke` each"):
        store.keys.open()
    store.keys.revoke("k1")
    assert not store.keys.anonymous()  # a revocation alone opens nothing
    store.keys.open()
    assert store.keys.anonymous()
    add(store, "k2")
    store.keys.revoke("k2")
    assert not store.keys.anonymous()
    store.keys.open()
    store.keys.close()
    assert not store.keys.anonymous()


def test_open_store_stays_open(url: str) -> None:
    with Store.open(url) as store:
        add(store)
        store.keys.revoke("k1")
        store.keys.open()
    with Store.open(url) as store:
        assert store.keys.anonymous()
