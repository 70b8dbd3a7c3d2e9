"""What both clients do, written once: over a wire that blocks, or over one that is awaited."""

import re
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from itertools import count
from math import inf
from time import monotonic
from typing import Any, Generic
from urllib.parse import quote
from uuid import uuid4

import httpx

from archrank_client.answers import unexpected
from archrank_client.errors import (
    InvalidRequest,
    JobCancelled,
    JobFailed,
    NotFound,
    TimedOut,
    TooLarge,
    UnexpectedAnswer,
    of_item,
    refusals,
)
from archrank_client.events import JobEvents
from archrank_client.kinds import Item, Kind, read
from archrank_client.payloads import Payloads, Text, body, chunks, written
from archrank_client.progress import ProgressCallback, nobody
from archrank_client.results import Failure
from archrank_client.schemas import (
    Architecture,
    Ensemble,
    Ensembles,
    FailedItem,
    JobList,
    JobStatus,
    Limits,
    Prediction,
    Sample,
    Spaces,
)
from archrank_client.transport import Call, Transport

Found = dict[str, Item | Failure]
"""By an architecture's JSON, what became of it."""
WAIT = 20
"""Seconds after which a request becomes a job: what stands before a server often breaks it off after sixty."""
PAGE = 200
"""Results of a job that are fetched at once: more would only take more memory."""
AGAIN = 2
"""How often an architecture is asked for again that the server was interrupted at."""
FEW_NEW = 20
"""Samples in a row that may hold nothing new."""
FEW_EMPTY = 2
"""Pages in a row without results, after which it is asked whether the job has ended."""
STRIDE = 2654435761
"""Between the seeds of the parts of a sample: far from those that people choose."""
NEXT = re.compile("/v1/jobs/[!-~]{1,1000}")
"""Paths to the next page of results: of the server itself, which alone is sent the key."""


@dataclass(frozen=True)
class Asked(Generic[Item]):
    """What is asked of so many different architectures."""

    kind: Kind[Item]
    options: Mapping[str, Any]
    number: int


