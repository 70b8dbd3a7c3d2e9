"""Clients that disconnect, and one with very large jobs."""

import contextlib
import json
import os
import socket
import time
from pathlib import Path
from typing import Any

import numpy as np

from models import get_space
from tests.chaos.conftest import Recovered, Tell
from tests.real_server import Server, assert_complete, serving, until


def connected(server: Server, request: bytes) -> socket.socket:
    """Open a connection and send a request."""
    connection = socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])))
    connection.sendall(request)
    return connection


def sockets(server: Server) -> int:
    """Number of open sockets; files of the store do not count."""
    count = 0
    for file in Path(f"/proc/{server.process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            count += os.readlink(file).startswith("socket:")
    return count


def test_gone_while_told_of_events(tmp_path: Path, recovered: Recovered) -> None:
    with serving(tmp_path) as server:
        place = server.submit(server.architectures(60, depth=10), proxies=None)
        server.wait_until_finished(place, 1)
        request = f"GET {place}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        before = sockets(server)
        listeners = [connected(server, request) for _ in range(20)]
        for listener in listeners:
            assert listener.recv(12) == b"HTTP/1.1 200"
        until(lambda: sockets(server) >= before + 20)
        since = time.monotonic()
        for listener in listeners:
            listener.close()
        until(lambda: sockets(server) < before + 10)
        recovered("20 listeners gone, their connections closed", since)
        server.client.delete(place)


def test_gone_while_waiting_for_an_answer(tmp_path: Path, recovered: Recovered) -> None:
    """Slots in the queue are released; running computations are finished and kept."""
    with serving(tmp_path, queue_size=8) as server:
        architectures = server.architectures(16, depth=10)
        body = json.dumps({"architectures": architectures}).encode()
        head = "POST /v1/predictions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        connection = connected(server, f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        other: dict[str, Any] = {"architectures": server.architectures(1, seed=5), "proxies": ["params"]}

        def refused() -> bool:
            other["seed"] = other.get("seed", 0) + 1
            return server.client.post("/v1/scores", json=other).status_code == 503

        until(refused)
        connection.close()
        since = time.monotonic()
        until(lambda: not refused())
        recovered("client gone while it waited, its places free again", since)

        def cached() -> list[bool]:
            wanted: dict[str, Any] = {"architectures": architectures, "proxies": ["params"]}
            return [item["cached"] for item in server.client.post("/v1/scores", json=wanted).json()["scores"]]

        known = cached()  # the others are computed now
        assert known[0]
        assert not known[-1]
        assert all(cached())


def test_ten_thousand_at_once(tmp_path: Path, recovered: Recovered, tell: Tell) -> None:
    """Jobs without computation: paged completely and in order, in bounded memory."""
    space, rng = get_space("gcn-nas"), np.random.default_rng(3)
    structure = [space.to_json(space.sample(rng, depth=4)) for _ in range(10_000)]
    with serving(tmp_path) as server:
        few = server.architectures(100)
        assert_complete(server, server.submit(few, proxies=["params"]), len(few), {})
        for architectures, proxies in ((structure, []), (few * 100, ["params"])):
            memory = [server.memory()]
            for _ in range(2):
                since = time.monotonic()
                place = server.submit(architectures, proxies=proxies)
                results = assert_complete(server, place, 10_000, {})
                recovered(f"10,000 architectures answered and read, proxies {proxies}", since)
                memory.append(server.memory())
            layers = [architecture["layers"] for architecture in architectures]
            assert [results[i]["architecture"]["layers"] for i in range(10_000)] == layers
            if proxies:
                assert server.job(place)["counts"]["cached"] == 10_000
            tell(" → ".join(f"{one:.0f}" for one in memory), f"MB, before, between and after, proxies {proxies}")
            assert memory[2] - memory[1] < 100
