"""Clients that ask for everything in turn, and check every answer."""

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

BROKEN = {"layers": [["L5"]]}
LATER = (429, 503)
"""Come again later: no answer, and no wrong one."""
JSON = {"Content-Type": "application/json"}
BAD: list[tuple[str, str, bytes, dict[str, str], int]] = [
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
    ("GET", "/v1/spaces/none/sample", b"", {}, 404),
    ("GET", "/nothing", b"", {}, 404),
    ("PUT", "/v1/jobs", b"{}", JSON, 405),
]
GOOD = ["/health/live", "/health/ready", "/v1/jobs", "/v1/proxies", "/v1/ensembles"]


@dataclass
class Record:
    """What all clients saw.

    Attributes:
        seconds: by kind of request, of each.
        statuses: by kind of request and HTTP status; `none` where no answer came.
        wrong: answers that were not what they should be, in words.
    """

    seconds: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    statuses: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    seeds: Any = field(default_factory=lambda: count(SEED))

    def check(self, right: bool, what: str) -> None:
        if not right:
            self.wrong.append(what)


class Client:
    """One of many; each has its own order of requests."""

    def __init__(self, number: int, http: httpx.AsyncClient, known: dict[str, Known], record: Record) -> None:
        self._random, self._http, self._known, self._record = random.Random(number), http, known, record
        self._number, self._jobs = number, count()

    async def work(self, until: float) -> None:
        """One thing after the other until that time."""
        kinds = {self.predict: 6, self.job: 1, self.cancel: 0.5, self.bad: 2, self.look: 2}
        while perf_counter() < until:
            (kind,) = self._random.choices(list(kinds), list(kinds.values()))
            try:
                await kind()
            except (httpx.TransportError, ValueError, LookupError, TypeError) as error:
                self._record.wrong.append(f"{kind.__name__}: {type(error).__name__}: {error}")

    async def predict(self) -> None:
        """Architectures of which some may be new."""
        (kind,) = self._random.choices(["structure", "scored", "fresh"], [8, 3, 1])
        body, expected = self._asked(kind, self._random.randint(1, 6 if kind == "structure" else 2))
        response = await self._ask(f"predictions, {kind}", "POST", "/v1/predictions", json=body)
        if response.status_code == 202:  # it took long
            await self._follow(response, expected)
        elif response.status_code == 200:
            for item, one in zip(response.json()["predictions"], expected, strict=True):
                self._compare(item, one, kind)
        else:
            await self._later(response, kind)

    async def job(self) -> None:
        """A job that is posted twice, followed and read."""
        (kind,) = self._random.choices(["structure", "scored", "fresh"], [4, 2, 1])
        body, expected = self._asked(kind, self._random.randint(1, 100 if kind == "structure" else 6))
        place = self._random.randrange(len(expected) + 1)
        body["architectures"].insert(place, BROKEN)
        expected.insert(place, {})
        headers = {"Idempotency-Key": f"{self._number}-{next(self._jobs)}"}
        response = await self._ask("jobs, POST", "POST", "/v1/jobs", json=body, headers=headers)
        again = await self._ask("jobs, POST again", "POST", "/v1/jobs", json=body, headers=headers)
        if response.status_code != 202:
            await self._later(response, "job")
        elif again.status_code != 202:
            await self._later(again, "job")
        else:
            self._record.check(response.headers["Location"] == again.headers["Location"], "one key, two jobs")
            await self._follow(response, expected)

    async def cancel(self) -> None:
        """A job that is cancelled at once."""
        body, _ = self._asked("fresh", 8)
        response = await self._ask("jobs, POST", "POST", "/v1/jobs", json=body)
        if response.status_code != 202:
            await self._later(response, "cancel")
            return
        place = response.headers["Location"]
        job = (await self._ask("jobs, DELETE", "DELETE", place)).json()
        self._record.check(job["state"] in ("cancelled", "done"), f"a cancelled job is {job['state']}")
        results = (await self._ask("jobs, results", "GET", f"{place}/results")).json()["results"]
        self._record.check(len(results) == job["counts"]["done"], "a cancelled job lost results")

    async def bad(self) -> None:
        """What is refused, and how."""
        method, path, body, headers, status = self._random.choice(BAD)
        response = await self._ask("bad requests", method, path, content=body, headers=headers)
        told = response.headers["Content-Type"] == "application/problem+json" and response.json()["status"] == status
        self._record.check(response.status_code == status and told, f"{method} {path}: {response.status_code}")

    async def look(self) -> None:
        """What those ask who watch."""
        response = await self._ask("health and lists", "GET", self._random.choice(GOOD))
        self._record.check(response.is_success, f"{response.request.url.path}: {response.status_code}")

    def _asked(self, kind: str, n: int) -> tuple[dict[str, Any], list[Facts]]:
        """A request, and what has to be answered."""
        known = self._known[kind]
        chosen = self._random.sample(range(len(known.architectures)), min(n, len(known.architectures)))
        body = {**known.options, "architectures": [known.architectures[i] for i in chosen]}
        if kind == "fresh":
            body["seed"] = next(self._record.seeds)
        return body, [known.facts[i] for i in chosen]

    async def _ask(self, kind: str, method: str, path: str, **more: Any) -> httpx.Response:
        started, status = perf_counter(), "none"
        try:
            response = await self._http.request(method, path, **more)
            status = str(response.status_code)
            return response
        finally:
            self._record.statuses[kind, status] += 1
            self._record.seconds[kind].append(perf_counter() - started)

    async def _later(self, response: httpx.Response, what: str) -> None:
        later = response.status_code in LATER and "Retry-After" in response.headers
        self._record.check(later, f"{what}: {response.status_code} {response.text[:200]}")
        await asyncio.sleep(1)

    async def _follow(self, accepted: httpx.Response, expected: list[Facts]) -> None:
        """Until the job has ended, by its events; then all of its results."""
        place, told, positions = accepted.headers["Location"], [], []
        started, kind = perf_counter(), "none"
        async with self._http.stream("GET", f"{place}/events") as stream:
            async for line in stream.aiter_lines():
                name, _, value = line.partition(": ")
                if name == "id":
                    told.append(int(value))
                elif name == "event":
                    kind = value
                elif name == "data" and kind == "item":
                    positions.append(json.loads(value)["position"])
        self._record.statuses["jobs, events", str(stream.status_code)] += 1
        self._record.seconds["jobs, events"].append(perf_counter() - started)
        whole = told == list(range(1, len(told) + 1)) and sorted(positions) == list(range(len(expected)))
        self._record.check(whole and kind == "done", f"events of a job are not whole, and end with {kind}")
        found, following = {}, f"{place}/results?limit=40"
        while following:
            page = (await self._ask("jobs, results", "GET", following)).json()
            found |= {one["position"]: one["result"] for one in page["results"]}
            following = page["next"]
        self._record.check(sorted(found) == list(range(len(expected))), "items of a job are lost")
        for i, one in enumerate(expected):
            if i in found:
                self._compare(found[i], one, "job")

    def _compare(self, item: dict[str, Any], expected: Facts, what: str) -> None:
        if not expected or "error" in item:
            self._record.check(not expected and item["error"]["status"] == 422, f"{what}: {json.dumps(item)[:300]}")
        else:
            found = facts(item)
            self._record.check(same(found, expected), f"{what}: {found} instead of {expected}")
