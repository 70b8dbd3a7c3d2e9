"""What routes are given, and how a request's body is read."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, TypeVar, cast

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect

from models.errors import InputError
from service.desk import Desk
from service.errors import ProblemError
from service.leaving import Leaving
from service.settings import Settings
from service.store import Store
from service.strict_json import loads

T = TypeVar("T")
DRAINED = 16
"""A body that is too large is read up to so many times its limit before the connection is closed."""


# Coroutines, although they wait for nothing: FastAPI calls a plain function in another thread.
async def _settings(request: Request) -> Settings:
    return cast(Settings, request.app.state.settings)


async def _desk(request: Request) -> Desk:
    return cast(Desk, request.app.state.desk)


async def _store(request: Request) -> Store:
    return cast(Store, request.app.state.store)


async def _leaving(request: Request) -> Leaving:
    return cast(Leaving, request.app.state.leaving)


SettingsDep = Annotated[Settings, Depends(_settings)]
DeskDep = Annotated[Desk, Depends(_desk)]
StoreDep = Annotated[Store, Depends(_store)]
LeavingDep = Annotated[Leaving, Depends(_leaving)]


def check_size(architectures: int, most: int) -> None:
    """Raise `InputError` if a request brings too many architectures."""
    if architectures > most:
        raise InputError("architectures (number)", architectures, f"1 to {most} in one request")


async def answered(request: Request, work: Coroutine[Any, Any, T], seconds: float) -> T | None:
    """What the work returns; None where it takes longer, and it is given up.

    Raises what the work raises, and `ClientDisconnect` where nobody waits for it any more.
    """
    task, gone = asyncio.create_task(work), asyncio.create_task(_client_gone(request))
    try:
        await asyncio.wait((task, gone), timeout=seconds, return_when="FIRST_COMPLETED")
        if gone.done() and not task.done():
            raise ClientDisconnect
        return task.result() if task.done() else None
    finally:
        gone.cancel()
        if task.cancel():
            await asyncio.wait((task,))


async def _client_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


class _StrictRequest(Request):
    """A request whose body is read once, within limits, as strict JSON."""

    async def read(self, settings: Settings, most_bytes: int) -> None:
        try:
            async with asyncio.timeout(settings.timeout_seconds):
                self._body = await self._limited(most_bytes)
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

    limit = "max_body_bytes"

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            strict_request = _StrictRequest(request.scope, request.receive)
            settings = request.app.state.settings
            await strict_request.read(settings, getattr(settings, self.limit))
            return await handle(strict_request)

        return strict


class JobRoute(StrictRoute):
    """A route whose body is a job."""

    limit = "max_job_body_bytes"
