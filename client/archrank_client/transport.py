"""Transports: requests over a blocking or an asynchronous connection, with retries.

`Operations` is written once, as coroutines. Over a `SyncTransport` these never wait, so that `run` completes them
without an event loop.
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

from archrank_client.deadline import Deadline
from archrank_client.errors import ArchrankError
from archrank_client.responses import BoundedBody, Decoder, response_error, translate_errors, unexpected_response
from archrank_client.retries import MAX_RETRY_DELAY_S, MIN_RETRY_DELAY_S, RetryPolicy

T = TypeVar("T")
Task = Callable[[], Coroutine[Any, Any, T]]
CONNECT_TIMEOUT_S = 10.0
FIRST_CONTACT_TIMEOUT_S = 30.0
"""Longest retry time for a server that was never reached: its URL may be wrong."""
BEST_EFFORT_TIMEOUT_S = 2.0
"""Timeout of a request whose response is of no use."""
STREAM_IDLE_TIMEOUT_S = 45.0
"""Silence after which a stream counts as dead; the server sends a comment every 15 seconds."""


@dataclass(frozen=True)
class Request:
    """HTTP request.

    Attributes:
        method: HTTP method.
        path: path below the server's URL.
        items: number of architectures, results or jobs that the response may hold.
        params: query parameters.
        body: JSON body.
        headers: additional headers.
        max_retry_time: seconds for which the request is sent again; the client's if None.
    """

    method: str
    path: str
    items: int = 0
    params: Mapping[str, Any] = field(default_factory=dict)
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    max_retry_time: float | None = None


@dataclass
class Settings:
    """Settings of a client. The key is not part of the representation.

    Attributes:
        url: URL of the server, without a trailing slash.
        key: API key; None for none.
        timeout: seconds that a response may take.
        max_retry_time: seconds for which a request is sent again.
        max_concurrency: largest number of concurrent requests of a call.
    """

    url: str
    key: str | None = field(repr=False)
    timeout: float
    max_retry_time: float
    max_concurrency: int

    @classmethod
    def from_arguments(
        cls, url: str | None, key: str | None, timeout: float, max_retry_time: float, max_concurrency: int
    ) -> "Settings":
        """Check the arguments of a client, and complete them from the environment.

        Raises:
            ValueError: an argument is invalid.
        """
        try:
            parsed = httpx.URL((url or os.environ.get("ARCHRANK_URL") or "http://127.0.0.1:8000").rstrip("/"))
        except httpx.InvalidURL:
            parsed = httpx.URL("")
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise ValueError("url: allowed: http://… or https://…")
        if parsed.userinfo:
            raise ValueError("url: holds a user or password; allowed: a URL without, and the API key as key=")
        if parsed.query or parsed.fragment:
            raise ValueError("url: holds a query or fragment; allowed: a URL without")
        secret = (key if key is not None else os.environ.get("ARCHRANK_KEY", "")).strip() or None
        if secret is not None and not (secret.isascii() and secret.isprintable() and " " not in secret):
            raise ValueError("key: holds characters that no API key has; allowed: printable ASCII without spaces")
        if not 0 < timeout < inf:
            raise ValueError(f"timeout: got {timeout}; allowed: a finite number of seconds above 0")
        if not max_retry_time >= 0:
            raise ValueError(f"max_retry_time: got {max_retry_time}; allowed: 0 or more seconds")
        if not max_concurrency >= 1:
            raise ValueError(f"max_concurrency: got {max_concurrency}; allowed: 1 or more")
        return cls(str(parsed), secret, timeout, max_retry_time, max_concurrency)

    def client_arguments(self) -> dict[str, Any]:
        """Return the arguments of an `httpx.Client`."""
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
    """Connection to a server, as operations use it."""

    settings: Settings

    async def send(self, request: Request) -> httpx.Response:
        """Return the response, after as many attempts as needed. Raises `ArchrankError`."""

    def stream(self, request: Request) -> AsyncGenerator[bytes]:
        """Yield the bytes of one connection's stream; none for a response without content. Raises `ArchrankError`."""

    async def sleep(self, seconds: float) -> None:
        """Sleep."""

    async def map_concurrently(self, tasks: Sequence[Task[T]], on_result: Callable[[T], object]) -> None:
        """Run all tasks, at most `max_concurrency` at a time, and call `on_result` with each result."""

    async def send_best_effort(self, request: Request) -> None:
        """Send a request once, with a short timeout, and ignore failures: an interruption is on its way up."""


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    raise RuntimeError("an operation over a SyncTransport waits for an event loop")


