"""Clients that send all kinds of requests in random order, and check every response."""

import asyncio
import json
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import count
from time import perf_counter
from typing import Any

import httpx

from benchmarks.soak.expected import SEED, Facts, Known, facts, same

INVALID = {"layers": [["L5"]]}
RETRY_STATUSES = (429, 503)
"""Statuses of requests to retry later, which are not counted as wrong."""
JSON = {"Content-Type": "application/json"}
BAD_REQUESTS: list[tuple[str, str, bytes, dict[str, str], int]] = [
    ("POST", "/v1/predictions", b"{", JSON, 400),
    ("POST", "/v1/predictions", b"\xff", JSON, 400),
    ("POST", "/v1/predictions", b'{"architectures": [NaN]}', JSON, 400),
    ("POST", "/v1/predictions", b"{}", JSON, 422),
    ("POST", "/v1/predictions", b'{"architectures": []}', JSON, 422),
    ("POST", "/v1/predictions", b'{"architectures": [{"layers": [["L5"]]}]}', JSON, 422),
    ("POST", "/v1/predictions", b"{}", {"Content-Type": "text/plain"}, 415),
    ("POST", "/v1/predictions", b'"' + b"x" * 2**21 + b'"', JSON, 413),
    ("POST", "/v1/jobs", b'{"architectures": [{}], "compare": true}', JSON, 422),
    ("GET", "/v1/jobs/none", b"", {}, 422),
    ("GET", f"/v1/jobs/{'0' * 32}", b"", {}, 404),
    ("POST", "/v1/spaces/none/sample", b"{}", {"Content-Type": "application/json"}, 404),
    ("GET", "/nothing", b"", {}, 404),
    ("PUT", "/v1/jobs", b"{}", JSON, 405),
]
LOOKUPS = ["/health/live", "/health/ready", "/v1/jobs", "/v1/proxies", "/v1/ensembles"]


@dataclass
class Record:
    """Results of all clients.

    Attributes:
        seconds: durations of requests, by kind.
        statuses: numbers of requests, by kind and HTTP status; `none` without a response.
        wrong: descriptions of wrong responses.
        seeds: seeds whose scores are not cached.
    """

    seconds: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    statuses: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    seeds: Any = field(default_factory=lambda: count(SEED))

    def check(self, condition: bool, description: str) -> None:
        """Record a wrong response unless the condition holds."""
        if not condition:
            self.wrong.append(description)


