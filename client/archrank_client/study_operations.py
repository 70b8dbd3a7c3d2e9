"""Operations on studies, written once over a blocking or an asynchronous transport."""

import re
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote
from uuid import uuid4

import httpx

from archrank_client.endpoints import Endpoint, read
from archrank_client.errors import InvalidRequestError, NotFoundError, PayloadTooLargeError
from archrank_client.operations import Operations
from archrank_client.pages import next_path
from archrank_client.payloads import Payload, canonical_json, split_into_requests
from archrank_client.progress import ignore_progress
from archrank_client.responses import unexpected_response
from archrank_client.results import Failure, StudyAnswer
from archrank_client.study_schemas import (
    ObservationPage,
    ObserveResult,
    StudyBasis,
    StudyExport,
    StudyList,
    StudyObservation,
    StudyPrediction,
    StudyPredictionResponse,
    StudyState,
    SuggestionResponse,
)
from archrank_client.transport import Request, Transport

T = TypeVar("T")
MAX_OBSERVATIONS = 1000
"""Observations of a request or a page."""
MAX_STUDIES = 1000
"""Studies of a response, of which the first 1 MiB does not count."""
OBSERVATION_FIELD = re.compile(r"\bobservations\[(\d{1,10})\]")


class StudyOperations:
    """Operations on the studies of an API key. Every method raises `ArchrankError`.

    Args:
        transport: connection to the server.
        operations: the client's other operations.
    """

    def __init__(self, transport: Transport, operations: Operations) -> None:
        self._transport, self._operations = transport, operations

    async def open(
        self,
        name: str,
        space: str | None,
        task: str | None,
        metric: Mapping[str, str] | None,
        settings: Mapping[str, Any] | None,
        sources: Sequence[str] | None,
    ) -> StudyState:
        """Create a study, or open the one of that name.

        Raises:
            ValueError: the search space is missing.
            TypeError: `sources` is a string.
        """
        if isinstance(sources, str):
            raise TypeError(f"sources: got {sources!r}; allowed: a list of names")
        options = {"space": space, "task": task, "metric": metric, "settings": settings, "sources": sources}
        definition = {field: value for field, value in options.items() if value is not None}
        if not definition:
            return await self._find(name)
        if space is None:
            raise ValueError("space: got None; allowed: the name of a search space, as the study has a definition")
        body = _encode("study", {"name": name, **definition})
        return read(StudyState, await self._transport.send(Request("POST", "/v1/studies", body=body)))

    async def _find(self, name: str) -> StudyState:
        request = Request("GET", "/v1/studies", items=MAX_STUDIES, params={"name": name})
        studies = read(StudyList, await self._transport.send(request)).studies
        for study in studies:
            if study.name == name:
                return study
        raise NotFoundError(f"name: got {name!r}; allowed: the name of a study, or a space to create it in")

    async def studies(self) -> list[StudyState]:
        """Return the states of all studies."""
        request = Request("GET", "/v1/studies", items=MAX_STUDIES)
        return read(StudyList, await self._transport.send(request)).studies

    async def import_study(self, document: Mapping[str, Any]) -> StudyState:
        """Create a study from its export, or add the export's observations to it."""
        request = Request("POST", "/v1/studies/import", body=_encode("document", document))
        return read(StudyState, await self._transport.send(request))

    async def state(self, study: str, wait: float = 0) -> StudyState:
        """Return the state of a study."""
        request = Request("GET", _path(study), headers=self._prefer(wait))
        return read(StudyState, await self._transport.send(request))

    async def observe(self, study: str, observations: Iterable[Mapping[str, Any]]) -> ObserveResult:
        """Add observations, in as many requests as needed, and return the sums of the requests' results.

        Raises:
            InvalidRequestError: an observation is invalid; those of earlier requests have been added.
        """
        payloads = [
            Payload(_encode(f"observations[{i}]", observation).decode(), i, None)
            for i, observation in enumerate(observations)
        ]
        limits = await self._operations.limits()
        results = [
            await self._post_observations(study, part)
            for part in split_into_requests(payloads, {}, MAX_OBSERVATIONS, limits.max_job_body_bytes)
        ]
        if not results:
            total = (await self.state(study)).observations.total
            return ObserveResult(added=0, duplicates=0, observations=total)
        return _sum(results)

    async def _post_observations(self, study: str, payloads: Sequence[Payload]) -> ObserveResult:
        body = f'{{"observations":[{",".join(payload.json for payload in payloads)}]}}'.encode()
        request = Request("POST", f"{_path(study)}/observations", body=body)
        try:
            return read(ObserveResult, await self._transport.send(request))
        except PayloadTooLargeError:  # a reverse proxy accepts less than the server
            if len(payloads) == 1:
                raise
            half = len(payloads) // 2
        except InvalidRequestError as error:
            raise _renumber(error, payloads[0].index) from None
        return _sum([await self._post_observations(study, part) for part in (payloads[:half], payloads[half:])])

    async def predict(
        self, study: str, architectures: Iterable[Any], wait: float
    ) -> StudyAnswer[StudyPrediction | Failure]:
        """Return the prediction of each architecture, in order."""
        bases: list[StudyBasis] = []

        def read_items(response: httpx.Response) -> Any:
            document = read(StudyPredictionResponse, response)
            bases.append(document)
            return document.predictions

        name = f"studies/{quote(study, safe='')}/predictions"
        endpoint = Endpoint[StudyPrediction](name, read_items, wait=wait, large=True)  # one request, of one fit
        predictions = await self._operations.run_batch(endpoint, architectures, {}, ignore_progress)
        return _answer(predictions, bases)

    async def suggest(
        self, study: str, n: int, candidates: Iterable[Any] | None, seed: int, reserve: bool, wait: float
    ) -> StudyAnswer[StudyPrediction]:
        """Return architectures to train next, best first."""
        body: dict[str, Any] = {"number": n, "seed": seed, "reserve": reserve}
        if candidates is not None:
            body["candidates"] = list(candidates)
        path, content = f"{_path(study)}/suggestions", _encode("candidates", body)
        headers = self._prefer(wait)
        if reserve:  # of all attempts, one reserves
            headers["Idempotency-Key"] = uuid4().hex
        request = Request("POST", path, items=n, body=content, headers=headers)
        response = await self._transport.send(request)
        document = read(SuggestionResponse, response)
        if len(document.suggestions) > n:
            raise unexpected_response(response, f"{len(document.suggestions)} suggestions; {n} were requested")
        return _answer(document.suggestions, [document])

    async def observations(self, study: str) -> AsyncGenerator[StudyObservation]:
        """Yield all observations, each once."""
        resource, seen = f"{_path(study)}/observations", set[str]()
        path: str | None = f"{resource}?limit={MAX_OBSERVATIONS}"
        while path is not None:
            response = await self._transport.send(Request("GET", path, items=MAX_OBSERVATIONS))
            page = read(ObservationPage, response)
            for observation in page.observations:
                if observation.id in seen:
                    raise unexpected_response(response, f"observation {observation.id} came twice")
                seen.add(observation.id)
                yield observation
            path = page.next
            if path is not None:
                path = next_path(path, resource, self._transport.settings.url, response)
                if not page.observations:
                    raise unexpected_response(response, "a page is empty, but not the last")

    async def delete_observation(self, study: str, observation: str) -> None:
        """Delete an observation."""
        await self._delete(f"{_path(study)}/observations/{quote(observation, safe='')}")

    async def export(self, study: str) -> dict[str, Any]:
        """Return a study as one JSON document."""
        items = (await self.state(study)).observations.total
        response = await self._transport.send(Request("GET", f"{_path(study)}/export", items=items))
        return read(StudyExport, response).root

    async def delete(self, study: str) -> None:
        """Delete a study."""
        await self._delete(_path(study))

    def _prefer(self, wait: float) -> dict[str, str]:
        return {"Prefer": f"wait={min(wait, self._transport.settings.timeout / 2):.0f}"}

    async def _delete(self, path: str) -> None:
        """Delete a resource, which an earlier attempt may have done."""
        try:
            await self._transport.send(Request("DELETE", path))
        except NotFoundError:
            return


