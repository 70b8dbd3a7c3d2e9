"""Progress of a job: its server-sent events, resumed where they broke off; polling where there are none."""

import json
import re
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import httpx
from httpx_sse import EventSource

from archrank_client.errors import ArchrankError, UnexpectedResponseError
from archrank_client.transport import Request, Transport

MAX_EVENT_BYTES = 1 << 20
"""Size of a line, and of an event."""
MAX_FAILED_STREAMS = 3
"""Streams in a row without an event after which the job is polled."""
MIN_POLL_INTERVAL_S, MAX_POLL_INTERVAL_S = 0.25, 5.0
MAX_EVENT_WAIT_S = 60.0
"""Time without progress after which the job is polled although its stream is open."""
FINAL_EVENTS = ("done", "cancelled", "failed")
"""Types of a job's last event."""
EVENT_ID = re.compile(rb"id(: ?[ -~]{0,200})?")
"""Line with an id that can be sent in a header."""


@dataclass(frozen=True)
class Event:
    """One server-sent event.

    Attributes:
        id: last id of the stream; empty if the events that were read together have none.
        type: event type, `message` by default.
        data: decoded JSON, or text that is none.
    """

    id: str
    type: str
    data: Any


class EventParser:
    """Incremental parser of server-sent events (HTML standard, section 9.2) with bounded memory.

    `httpx_sse` interprets the events but bounds neither a line nor an event, so that a server could fill the memory.
    This reader in front of it enforces the bounds, and hands over complete events alone.
    """

    def __init__(self) -> None:
        self._line, self._block = bytearray(), bytearray()
        self._is_first, self._after_return, self._has_data = True, False, False

    def feed(self, content: bytes) -> list[Event]:
        """Return the events that the next bytes complete.

        Raises:
            UnexpectedResponseError: a line or event is too long, an id is invalid, or data is nested too deep.
        """
        complete = bytearray()
        for part in content.splitlines(keepends=True):
            if self._after_return and part == b"\n":  # second half of a line end
                self._after_return = False
                continue
            self._line += part
            if len(self._line) > MAX_EVENT_BYTES:
                raise UnexpectedResponseError(f"a job's events: a line is longer than {MAX_EVENT_BYTES} bytes")
            self._after_return = part.endswith(b"\r")
            if part.endswith((b"\r", b"\n")):
                line = bytes(self._line).rstrip(b"\r\n")
                self._line.clear()
                complete += self._add_line(line)
        return _parse(bytes(complete)) if complete else []

    def _add_line(self, line: bytes) -> bytes:
        """Add a line to the event; return the event if the line completes it."""
        if self._is_first:
            self._is_first, line = False, line.removeprefix(b"\xef\xbb\xbf")
        if not line:
            block = bytes(self._block) + b"\n" if self._has_data else b""  # by the standard, else none
            self._block.clear()
            self._has_data = False
            return block
        name = line.partition(b":")[0]
        if name == b"id" and not EVENT_ID.fullmatch(line):
            raise UnexpectedResponseError("a job's events: an id cannot be sent in a header")
        if name:  # not a comment
            self._has_data |= name == b"data"
            self._block += line + b"\n"
        if len(self._block) > MAX_EVENT_BYTES:
            raise UnexpectedResponseError(f"a job's events: one is longer than {MAX_EVENT_BYTES} bytes")
        return b""


class JobEvents:
    """Wait for progress of a job.

    Args:
        transport: connection to the server.
        path: path of the job.
        streams: True to listen to events, False to poll only.
    """

    def __init__(self, transport: Transport, path: str, streams: bool = True) -> None:
        self._transport, self._path = transport, f"{path}/events?detail=brief"
        self._failed_streams = 0 if streams else MAX_FAILED_STREAMS
        self._last_id, self._finished, self._interval = "0", 0, MIN_POLL_INTERVAL_S
        self._announced: int | None = None
        self._stream: AsyncGenerator[bytes] | None = None
        self._parser = EventParser()

    async def wait_beyond(self, finished: int, max_interval: float | None = None) -> None:
        """Return when more architectures may be finished, or when the job may have ended.

        Args:
            finished: number of architectures that are known to be finished.
            max_interval: longest polling interval in seconds.
        """
        if self._announced == finished:  # the events announced more than there was
            self._announced, self._finished = None, finished
            await self._sleep(max_interval)
            return
        deadline = time.monotonic() + MAX_EVENT_WAIT_S
        while self._finished <= finished:
            if time.monotonic() >= deadline:
                return
            events = await self._next_events()
            if events is None:
                await self._sleep(max_interval)
                return
            ended = any(event.type in FINAL_EVENTS for event in events)
            self._finished = max([self._finished, *(_completion(event) for event in events)])
            if ended:
                break
        self._announced = finished

    def reset_interval(self) -> None:
        """Begin again with the shortest polling interval."""
        self._interval = MIN_POLL_INTERVAL_S

    async def close(self) -> None:
        """Close the stream."""
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.aclose()

    async def _sleep(self, max_interval: float | None) -> None:
        await self._transport.sleep(self._interval if max_interval is None else min(self._interval, max_interval))
        self._interval = min(2 * self._interval, MAX_POLL_INTERVAL_S)

    async def _next_events(self) -> list[Event] | None:
        """Return the events that the next bytes complete; None where there is no stream."""
        if self._failed_streams >= MAX_FAILED_STREAMS:
            return None
        if self._stream is None:
            request = Request("GET", self._path, headers={"Last-Event-ID": self._last_id})
            self._stream, self._parser = self._transport.stream(request), EventParser()
        try:
            content = await anext(self._stream)
        except (StopAsyncIteration, ArchrankError):  # the poll that follows raises what is wrong
            self._failed_streams += 1
            await self.close()
            return None
        events = self._parser.feed(content)
        if events:
            self._failed_streams, self._last_id = 0, events[-1].id or self._last_id
        return events


def _parse(blocks: bytes) -> list[Event]:
    response = httpx.Response(200, headers={"Content-Type": "text/event-stream"}, content=blocks)
    return [Event(event.id, event.event, _decode(event.data)) for event in EventSource(response).iter_sse()]


def _completion(event: Event) -> int:
    completion = event.data.get("completion") if event.type == "item" and isinstance(event.data, dict) else None
    return completion if isinstance(completion, int) else 0


def _decode(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:  # of a type that this version does not know
        return text
    except RecursionError as error:
        raise UnexpectedResponseError("a job's events: the data of one is nested too deep") from error
