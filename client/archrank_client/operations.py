"""Operations of both clients, written once over a blocking or an asynchronous transport."""

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

from archrank_client.brief_schemas import BriefPrediction
from archrank_client.endpoints import Endpoint, Item, read
from archrank_client.errors import (
    APITimeoutError,
    InvalidRequestError,
    JobCancelledError,
    JobFailedError,
    NotFoundError,
    PayloadTooLargeError,
    UnexpectedResponseError,
    item_error,
    split_by_architecture,
)
from archrank_client.events import JobEvents
from archrank_client.options import request_options
from archrank_client.pages import next_path
from archrank_client.payloads import (
    Payload,
    Payloads,
    canonical_json,
    encode_all,
    request_body,
    split_into_requests,
)
from archrank_client.progress import ProgressCallback, ignore_progress
from archrank_client.responses import unexpected_response
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
from archrank_client.transport import Request, Transport

Outcomes = dict[str, Item | Failure]
"""Results and failures by the architecture's canonical JSON."""
MAX_PAGE_SIZE = 200
"""Results of a job that are fetched at once: more would only take more memory."""
MAX_BRIEF_PAGE_SIZE = 1000
"""Brief results of a job that are fetched at once."""
MAX_RESUBMISSIONS = 2
"""Further attempts at an architecture whose scoring was interrupted."""
MAX_SAMPLES_WITHOUT_NEW = 20
"""Samples in a row that may hold no new architecture."""
MAX_EMPTY_PAGES = 2
"""Empty pages in a row after which the job's status is requested."""
SEED_STRIDE = 2654435761
"""Difference between the seeds of a sample's parts: far from seeds that people choose."""


@dataclass(frozen=True)
class Batch(Generic[Item]):
    """Common part of a call's requests.

    Attributes:
        endpoint: endpoint of the call.
        options: options of every request.
        size: number of different architectures.
    """

    endpoint: Endpoint[Item]
    options: Mapping[str, Any]
    size: int


