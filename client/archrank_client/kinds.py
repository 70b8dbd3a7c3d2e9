"""Kinds of requests about architectures, and readers of their answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from archrank_client.answers import unexpected
from archrank_client.errors import UnexpectedAnswer
from archrank_client.schemas import (
    FailedItem,
    JobResults,
    PredictedPage,
    Prediction,
    ScoredPage,
    Scores,
    ValidatedPage,
    Validation,
)

Item = TypeVar("Item", Prediction, Scores, Validation)
M = TypeVar("M", bound=BaseModel)
MANY = 1000
"""Faults of one answer, beyond which none is named."""


@dataclass(frozen=True)
class Kind(Generic[Item]):
    """A kind of request about architectures.

    Attributes:
        name: in paths.
        items: reads the body of an answer.
        results: makes the model of a page of a job's results when one is read, as that takes milliseconds; None where
            there are no such jobs.
    """

    name: str
    items: Callable[[httpx.Response], Sequence[Item | FailedItem]]
    results: Callable[[], type[JobResults[Item]]] | None = None


def read(model: type[M], response: httpx.Response) -> M:
    """The body of an answer. Raises `UnexpectedAnswer`."""
    try:
        return model.model_validate_json(response.content)
    except ValidationError as error:
        fault = _fault(error)
    raise unexpected(response, fault)  # not from pydantic's error, which may be as long as the answer


def _fault(error: ValidationError) -> str:
    if error.error_count() > MANY:  # pydantic makes a dictionary of each, only to name the first
        return f"it has {error.error_count()} faults"
    first = error.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'body'}: {first['msg']}"


PREDICTIONS = Kind[Prediction](
    "predictions", lambda response: read(PredictedPage, response).predictions, cache(lambda: JobResults[Prediction])
)
SCORES = Kind[Scores]("scores", lambda response: read(ScoredPage, response).scores, cache(lambda: JobResults[Scores]))
VALIDATIONS = Kind[Validation]("validations", lambda response: read(ValidatedPage, response).validations)
_JOBS: dict[str, Kind[Any]] = {kind.name: kind for kind in (PREDICTIONS, SCORES)}


def job_kind(name: str) -> Kind[Any]:
    """Schema of a job's results. Raises `UnexpectedAnswer`."""
    if name not in _JOBS:
        raise UnexpectedAnswer(f"the job is of kind {name!r}; this client knows {', '.join(_JOBS)}")
    return _JOBS[name]
