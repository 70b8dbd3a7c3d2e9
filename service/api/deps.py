"""What routes are given, and how a request's body is read."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from time import monotonic
from typing import Annotated, Any, TypeVar, cast

from fastapi import Depends, Header, Request, Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError
from starlette.requests import ClientDisconnect

from common.errors import InputError
from service.api.authentication import ANONYMOUS, Authenticator, Caller, invalid_key
from service.api.bodies import StrictRequest
from service.api.event_streams import EventStreamLimiter
from service.api.hosts import check_host_and_origin
from service.api.problems import documented
from service.api.shutdown import ShutdownState
from service.inference.context import AppContext
from service.inference.scheduler import Requester
from service.settings import Scope, Settings
from service.storage import Store
from service.storage.health_check import StoreHealthCheck

T = TypeVar("T")
PREFER = "`wait=10` (RFC 7240): answer within ten seconds, with a job if need be; what else it says is ignored"
GLANCE = 0.5
"""Seconds between two looks whether the API key of a request that is waited for was revoked."""


# Coroutines, although they wait for nothing: FastAPI calls a plain function in another thread.
async def _settings(request: Request) -> Settings:
    return cast(Settings, request.app.state.settings)


async def _desk(request: Request) -> AppContext:
    return cast(AppContext, request.app.state.context)


async def _store(request: Request) -> Store:
    return cast(Store, request.app.state.store)


async def _store_check(request: Request) -> StoreHealthCheck:
    return cast(StoreHealthCheck, request.app.state.store_check)


async def _caller(request: Request) -> Caller:
    return cast(Caller, request.state.caller)


async def _asker(caller: Annotated[Caller, Depends(_caller)]) -> Requester:
    return Requester(caller.id, caller.queue_share)


async def _patience(request: Request, prefer: Annotated[str | None, Header(description=PREFER)] = None) -> float:
    asked = re.search(r"(?:^|[,;\s])wait=(\d{1,9})(?:[,;\s]|$)", prefer or "", re.IGNORECASE)
    most: float = request.app.state.settings.sync_timeout
    return min(float(asked[1]), most) if asked else most


async def _access(request: Request) -> Authenticator:
    return cast(Authenticator, request.app.state.authenticator)


async def _stream_place(request: Request, caller: Annotated[Caller, Depends(_caller)]) -> AsyncIterator[None]:
    """Hold one of the places for streams, until the answer has ended or its client has gone."""
    with cast(EventStreamLimiter, request.app.state.event_streams).slot(caller):
        yield


async def _leaving(request: Request) -> ShutdownState:
    return cast(ShutdownState, request.app.state.shutdown)


def _digits(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch("-?[0-9]+", value):
        raise PydanticCustomError("int_parsing", "a valid integer, in decimal digits")
    return value


DIGITS = BeforeValidator(_digits)
"""For an integer of a query or a header, behind its limits: as text, pydantic also takes `1_0`, `1.0` and ` 1`."""
SettingsDep = Annotated[Settings, Depends(_settings)]
DeskDep = Annotated[AppContext, Depends(_desk)]
StoreDep = Annotated[Store, Depends(_store)]
StoreCheckDep = Annotated[StoreHealthCheck, Depends(_store_check)]
AccessDep = Annotated[Authenticator, Depends(_access)]
CallerDep = Annotated[Caller, Depends(_caller)]
AskerDep = Annotated[Requester, Depends(_asker)]
PatienceDep = Annotated[float, Depends(_patience)]
StreamPlace = Depends(_stream_place)
LeavingDep = Annotated[ShutdownState, Depends(_leaving)]


def check_size(architectures: int, most: int) -> None:
    """Raise `InputError` if a request brings too many architectures."""
    if architectures > most:
        raise InputError("architectures (number)", architectures, f"1 to {most} in one request")


async def answered(request: Request, work: Coroutine[Any, Any, T], seconds: float) -> T | None:
    """What the work returns; None where it takes longer, and it is given up.

    Raises what the work raises, `ClientDisconnect` where nobody waits for it any more, and `ProblemError` where the
    API key was revoked meanwhile.
    """
    access, deadline = cast(Authenticator, request.app.state.authenticator), monotonic() + seconds
    task, gone = asyncio.create_task(work), asyncio.create_task(_client_gone(request))
    try:
        while not (task.done() or gone.done()) and (left := deadline - monotonic()) > 0:
            await asyncio.wait((task, gone), timeout=min(left, GLANCE), return_when="FIRST_COMPLETED")
            if not access.is_valid(request.state.caller):
                raise invalid_key()
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
        super().__init__(*args, responses=documented(401, 403, 421, 422, 429) | (responses or {}), **kwargs)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle, parameters = super().get_route_handler(), [one.alias for one in self.dependant.query_params]

        async def guarded(request: Request) -> Response:
            access: Authenticator = request.app.state.authenticator
            request.state.caller = caller = await access.authenticate(request.headers.get("authorization"), self.scopes)
            if caller.id == ANONYMOUS:
                check_host_and_origin(request, request.app.state.settings.allowed_hosts)
            for name in request.query_params:
                if name not in parameters:
                    allowed = f"one of {', '.join(parameters)}" if parameters else "none"
                    raise InputError("query parameter", name, allowed)
            async with self.prepared(request) as ready:
                return await handle(ready)

        return guarded

    @asynccontextmanager
    async def prepared(self, request: Request) -> AsyncIterator[Request]:
        """What is handled, when it is known who asks."""
        yield request


class AdminRoute(GuardedRoute):
    """A route for those who look after the service."""

    scopes = ("admin",)


class StrictRoute(GuardedRoute):
    """A route with a JSON body; everything wrong with its text is found before its schema is looked at."""

    scopes = ("predict",)
    is_job = False
    """True for a job, whose body may be larger and holds its place until it is stored."""

    @asynccontextmanager
    async def prepared(self, request: Request) -> AsyncIterator[Request]:
        """The request with its body read."""
        state = request.app.state
        settings: Settings = state.settings
        if self.is_job:
            most_bytes, architectures = settings.max_job_body_bytes, settings.max_job_architectures
        else:
            most_bytes, architectures = settings.max_body_bytes, settings.max_architectures
        strict = StrictRequest(request, most_bytes, architectures * settings.max_json_values)
        async with AsyncExitStack() as place:
            await strict.read(settings, state.large_bodies, place)
            if not state.authenticator.is_valid(request.state.caller):  # a body may take a minute to arrive
                raise invalid_key()
            if not self.is_job:
                await place.aclose()
            yield strict


class JobRoute(StrictRoute):
    """A route whose body is a job."""

    is_job = True
