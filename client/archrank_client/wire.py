"""How requests reach the server, and how long it is asked again: once for calls that block, once for those awaited.

All that is done with answers is in `flows`, written as coroutines. Over `SyncWire` these never wait, so that `run` can
take them to their end without an event loop.
"""

import asyncio
import contextlib
import os
import random
import ssl
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import inf
from queue import SimpleQueue
from typing import Any, NoReturn, Protocol, TypeVar

import httpx
import stamina
from pydantic import ValidationError

from archrank_client.errors import (
    ArchrankError,
    ConnectionFailed,
    Overloaded,
    ServerError,
    TimedOut,
    UnexpectedAnswer,
    kind_of,
)
from archrank_client.schemas import Problem

T = TypeVar("T")
Flow = Callable[[], Coroutine[Any, Any, T]]
CONNECT = 10.0
"""Seconds that a connection may take."""
FIRST_PATIENCE = 30.0
"""Seconds for a server that was never reached: its URL may be wrong."""
MOST_FAILURES = 5
"""How often a request is sent whose answer is that the server failed, which is seldom better the next time."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
"""Seconds between the first two attempts, and later ones."""
FAREWELL = 2.0
"""Seconds that the last word may take."""
QUIET = 45.0
"""Seconds of silence after which a stream is dead; the server says every 15 that it is there."""


@dataclass(frozen=True)
class Call:
    """A request. `patience`: seconds for which it is sent again, the client's if None."""

    method: str
    path: str
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
        headers = {"Accept": "application/json", "User-Agent": "archrank_client"}
        if self.key is not None:
            headers["Authorization"] = f"Bearer {self.key}"
        return {
            "base_url": self.url,
            "headers": headers,
            # A proxy of the environment does not reach this machine's own addresses.
            "trust_env": httpx.URL(self.url).host not in ("127.0.0.1", "localhost", "::1"),
        }


