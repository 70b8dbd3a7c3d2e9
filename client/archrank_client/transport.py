"""How requests reach the server, and how long it is asked again: once for calls that block, once for those awaited.

All that is done with answers is in `flows`, written as coroutines. Over `SyncWire` these never wait, so that `run` can
take them to their end without an event loop.
"""

import asyncio
import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from math import inf
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

import httpx
import stamina

from archrank_client.answers import Body, Decoder, error_of, translated, unexpected
from archrank_client.deadline import Deadline
from archrank_client.errors import ArchrankError
from archrank_client.retries import FIRST_PAUSE, LONGEST_PAUSE, RetryPolicy

T = TypeVar("T")
Flow = Callable[[], Coroutine[Any, Any, T]]
CONNECT = 10.0
"""Seconds that a connection may take."""
FIRST_PATIENCE = 30.0
"""Seconds for a server that was never reached: its URL may be wrong."""
FAREWELL = 2.0
"""Seconds that the last word may take."""
QUIET = 45.0
"""Seconds of silence after which a stream is dead; the server says every 15 that it is there."""


@dataclass(frozen=True)
class Call:
    """A request.

    Attributes:
        items: number of architectures, results or jobs that the answer may hold.
        patience: seconds for which it is sent again, the client's if None.
    """

    method: str
    path: str
    items: int = 0
    params: Mapping[str, Any] = field(default_factory=dict)
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    patience: float | None = None


@dataclass
class Settings:
    """What a client was made with. The key is in none of its pictures."""

    url: str
    key: str | None = field(repr=False)
    timeout: float
    patience: float
    parallel: int

    @classmethod
    def of(cls, url: str | None, key: str | None, timeout: float, patience: float, parallel: int) -> "Settings":
        """Raises `ValueError` for what cannot be."""
        try:
            given = httpx.URL((url or os.environ.get("ARCHRANK_URL") or "http://127.0.0.1:8000").rstrip("/"))
        except httpx.InvalidURL:
            given = httpx.URL("")
        if given.scheme not in ("http", "https") or not given.host:
            raise ValueError("url: allowed: http://… or https://…")
        if given.userinfo:
            raise ValueError("url: holds a user or password; allowed: a URL without, and the API key as key=")
        if given.query or given.fragment:
            raise ValueError("url: holds a query or fragment; allowed: a URL without")
        secret = (key if key is not None else os.environ.get("ARCHRANK_KEY", "")).strip() or None
        if secret is not None and not (secret.isascii() and secret.isprintable() and " " not in secret):
            raise ValueError("key: holds what no API key has; allowed: printable ASCII without spaces")
        if not (0 < timeout < inf and patience >= 0 and parallel >= 1):
            raise ValueError("allowed: a finite timeout above 0, patience of 0 or more, parallel of 1 or more")
        return cls(str(given), secret, timeout, patience, parallel)

    def arguments(self) -> dict[str, Any]:
        """For httpx."""
        headers = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "archrank_client"}
        if self.key is not None:
            headers["Authorization"] = f"Bearer {self.key}"
        return {
            "base_url": self.url,
            "headers": headers,
            "cookies": CookieJar(DefaultCookiePolicy(allowed_domains=())),  # keeps none
            # A proxy of the environment does not reach this machine's own addresses.
            "trust_env": httpx.URL(self.url).host not in ("127.0.0.1", "localhost", "::1"),
        }