class Operations:
    """All that is asked of a server. Everything raises `ArchrankError`."""

    def __init__(self, wire: Transport) -> None:
        self._wire = wire
        self._limits: Limits | None = None

    async def limits(self) -> Limits:
        """Asked for once."""
        if self._limits is None:
            try:
                self._limits = read(Limits, await self._get("/v1/limits"))
            except NotFound:  # an older server
                self._limits = Limits()
        return self._limits

    async def spaces(self) -> dict[str, dict[str, Any]]:
        """By name."""
        return read(Spaces, await self._get("/v1/spaces")).root

    async def ensembles(self) -> dict[str, Ensemble]:
        """By name."""
        return read(Ensembles, await self._get("/v1/ensembles")).root

    async def sample(self, n: int, space: str, seed: int, depth: int | None) -> list[Architecture]:
        """Different ones; the first of them are those of a smaller sample."""
        most, found, empty = (await self.limits()).sample, dict[str, Architecture](), 0
        for part in count():
            query = {"n": min(n, most), "seed": (seed + part * STRIDE) % 2**32 if part else seed}
            query |= {} if depth is None else {"depth": depth}
            path = f"/v1/spaces/{quote(space, safe='')}/sample"
            answer = await self._wire.send(Call("GET", path, items=query["n"], params=query))
            before = len(found)
            try:
                found |= {written(one): one for one in read(Sample, answer).architectures}
            except ValueError as error:
                raise unexpected(answer, f"architectures: {error}") from error
            empty = 0 if len(found) > before else empty + 1
            if len(found) >= n:
                break
            if empty >= FEW_NEW:
                raise InvalidRequest(f"n: got {n}; allowed: at most {len(found)}, more were not found")
        return list(found.values())[:n]

    async def answers(
        self, kind: Kind[Item], architectures: Iterable[Any], options: Mapping[str, Any], told: ProgressCallback
    ) -> list[Item | Failure]:
        """What became of each, in order."""
        texts = Payloads.of(architectures)
        numbers = Counter(place for place in texts.places if isinstance(place, str))
        total, done = len(texts.places), len(texts.places) - numbers.total()
        found: Found[Item] = {}

        def add(some: Found[Item]) -> None:
            nonlocal done
            found.update(some)
            done += sum(numbers[text] for text in some)
            told(done, total)

        if texts.unique:
            told(done, total)
            await self._ask(Asked(kind, options, len(texts.unique)), texts.unique, add)
        return [found[place] if isinstance(place, str) else place for place in texts.places]

    async def _ask(self, asked: Asked[Item], texts: Sequence[Text], add: Callable[[Found[Item]], None]) -> None:
        limits, options = await self.limits(), asked.options
        requests = list(chunks(texts, options, limits.architectures, limits.body_bytes))
        # Without networks, requests are the fastest. A combiner that is asked for may compare architectures with each
        # other, which over several requests would mislead: jobs refuse it.
        quick = asked.kind.results is None or (options.get("proxies") == [] and "combiner" not in options)
        if len(requests) == 1:
            add(await self._requested(asked, texts))
        elif quick:
            await self._wire.each([partial(self._requested, asked, some) for some in requests], add)
        else:
            for some in chunks(texts, options, limits.job_architectures, limits.job_body_bytes):
                await self._in_job(asked, some, add)

    async def _requested(self, asked: Asked[Item], texts: Sequence[Text]) -> Found[Item]:
        """By one request, or as many as it takes where the server was interrupted at some of them."""
        found, lost = await self._posted(asked, texts)
        for attempt in range(AGAIN):
            if not lost:
                break
            await self._wire.sleep(2.0**attempt)
            more, lost = await self._posted(asked, lost)
            found |= more
        return found

    async def _posted(self, asked: Asked[Item], texts: Sequence[Text]) -> tuple[Found[Item], list[Text]]:
        """What became of each, and those of them that may do better when asked for again."""
        path, content = f"/v1/{asked.kind.name}", body(texts, asked.options)
        headers = {"Prefer": f"wait={min(WAIT, self._wire.settings.timeout / 2):.0f}"}
        try:
            answer = await self._wire.send(Call("POST", path, items=len(texts), body=content, headers=headers))
        except InvalidRequest as error:
            return await _refused(error, texts, partial(self._requested, asked)), []
        if answer.status_code == 202:
            return await self._followed(asked.kind, read(JobStatus, answer), texts, nobody), []
        items = asked.kind.items(answer)
        if len(items) != len(texts):
            raise unexpected(answer, f"{len(items)} answers for {len(texts)} architectures")
        request = answer.headers.get("X-Request-ID")
        outcomes = [_outcome(item, i, texts[i], request) for i, item in enumerate(items)]
        if len(texts) < asked.number:  # a rank among these says nothing of all
            outcomes = [_unranked(one) for one in outcomes]
        found = {text.json: one for text, one in zip(texts, outcomes, strict=True)}
        return found, [text for text in texts if _interrupted(found[text.json])]

    async def _in_job(self, asked: Asked[Item], texts: Sequence[Text], add: Callable[[Found[Item]], None]) -> None:
        try:
            job = await self._submitted(asked.kind.name, texts, asked.options, uuid4().hex)
        except InvalidRequest as error:

            async def again(some: Sequence[Text]) -> Found[Item]:
                await self._in_job(asked, some, add)
                return {}

            add(await _refused(error, texts, again))
        else:
            await self._followed(asked.kind, job, texts, add)

    async def _followed(
        self, kind: Kind[Item], status: JobStatus, texts: Sequence[Text], add: Callable[[Found[Item]], None]
    ) -> Found[Item]:
        found: Found[Item] = {}
        job, total = status.id, status.counts.total
        if total != len(texts):
            raise UnexpectedAnswer(f"job {job} is of {total} architectures; {len(texts)} were sent")
        try:
            async with aclosing(self.results(kind, job, total)) as results:
                async for position, item in results:
                    text = texts[position]
                    one = {text.json: _outcome(item, position, text)}
                    found |= one
                    add(one)
        except Exception as error:
            error.add_note(f"it is of job {job}, which client.job({job!r}) takes up again")
            raise
        except BaseException:  # nobody waits any more
            await self._wire.farewell(Call("DELETE", _path(job)))
            raise
        return found

    async def submit(
        self, kind: str, architectures: Iterable[Any], options: Mapping[str, Any], key: str | None
    ) -> JobStatus:
        """A new job, or the one that this key stands for already.

        Raises `ArchitectureError` for what has no JSON, and `ValueError` for a key that no header can have.
        """
        if key is not None and not (key and key.isascii() and key.isprintable() and key == key.strip()):
            raise ValueError(f"idempotency_key: got {key!r}; allowed: printable ASCII without spaces around it")
        return await self._submitted(kind, Payloads.all_of(architectures), options, uuid4().hex if key is None else key)

    async def _submitted(self, kind: str, texts: Sequence[Text], options: Mapping[str, Any], key: str) -> JobStatus:
        content = body(texts, {"kind": kind, **options})
        answer = await self._wire.send(Call("POST", "/v1/jobs", body=content, headers={"Idempotency-Key": key}))
        return read(JobStatus, answer)

    async def jobs(self, limit: int) -> list[JobStatus]:
        """Newest first."""
        return read(JobList, await self._wire.send(Call("GET", "/v1/jobs", items=limit, params={"limit": limit}))).jobs

    async def status(self, job: str, patience: float | None = None) -> JobStatus:
        """How it is doing."""
        return read(JobStatus, await self._wire.send(Call("GET", _path(job), patience=patience)))

    async def cancel(self, job: str) -> JobStatus:
        """How it is afterwards."""
        return read(JobStatus, await self._wire.send(Call("DELETE", _path(job))))

    async def waited(self, job: str, timeout: float | None, told: ProgressCallback) -> JobStatus:
        """How it is when it has ended. Raises `TimedOut`."""
        deadline = inf if timeout is None else monotonic() + timeout
        late = TimedOut(f"job {job} has not ended within {timeout or 0:g} s; it goes on")
        news = JobEvents(self._wire, _path(job), streams=timeout is None)
        try:
            while True:
                left = None if timeout is None else max(0.0, deadline - monotonic())
                try:
                    status = await self.status(job, left)
                except TimedOut as error:
                    if timeout is None:
                        raise
                    raise late from error
                counts = status.counts
                told(counts.done + counts.failed, counts.total)
                if status.ended:
                    return status
                if left == 0:
                    raise late
                await news.beyond(counts.done + counts.failed, left)
        finally:
            await news.close()

    async def results(self, kind: Kind[Item], job: str, total: int) -> AsyncGenerator[tuple[int, Item | FailedItem]]:
        """As they are finished, each once, with its position. Raises `JobFailed` where there are not all of them."""
        assert kind.results is not None
        limit, news = min(PAGE, (await self.limits()).page), JobEvents(self._wire, _path(job))
        seen, empty, ended = set[int](), 0, False
        following: str | None = f"{_path(job)}/results?limit={limit}"
        prefix = httpx.URL(self._wire.settings.url).path.rstrip("/")  # a proxy takes it off
        try:
            while following is not None:
                answer = await self._wire.send(Call("GET", following, items=limit))
                page = read(kind.results(), answer)
                for one in page.results:
                    if one.position >= total or one.position in seen:
                        fault = "came twice" if one.position in seen else f"of a job of {total}"
                        raise unexpected(answer, f"position {one.position} {fault}")
                    seen.add(one.position)
                    yield one.position, one.result
                following = page.next
                if following is None:
                    break
                following = following.removeprefix(prefix)
                if not NEXT.fullmatch(following):
                    raise unexpected(answer, "next is not a path of the server")
                if page.results:
                    news.seen()
                    empty = 0
                elif ended:
                    raise unexpected(answer, f"the job has ended, and its results have not, at {len(seen)} of {total}")
                else:
                    empty += 1
                    ended = empty >= FEW_EMPTY and (await self.status(job)).ended
                if len(page.results) < limit and not ended:
                    await news.beyond(len(seen))
        finally:
            await news.close()
        status = await self.status(job)
        if status.state != "done" or len(seen) < total:
            kind_of_end = JobCancelled if status.state == "cancelled" else JobFailed
            raise kind_of_end(f"job {job} is {status.state}, with {len(seen)} of {total} results")

    async def told(self, kind: Kind[Item], job: str, total: int) -> AsyncGenerator[tuple[int, Item | Failure]]:
        """As `results`, for callers."""
        async with aclosing(self.results(kind, job, total)) as results:
            async for position, item in results:
                if isinstance(item, FailedItem):
                    yield position, Failure(of_item(item.error, position, position))
                else:
                    yield position, item

    async def collected(self, kind: Kind[Item], job: str, total: int, told: ProgressCallback) -> list[Item | Failure]:
        """All of them, in the order of the architectures."""
        found: dict[int, Item | Failure] = {}
        told(0, total)
        async with aclosing(self.told(kind, job, total)) as results:
            async for position, result in results:
                found[position] = result
                told(len(found), total)
        return [found[position] for position in range(total)]

    async def _get(self, path: str) -> httpx.Response:
        return await self._wire.send(Call("GET", path))


