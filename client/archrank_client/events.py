"""News of a job: its server-sent events, taken up where they broke off; where there are none, time that passes."""

import json
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from archrank_client.errors import ArchrankError
from archrank_client.wire import Call, Wire

MOST_STREAMS = 3
"""Streams in a row that told nothing, after which none is opened any more."""
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 5.0
"""Seconds between two looks where nothing tells when there is something to see."""


@dataclass(frozen=True)
class Event:
    """One server-sent event."""

    id: str
    kind: str
    data: Any


async def parsed(lines: AsyncIterable[str]) -> AsyncGenerator[Event]:
    """The events of a stream, as the HTML standard reads them. One that is cut off is none."""
    last, kind, data = "", "message", list[str]()
    async for line in lines:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield Event(last, kind, _read("\n".join(data)))
            kind, data = "message", []
        elif name == "id":
            last = value
        elif name == "event":
            kind = value
        elif name == "data":
            data.append(value)


class News:
    """Tells when there is something new of a job.

    Args:
        wire: to the server.
        path: of the job.
        streams: whether to listen to events, rather than look from time to time.
    """

    def __init__(self, wire: Wire, path: str, streams: bool = True) -> None:
        self._wire, self._path = wire, f"{path}/events"
        self._lost = 0 if streams else MOST_STREAMS
        self._last, self._finished, self._pause = "0", 0, FIRST_PAUSE
        self._stream: AsyncGenerator[Event] | None = None

    async def beyond(self, finished: int, most: float | None = None) -> None:
        """Return when more of the job's architectures may be finished than so many, or when it may have ended.

        Args:
            finished: number.
            most: seconds that a pause may take where there are no events.
        """
        while self._finished <= finished:
            event = await self._next(most)
            if event is None or event.kind in ("done", "cancelled", "failed"):
                return
            if event.kind == "item":
                self._finished = max(self._finished, _completion(event.data))

    def seen(self) -> None:
        """There was something, so that the next look comes sooner."""
        self._pause = FIRST_PAUSE

    async def close(self) -> None:
        """Listen no more."""
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.aclose()

    async def _next(self, most: float | None) -> Event | None:
        """The next event; None after a pause."""
        if self._lost < MOST_STREAMS:
            if self._stream is None:
                self._stream = self._opened()
            try:
                event = await anext(self._stream)
            except (StopAsyncIteration, ArchrankError):  # what is wrong, the look that comes now will tell
                self._lost += 1
                await self.close()
            else:
                self._lost, self._last = 0, event.id or self._last
                return event
        await self._wire.sleep(self._pause if most is None else min(self._pause, most))
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        return None

    async def _opened(self) -> AsyncGenerator[Event]:
        lines = self._wire.lines(Call("GET", self._path, headers={"Last-Event-ID": self._last}))
        async with aclosing(lines), aclosing(parsed(lines)) as events:
            async for event in events:
                yield event


def _completion(data: Any) -> int:
    found = data.get("completion") if isinstance(data, dict) else None
    return found if isinstance(found, int) else 0


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # of a kind that this version does not know
        return text
