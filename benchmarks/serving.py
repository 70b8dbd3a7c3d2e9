"""Throughput and latency of predictions over HTTP.

    python benchmarks/serving.py --seconds 5

Runs a server, and 16 keep-alive connections in this process, each with one request at a time. Client and server share
the machine's cores.
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
    parser.add_argument("--seconds", type=float, default=5.0, help="duration of each measurement")
    table = Table("POST /v1/predictions", "requests/s", "p50, ms", "p99, ms")
    for kind, rates in measure(parser.parse_args().seconds).items():
        table.add_row(kind, *(f"{number:.4g}" for number in rates.values()))
    Console().print(table)


def measure(seconds: float = 5.0) -> dict[str, dict[str, float]]:
    """Return throughput and latency by kind of request, each measured for `seconds`."""
    structure, scored, brief = _request(PENG, proxies=[]), _request(PENG), _request(PENG, proxies=[], detail="brief")
    with server() as url:
        uvloop.run(_drive(url, iter([structure, scored]), 1, seconds=600))  # fills the cache
        return {
            "cached, structure only": uvloop.run(_drive(url, repeat(structure), CONNECTIONS, seconds)),
            "cached, structure only, brief": uvloop.run(_drive(url, repeat(brief), CONNECTIONS, seconds)),
            "cached, scored": uvloop.run(_drive(url, repeat(scored), CONNECTIONS, seconds)),
            "not cached, structure only": uvloop.run(_drive(url, _uncached(), CONNECTIONS, seconds)),
        }


def _uncached() -> Iterator[bytes]:
    """Yield requests for new architectures."""
    space, rng = get_space("gcn-nas"), np.random.default_rng(0)
    while True:
        yield _request(space.to_json(space.sample(rng, depth=10)), proxies=[])


def _request(architecture: dict[str, Any], **more: Any) -> bytes:
    body = json.dumps({"architectures": [architecture], **more}).encode()
    head = "POST /v1/predictions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def _drive(url: str, requests: Iterator[bytes], connections: int, seconds: float) -> dict[str, float]:
    """Send requests, and return throughput and latency after a warm-up of a tenth of the duration."""
    loop, address = asyncio.get_running_loop(), urlsplit(url)
    started = perf_counter() + seconds / 10
    clients = []
    for _ in range(connections):
        _, client = await loop.create_connection(
            lambda: _Client(requests, until=started + seconds), str(address.hostname), int(address.port or 0)
        )
        clients.append(client)
    await asyncio.gather(*(client.done for client in clients))
    latencies = [end - sent_at for client in clients for sent_at, end in client.times if sent_at >= started]
    if not latencies:
        return {}
    p50, p99 = (1000 * float(np.percentile(latencies, q)) for q in (50, 99))
    return {"requests_per_second": len(latencies) / seconds, "p50_ms": p50, "p99_ms": p99}


class _Client(asyncio.Protocol):
    """A connection that sends the next request as soon as the response to the last has arrived."""

    def __init__(self, requests: Iterator[bytes], until: float) -> None:
        self._requests, self._until = requests, until
        self._parser = httptools.HttpResponseParser(self)
        self._sent_at = 0.0
        self.times: list[tuple[float, float]] = []
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._send()

    def _send(self) -> None:
        self._sent_at = perf_counter()
        request = next(self._requests, None) if self._sent_at < self._until else None
        if request is None:
            self.done.set_result(None)
            self._transport.close()
        else:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self.times.append((self._sent_at, perf_counter()))
        if self._parser.get_status_code() != 200:
            self.done.set_exception(RuntimeError(f"status {self._parser.get_status_code()}"))
            return
        self._parser = httptools.HttpResponseParser(self)
        self._send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the server closed the connection"))


if __name__ == "__main__":
    main()
