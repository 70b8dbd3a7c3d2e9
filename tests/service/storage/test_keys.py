"""The table of API keys, on either database."""

import pytest

from common.errors import InputError
from service.storage import ApiKey, NotFoundError, Store
from tests.service.storage.conftest import Clock


def add(store: Store, id_: str = "k1", prefix: str = "ar_1") -> ApiKey:
    return store.keys.add(id_, prefix, "laptop", "h4sh", ["jobs:write"], {"queued": 100})


def test_added_key_is_found(store: Store, clock: Clock) -> None:
    first, second = add(store), add(store, "k2", "ar_2")
    assert (first.scopes, first.limits, first.created_at, first.revoked_at) == (
        ["jobs:write"],
        {"queued": 100},
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
    assert revoked.revoked_at == clock.time
    clock.jump(days=1)
    assert store.keys.revoke("k1") == revoked
    assert store.keys.by_prefix("ar_1") == [revoked]
    with pytest.raises(NotFoundError, match="k9"):
        store.keys.revoke("k9")


def test_first_key_closes_until_an_operator_opens(store: Store) -> None:
    assert store.keys.anonymous()
    add(store)
    assert not store.keys.anonymous()
    with pytest.raises(InputError, match="keys in use: got 'k1'; allowed: none: `archrank keys revoke` each"):
        store.keys.open()
    store.keys.revoke("k1")
    assert not store.keys.anonymous()  # to revoke a key lets nobody in
    store.keys.open()
    assert store.keys.anonymous()
    add(store, "k2")
    store.keys.revoke("k2")
    assert not store.keys.anonymous()
    store.keys.open()
    store.keys.close()
    assert not store.keys.anonymous()


def test_what_was_opened_stays_so(url: str) -> None:
    with Store.open(url) as store:
        add(store)
        store.keys.revoke("k1")
        store.keys.open()
    with Store.open(url) as store:
        assert store.keys.anonymous()