class Transport(Protocol):
    """What flows need."""

    settings: Settings

    async def send(self, call: Call) -> httpx.Response:
        """The answer, after as many attempts as it takes. Raises `ArchrankError`."""

    def stream(self, call: Call) -> AsyncGenerator[bytes]:
        """The bytes of a stream, of one connection; none where there is no content. Raises `ArchrankError`."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""

    async def each(self, flows: Sequence[Flow[T]], done: Callable[[T], object]) -> None:
        """Run all of them, a few at a time, and call `done` with what each returns."""

    async def farewell(self, call: Call) -> None:
        """Send a request whose answer nobody waits for, while an interruption makes its way up."""


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        found: T = stop.value
        return found
    raise RuntimeError("a flow over a SyncWire waits for an event loop")


class _Wire:
    """What both have."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._reached = False

    def _attempts(self, call: Call, halt: "threading.Event | None" = None) -> Any:
        patience = self.settings.patience if call.patience is None else call.patience
        again = RetryPolicy(lambda: patience if self._reached else min(patience, FIRST_PATIENCE), halt)
        return stamina.retry_context(
            on=again,
            attempts=None if patience > 0 else 1,
            timeout=patience or None,
            wait_initial=FIRST_PAUSE,
            wait_max=LONGEST_PAUSE,
            wait_jitter=FIRST_PAUSE,
        )

    def _timeout(self, call: Call) -> float:
        """Seconds that the whole answer may take."""
        return min(self.settings.timeout, max(1.0, inf if call.patience is None else call.patience))

    def _named(self, call: Call) -> str:
        """Method and URL, for messages."""
        return f"{call.method} {self.settings.url}{call.path.partition('?')[0]}"

    def _arguments(self, call: Call, timeout: float) -> dict[str, Any]:
        """For httpx."""
        headers = dict(call.headers)
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        return {
            "method": call.method,
            "url": call.path,
            "params": call.params or None,
            "content": call.body,
            "headers": headers,
            "timeout": httpx.Timeout(timeout, connect=min(CONNECT, timeout)),
        }

    def _checked(self, response: httpx.Response) -> httpx.Response:
        self._reached = True
        if not response.is_success:
            raise error_of(response)
        return response

    def _stream_arguments(self, call: Call) -> dict[str, Any]:
        headers = {**call.headers, "Accept": "text/event-stream", "Cache-Control": "no-store"}
        timeout = httpx.Timeout(QUIET, connect=CONNECT)
        return {"method": call.method, "url": call.path, "headers": headers, "timeout": timeout}

    def _stream_decoder(self, response: httpx.Response) -> Decoder:
        """Of a stream of events. Raises `UnexpectedAnswer` where it is none."""
        self._reached = True
        kind = response.headers.get("Content-Type", "").split(";")[0].strip()
        if response.status_code != 204 and kind != "text/event-stream":
            raise unexpected(response, f"events came as {kind or 'no content type'}")
        return Decoder(response)


class SyncWire(_Wire):
    """Blocks."""

    def __init__(self, settings: Settings, transport: httpx.BaseTransport | None = None) -> None:
        super().__init__(settings)
        self._http = httpx.Client(transport=transport, **settings.arguments())
        self._local, self._deadline = threading.local(), Deadline()
        self._deadline.govern(self._http)

    async def send(self, call: Call) -> httpx.Response:
        for attempt in self._attempts(call, getattr(self._local, "halt", None)):
            with attempt:
                return self._exchanged(call, self._timeout(call))
        raise AssertionError("the last attempt returns or raises")

    def _exchanged(self, call: Call, timeout: float) -> httpx.Response:
        with (
            translated(self._named(call)),
            self._deadline.within(timeout),
            self._http.stream(**self._arguments(call, timeout)) as response,
        ):
            return self._checked(self._read(response, call.items))

    def _read(self, response: httpx.Response, items: int) -> httpx.Response:
        body = Body(response, items)
        for raw in _raw(response):
            self._deadline.left()
            if not body.add(raw):
                break
        return body.whole()

    async def stream(self, call: Call) -> AsyncGenerator[bytes]:
        with translated(self._named(call)), contextlib.ExitStack() as stack:
            with self._deadline.within(QUIET):
                response = stack.enter_context(self._http.stream(**self._stream_arguments(call)))
                if not response.is_success:
                    self._checked(self._read(response, 0))
            decoder, raws = self._stream_decoder(response), _raw(response)
            while True:
                with self._deadline.within(QUIET):
                    raw = next(raws, None)
                if raw is None:
                    return
                for piece in decoder.pieces(raw):
                    yield piece

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    async def each(self, flows: Sequence[Flow[T]], done: Callable[[T], object]) -> None:
        if len(flows) == 1 or self.settings.parallel == 1:
            for flow in flows:
                done(await flow())
            return
        left, ended, halt = deque(flows), SimpleQueue[Future[T]](), threading.Event()

        def work() -> None:
            self._local.halt = halt
            with contextlib.suppress(IndexError):  # none is left
                while not halt.is_set():
                    flow, future = left.popleft(), Future[T]()
                    try:
                        future.set_result(run(flow()))
                    except BaseException as error:
                        future.set_exception(error)
                    ended.put(future)

        # Not of a pool: Python would not end before its threads do, although they may be told to pause for minutes.
        for _ in range(min(self.settings.parallel, len(flows))):
            threading.Thread(target=work, name="archrank_client", daemon=True).start()
        try:
            for _ in flows:
                done(ended.get().result())
        finally:
            halt.set()  # what is under way is neither tried again nor waited for

    async def farewell(self, call: Call) -> None:
        with contextlib.suppress(ArchrankError):
            self._exchanged(call, FAREWELL)

    def close(self) -> None:
        self._http.close()


