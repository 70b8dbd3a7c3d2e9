"""Reading of request bodies: once, within limits of size, time and structure, large ones in turn."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from starlette.requests import Request

from common.strict_json import loads
from service.api.problems import ProblemError
from service.settings import Settings

LARGE = 2**18
"""Bytes of a body from which on reading it takes long."""
DRAINED = 16
"""A body that is too large is read up to so many times its limit before the connection is closed."""
PLACES = 4
"""Large bodies that are in memory at once."""


class LargeBodies:
    """Turns of large bodies: few arrive at once, and one at a time is taken apart. For one event loop.

    Attributes:
        free: places.
        parsing: held while a body is taken apart.
    """

    def __init__(self) -> None:
        self._places, self.free, self.parsing = asyncio.Semaphore(PLACES), PLACES, asyncio.Lock()

    @asynccontextmanager
    async def place(self, seconds: float) -> AsyncIterator[None]:
        """Hold one of the places. Raises `ProblemError` where none is free for so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._places.acquire()
        except TimeoutError as error:
            raise ProblemError(503, f"{PLACES} large bodies are being read already") from error
        self.free -= 1
        try:
            yield
        finally:
            self.free += 1
            self._places.release()


class StrictRequest(Request):
    """A request whose body is strict JSON.

    Args:
        request: as it came.
        most_bytes: of the body.
        most_values: in the body, as `loads` counts them.
    """

    def __init__(self, request: Request, most_bytes: int, most_values: int) -> None:
        super().__init__(request.scope, request.receive)
        self._most_bytes, self._most_values = most_bytes, most_values

    async def read(self, settings: Settings, large: LargeBodies, place: AsyncExitStack) -> None:
        """Read the body, once.

        Args:
            settings: what else limits it.
            large: whose turn it is.
            place: given the place of a large body, to hold it.

        Raises `ProblemError`, and what `loads` raises.
        """
        try:
            self._body = await self._arrived(settings.body_timeout, large, place)
        except TimeoutError as error:
            late = f"the body did not arrive within {settings.body_timeout:g} s"
            raise ProblemError(408, late, headers={"Connection": "close"}) from error
        kind = self.headers.get("content-type", "").split(";")[0].strip().lower()
        if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
            raise ProblemError(415, f"the body's content type is {kind or 'not given'}; allowed: application/json")
        coding = self.headers.get("content-encoding", "identity").strip().lower()
        if coding != "identity":
            raise ProblemError(415, f"the body's content encoding is {coding!r}; allowed: none")
        limits = settings.max_json_depth, self._most_values
        if len(self._body) <= LARGE:
            self._json = loads(self._body, *limits)
        else:  # a thread, so that meanwhile others are answered
            async with large.parsing:
                self._json = await asyncio.to_thread(loads, self._body, *limits)

    async def _arrived(self, seconds: float, large: LargeBodies, place: AsyncExitStack) -> bytes:
        """The body. Of one that is too large the rest is read too, and dropped, up to a bound.

        A client that is still sending when the connection closes would see a reset instead of the answer.
        """
        body, size, limit, loop = bytearray(), 0, self._most_bytes, asyncio.get_running_loop()
        async with asyncio.timeout(seconds) as deadline:
            async for chunk in self.stream():
                if size <= LARGE < size + len(chunk):
                    deadline.reschedule(None)  # its client has to wait, too
                    await place.enter_async_context(large.place(seconds))
                    deadline.reschedule(loop.time() + seconds)
                size += len(chunk)
                if size <= limit:
                    body += chunk
                else:
                    body.clear()
                    if size > DRAINED * limit:
                        break
        if size > limit:
            raise ProblemError(413, f"the body is larger than {limit} bytes", headers={"Connection": "close"})
        return bytes(body)
