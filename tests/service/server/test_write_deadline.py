"""Writes of one iteration of the event loop are sent together, and none is lost when the connection closes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from service.server.write_deadline import MAX_UNSENT_BYTES, WriteDeadline


class Transport:
    """Records what is written to it."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.closed = False

    def get_extra_info(self, name: str) -> Any:
        return type("Socket", (), {"family": None})()

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.sent.append(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def get_write_buffer_size(self) -> int:
        return 0


def run(work: Callable[[WriteDeadline, Transport], Awaitable[None]]) -> None:
    async def within() -> None:
        transport = Transport()
        deadline = WriteDeadline(transport, asyncio.get_running_loop(), timeout=60)  # type: ignore[arg-type]
        await work(deadline, transport)
        deadline.stop()

    asyncio.run(within())


def test_writes_are_sent_together_in_their_order() -> None:
    async def work(deadline: WriteDeadline, transport: Transport) -> None:
        for data in (b"head", b"body"):
            deadline.write(data)
        assert transport.sent == []
        await asyncio.sleep(0)
        assert transport.sent == [b"headbody"]
        deadline.write(b"next")
        deadline.flush()
        await asyncio.sleep(0)
        assert transport.sent == [b"headbody", b"next"]

    run(work)


def test_large_data_is_sent_at_once() -> None:
    async def work(deadline: WriteDeadline, transport: Transport) -> None:
        deadline.write(b"head")
        deadline.write(b"x" * MAX_UNSENT_BYTES)
        assert transport.sent == [b"head" + b"x" * MAX_UNSENT_BYTES]

    run(work)


def test_closing_sends_what_was_written() -> None:
    async def work(deadline: WriteDeadline, transport: Transport) -> None:
        deadline.write(b"last")
        deadline.close()
        assert (transport.sent, transport.closed) == ([b"last"], True)
        deadline.write(b"too late")
        await asyncio.sleep(0)
        assert transport.sent == [b"last"]

    run(work)
