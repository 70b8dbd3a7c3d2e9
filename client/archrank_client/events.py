"""News of a job: its server-sent events, taken up where they broke off; where there are none, time that passes."""

import json
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from archrank_client.errors import ArchrankError, UnexpectedAnswer
from archrank_client.transport import Call, Transport

MAX_EVENT_BYTES = 1 << 20
"""Size of a line, and of an event's data."""
MAX_ID_LENGTH = 200
MOST_STREAMS = 3
"""Streams in a row that told nothing, after which none is opened any more."""
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 5.0
"""Seconds between two looks where nothing tells when there is something to see."""
LOOK = 60.0
"""Seconds after which there is a look although the events tell of nothing."""
ENDS = ("done", "cancelled", "failed")
"""Events after which nothing comes."""


@dataclass(frozen=True)
class Event:
    """One server-sent event."""

    id: str
    kind: str
    data: Any


class EventParser:
    """Server-sent events from the bytes of a stream, as the HTML standard reads them. One that is cut off is none."""

    def __init__(self) -> None:
        self._line, self._begun, self._after_return = bytearray(), False, False
        self._last, self._kind = "", "message"
        self._data, self._size = list[str](), 0

    def feed(self, content: bytes) -> list[Event]:
        """The events that the next bytes end. Raises `UnexpectedAnswer` for what no server of this kind sends."""
        events = []
        for piece in content.splitlines(keepends=True):
            if self._after_return and piece == b"\n":  # of a line end that was cut
                self._after_return = False
                continue
            self._line += piece
            if len(self._line) > MAX_EVENT_BYTES:
                raise UnexpectedAnswer(f"a job's events: a line is longer than {MAX_EVENT_BYTES} bytes")
            self._after_return = piece.endswith(b"\r")
            if piece.endswith((b"\r", b"\n")):
                event = self._read(self._line.rstrip(b"\r\n").decode("utf-8", "replace"))
                self._line.clear()
                if event is not None:
                    events.append(event)
        return events

    def _read(self, line: str) -> Event | None:
        if not self._begun:
            self._begun, line = True, line.removeprefix("\ufeff")
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            event = Event(self._last, self._kind, _parsed("\n".join(self._data))) if self._data else None
            self._kind, self._data, self._size = "message", [], 0
            return event
        if name == "id":
            if not (value.isascii() and value.isprintable() and len(value) <= MAX_ID_LENGTH):
                raise UnexpectedAnswer("a job's events: an id is none that a header can have")
            self._last = value
        elif name == "event":
            self._kind = value
        elif name == "data":
            self._data.append(value)
            self._size += len(value) + 1
            if self._size > MAX_EVENT_BYTES:
                raise UnexpectedAnswer(f"a job's events: one is longer than {MAX_EVENT_BYTES} bytes")
        return None


def parse(stream: bytes) -> list[Event]:
    """The events of a whole stream. Raises `UnexpectedAnswer` for what no server of this kind sends."""
    return EventParser().feed(stream)


class JobEvents:
    """Tells when there is something new of a job.

    Args:
        wire: to the server.
        path: of the job.
        streams: whether to listen to events, rather than look from time to time.
    """

    def __init__(self, wire: Transport, path: str, streams: bool = True) -> None:
        self._wire, self._path = wire, f"{path}/events"
        self._lost = 0 if streams else MOST_STREAMS
        self._last, self._finished, self._pause = "0", 0, FIRST_PAUSE
        self._promised: int | None = None
        self._stream: AsyncGenerator[bytes] | None = None
        self._parser = EventParser()

    async def beyond(self, finished: int, most: float | None = None) -> None:
        """Return when more of the job's architectures may be finished than so many, or when it may have ended.

        Args:
            finished: number.
            most: seconds that a pause may take where there are no events.
        """
        if self._promised == finished:  # events told of more than there was
            self._promised, self._finished = None, finished
            await self._rest(most)
            return
        until = time.monotonic() + LOOK
        while self._finished <= finished:
            if time.monotonic() >= until:
                return
            events = await self._next()
            if events is None:
                await self._rest(most)
                return
            ended = any(event.kind in ENDS for event in events)
            self._finished = max([self._finished, *(_completion(event) for event in events)])
            if ended:
                break
        self._promised = finished

    def seen(self) -> None:
        """There was something, so that the next look comes sooner."""
        self._pause = FIRST_PAUSE

    async def close(self) -> None:
        """Listen no more."""
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.aclose()

    async def _rest(self, most: float | None) -> None:
        await self._wire.sleep(self._pause if most is None else min(self._pause, most))
        self._pause = min(2 * self._pause, LONGEST_PAUSE)

    async def _next(self) -> list[Event] | None:
        """The next events, if the next bytes end any; None where there is no stream."""
        if self._lost >= MOST_STREAMS:
            return None
        if self._stream is None:
            call = Call("GET", self._path, headers={"Last-Event-ID": self._last})
            self._stream, self._parser = self._wire.stream(call), EventParser()
        try:
            piece = await anext(self._stream)
        except (StopAsyncIteration, ArchrankError):  # what is wrong, the look that comes now will tell
            self._lost += 1
            await self.close()
            return None
        events = self._parser.feed(piece)
        if events:
            self._lost, self._last = 0, events[-1].id or self._last
        return events


def _completion(event: Event) -> int:
    found = event.data.get("completion") if event.kind == "item" and isinstance(event.data, dict) else None
    return found if isinstance(found, int) else 0


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:  # of a kind that this version does not know
        return text
    except RecursionError as error:
        raise UnexpectedAnswer("a job's events: the data of one is nested too deep") from error