async def _refused(
    error: InvalidRequest, texts: Sequence[Text], again: Callable[[Sequence[Text]], Awaitable[Found[Item]]]
) -> Found[Item]:
    """What becomes of architectures whose request is refused. Raises the error where it is not for one of them."""
    if isinstance(error, TooLarge) and len(texts) > 1:  # something before the server takes less than the server says
        half = len(texts) // 2
        return await again(texts[:half]) | await again(texts[half:])
    if isinstance(error, TooLarge):
        return {texts[0].json: Failure(error, texts[0].architecture)}
    problems = refusals(error.problem, len(texts))
    if problems is None:
        raise error
    return {
        text.json: Failure(of_item(problem, i, text.place, error.request_id), text.architecture)
        for i, (problem, text) in enumerate(zip(problems, texts, strict=True))
    }


def _outcome(item: Item | FailedItem, position: int, text: Text, request: str | None = None) -> Item | Failure:
    if isinstance(item, FailedItem):
        return Failure(of_item(item.error, position, text.place, request), text.architecture)
    return item


def _unranked(outcome: Item | Failure) -> Item | Failure:
    return outcome.model_copy(update={"rank": None}) if isinstance(outcome, Prediction) else outcome


def _interrupted(found: Item | Failure) -> bool:
    return isinstance(found, Failure) and found.error.status == 503


def _path(job: str) -> str:
    return f"/v1/jobs/{quote(job, safe='')}"
