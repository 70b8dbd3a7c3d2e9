"""Both clients, called alike, and servers for them: a real one, and scripted ones."""

import asyncio
import inspect
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from archrank_client import AsyncClient, AsyncJob, AsyncStudy, Client

from tests.waiting import PATIENCE_S


class Blocking:
    """An `AsyncClient`, `AsyncJob` or `AsyncStudy` with blocking methods."""

    def __init__(self, runner: asyncio.Runner, wrapped: Any) -> None:
        self._runner, self._wrapped = runner, wrapped

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._wrapped, name)
        if not callable(method):
            return method
        if inspect.isasyncgenfunction(method):
            return lambda: self._iter(method())
        return lambda *args, **kwargs: self._run(method(*args, **kwargs))

    def _iter(self, results: Any) -> Iterator[Any]:
        try:
            while True:
                try:
                    yield self._run(anext(results))
                except StopAsyncIteration:
                    return
        finally:
            self._run(results.aclose())

    def _run(self, awaitable: Any) -> Any:
        async def wait() -> Any:
            return await awaitable

        result = self._runner.run(wait())
        return Blocking(self._runner, result) if isinstance(result, AsyncJob | AsyncStudy) else result


MakeClient = Callable[..., Any]


@pytest.fixture(params=["Client", "AsyncClient"])
def make_client(request: pytest.FixtureRequest) -> Iterator[MakeClient]:
    """Makes clients of one of the two classes, and closes them after the test."""
    clients: list[Any] = []
    with asyncio.Runner() as runner:

        def make_client(*args: Any, **kwargs: Any) -> Any:
            is_blocking = request.param == "Client"
            client = Client(*args, **kwargs) if is_blocking else Blocking(runner, AsyncClient(*args, **kwargs))
            clients.append(client)
            return client

        yield make_client
        for client in clients:
            client.close()


@dataclass(frozen=True)
class SharedServer:
    """The server that the tests of a worker share.

    Attributes:
        url: URL of the server.
        client: its HTTP API, used without the client under test.
    """

    url: str
    client: httpx.Client


@pytest.fixture(scope="session")
def server(url: str) -> Iterator[SharedServer]:
    """The worker's real server."""
    with httpx.Client(base_url=url, timeout=PATIENCE_S, trust_env=False) as client:
        yield SharedServer(url, client)


@pytest.fixture
def client(make_client: MakeClient, server: SharedServer) -> Any:
    """A client of the real server."""
    return make_client(server.url, timeout=2 * PATIENCE_S)


class FakeClock:
    """Clock of the client that advances only by sleeping. Other threads of the process keep the real one.

    Attributes:
        now: current time in seconds.
        sleeps: durations of all sleeps in seconds.
    """

    PACKAGES = ("archrank_client", "stamina", "tenacity")

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.sleeps = 1000.0, list[float]()
        self._replace(monkeypatch, time, "monotonic", lambda: self.now)
        self._replace(monkeypatch, time, "sleep", self.sleep)
        self._replace(monkeypatch, asyncio, "sleep", self.sleep_async)
        for module in ("operations", "progress"):
            monkeypatch.setattr(f"archrank_client.{module}.monotonic", lambda: self.now)

    def _replace(self, monkeypatch: pytest.MonkeyPatch, module: Any, name: str, fake: Callable[..., Any]) -> None:
        """Replace a function for the calls from `PACKAGES`."""
        real = getattr(module, name)

        def call(*args: Any) -> Any:
            caller: str = sys._getframe(1).f_globals["__name__"]
            return (fake if caller.partition(".")[0] in self.PACKAGES else real)(*args)

        monkeypatch.setattr(module, name, call)

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds

    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    return FakeClock(monkeypatch)


class ScriptedServer(httpx.MockTransport):
    """Server whose responses a test defines.

    Args:
        respond: returns the response to a request.

    Attributes:
        requests: the requests so far.
    """

    def __init__(self, respond: Callable[[httpx.Request], httpx.Response]) -> None:
        self.requests: list[httpx.Request] = []

        def handle(request: httpx.Request) -> httpx.Response:
            self.requests.append(request)
            response = respond(request)  # copied, as the client consumes a response
            return httpx.Response(response.status_code, headers=response.headers, content=response.content)

        super().__init__(handle)


def responding(*responses: httpx.Response | Exception) -> ScriptedServer:
    """Return a server that responds in this order, and repeats the last response."""
    remaining = list(responses)

    def respond(_: httpx.Request) -> httpx.Response:
        response = remaining.pop(0) if len(remaining) > 1 else remaining[0]
        if isinstance(response, Exception):
            raise response
        return response

    return ScriptedServer(respond)
