"""Servers on one store agree on whether a key is needed, on either database."""

import asyncio

from service.api.authentication import Authenticator
from service.api.problems import ProblemError
from service.api_keys import create_key
from service.settings import KeyLimits, Settings
from service.storage import Store


def admitted(access: Authenticator) -> bool:
    """True if the store lets requests without a key in now."""

    async def asked() -> bool:
        await access.refresh()
        try:
            await access.authenticate(None, ["admin"])
        except ProblemError:
            return False
        return True

    return asyncio.run(asked())


def test_servers_on_one_store_agree(url: str) -> None:
    entry = create_key("lab", ["predict"], KeyLimits())[1]
    with Store.open(url) as one, Store.open(url) as two:
        open_, keyed, elsewhere = (
            Authenticator(Settings(), one),
            Authenticator(Settings(keys=(entry,)), two),
            Settings(host="::"),
        )
        assert admitted(open_)
        assert not admitted(keyed)
        assert not admitted(open_)  # nor is one that was told of no key
        assert not admitted(Authenticator(Settings(), two))
        one.keys.open()
        assert not admitted(Authenticator(elsewhere, two))
        restarted = Authenticator(Settings(), two)
        assert admitted(restarted)
        assert admitted(open_)
        two.keys.add(prefix="ark_", **entry.model_dump(mode="json", exclude_none=True))
        assert [admitted(open_), admitted(restarted)] == [False, False]
        one.keys.revoke(entry.id)
        assert [admitted(open_), admitted(restarted)] == [False, False]