def iterate(items: AsyncGenerator[T]) -> Iterator[T]:
    """Yield the items of an asynchronous generator that never waits."""
    try:
        while True:
            try:
                item = run(anext(items))
            except StopAsyncIteration:
                return
            yield item
    finally:
        run(items.aclose())


class _BaseTransport:
    """Code that both transports share."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._reached = False

    def _attempts(self, request: Request, cancelled: "threading.Event | None" = None) -> Any:
        limit = self.settings.max_retry_time if request.max_retry_time is None else request.max_retry_time
        policy = RetryPolicy(lambda: limit if self._reached else min(limit, FIRST_CONTACT_TIMEOUT_S), cancelled)
        return stamina.retry_context(
            on=policy,
            attempts=None if limit > 0 else 1,
            timeout=limit or None,
            wait_initial=MIN_RETRY_DELAY_S,
            wait_max=MAX_RETRY_DELAY_S,
            wait_jitter=MIN_RETRY_DELAY_S,
        )

    def _timeout(self, request: Request) -> float:
        """Seconds that the whole response may take."""
        return min(self.settings.timeout, max(1.0, inf if request.max_retry_time is None else request.max_retry_time))

    def _describe(self, request: Request) -> str:
        """Method and URL, for messages."""
        return f"{request.method} {self.settings.url}{request.path.partition('?')[0]}"

    def _request_arguments(self, request: Request, timeout: float) -> dict[str, Any]:
        headers = dict(request.headers)
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        return {
            "method": request.method,
            "url": request.path,
            "params": request.params or None,
            "content": request.body,
            "headers": headers,
            "timeout": httpx.Timeout(timeout, connect=min(CONNECT_TIMEOUT_S, timeout)),
        }

    def _check(self, response: httpx.Response) -> httpx.Response:
        self._reached = True
        if not response.is_success:
            raise response_error(response)
        return response

    def _stream_arguments(self, request: Request) -> dict[str, Any]:
        headers = {**request.headers, "Accept": "text/event-stream", "Cache-Control": "no-store"}
        timeout = httpx.Timeout(STREAM_IDLE_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
        return {"method": request.method, "url": request.path, "headers": headers, "timeout": timeout}

    def _stream_decoder(self, response: httpx.Response) -> Decoder:
        """Return the decoder of a stream of events. Raises `UnexpectedResponseError` for another content type."""
        self._reached = True
        content_type = response.headers.get("Content-Type", "").split(";")[0].strip()
        if response.status_code != 204 and content_type != "text/event-stream":
            raise unexpected_response(response, f"events came as {content_type or 'no content type'}")
        return Decoder(response)


class SyncTransport(_BaseTransport):
    """Blocking transport."""

    def __init__(self, settings: Settings, transport: httpx.BaseTransport | None = None) -> None:
        super().__init__(settings)
        self._http = httpx.Client(transport=transport, **settings.client_arguments())
        self._local, self._deadline = threading.local(), Deadline()
        self._deadline.install(self._http)

    async def send(self, request: Request) -> httpx.Response:
        """As `Transport.send`."""
        for attempt in self._attempts(request, getattr(self._local, "cancelled", None)):
            with attempt:
                return self._send_once(request, self._timeout(request))
        raise AssertionError("the last attempt returns or raises")

    def _send_once(self, request: Request, timeout: float) -> httpx.Response:
        with (
            translate_errors(self._describe(request)),
            self._deadline.within(timeout),
            self._http.stream(**self._request_arguments(request, timeout)) as response,
        ):
            return self._check(self._read(response, request.items))

    def _read(self, response: httpx.Response, items: int) -> httpx.Response:
        body = BoundedBody(response, items)
        for raw in _iter_raw(response):
            self._deadline.remaining()
            if not body.add(raw):
                break
        return body.response()

    async def stream(self, request: Request) -> AsyncGenerator[bytes]:
        """As `Transport.stream`."""
        with translate_errors(self._describe(request)), contextlib.ExitStack() as stack:
            with self._deadline.within(STREAM_IDLE_TIMEOUT_S):
                response = stack.enter_context(self._http.stream(**self._stream_arguments(request)))
                if not response.is_success:
                    self._check(self._read(response, 0))
            decoder, chunks = self._stream_decoder(response), _iter_raw(response)
            while True:
                with self._deadline.within(STREAM_IDLE_TIMEOUT_S):
                    raw = next(chunks, None)
                if raw is None:
                    return
                for decoded in decoder.decode(raw):
                    yield decoded

    async def sleep(self, seconds: float) -> None:
        """As `Transport.sleep`."""
        time.sleep(seconds)

    async def map_concurrently(self, tasks: Sequence[Task[T]], on_result: Callable[[T], object]) -> None:
        """As `Transport.map_concurrently`."""
        if len(tasks) == 1 or self.settings.max_concurrency == 1:
            for task in tasks:
                on_result(await task())
            return
        pending, finished, cancelled = deque(tasks), SimpleQueue[Future[T]](), threading.Event()

        def work() -> None:
            self._local.cancelled = cancelled
            with contextlib.suppress(IndexError):  # none is left
                while not cancelled.is_set():
                    task, future = pending.popleft(), Future[T]()
                    try:
                        future.set_result(run(task()))
                    except BaseException as error:
                        future.set_exception(error)
                    finished.put(future)

        # Not a thread pool: Python would wait at exit for its threads, which may sleep for minutes before a retry.
        for _ in range(min(self.settings.max_concurrency, len(tasks))):
            threading.Thread(target=work, name="archrank_client", daemon=True).start()
        try:
            for _ in tasks:
                on_result(finished.get().result())
        finally:
            cancelled.set()  # running requests are neither retried nor waited for

    async def send_best_effort(self, request: Request) -> None:
        """As `Transport.send_best_effort`."""
        with contextlib.suppress(ArchrankError):
            self._send_once(request, BEST_EFFORT_TIMEOUT_S)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


class AsyncTransport(_BaseTransport):
    """Transport for asyncio."""

    def __init__(self, settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        super().__init__(settings)
        self._http = httpx.AsyncClient(transport=transport, **settings.client_arguments())

    async def send(self, request: Request) -> httpx.Response:
        """As `Transport.send`."""
        async for attempt in self._attempts(request):
            with attempt:
                return await self._send_once(request, self._timeout(request))
        raise AssertionError("the last attempt returns or raises")

    async def _send_once(self, request: Request, timeout: float) -> httpx.Response:
        with translate_errors(self._describe(request)):
            async with (
                asyncio.timeout(timeout),
                self._http.stream(**self._request_arguments(request, timeout)) as response,
            ):
                return self._check(await self._read(response, request.items))

    async def _read(self, response: httpx.Response, items: int) -> httpx.Response:
        body = BoundedBody(response, items)
        async for raw in _aiter_raw(response):
            if not body.add(raw):
                break
        return body.response()

    async def stream(self, request: Request) -> AsyncGenerator[bytes]:
        """As `Transport.stream`."""
        with translate_errors(self._describe(request)):
            async with contextlib.AsyncExitStack() as stack:
                async with asyncio.timeout(STREAM_IDLE_TIMEOUT_S):
                    response = await stack.enter_async_context(self._http.stream(**self._stream_arguments(request)))
                    if not response.is_success:
                        self._check(await self._read(response, 0))
                decoder, chunks = self._stream_decoder(response), _aiter_raw(response)
                while True:
                    async with asyncio.timeout(STREAM_IDLE_TIMEOUT_S):
                        raw = await anext(chunks, None)
                    if raw is None:
                        return
                    for decoded in decoder.decode(raw):
                        yield decoded

    async def sleep(self, seconds: float) -> None:
        """As `Transport.sleep`."""
        await asyncio.sleep(seconds)

    async def map_concurrently(self, tasks: Sequence[Task[T]], on_result: Callable[[T], object]) -> None:
        """As `Transport.map_concurrently`."""
        semaphore = asyncio.Semaphore(self.settings.max_concurrency)

        async def begin(task: Task[T]) -> T:
            async with semaphore:
                return await task()

        running = [asyncio.create_task(begin(task)) for task in tasks]
        try:
            for next_result in asyncio.as_completed(running):
                on_result(await next_result)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def send_best_effort(self, request: Request) -> None:
        """As `Transport.send_best_effort`."""
        with contextlib.suppress(ArchrankError):
            await self._send_once(request, BEST_EFFORT_TIMEOUT_S)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def _iter_raw(response: httpx.Response) -> Iterator[bytes]:
    """Yield the body as it arrives; of a transport that has read it already, the decoded body."""
    if response.is_stream_consumed:
        yield response.content
    else:
        yield from response.iter_raw()


async def _aiter_raw(response: httpx.Response) -> AsyncGenerator[bytes]:
    """Yield as `_iter_raw`."""
    if response.is_stream_consumed:
        yield response.content
    else:
        async for raw in response.aiter_raw():
            yield raw