class Operations:
    """Operations of a client. Every method raises `ArchrankError`.

    Args:
        transport: connection to the server.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._limits: Limits | None = None

    async def limits(self) -> Limits:
        """Return the server's limits, requested once."""
        if self._limits is None:
            try:
                self._limits = read(Limits, await self._get("/v1/limits"))
            except NotFoundError:  # an older server
                self._limits = Limits()
        return self._limits

    async def spaces(self) -> dict[str, dict[str, Any]]:
        """Return the search spaces by name."""
        return read(Spaces, await self._get("/v1/spaces")).root

    async def ensembles(self) -> dict[str, Ensemble]:
        """Return the ensembles' cards by name."""
        return read(Ensembles, await self._get("/v1/ensembles")).root

    async def sample(
        self,
        n: int,
        space: str | None,
        seed: int,
        settings: Mapping[str, Any] | None,
        fixed: Mapping[str, Any],
    ) -> list[Architecture]:
        """Return distinct random architectures; a larger sample begins with a smaller one of the same seed."""
        max_sample_size = (await self.limits()).max_sample_size
        name = await self._default_space() if space is None else space
        options = {**request_options(settings=settings), **({"fixed": dict(fixed)} if fixed else {})}
        sampled, without_new = dict[str, Architecture](), 0
        for part in count():
            number, part_seed = min(n, max_sample_size), (seed + part * SEED_STRIDE) % 2**32 if part else seed
            before = len(sampled)
            sampled |= await self._draw(name, "sample", {"number": number, "seed": part_seed, **options})
            without_new = 0 if len(sampled) > before else without_new + 1
            if len(sampled) >= n:
                break
            if without_new >= MAX_SAMPLES_WITHOUT_NEW:
                raise InvalidRequestError(f"n: got {n}; allowed: at most {len(sampled)}, more were not found")
        return list(sampled.values())[:n]

    async def mutate(
        self, architecture: Architecture, n: int, space: str | None, seed: int, settings: Mapping[str, Any] | None
    ) -> list[Architecture]:
        """Return distinct random mutations of an architecture."""
        name = space or architecture.get("space") or await self._default_space()
        body = {"architecture": architecture, "number": n, "seed": seed, **request_options(settings=settings)}
        return list((await self._draw(name, "mutate", body)).values())

    async def _draw(self, space: str, action: str, body: Mapping[str, Any]) -> dict[str, Architecture]:
        """Return drawn architectures by their canonical JSON."""
        path = f"/v1/spaces/{quote(space, safe='')}/{action}"
        request = Request("POST", path, items=body["number"], body=canonical_json(body).encode())
        response = await self._transport.send(request)
        try:
            architectures = read(Sample, response).architectures
            return {canonical_json(architecture): architecture for architecture in architectures}
        except ValueError as error:
            raise unexpected_response(response, f"architectures: {error}") from error

    async def _default_space(self) -> str:
        """Return the name of the first space with an ensemble, else of the first space."""
        spaces = await self.spaces()
        if not spaces:
            raise UnexpectedResponseError("the server has no search space")
        return next((name for name, space in spaces.items() if space.get("ensembles")), next(iter(spaces)))

    async def run_batch(
        self,
        endpoint: Endpoint[Item],
        architectures: Iterable[Any],
        options: Mapping[str, Any],
        on_progress: ProgressCallback,
    ) -> list[Item | Failure]:
        """Return the result of each architecture, in order."""
        payloads = Payloads.from_architectures(architectures)
        repeats = Counter(entry for entry in payloads.entries if isinstance(entry, str))
        total, done = len(payloads.entries), len(payloads.entries) - repeats.total()
        outcomes: Outcomes[Item] = {}

        def add(new: Outcomes[Item]) -> None:
            nonlocal done
            outcomes.update(new)
            done += sum(repeats[text] for text in new)
            on_progress(done, total)

        if payloads.unique:
            on_progress(done, total)
            await self._send_batch(Batch(endpoint, options, len(payloads.unique)), payloads.unique, add)
        return [outcomes[entry] if isinstance(entry, str) else entry for entry in payloads.entries]

    async def _send_batch(
        self, batch: Batch[Item], payloads: Sequence[Payload], add: Callable[[Outcomes[Item]], None]
    ) -> None:
        limits, options = await self.limits(), batch.options
        requests = list(split_into_requests(payloads, options, *batch.endpoint.max_request(limits, options)))
        # Without networks, requests are fastest. A requested combiner may compare architectures with each other, which
        # over several requests would mislead: jobs refuse it.
        prefers_requests = batch.endpoint.results_model is None or (
            options.get("proxies") == [] and "combiner" not in options
        )
        if len(requests) == 1:
            add(await self._request(batch, payloads))
        elif prefers_requests:
            await self._transport.map_concurrently([partial(self._request, batch, part) for part in requests], add)
        else:
            for part in split_into_requests(payloads, options, limits.max_job_architectures, limits.max_job_body_bytes):
                await self._run_job(batch, part, add)

    async def _request(self, batch: Batch[Item], payloads: Sequence[Payload]) -> Outcomes[Item]:
        """Send one request, and further ones for architectures whose scoring was interrupted."""
        outcomes, interrupted = await self._post(batch, payloads)
        for attempt in range(MAX_RESUBMISSIONS):
            if not interrupted:
                break
            await self._transport.sleep(2.0**attempt)
            more, interrupted = await self._post(batch, interrupted)
            outcomes |= more
        return outcomes

    async def _post(self, batch: Batch[Item], payloads: Sequence[Payload]) -> tuple[Outcomes[Item], list[Payload]]:
        """Return the outcomes, and the payloads whose scoring was interrupted."""
        path, body = f"/v1/{batch.endpoint.name}", request_body(payloads, batch.options)
        headers = {"Prefer": f"wait={min(batch.endpoint.wait, self._transport.settings.timeout / 2):.0f}"}
        try:
            request = Request("POST", path, items=len(payloads), body=body, headers=headers)
            response = await self._transport.send(request)
        except InvalidRequestError as error:
            return await _handle_refusal(error, payloads, partial(self._request, batch)), []
        if response.status_code == 202 and batch.endpoint.results_model is not None:
            job = read(JobStatus, response)
            return await self._follow(batch.endpoint, job, payloads, ignore_progress), []
        items = batch.endpoint.read_items(response)
        if len(items) != len(payloads):
            raise unexpected_response(response, f"{len(items)} items for {len(payloads)} architectures")
        request_id = response.headers.get("X-Request-ID")
        results = [_outcome(item, i, payloads[i], request_id) for i, item in enumerate(items)]
        if len(payloads) < batch.size:  # ranks within a part of the architectures
            results = [_without_rank(result) for result in results]
        outcomes = {payload.json: result for payload, result in zip(payloads, results, strict=True)}
        return outcomes, [payload for payload in payloads if _is_interrupted(outcomes[payload.json])]

    async def _run_job(
        self, batch: Batch[Item], payloads: Sequence[Payload], add: Callable[[Outcomes[Item]], None]
    ) -> None:
        try:
            job = await self._create_job(batch.endpoint.name, payloads, batch.options, uuid4().hex)
        except InvalidRequestError as error:

            async def retry(part: Sequence[Payload]) -> Outcomes[Item]:
                await self._run_job(batch, part, add)
                return {}

            add(await _handle_refusal(error, payloads, retry))
        else:
            await self._follow(batch.endpoint, job, payloads, add)

    async def _follow(
        self,
        endpoint: Endpoint[Item],
        status: JobStatus,
        payloads: Sequence[Payload],
        add: Callable[[Outcomes[Item]], None],
    ) -> Outcomes[Item]:
        outcomes: Outcomes[Item] = {}
        job, total = status.id, status.counts.total
        if total != len(payloads):
            raise UnexpectedResponseError(f"job {job} is of {total} architectures; {len(payloads)} were sent")
        try:
            async with aclosing(self._iter_items(endpoint, job, total)) as items:
                async for position, item in items:
                    payload = payloads[position]
                    outcome = {payload.json: _outcome(item, position, payload)}
                    outcomes |= outcome
                    add(outcome)
        except Exception as error:
            error.add_note(f"raised while waiting for job {job}; client.job({job!r}) resumes it")
            raise
        except BaseException:  # an interruption
            await self._transport.send_best_effort(Request("DELETE", _job_path(job)))
            raise
        return outcomes

    async def submit(
        self, kind: str, architectures: Iterable[Any], options: Mapping[str, Any], idempotency_key: str | None
    ) -> JobStatus:
        """Create a job, or return the one that was created with the same key.

        Raises:
            ArchitectureError: an architecture cannot be written as JSON.
            ValueError: the key cannot be sent in a header.
        """
        key = uuid4().hex if idempotency_key is None else idempotency_key
        if not (key and key.isascii() and key.isprintable() and key == key.strip()):
            raise ValueError(f"idempotency_key: got {key!r}; allowed: printable ASCII without spaces around it")
        return await self._create_job(kind, encode_all(architectures), options, key)

    async def _create_job(
        self, kind: str, payloads: Sequence[Payload], options: Mapping[str, Any], idempotency_key: str
    ) -> JobStatus:
        body = request_body(payloads, {"kind": kind, **options})
        request = Request("POST", "/v1/jobs", body=body, headers={"Idempotency-Key": idempotency_key})
        return read(JobStatus, await self._transport.send(request))

    async def jobs(self, limit: int) -> list[JobStatus]:
        """Return the status of each job, newest first."""
        request = Request("GET", "/v1/jobs", items=limit, params={"limit": limit})
        return read(JobList, await self._transport.send(request)).jobs

    async def status(self, job: str, max_retry_time: float | None = None) -> JobStatus:
        """Return the status of a job."""
        request = Request("GET", _job_path(job), max_retry_time=max_retry_time)
        return read(JobStatus, await self._transport.send(request))

    async def cancel(self, job: str) -> JobStatus:
        """Cancel a job and return its status."""
        return read(JobStatus, await self._transport.send(Request("DELETE", _job_path(job))))

    async def wait(self, job: str, timeout: float | None, on_progress: ProgressCallback) -> JobStatus:
        """Return the status of a job after its end.

        Raises:
            APITimeoutError: the job has not ended within `timeout` seconds.
        """
        deadline = inf if timeout is None else monotonic() + timeout
        timeout_error = APITimeoutError(f"job {job} has not ended within {timeout or 0:g} s; it continues")
        events = JobEvents(self._transport, _job_path(job), streams=timeout is None)
        try:
            while True:
                left = None if timeout is None else max(0.0, deadline - monotonic())
                try:
                    status = await self.status(job, left)
                except APITimeoutError as error:
                    if timeout is None:
                        raise
                    raise timeout_error from error
                finished = status.counts.done + status.counts.failed
                on_progress(finished, status.counts.total)
                if status.ended:
                    return status
                if left == 0:
                    raise timeout_error
                await events.wait_beyond(finished, left)
        finally:
            await events.close()

    async def _iter_items(
        self, endpoint: Endpoint[Item], job: str, total: int
    ) -> AsyncGenerator[tuple[int, Item | FailedItem]]:
        """Yield position and item in order of completion, each once. Raises `JobFailedError` where some are missing."""
        assert endpoint.results_model is not None
        max_page_size = MAX_BRIEF_PAGE_SIZE if endpoint.brief else MAX_PAGE_SIZE
        limit = min(max_page_size, (await self.limits()).max_page_size)
        events = JobEvents(self._transport, _job_path(job))
        seen, empty_pages, ended = set[int](), 0, False
        path: str | None = f"{_job_path(job)}/results?limit={limit}"
        try:
            while path is not None:
                response = await self._transport.send(Request("GET", path, items=limit))
                page = read(endpoint.results_model(), response)
                for result in page.results:
                    if result.position >= total or result.position in seen:
                        fault = "came twice" if result.position in seen else f"of a job of {total}"
                        raise unexpected_response(response, f"position {result.position} {fault}")
                    seen.add(result.position)
                    yield result.position, result.result
                path = page.next
                if path is None:
                    break
                path = next_path(path, "/v1/jobs/", self._transport.settings.url, response)
                if page.results:
                    events.reset_interval()
                    empty_pages = 0
                elif ended:
                    raise unexpected_response(
                        response, f"the job has ended, but not its results: {len(seen)} of {total}"
                    )
                else:
                    empty_pages += 1
                    ended = empty_pages >= MAX_EMPTY_PAGES and (await self.status(job)).ended
                if len(page.results) < limit and not ended:
                    await events.wait_beyond(len(seen))
        finally:
            await events.close()
        status = await self.status(job)
        if status.state != "done" or len(seen) < total:
            kind = JobCancelledError if status.state == "cancelled" else JobFailedError
            raise kind(f"job {job} is {status.state}, with {len(seen)} of {total} results")

    async def iter_results(
        self, endpoint: Endpoint[Item], job: str, total: int
    ) -> AsyncGenerator[tuple[int, Item | Failure]]:
        """Yield position and result in order of completion, each once."""
        async with aclosing(self._iter_items(endpoint, job, total)) as items:
            async for position, item in items:
                if isinstance(item, FailedItem):
                    yield position, Failure(item_error(item.error, position, position))
                else:
                    yield position, item

    async def results(
        self, endpoint: Endpoint[Item], job: str, total: int, on_progress: ProgressCallback
    ) -> list[Item | Failure]:
        """Return all results, in the order of the architectures."""
        by_position: dict[int, Item | Failure] = {}
        on_progress(0, total)
        async with aclosing(self.iter_results(endpoint, job, total)) as results:
            async for position, result in results:
                by_position[position] = result
                on_progress(len(by_position), total)
        return [by_position[position] for position in range(total)]

    async def _get(self, path: str) -> httpx.Response:
        return await self._transport.send(Request("GET", path))


