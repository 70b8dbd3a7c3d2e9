"""What routes are given, and how a request's body is read."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, TypeVar, cast

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute

from models.errors import InputError
from service.cache import Memory
from service.errors import ProblemError
from service.library import Library
from service.settings import Settings
from service.strict_json import loads
from service.worker import Work, Worker

T = TypeVar("T")
DRAINED = 16
"""A body that is too large is read up to so many times its limit before the connection is closed."""


# Coroutines, although they wait for nothing: FastAPI calls a plain function in another thread.
async def _library(request: Request) -> Library:
    return cast(Library, request.app.state.library)


async def _worker(request: Request) -> Worker:
    return cast(Worker, request.app.state.worker)


LibraryDep = Annotated[Library, Depends(_library)]
WorkerDep = Annotated[Worker, Depends(_worker)]


class Desk:
    """Takes a request's work to the device, and gives it up when the client has gone or has waited too long.

    Attributes:
        library: what a request may name.
        memory: what is known from earlier requests.
    """

    def __init__(self, request: Request) -> None:
        state = request.app.state
        self.library: Library = state.library
        self.memory: Memory = state.memory
        self._request = request
        self._settings: Settings = state.settings
        self._worker: Worker = state.worker

    def check_size(self, architectures: int) -> None:
        """Raise `InputError` if a request brings too many architectures."""
        most = self._settings.max_architectures
        if architectures > most:
            raise InputError("architectures (number)", architectures, f"1 to {most} in one request")

    async def answer(self, work: Work[T]) -> T:
        """What the work returns, at once where nothing has to be computed, else by way of the device's queue.

        Raises `BusyError`, `ProblemError` and what the work raises.
        """
        if (known := work.at_once()) is not None:
            return known
        answer = asyncio.wrap_future(self._worker.submit(work))
        gone = asyncio.create_task(self._client_gone())
        try:
            await asyncio.wait((answer, gone), timeout=self._settings.timeout_seconds, return_when="FIRST_COMPLETED")
            if answer.done() and not answer.cancelled():
                return answer.result()
            stopped = answer.cancelled()
        finally:
            answer.cancel()
            gone.cancel()
        if stopped:
            raise ProblemError(503, "the server is stopping", headers={"Retry-After": "60"})
        reason = f"no answer within {self._settings.timeout_seconds:g} s; ask for fewer architectures at a time"
        raise ProblemError(503, reason, headers={"Retry-After": "60"})

    async def _client_gone(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass


async def _desk(request: Request) -> Desk:
    return Desk(request)


DeskDep = Annotated[Desk, Depends(_desk)]


class _StrictRequest(Request):
    """A request whose body is read once, within limits, as strict JSON."""

    async def read(self, settings: Settings) -> None:
        try:
            async with asyncio.timeout(settings.timeout_seconds):
                self._body = await self._limited(settings.max_body_bytes)
        except TimeoutError as error:
            raise ProblemError(408, f"the body did not arrive within {settings.timeout_seconds:g} s") from error
        kind = self.headers.get("content-type", "").split(";")[0].strip().lower()
        if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
            raise ProblemError(415, f"the body's content type is {kind or 'not given'}; allowed: application/json")
        self._json = loads(self._body, settings.max_nesting)

    async def _limited(self, limit: int) -> bytes:
        """The body. Of one that is too large the rest is read too, and dropped, up to a bound.

        A client that is still sending when the connection closes would see a reset instead of the answer.
        """
        body, size = bytearray(), 0
        async for chunk in self.stream():
            size += len(chunk)
            if size <= limit:
                body += chunk
            elif size > DRAINED * limit:
                break
        if size > limit:
            raise ProblemError(413, f"the body is larger than {limit} bytes", headers={"Connection": "close"})
        return bytes(body)


class StrictRoute(APIRoute):
    """A route with a JSON body; everything wrong with its text is found before its schema is looked at."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            strict_request = _StrictRequest(request.scope, request.receive)
            await strict_request.read(request.app.state.settings)
            return await handle(strict_request)

        return strict