class Client:
    """A client; each has its own random order of requests."""

    def __init__(self, number: int, http: httpx.AsyncClient, known: dict[str, Known], record: Record) -> None:
        self._random, self._http, self._known, self._record = random.Random(number), http, known, record
        self._number, self._jobs = number, count()

    async def work(self, until: float) -> None:
        """Send requests until that time."""
        kinds = {self.predict: 6, self.job: 1, self.cancel: 0.5, self.bad_request: 2, self.look_up: 2}
        while perf_counter() < until:
            (kind,) = self._random.choices(list(kinds), list(kinds.values()))
            try:
                await kind()
            except (httpx.TransportError, ValueError, LookupError, TypeError) as error:
                self._record.wrong.append(f"{kind.__name__}: {type(error).__name__}: {error}")

    async def predict(self) -> None:
        """Predict architectures, some of them new."""
        (kind,) = self._random.choices(["structure", "scored", "fresh"], [8, 3, 1])
        body, expected = self._request(kind, self._random.randint(1, 6 if kind == "structure" else 2))
        response = await self._send(f"predictions, {kind}", "POST", "/v1/predictions", json=body)
        if response.status_code == 202:  # it became a job
            await self._follow(response, expected)
        elif response.status_code == 200:
            for item, item_facts in zip(response.json()["predictions"], expected, strict=True):
                self._compare(item, item_facts, kind)
        else:
            await self._check_retry(response, kind)

    async def job(self) -> None:
        """Post a job twice, follow its events and read its results."""
        (kind,) = self._random.choices(["structure", "scored", "fresh"], [4, 2, 1])
        body, expected = self._request(kind, self._random.randint(1, 100 if kind == "structure" else 6))
        place = self._random.randrange(len(expected) + 1)
        body["architectures"].insert(place, INVALID)
        expected.insert(place, {})
        headers = {"Idempotency-Key": f"{self._number}-{next(self._jobs)}"}
        response = await self._send("jobs, POST", "POST", "/v1/jobs", json=body, headers=headers)
        again = await self._send("jobs, POST again", "POST", "/v1/jobs", json=body, headers=headers)
        if response.status_code != 202:
            await self._check_retry(response, "job")
        elif again.status_code != 202:
            await self._check_retry(again, "job")
        else:
            self._record.check(response.headers["Location"] == again.headers["Location"], "one key, two jobs")
            await self._follow(response, expected)

    async def cancel(self) -> None:
        """Post a job and cancel it at once."""
        body, _ = self._request("fresh", 8)
        response = await self._send("jobs, POST", "POST", "/v1/jobs", json=body)
        if response.status_code != 202:
            await self._check_retry(response, "cancel")
            return
        place = response.headers["Location"]
        job = (await self._send("jobs, DELETE", "DELETE", place)).json()
        self._record.check(job["state"] in ("cancelled", "done"), f"a cancelled job is {job['state']}")
        results = (await self._send("jobs, results", "GET", f"{place}/results")).json()["results"]
        self._record.check(len(results) == job["counts"]["done"], "a cancelled job lost results")

    async def bad_request(self) -> None:
        """Send a bad request, and check its problem document."""
        method, path, body, headers, status = self._random.choice(BAD_REQUESTS)
        response = await self._send("bad requests", method, path, content=body, headers=headers)
        media_type = response.headers["Content-Type"]
        is_problem = media_type == "application/problem+json" and response.json()["status"] == status
        self._record.check(response.status_code == status and is_problem, f"{method} {path}: {response.status_code}")

    async def look_up(self) -> None:
        """Request health or a list."""
        response = await self._send("health and lists", "GET", self._random.choice(LOOKUPS))
        self._record.check(response.is_success, f"{response.request.url.path}: {response.status_code}")

    def _request(self, kind: str, n: int) -> tuple[dict[str, Any], list[Facts]]:
        """Return a body, and the expected facts of its architectures."""
        known = self._known[kind]
        rows = self._random.sample(range(len(known.architectures)), min(n, len(known.architectures)))
        body = {**known.options, "architectures": [known.architectures[i] for i in rows]}
        if kind == "fresh":
            body["seed"] = next(self._record.seeds)
        return body, [known.facts[i] for i in rows]

    async def _send(self, kind: str, method: str, path: str, **more: Any) -> httpx.Response:
        started, status = perf_counter(), "none"
        try:
            response = await self._http.request(method, path, **more)
            status = str(response.status_code)
            return response
        finally:
            self._record.statuses[kind, status] += 1
            self._record.seconds[kind].append(perf_counter() - started)

    async def _check_retry(self, response: httpx.Response, kind: str) -> None:
        is_retry = response.status_code in RETRY_STATUSES and "Retry-After" in response.headers
        self._record.check(is_retry, f"{kind}: {response.status_code} {response.text[:200]}")
        await asyncio.sleep(1)

    async def _follow(self, accepted: httpx.Response, expected: list[Facts]) -> None:
        """Read a job's events until it ends, then all of its results."""
        place = accepted.headers["Location"]
        ids: list[int] = []
        positions: list[int] = []
        started, kind = perf_counter(), "none"
        async with self._http.stream("GET", f"{place}/events") as stream:
            async for line in stream.aiter_lines():
                name, _, value = line.partition(": ")
                if name == "id":
                    ids.append(int(value))
                elif name == "event":
                    kind = value
                elif name == "data" and kind == "item":
                    positions.append(json.loads(value)["position"])
        self._record.statuses["jobs, events", str(stream.status_code)] += 1
        self._record.seconds["jobs, events"].append(perf_counter() - started)
        complete = ids == list(range(1, len(ids) + 1)) and sorted(positions) == list(range(len(expected)))
        self._record.check(complete and kind == "done", f"events of a job are incomplete, or end with {kind}")
        items: dict[int, dict[str, Any]] = {}
        next_page = f"{place}/results?limit=40"
        while next_page:
            page = (await self._send("jobs, results", "GET", next_page)).json()
            items |= {item["position"]: item["result"] for item in page["results"]}
            next_page = page["next"]
        self._record.check(sorted(items) == list(range(len(expected))), "items of a job are lost")
        for i, item_facts in enumerate(expected):
            if i in items:
                self._compare(items[i], item_facts, "job")

    def _compare(self, item: dict[str, Any], expected: Facts, kind: str) -> None:
        if not expected or "error" in item:
            self._record.check(not expected and item["error"]["status"] == 422, f"{kind}: {json.dumps(item)[:300]}")
        else:
            actual = facts(item)
            self._record.check(same(actual, expected), f"{kind}: {actual} instead of {expected}")