def _path(study: str) -> str:
    return f"/v1/studies/{quote(study, safe='')}"


def _encode(name: str, value: Any) -> bytes:
    """Return a value as JSON.

    Raises:
        InvalidRequestError: JSON has no such value.
    """
    try:
        return canonical_json(value).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequestError(f"{name}: got a {type(value).__name__}; allowed: JSON values ({error})") from None


def _sum(results: Sequence[ObserveResult]) -> ObserveResult:
    """Return the result of several requests, of which the last knows the number of observations."""
    return ObserveResult(
        added=sum(result.added for result in results),
        duplicates=sum(result.duplicates for result in results),
        observations=results[-1].observations,
    )


def _renumber(error: InvalidRequestError, start: int) -> InvalidRequestError:
    """Return the error of a request whose first observation is the caller's number `start`."""

    def shift(text: str) -> str:
        return OBSERVATION_FIELD.sub(lambda match: f"observations[{int(match[1]) + start}]", text)

    problem = error.problem
    if problem is not None:
        errors = [item.model_copy(update={"field": shift(item.field)}) for item in problem.errors]
        problem = problem.model_copy(update={"detail": shift(problem.detail), "errors": errors})
    return type(error)(shift(str(error)), status=error.status, problem=problem, request_id=error.request_id)


def _answer(items: Sequence[T], bases: Sequence[StudyBasis]) -> StudyAnswer[T]:
    """Return the answer that several responses make up."""
    if not bases:
        return StudyAnswer(tuple(items), None, None, ())
    counts = sorted({basis.observations for basis in bases})
    notes = list(dict.fromkeys(note for basis in bases for note in basis.notes))
    if len(counts) > 1:
        notes.append(f"parts of the answer rest on {counts[0]} to {counts[-1]} observations: a fit ended in between")
    return StudyAnswer(tuple(items), counts[0], max(basis.pending for basis in bases), tuple(notes))
