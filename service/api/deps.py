"""Dependencies of the routes, and route classes that authenticate requests and read their bodies."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from time import monotonic
from typing import Annotated, Any, TypeVar, cast

from fastapi import Depends, Header, Request, Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from common.errors import InputError
from common.tasks import retrieve_exception
from service.api.answers import AnswerCache
from service.api.authentication import ANONYMOUS, Authenticator, Caller, invalid_key
from service.api.bodies import JsonRequest
from service.api.event_streams import EventStreamLimiter
from service.api.hosts import check_host_and_origin
from service.api.problems import problem_responses
from service.api.shutdown import ShutdownState
from service.inference.context import AppContext
from service.inference.scheduler import Requester
from service.jobs.watcher import JobWatcher
from service.settings import Scope, Settings
from service.storage import Store
from service.storage.health_check import StoreHealthCheck
from service.studies.fits import StudyFits

T = TypeVar("T")
Handler = Callable[[Request], Coroutine[Any, Any, Response]]
PREFER_DESCRIPTION = (
    "`wait=10` (RFC 7240): respond within ten seconds, with a job if necessary; other preferences are ignored"
)
WAIT_DESCRIPTION = (
    "`wait=10` (RFC 7240): wait up to ten seconds for a fit to all observations; other preferences are ignored"
)
NO_IDS = frozenset(("import",))
"""Last parts of paths in whose place other methods have an id."""
REVOCATION_INTERVAL_S = 0.5
"""Interval at which a waiting request checks that its API key is still valid."""


# Coroutines, since FastAPI runs plain functions in another thread.
async def _settings(request: Request) -> Settings:
    return cast(Settings, request.app.state.settings)


async def _context(request: Request) -> AppContext:
    return cast(AppContext, request.app.state.context)


async def _store(request: Request) -> Store:
    return cast(Store, request.app.state.store)


async def _store_check(request: Request) -> StoreHealthCheck:
    return cast(StoreHealthCheck, request.app.state.store_check)


async def _caller(request: Request) -> Caller:
    return cast(Caller, request.state.caller)


async def _requester(caller: Annotated[Caller, Depends(_caller)]) -> Requester:
    return Requester(caller.id, caller.queue_share)


@dataclass(frozen=True)
class SyncWork:
    """Resources of a request that waits for its result.

    One dependency instead of four, as resolving them takes a large part of the time of a cached prediction.

    Attributes:
        context: resources of all requests.
        settings: the settings.
        requester: the request, for its turns.
        timeout: time in seconds after which it becomes a job.
    """

    context: AppContext
    settings: Settings
    requester: Requester
    timeout: float


async def _sync_work(
    request: Request, prefer: Annotated[str | None, Header(description=PREFER_DESCRIPTION)] = None
) -> SyncWork:
    state, caller = request.app.state, cast(Caller, request.state.caller)
    preferred, limit = _preferred_wait(prefer), state.settings.sync_timeout
    timeout = limit if preferred is None else min(preferred, limit)
    return SyncWork(state.context, state.settings, Requester(caller.id, caller.queue_share), timeout)


def _preferred_wait(prefer: str | None) -> float | None:
    """Return the seconds of `wait` in a `Prefer` header."""
    preferred = re.search(r"(?:^|[,;\s])wait=(\d{1,9})(?:[,;\s]|$)", prefer or "", re.IGNORECASE)
    return None if preferred is None else float(preferred[1])


async def _wait(request: Request, prefer: Annotated[str | None, Header(description=WAIT_DESCRIPTION)] = None) -> float:
    limit: float = request.app.state.settings.sync_timeout
    return min(_preferred_wait(prefer) or 0.0, limit)


async def _study_fits(request: Request) -> StudyFits:
    return cast(StudyFits, request.app.state.study_fits)


async def _authenticator(request: Request) -> Authenticator:
    return cast(Authenticator, request.app.state.authenticator)


async def _hold_stream(request: Request, caller: Annotated[Caller, Depends(_caller)]) -> AsyncIterator[None]:
    """Count an event stream as open until the response has ended or the client has disconnected."""
    state = request.app.state
    context: AppContext = state.context
    with cast(EventStreamLimiter, state.event_streams).slot(caller), context.metrics.event_streams.track_inprogress():
        yield


async def _watcher(request: Request) -> JobWatcher:
    return cast(JobWatcher, request.app.state.watcher)


async def _shutdown(request: Request) -> ShutdownState:
    return cast(ShutdownState, request.app.state.shutdown)


def _check_digits(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch("-?[0-9]+", value):
        raise PydanticCustomError("int_parsing", "a valid integer, in decimal digits")
    return value


DIGITS = BeforeValidator(_check_digits)
"""Validator of integers in queries and headers: pydantic also parses `1_0`, `1.0` and ` 1`."""
SettingsDep = Annotated[Settings, Depends(_settings)]
ContextDep = Annotated[AppContext, Depends(_context)]
StoreDep = Annotated[Store, Depends(_store)]
StoreCheckDep = Annotated[StoreHealthCheck, Depends(_store_check)]
AuthenticatorDep = Annotated[Authenticator, Depends(_authenticator)]
CallerDep = Annotated[Caller, Depends(_caller)]
RequesterDep = Annotated[Requester, Depends(_requester)]
SyncWorkDep = Annotated[SyncWork, Depends(_sync_work)]
WaitDep = Annotated[float, Depends(_wait)]
StudyFitsDep = Annotated[StudyFits, Depends(_study_fits)]
ShutdownDep = Annotated[ShutdownState, Depends(_shutdown)]
WatcherDep = Annotated[JobWatcher, Depends(_watcher)]
HoldStream = Depends(_hold_stream)


def check_number(number: int, limit: int, field: str = "architectures") -> None:
    """Check the number of architectures in a request. Raises `InputError`."""
    if number > limit:
        raise InputError(f"{field} (number)", number, f"1 to {limit} in one request")


async def result_within(timeout: float, request: Request, work: Coroutine[Any, Any, T]) -> T | None:
    """Wait for the result of a request's work.

    Args:
        timeout: time in seconds after which the work is cancelled.
        request: the request.
        work: the work.

    Returns:
        The result; None after the timeout.

    Raises:
        ClientDisconnect: the client has disconnected.
        ProblemError: the API key was revoked meanwhile.
        Exception: any exception of the work.
    """
    deadline = monotonic() + timeout
    task, disconnected = asyncio.create_task(work), asyncio.create_task(_until_disconnected(request))
    task.add_done_callback(retrieve_exception)
    try:
        while not (task.done() or disconnected.done()) and (left := deadline - monotonic()) > 0:
            interval = min(left, REVOCATION_INTERVAL_S)
            await asyncio.wait((task, disconnected), timeout=interval, return_when="FIRST_COMPLETED")
            _check_caller(request)
        if disconnected.done() and not task.done():
            raise ClientDisconnect
        return task.result() if task.done() else None
    finally:
        disconnected.cancel()
        if task.cancel():
            await asyncio.wait((task,))


def _check_caller(request: Request) -> None:
    """Check that the API key of an authenticated request is still valid. Raises `ProblemError`."""
    authenticator: Authenticator = request.app.state.authenticator
    if not authenticator.is_valid(request.state.caller):
        raise invalid_key()


async def _until_disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


_KEY = HTTPBearer(scheme_name="API key", description="made by `archrank keys create`", auto_error=False)


class AuthenticatedRoute(APIRoute):
    """Route that authenticates the caller before anything else of the request is read.

    Unknown query parameters are refused: a misspelt one would have no effect.
    """

    scopes: tuple[Scope, ...] = ("predict", "admin")
    """Scopes of an API key, any of which is sufficient."""

    def __init__(self, *args: Any, responses: dict[int | str, Any] | None = None, **kwargs: Any) -> None:
        # Only for the OpenAPI document: the authentication itself is in the route handler.
        kwargs["dependencies"] = [*(kwargs.get("dependencies") or []), Depends(_KEY)]
        common = problem_responses(401, 403, 421, 422, 429)
        super().__init__(*args, responses=common | (responses or {}), **kwargs)

    def get_route_handler(self) -> Handler:
        """Return a handler that authenticates, checks the query and prepares the request."""
        handle, parameters = super().get_route_handler(), [field.alias for field in self.dependant.query_params]

        async def authenticated(request: Request) -> Response:
            authenticator: Authenticator = request.app.state.authenticator
            caller = await authenticator.authenticate(request.headers.get("authorization"), self.scopes)
            request.state.caller = caller
            if request.path_params.get("id") in NO_IDS:
                raise HTTPException(405)
            if caller.id == ANONYMOUS:
                check_host_and_origin(request, request.app.state.settings.allowed_hosts)
            for name in request.query_params:
                if name not in parameters:
                    allowed = f"one of {', '.join(parameters)}" if parameters else "none"
                    raise InputError("query parameter", name, allowed)
                if len(values := request.query_params.getlist(name)) > 1:
                    raise InputError(name, values, "one value")
            return await self.respond(request, handle)

        return authenticated

    async def respond(self, request: Request, handle: Handler) -> Response:
        """Respond to an authenticated request.

        Args:
            request: the request.
            handle: handler that validates the request and calls the route's function.
        """
        return await handle(request)


class AdminRoute(AuthenticatedRoute):
    """Route for operators of the service."""

    scopes = ("admin",)


class JsonRoute(AuthenticatedRoute):
    """Route with a strict JSON body, which is parsed before it is validated."""

    scopes = ("predict",)
    keeps_slot = False
    """True if the body keeps its slot until the response, by when its content is stored."""

    async def respond(self, request: Request, handle: Handler) -> Response:
        """Read the body, then respond."""
        state = request.app.state
        settings: Settings = state.settings
        max_bytes, architectures = self.max_body(settings)
        json_request = JsonRequest(request, max_bytes, architectures * settings.max_json_values)
        async with AsyncExitStack() as slot:
            body = await json_request.receive_body(settings, state.large_bodies, slot)
            _check_caller(request)  # a body may take a minute to arrive
            if (answer := self.repeated_answer(json_request, body)) is not None:
                return answer
            await json_request.parse_body(settings, state.large_bodies)
            _check_caller(request)  # and wait for others to be parsed
            if not self.keeps_slot:
                await slot.aclose()
            return await handle(json_request)

    def max_body(self, settings: Settings) -> tuple[int, int]:
        """Return the largest size of a body in bytes, and the number of architectures that bounds its JSON values."""
        return settings.max_body_bytes, settings.max_architectures

    def repeated_answer(self, request: Request, body: bytes) -> Response | None:
        """Return the answer to a repeated request; None for all others."""
        return None


class PredictionRoute(JsonRoute):
    """Route whose body may have as many architectures as a brief request, and whose answers are cached."""

    def max_body(self, settings: Settings) -> tuple[int, int]:
        """As `JsonRoute.max_body`."""
        return settings.max_body_bytes, max(settings.max_architectures, settings.max_brief_architectures)

    def repeated_answer(self, request: Request, body: bytes) -> Response | None:
        """As `JsonRoute.repeated_answer`."""
        if _preferred_wait(request.headers.get("prefer")) == 0:  # becomes a job
            return None
        state = request.app.state
        return cast(AnswerCache, state.answers).get(body, state.context)


class LargeRoute(JsonRoute):
    """Route whose body may have as many architectures as a job."""

    def max_body(self, settings: Settings) -> tuple[int, int]:
        """As `JsonRoute.max_body`."""
        return settings.max_job_body_bytes, settings.max_job_architectures


class JobRoute(LargeRoute):
    """Route whose body is stored, e.g. a job."""

    keeps_slot = True
