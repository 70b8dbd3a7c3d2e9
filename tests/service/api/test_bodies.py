"""Large bodies: few are in memory at a time, one is parsed at a time, and small bodies do not wait for them."""

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Any

import pytest
from starlette.requests import Request

from common.errors import InputError
from service.api.bodies import LARGE_BODY_BYTES, MAX_LARGE_BODIES, JsonRequest, LargeBodies
from service.api.problems import ProblemError
from service.settings import Settings

SMALL_BODY, LARGE_BODY = (json.dumps(["x" * size]).encode() for size in (10, 2 * LARGE_BODY_BYTES))


async def read(large_bodies: LargeBodies, body: bytes, timeout: float = 60.0, held: asyncio.Event | None = None) -> Any:
    """Read a body that arrives in pieces; its slot is held until the event."""
    pieces = [body[i : i + LARGE_BODY_BYTES // 4] for i in range(0, len(body), LARGE_BODY_BYTES // 4)]

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    scope = {"type": "http", "headers": [(b"content-type", b"application/json")]}
    request = JsonRequest(Request(scope, receive), 2**23, 100)
    async with AsyncExitStack() as slot:
        settings = Settings(body_timeout=timeout)
        await request.receive_body(settings, large_bodies, slot)
        await request.parse_body(settings, large_bodies)
        if held is not None:
            await held.wait()
        return await request.json()


def test_few_large_bodies_are_in_memory_at_once() -> None:
    async def work() -> None:
        large_bodies, held = LargeBodies(), asyncio.Event()
        reading = [asyncio.create_task(read(large_bodies, LARGE_BODY, held=held)) for _ in range(MAX_LARGE_BODIES)]
        while large_bodies.free:
            await asyncio.sleep(0)
        with pytest.raises(ProblemError, match=f"{MAX_LARGE_BODIES} large bodies") as caught:
            await read(large_bodies, LARGE_BODY, timeout=0.5)
        assert caught.value.status == 503
        assert await read(large_bodies, SMALL_BODY) == json.loads(SMALL_BODY)
        waiting = asyncio.create_task(read(large_bodies, LARGE_BODY))
        held.set()
        assert await asyncio.gather(*reading, waiting) == [json.loads(LARGE_BODY)] * (MAX_LARGE_BODIES + 1)
        assert large_bodies.free == MAX_LARGE_BODIES

    asyncio.run(work())


def test_large_bodies_are_parsed_one_at_a_time() -> None:
    async def work() -> None:
        large_bodies = LargeBodies()
        async with large_bodies.parsing:
            reading = asyncio.create_task(read(large_bodies, LARGE_BODY))
            assert await read(large_bodies, SMALL_BODY) == json.loads(SMALL_BODY)
            while large_bodies.free == MAX_LARGE_BODIES:
                await asyncio.sleep(0)
            assert not reading.done()
        assert await reading == json.loads(LARGE_BODY)

    asyncio.run(work())


def test_a_refused_body_frees_its_slot() -> None:
    async def work() -> None:
        large_bodies = LargeBodies()
        with pytest.raises(InputError, match="body"):
            await read(large_bodies, b"[" * 2 * LARGE_BODY_BYTES)
        assert large_bodies.free == MAX_LARGE_BODIES

    asyncio.run(work())