async def _handle_refusal(
    error: InvalidRequestError,
    payloads: Sequence[Payload],
    retry: Callable[[Sequence[Payload]], Awaitable[Outcomes[Item]]],
) -> Outcomes[Item]:
    """Return the outcomes of a refused request.

    Raises:
        InvalidRequestError: the request was refused for another reason than its architectures.
    """
    if isinstance(error, PayloadTooLargeError) and len(payloads) > 1:  # a reverse proxy accepts less than the server
        half = len(payloads) // 2
        return await retry(payloads[:half]) | await retry(payloads[half:])
    if isinstance(error, PayloadTooLargeError):
        return {payloads[0].json: Failure(error, payloads[0].architecture)}
    problems = split_by_architecture(error.problem, len(payloads))
    if problems is None:
        raise error
    return {
        payload.json: Failure(item_error(problem, i, payload.index, error.request_id), payload.architecture)
        for i, (problem, payload) in enumerate(zip(problems, payloads, strict=True))
    }


def _outcome(item: Item | FailedItem, position: int, payload: Payload, request_id: str | None = None) -> Item | Failure:
    if isinstance(item, FailedItem):
        return Failure(item_error(item.error, position, payload.index, request_id), payload.architecture)
    if isinstance(item, BriefPrediction):
        return item.model_copy(update={"architecture": payload.architecture})
    return item


def _without_rank(outcome: Item | Failure) -> Item | Failure:
    return outcome.model_copy(update={"rank": None}) if isinstance(outcome, Prediction | BriefPrediction) else outcome


def _is_interrupted(outcome: Item | Failure) -> bool:
    return isinstance(outcome, Failure) and outcome.error.status == 503


def _job_path(job: str) -> str:
    return f"/v1/jobs/{quote(job, safe='')}"
