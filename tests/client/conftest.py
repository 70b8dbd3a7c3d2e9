"""Both clients, called alike, and servers for them: a real one, and ones that answer what a test wants."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from archrank_client import AsyncClient, AsyncJob, Client

from tests.real_server import Server, serving


class Awaited:
    """An AsyncClient or one of its jobs, called as if it blocked."""

    def __init__(self, runner: asyncio.Runner, one: Any) -> None:
        self._runner, self._one = runner, one

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._one, name)
        if not callable(method):
            return method
        return self.iter if name == "iter" else lambda *given, **named: self._run(method(*given, **named))

    def iter(self) -> Iterator[Any]:
        found = self._one.iter()
        try:
            while True:
                try:
                    yield self._run(anext(found))
                except StopAsyncIteration:
                    return
        finally:
            self._run(found.aclose())

    def _run(self, awaitable: Any) -> Any:
        async def wait() -> Any:
            return await awaitable

        found = self._runner.run(wait())
        return Awaited(self._runner, found) if isinstance(found, AsyncJob) else found


Make = Callable[..., Any]


@pytest.fixture(params=["Client", "AsyncClient"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """Makes clients of one of the two kinds; closed at the end."""
    made: list[Any] = []
    with asyncio.Runner() as runner:

        def make(*given: Any, **named: Any) -> Any:
            blocks = request.param == "Client"
            one = Client(*given, **named) if blocks else Awaited(runner, AsyncClient(*given, **named))
            made.append(one)
            return one

        yield make
        for one in made:
            one.close()


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real one, for all tests of the client."""
    with serving(tmp_path_factory.mktemp("client")) as server:
        yield server


@pytest.fixture
def client(make: Make, server: Server) -> Any:
    """Of the real server."""
    return make(server.url)


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.slept = 1000.0, list[float]()
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(time, "sleep", self.sleep)
        monkeypatch.setattr(asyncio, "sleep", self.asleep)
        for module in ("operations", "progress"):
            monkeypatch.setattr(f"archrank_client.{module}.monotonic", lambda: self.now)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


class Script(httpx.MockTransport):
    """A server that answers as a test wants.

    Attributes:
        requests: those that came.
    """

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response]) -> None:
        self.requests: list[httpx.Request] = []

        def heard(request: httpx.Request) -> httpx.Response:
            self.requests.append(request)
            found = answer(request)  # a new one each time, as a response is used up by its client
            return httpx.Response(found.status_code, headers=found.headers, content=found.content)

        super().__init__(heard)


def following(*answers: httpx.Response | Exception) -> Script:
    """One after the other, the last again and again."""
    left = list(answers)

    def answer(_: httpx.Request) -> httpx.Response:
        found = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(found, Exception):
            raise found
        return found

    return Script(answer)
