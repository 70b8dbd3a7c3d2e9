"""How many predictions a second the service answers over HTTP, and how long each takes.

    python benchmarks/serving.py --seconds 5

A real server of one process, and this process as its client: 16 connections that are kept open, with one request at a
time under way on each. Client and server share the machine's cores.
"""

import argparse
import asyncio
import json
from collections.abc import Iterator
from itertools import repeat
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import httptools
import numpy as np
import uvloop
from rich.console import Console
from rich.table import Table

from models import get_space
from models.gcn_nas import PENG
from service.cli.demo import server

CONNECTIONS = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each kind of request")
    table = Table("POST /v1/predictions", "requests/s", "p50, ms", "p99, ms")
    for kind, measured in measure(parser.parse_args().seconds).items():
        table.add_row(kind, *(f"{number:.4g}" for number in measured.values()))
    Console().print(table)


def measure(seconds: float = 5.0) -> dict[str, dict[str, float]]:
    """By kind of request, requests a second and milliseconds; each kind is asked for that many seconds."""
    structure, scored = _request(PENG, proxies=[]), _request(PENG)
    with server() as url:
        uvloop.run(_drive(url, iter([structure, scored]), 1, seconds=600))  # from now on cached
        return {
            "cached, structure only": uvloop.run(_drive(url, repeat(structure), CONNECTIONS, seconds)),
            "cached, scored": uvloop.run(_drive(url, repeat(scored), CONNECTIONS, seconds)),
            "not cached, structure only": uvloop.run(_drive(url, _fresh(), CONNECTIONS, seconds)),
        }


def _fresh() -> Iterator[bytes]:
    """Requests for architectures that were not asked for before."""
    space, rng = get_space("gcn-nas"), np.random.default_rng(0)
    while True:
        yield _request(space.to_json(space.sample(rng, depth=10)), proxies=[])


def _request(architecture: dict[str, Any], **more: Any) -> bytes:
    body = json.dumps({"architectures": [architecture], **more}).encode()
    head = "POST /v1/predictions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def _drive(url: str, requests: Iterator[bytes], connections: int, seconds: float) -> dict[str, float]:
    """What the requests took; a tenth of the time before is for warming up."""
    loop, place = asyncio.get_running_loop(), urlsplit(url)
    started = perf_counter() + seconds / 10
    clients = [_Client(requests, until=started + seconds) for _ in range(connections)]
    for client in clients:
        await loop.create_connection(lambda client=client: client, place.hostname, place.port)
    await asyncio.gather(*(client.done for client in clients))
    taken = [end - begun for client in clients for begun, end in client.times if begun >= started]
    if not taken:
        return {}
    p50, p99 = (1000 * float(np.percentile(taken, share)) for share in (50, 99))
    return {"requests_per_second": len(taken) / seconds, "p50_ms": p50, "p99_ms": p99}


class _Client(asyncio.Protocol):
    """One connection: the next request as soon as the last was answered."""

    def __init__(self, requests: Iterator[bytes], until: float) -> None:
        self._requests, self._until = requests, until
        self._parser = httptools.HttpResponseParser(self)
        self._begun = 0.0
        self.times: list[tuple[float, float]] = []
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._send()

    def _send(self) -> None:
        self._begun = perf_counter()
        request = next(self._requests, None) if self._begun < self._until else None
        if request is None:
            self.done.set_result(None)
            self._transport.close()
        else:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self.times.append((self._begun, perf_counter()))
        if self._parser.get_status_code() != 200:
            self.done.set_exception(RuntimeError(f"the server answered {self._parser.get_status_code()}"))
            return
        self._parser = httptools.HttpResponseParser(self)
        self._send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the server closed the connection"))


if __name__ == "__main__":
    main()
