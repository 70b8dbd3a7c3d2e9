"""Reading of request bodies, limited in size, time and structure; few large ones at a time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from starlette.requests import Request

from common.strict_json import loads
from service.api.problems import ProblemError
from service.settings import Settings

LARGE_BODY_BYTES = 2**18
"""Size from which parsing a body takes noticeable time."""
MAX_DRAIN_RATIO = 16
"""A body that is too large is read up to this multiple of its limit before the connection is closed."""
MAX_LARGE_BODIES = 4
"""Maximum number of large bodies in memory."""


class LargeBodies:
    """Slots of large bodies: few arrive at the same time, and one at a time is parsed. For one event loop.

    Attributes:
        free: number of free slots.
        parsing: lock that is held while a body is parsed.
    """

    def __init__(self) -> None:
        self._slots, self.free, self.parsing = asyncio.Semaphore(MAX_LARGE_BODIES), MAX_LARGE_BODIES, asyncio.Lock()

    @asynccontextmanager
    async def slot(self, timeout: float) -> AsyncIterator[None]:
        """Hold a slot. Raises `ProblemError` if none becomes free within `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._slots.acquire()
        except TimeoutError as error:
            raise ProblemError(503, f"{MAX_LARGE_BODIES} large bodies are being read already") from error
        self.free -= 1
        try:
            yield
        finally:
            self.free += 1
            self._slots.release()


class JsonRequest(Request):
    """A request with a strict JSON body.

    Args:
        request: the original request.
        max_bytes: maximum size of the body.
        max_values: maximum number of values in the body, as counted by `loads`.
    """

    def __init__(self, request: Request, max_bytes: int, max_values: int) -> None:
        super().__init__(request.scope, request.receive)
        self._max_bytes, self._max_values = max_bytes, max_values

    async def receive_body(self, settings: Settings, large_bodies: LargeBodies, slot: AsyncExitStack) -> bytes:
        """Receive the body.

        Args:
            settings: further limits.
            large_bodies: slots of large bodies.
            slot: takes over the slot of a large body.

        Raises:
            ProblemError: the body is too slow, too large or of another media type.
        """
        try:
            self._body = await self._read_within(settings.body_timeout, large_bodies, slot)
        except TimeoutError as error:
            detail = f"the body did not arrive within {settings.body_timeout:g} s"
            raise ProblemError(408, detail, headers={"Connection": "close"}) from error
        media_type = self.headers.get("content-type", "").split(";")[0].strip().lower()
        if media_type != "application/json" and not (
            media_type.startswith("application/") and media_type.endswith("+json")
        ):
            raise ProblemError(
                415, f"the body's content type is {media_type or 'not given'}; allowed: application/json"
            )
        coding = self.headers.get("content-encoding", "identity").strip().lower()
        if coding != "identity":
            raise ProblemError(415, f"the body's content encoding is {coding!r}; allowed: none")
        return self._body

    async def parse_body(self, settings: Settings, large_bodies: LargeBodies) -> None:
        """Parse the received body.

        Args:
            settings: further limits.
            large_bodies: slots of large bodies.

        Raises:
            InputError: the body is not strict JSON, as `loads` raises it.
        """
        limits = settings.max_json_depth, self._max_values
        if len(self._body) <= LARGE_BODY_BYTES:
            self._json = loads(self._body, *limits)
        else:  # in a thread, which keeps the event loop free
            async with large_bodies.parsing:
                self._json = await asyncio.to_thread(loads, self._body, *limits)

    async def _read_within(self, timeout: float, large_bodies: LargeBodies, slot: AsyncExitStack) -> bytes:
        """Receive the body; a body that is too large is drained up to a bound.

        A client that is still sending when the connection is closed would see a reset instead of the response.
        """
        body, size, limit, loop = bytearray(), 0, self._max_bytes, asyncio.get_running_loop()
        async with asyncio.timeout(timeout) as deadline:
            async for chunk in self.stream():
                if size <= LARGE_BODY_BYTES < size + len(chunk):
                    deadline.reschedule(None)  # the wait for a slot is not the client's fault
                    await slot.enter_async_context(large_bodies.slot(timeout))
                    deadline.reschedule(loop.time() + timeout)
                size += len(chunk)
                if size <= limit:
                    body += chunk
                else:
                    body.clear()
                    if size > MAX_DRAIN_RATIO * limit:
                        break
        if size > limit:
            raise ProblemError(413, f"the body is larger than {limit} bytes", headers={"Connection": "close"})
        return bytes(body)
