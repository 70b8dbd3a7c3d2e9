"""Agreement of servers on one store about access without a key, on either database."""

import asyncio

from service.api.authentication import Authenticator
from service.api.problems import ProblemError
from service.api_keys import create_key
from service.settings import KeyLimits, Settings
from service.storage import Store


def is_open(authenticator: Authenticator) -> bool:
    """Return True if requests without a key are accepted now."""

    async def ask() -> bool:
        await authenticator.refresh()
        try:
            await authenticator.authenticate(None, ["admin"])
        except ProblemError:
            return False
        return True

    return asyncio.run(ask())


def test_servers_on_one_store_agree(url: str) -> None:
    entry = create_key("lab", ["predict"], KeyLimits())[1]
    with Store.open(url) as one, Store.open(url) as two:
        local, keyed, public = (
            Authenticator(Settings(), one),
            Authenticator(Settings(keys=(entry,)), two),
            Settings(host="::"),
        )
        assert is_open(local)
        assert not is_open(keyed)
        assert not is_open(local)  # a server without keys in its settings either
        assert not is_open(Authenticator(Settings(), two))
        one.keys.open()
        assert not is_open(Authenticator(public, two))
        restarted = Authenticator(Settings(), two)
        assert is_open(restarted)
        assert is_open(local)
        two.keys.add(**entry.model_dump(mode="json", exclude_none=True))
        assert [is_open(local), is_open(restarted)] == [False, False]
        one.keys.revoke(entry.id)
        assert [is_open(local), is_open(restarted)] == [False, False]
