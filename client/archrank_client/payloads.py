"""Architectures as they are sent: each once, in pieces that the server takes."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from archrank_client.errors import ArchitectureError
from archrank_client.results import Failure
from archrank_client.schemas import FieldProblem, Problem

SPARE = 16
"""Bytes of a body besides its architectures and options."""


@dataclass(frozen=True)
class Text:
    """An architecture as JSON, and where the caller's list has it first."""

    json: str
    place: int
    architecture: Any


@dataclass(frozen=True)
class Payloads:
    """The architectures of a call.

    Attributes:
        unique: those that are to be sent, each once.
        places: for each that the caller gave, its JSON, or why it has none.
    """

    unique: list[Text]
    places: "list[str | Failure]"

    @classmethod
    def of(cls, architectures: Iterable[Any]) -> "Payloads":
        """Raises `TypeError` for what is no list of architectures."""
        if isinstance(architectures, Mapping | str | bytes):
            raise TypeError(f"architectures: got one {type(architectures).__name__}; allowed: a list of architectures")
        unique: dict[str, Text] = {}
        places: list[str | Failure] = []
        for place, architecture in enumerate(architectures):
            try:
                text = written(architecture)
            except (TypeError, ValueError, RecursionError) as error:
                places.append(Failure(_unwritable(place, architecture, error), architecture))
            else:
                unique.setdefault(text, Text(text, place, architecture))
                places.append(text)
        return cls(list(unique.values()), places)

    @staticmethod
    def all_of(architectures: Iterable[Any]) -> list[Text]:
        """Every one, equal ones too. Raises `ArchitectureError` where one has no JSON."""
        given = list(architectures) if not isinstance(architectures, Mapping | str | bytes) else architectures
        texts: list[Text] = []
        for place, (architecture, text) in enumerate(zip(given, Payloads.of(given).places, strict=True)):
            if isinstance(text, Failure):
                raise text.error
            texts.append(Text(text, place, architecture))
        return texts


def written(architecture: Any) -> str:
    """Its JSON, the same for all that are equal. Raises `TypeError` and `ValueError` for what JSON does not have."""
    return json.dumps(architecture, sort_keys=True, separators=(",", ":"), allow_nan=False, default=_listed)


def body(texts: Sequence[Text], options: Mapping[str, Any]) -> bytes:
    """The body of a request."""
    rest = json.dumps(options, allow_nan=False, default=_listed)
    architectures = ",".join(text.json for text in texts)
    return f'{{"architectures":[{architectures}]{"," if options else ""}{rest[1:]}'.encode()


def chunks(texts: Sequence[Text], options: Mapping[str, Any], most: int, most_bytes: int) -> Iterator[list[Text]]:
    """In order, so that no body holds more. One that is too large by itself comes alone: the server says so."""
    chunk: list[Text] = []
    spare = len(body([], options)) + SPARE
    size = spare
    for text in texts:
        length = len(text.json) + 1  # ASCII, and a comma
        if chunk and (len(chunk) >= most or size + length > most_bytes):
            yield chunk
            chunk, size = [], spare
        chunk.append(text)
        size += length
    if chunk:
        yield chunk


def _listed(value: Any) -> Any:
    """Arrays and their numbers, e.g. NumPy's, as Python's own."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"JSON has no {type(value).__name__}")


def _unwritable(place: int, architecture: Any, error: Exception) -> ArchitectureError:
    field, allowed = f"architectures[{place}]", f"what JSON has ({error})"
    kind = type(architecture).__name__
    problem = Problem(
        status=422,
        title="Invalid input",
        detail=f"{field}: got {kind}; allowed: {allowed}",
        errors=[FieldProblem(field=field, value=kind, allowed=allowed)],
    )
    return ArchitectureError(problem.detail, problem=problem)
