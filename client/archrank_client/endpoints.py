"""Endpoints that take architectures, and the readers of their responses."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from archrank_client.brief_schemas import BriefPrediction, BriefPredictionResponse
from archrank_client.errors import UnexpectedResponseError
from archrank_client.responses import unexpected_response
from archrank_client.schemas import (
    FailedItem,
    JobResults,
    JobStatus,
    Limits,
    Prediction,
    PredictionResponse,
    ScoreResponse,
    Scores,
    Validation,
    ValidationResponse,
)
from archrank_client.study_schemas import StudyPrediction

Item = TypeVar("Item", Prediction, BriefPrediction, Scores, Validation, StudyPrediction)
M = TypeVar("M", bound=BaseModel)
MAX_SYNC_WAIT_S = 20.0
"""Time after which a request becomes a job: reverse proxies often break off after sixty seconds."""
MAX_NAMED_ERRORS = 1000
"""Validation errors of a response up to which the first is named."""


@dataclass(frozen=True)
class Endpoint(Generic[Item]):
    """Endpoint that takes architectures.

    Attributes:
        name: last part of the path below `/v1`; also the kind of its jobs.
        read_items: reads the items of a response.
        results_model: returns the model of a page of job results, built on first use as that takes milliseconds; None
            for an endpoint without jobs.
        wait: seconds that the server may take for a better answer.
        large: True if a request may be as large as a job.
        brief: True for brief predictions, of which a request that needs no network may have more.
    """

    name: str
    read_items: Callable[[httpx.Response], Sequence[Item | FailedItem]]
    results_model: Callable[[], type[JobResults[Item]]] | None = None
    wait: float = MAX_SYNC_WAIT_S
    large: bool = False
    brief: bool = False

    def max_request(self, limits: Limits, options: Mapping[str, Any]) -> tuple[int, int]:
        """Return the largest number of architectures and of bytes of a request."""
        if self.large:
            return limits.max_job_architectures, limits.max_job_body_bytes
        if self.brief and options.get("proxies") == []:
            return limits.max_brief_architectures, limits.max_body_bytes
        return limits.max_architectures, limits.max_body_bytes


def read(model: type[M], response: httpx.Response) -> M:
    """Return the body of a response.

    Raises:
        UnexpectedResponseError: the body does not match the model.
    """
    try:
        return model.model_validate_json(response.content)
    except ValidationError as error:
        fault = _describe(error)
    raise unexpected_response(response, fault)  # not from pydantic's error, which may be as long as the body


def _describe(error: ValidationError) -> str:
    if error.error_count() > MAX_NAMED_ERRORS:  # pydantic makes a dictionary of each, only to name the first
        return f"it has {error.error_count()} faults"
    first = error.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'body'}: {first['msg']}"


PREDICTIONS = Endpoint[Prediction](
    "predictions",
    lambda response: read(PredictionResponse, response).predictions,
    cache(lambda: JobResults[Prediction]),
)
BRIEF_PREDICTIONS = Endpoint[BriefPrediction](
    "predictions",
    lambda response: read(BriefPredictionResponse, response).predictions,
    cache(lambda: JobResults[BriefPrediction]),
    brief=True,
)
SCORES = Endpoint[Scores](
    "scores", lambda response: read(ScoreResponse, response).scores, cache(lambda: JobResults[Scores])
)
VALIDATIONS = Endpoint[Validation](
    "architectures/validate", lambda response: read(ValidationResponse, response).validations
)
_BY_JOB: dict[tuple[str, str], Endpoint[Any]] = {
    ("predictions", "full"): PREDICTIONS,
    ("predictions", "brief"): BRIEF_PREDICTIONS,
    ("scores", "full"): SCORES,
}


def prediction_endpoint(options: Mapping[str, Any]) -> Endpoint[Any]:
    """Return the endpoint of predictions with the detail of the options."""
    return BRIEF_PREDICTIONS if options.get("detail") == "brief" else PREDICTIONS


def job_endpoint(status: JobStatus) -> Endpoint[Any]:
    """Return the endpoint of a job's results.

    Raises:
        UnexpectedResponseError: this version does not know the kind of job.
    """
    if (status.kind, status.detail) not in _BY_JOB:
        known = ", ".join(dict.fromkeys(kind for kind, _ in _BY_JOB))
        raise UnexpectedResponseError(
            f"the job is of kind {status.kind!r}, with detail {status.detail!r}; this client knows {known}"
        )
    return _BY_JOB[status.kind, status.detail]