class Wire(Protocol):
    """What flows need."""

    settings: Settings

    async def send(self, call: Call) -> httpx.Response:
        """The answer, after as many attempts as it takes. Raises `ArchrankError`."""

    def lines(self, call: Call) -> AsyncGenerator[str]:
        """The lines of a stream, of one connection; none where there is no content. Raises `ArchrankError`."""

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
        again = Again(lambda: patience if self._reached else min(patience, FIRST_PATIENCE), halt)
        return stamina.retry_context(
            on=again,
            attempts=None if patience > 0 else 1,
            timeout=patience or None,
            wait_initial=FIRST_PAUSE,
            wait_max=LONGEST_PAUSE,
            wait_jitter=FIRST_PAUSE,
        )

    def _arguments(self, call: Call) -> dict[str, Any]:
        """For httpx."""
        headers = dict(call.headers)
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        timeout = min(self.settings.timeout, max(1.0, inf if call.patience is None else call.patience))
        return {
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
        return {"headers": headers, "timeout": httpx.Timeout(QUIET, connect=CONNECT)}


class SyncWire(_Wire):
    """Blocks."""

    def __init__(self, settings: Settings, transport: httpx.BaseTransport | None = None) -> None:
        super().__init__(settings)
        self._http = httpx.Client(transport=transport, **settings.arguments())
        self._local = threading.local()

    async def send(self, call: Call) -> httpx.Response:
        for attempt in self._attempts(call, getattr(self._local, "halt", None)):
            with attempt, translated():
                return self._checked(self._http.request(call.method, call.path, **self._arguments(call)))
        raise AssertionError("the last attempt returns or raises")

    async def lines(self, call: Call) -> AsyncGenerator[str]:
        with translated(), self._http.stream(call.method, call.path, **self._stream_arguments(call)) as response:
            if response.is_error:
                response.read()
            for line in self._checked(streamed(response)).iter_lines():
                yield line

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
        with contextlib.suppress(httpx.HTTPError):
            self._http.request(call.method, call.path, timeout=FAREWELL)

    def close(self) -> None:
        self._http.close()


class AsyncWire(_Wire):
    """Waits, in an event loop of asyncio."""

    def __init__(self, settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        super().__init__(settings)
        self._http = httpx.AsyncClient(transport=transport, **settings.arguments())

    async def send(self, call: Call) -> httpx.Response:
        async for attempt in self._attempts(call):
            with attempt, translated():
                return self._checked(await self._http.request(call.method, call.path, **self._arguments(call)))
        raise AssertionError("the last attempt returns or raises")

    async def lines(self, call: Call) -> AsyncGenerator[str]:
        with translated():
            async with self._http.stream(call.method, call.path, **self._stream_arguments(call)) as response:
                if response.is_error:
                    await response.aread()
                async for line in self._checked(streamed(response)).aiter_lines():
                    yield line

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
        with contextlib.suppress(httpx.HTTPError):
            await self._http.request(call.method, call.path, timeout=FAREWELL)

    async def close(self) -> None:
        await self._http.aclose()


class Again:
    """Whether a request is sent again after an error, and after how long: what `stamina` asks.

    Args:
        patience: says for how many seconds, by the monotonic clock.
        halt: set where nobody waits any more.
    """

    def __init__(self, patience: Callable[[], float], halt: "threading.Event | None" = None) -> None:
        self._patience, self._halt = patience, halt
        self._started, self._failures = time.monotonic(), 0

    def __call__(self, error: Exception) -> bool | float:
        if not self._worth_it(error) or (self._halt is not None and self._halt.is_set()):
            return False
        assert isinstance(error, ArchrankError)
        left = self._started + self._patience() - time.monotonic()
        if error.retry_after is None:
            return left > 0
        # Not all at the same moment, and none before it was told to.
        pause = error.retry_after + random.uniform(0, FIRST_PAUSE + error.retry_after / 10)
        return pause if pause < left else False

    def _worth_it(self, error: Exception) -> bool:
        if isinstance(error, ServerError) and error.status not in (502, 504):  # these are of what stands before it
            self._failures += 1
            return self._failures < MOST_FAILURES
        if isinstance(error, ConnectionFailed):
            return not _untrusted(error)
        return isinstance(error, TimedOut | Overloaded | ServerError)


def error_of(response: httpx.Response) -> ArchrankError:
    """The error that an answer stands for."""
    status = response.status_code
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:  # a proxy's page, perhaps
        problem = None
    said = problem.detail or problem.title if problem is not None else response.reason_phrase
    request = f"{response.request.method} {response.request.url.path}"
    return kind_of(status)(
        f"{request} was answered {status}: {said}" if said else f"{request} was answered {status}",
        status=status,
        problem=problem,
        request_id=response.headers.get("X-Request-ID"),
        retry_after=_retry_after(response.headers.get("Retry-After")),
    )


def streamed(response: httpx.Response) -> httpx.Response:
    """The same, if it is a stream of events. Raises `UnexpectedAnswer`."""
    kind = response.headers.get("Content-Type", "").split(";")[0].strip()
    if response.status_code == 200 and kind != "text/event-stream":
        raise UnexpectedAnswer(f"events came as {kind or 'no content type'}", status=200)
    return response


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """httpx's errors as ours."""
    try:
        yield
    except httpx.TimeoutException as error:
        _raise(TimedOut, error)
    except httpx.TransportError as error:
        _raise(ConnectionFailed, error)
    except httpx.RequestError as error:  # e.g. a body that is not coded as it says
        _raise(UnexpectedAnswer, error)


def _raise(kind: type[ArchrankError], error: httpx.RequestError) -> NoReturn:
    url, what = error.request.url, str(error) or type(error).__name__
    raise kind(f"{error.request.method} {url.scheme}://{url.netloc.decode()}{url.path}: {what}") from error


def _retry_after(text: str | None) -> float | None:
    """Seconds from now; the header has them, or a date."""
    if text is None:
        return None
    if text.strip().isdecimal():
        return float(text)
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def _untrusted(error: BaseException) -> bool:
    """Whether a certificate was refused, which waiting does not mend."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