class AsyncWire(_Wire):
    """Waits, in an event loop of asyncio."""

    def __init__(self, settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        super().__init__(settings)
        self._http = httpx.AsyncClient(transport=transport, **settings.arguments())

    async def send(self, call: Call) -> httpx.Response:
        async for attempt in self._attempts(call):
            with attempt:
                return await self._exchanged(call, self._timeout(call))
        raise AssertionError("the last attempt returns or raises")

    async def _exchanged(self, call: Call, timeout: float) -> httpx.Response:
        with translated(self._named(call)):
            async with (
                asyncio.timeout(timeout),
                self._http.stream(**self._arguments(call, timeout)) as response,
            ):
                return self._checked(await self._read(response, call.items))

    async def _read(self, response: httpx.Response, items: int) -> httpx.Response:
        body = Body(response, items)
        async for raw in _araw(response):
            if not body.add(raw):
                break
        return body.whole()

    async def stream(self, call: Call) -> AsyncGenerator[bytes]:
        with translated(self._named(call)):
            async with contextlib.AsyncExitStack() as stack:
                async with asyncio.timeout(QUIET):
                    response = await stack.enter_async_context(self._http.stream(**self._stream_arguments(call)))
                    if not response.is_success:
                        self._checked(await self._read(response, 0))
                decoder, raws = self._stream_decoder(response), _araw(response)
                while True:
                    async with asyncio.timeout(QUIET):
                        raw = await anext(raws, None)
                    if raw is None:
                        return
                    for piece in decoder.pieces(raw):
                        yield piece

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def each(self, flows: Sequence[Flow[T]], done: Callable[[T], object]) -> None:
        places = asyncio.Semaphore(self.settings.parallel)

        async def begin(flow: Flow[T]) -> T:
            async with places:
                return await flow()

        tasks = [asyncio.create_task(begin(flow)) for flow in flows]
        try:
            for task in asyncio.as_completed(tasks):
                done(await task)
        finally:
            for one in tasks:
                one.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def farewell(self, call: Call) -> None:
        with contextlib.suppress(ArchrankError):
            await self._exchanged(call, FAREWELL)

    async def close(self) -> None:
        await self._http.aclose()


def _raw(response: httpx.Response) -> Iterator[bytes]:
    """The body as it comes in; of a transport that has read it already, what it was decoded to."""
    if response.is_stream_consumed:
        yield response.content
    else:
        yield from response.iter_raw()


async def _araw(response: httpx.Response) -> AsyncGenerator[bytes]:
    """As `_raw`."""
    if response.is_stream_consumed:
        yield response.content
    else:
        async for raw in response.aiter_raw():
            yield raw
