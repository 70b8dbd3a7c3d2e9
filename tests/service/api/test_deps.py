"""Waiting for the work of a request."""

import asyncio
import gc
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fastapi import Request

from service.api.deps import result_within


class OpenRequest:
    """Request with a valid key, whose connection stays open."""

    def __init__(self) -> None:
        authenticator = SimpleNamespace(is_valid=lambda caller: True)
        self.app = SimpleNamespace(state=SimpleNamespace(authenticator=authenticator))
        self.state = SimpleNamespace(caller=None)

    async def receive(self) -> Any:
        await asyncio.Event().wait()


def test_work_that_fails_when_it_is_cancelled_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise RuntimeError("not cancelled, but failed")

    assert asyncio.run(result_within(0.01, cast(Request, OpenRequest()), work())) is None
    gc.collect()
    assert not caplog.records
