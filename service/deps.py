"""What routes are given, and how a request's body is read."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Annotated, Any, TypeVar, cast

from fastapi import Depends, Header, Request, Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.requests import ClientDisconnect

from models.errors import InputError
from models.strict_json import loads
from service.access import Access, Caller
from service.desk import Desk
from service.errors import ProblemError, documented
from service.keys import Scope
from service.leaving import Leaving
from service.settings import Settings
from service.store import Store
from service.store_check import StoreCheck
from service.turns import Asker

T = TypeVar("T")
PREFER = "`wait=10` (RFC 7240): answer within ten seconds, with a job if need be; what else it says is ignored"
LARGE = 2**18
"""Bytes of a body from which on reading it takes long."""
DRAINED = 16
"""A body that is too large is read up to so many times its limit before the connection is closed."""


# Coroutines, although they wait for nothing: FastAPI calls a plain function in another thread.
async def _settings(request: Request) -> Settings:
    return cast(Settings, request.app.state.settings)


async def _desk(request: Request) -> Desk:
    return cast(Desk, request.app.state.desk)


async def _store(request: Request) -> Store:
    return cast(Store, request.app.state.store)


async def _store_check(request: Request) -> StoreCheck:
    return cast(StoreCheck, request.app.state.store_check)


async def _caller(request: Request) -> Caller:
    return cast(Caller, request.state.caller)


async def _asker(caller: Annotated[Caller, Depends(_caller)]) -> Asker:
    return Asker(caller.id, caller.share)


async def _patience(request: Request, prefer: Annotated[str | None, Header(description=PREFER)] = None) -> float:
    asked = re.search(r"(?:^|[,;\s])wait=(\d{1,9})(?:[,;\s]|$)", prefer or "", re.IGNORECASE)
    most: float = request.app.state.settings.wait_seconds
    return min(float(asked[1]), most) if asked else most


async def _stream_place(request: Request) -> AsyncIterator[None]:
    """Hold one of the places for streams, until the answer has ended or its client has gone."""
    places = cast(asyncio.Semaphore, request.app.state.streams)
    if places.locked():
        most = request.app.state.settings.max_event_streams
        raise ProblemError(503, f"{most} streams of events are open already")
    async with places:
        yield


async def _leaving(request: Request) -> Leaving:
    return cast(Leaving, request.app.state.leaving)


SettingsDep = Annotated[Settings, Depends(_settings)]
DeskDep = Annotated[Desk, Depends(_desk)]
StoreDep = Annotated[Store, Depends(_store)]
StoreCheckDep = Annotated[StoreCheck, Depends(_store_check)]
CallerDep = Annotated[Caller, Depends(_caller)]
AskerDep = Annotated[Asker, Depends(_asker)]
PatienceDep = Annotated[float, Depends(_patience)]
StreamPlace = Depends(_stream_place)
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
            late = f"the body did not arrive within {settings.timeout_seconds:g} s"
            raise ProblemError(408, late, headers={"Connection": "close"}) from error
        kind = self.headers.get("content-type", "").split(";")[0].strip().lower()
        if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
            raise ProblemError(415, f"the body's content type is {kind or 'not given'}; allowed: application/json")
        coding = self.headers.get("content-encoding", "identity").strip().lower()
        if coding != "identity":
            raise ProblemError(415, f"the body's content encoding is {coding!r}; allowed: none")
        if len(self._body) < LARGE:
            self._json = loads(self._body, settings.max_nesting)
        else:  # a thread, so that meanwhile others are answered
            self._json = await asyncio.to_thread(loads, self._body, settings.max_nesting)

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


_KEY = HTTPBearer(scheme_name="API key", description="`archrank keys create` makes one", auto_error=False)


class GuardedRoute(APIRoute):
    """A route for callers that are known, whom it asks before anything else of the request is looked at.

    A query parameter that it does not have is refused: a name mistyped would count for nothing, and nobody would know.
    """

    scopes: tuple[Scope, ...] = ("predict", "admin")
    """Any of these will do."""

    def __init__(self, *args: Any, responses: dict[int | str, Any] | None = None, **kwargs: Any) -> None:
        # That this is in the API's description is all that it is for.
        kwargs["dependencies"] = [*(kwargs.get("dependencies") or []), Depends(_KEY)]
        super().__init__(*args, responses=documented(401, 403, 422, 429) | (responses or {}), **kwargs)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle, parameters = super().get_route_handler(), [one.alias for one in self.dependant.query_params]

        async def guarded(request: Request) -> Response:
            access: Access = request.app.state.access
            request.state.caller = await access.admit(request.headers.get("authorization"), self.scopes)
            for name in request.query_params:
                if name not in parameters:
                    allowed = f"one of {', '.join(parameters)}" if parameters else "none"
                    raise InputError("query parameter", name, allowed)
            return await handle(await self.prepared(request))

        return guarded

    async def prepared(self, request: Request) -> Request:
        """What is handled, when it is known who asks."""
        return request


class AdminRoute(GuardedRoute):
    """A route for those who look after the service."""

    scopes = ("admin",)


class StrictRoute(GuardedRoute):
    """A route with a JSON body; everything wrong with its text is found before its schema is looked at."""

    scopes = ("predict",)
    limit = "max_body_bytes"

    async def prepared(self, request: Request) -> Request:
        """The request with its body read."""
        strict, settings = _StrictRequest(request.scope, request.receive), request.app.state.settings
        await strict.read(settings, getattr(settings, self.limit))
        return strict


class JobRoute(StrictRoute):
    """A route whose body is a job."""

    limit = "max_job_body_bytes"
