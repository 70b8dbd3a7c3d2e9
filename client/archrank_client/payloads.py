"""Architectures as JSON: each sent once, in requests that the server accepts."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from archrank_client.errors import ArchitectureError
from archrank_client.results import Failure
from archrank_client.schemas import FieldProblem, Problem

RESERVED_BODY_BYTES = 16
"""Bytes of a body besides its architectures and options."""


@dataclass(frozen=True)
class Payload:
    """One architecture, ready to be sent.

    Attributes:
        json: canonical JSON, the same for equal architectures.
        index: first index of the architecture in the caller's list.
        architecture: the caller's architecture.
    """

    json: str
    index: int
    architecture: Any


@dataclass(frozen=True)
class Payloads:
    """Architectures of a call.

    Attributes:
        unique: the payloads, without duplicates.
        entries: for each architecture of the caller its canonical JSON, or a failure where it has none.
    """

    unique: list[Payload]
    entries: "list[str | Failure]"

    @classmethod
    def from_architectures(cls, architectures: Iterable[Any]) -> "Payloads":
        """Encode the caller's architectures.

        Raises:
            TypeError: the argument is a single architecture or a string.
        """
        if isinstance(architectures, Mapping | str | bytes):
            raise TypeError(f"architectures: got one {type(architectures).__name__}; allowed: a list of architectures")
        unique: dict[str, Payload] = {}
        entries: list[str | Failure] = []
        for index, architecture in enumerate(architectures):
            try:
                text = canonical_json(architecture)
            except (TypeError, ValueError, RecursionError) as error:
                entries.append(Failure(_encoding_error(index, architecture, error), architecture))
            else:
                unique.setdefault(text, Payload(text, index, architecture))
                entries.append(text)
        return cls(list(unique.values()), entries)


def encode_all(architectures: Iterable[Any]) -> list[Payload]:
    """Return the payload of every architecture, duplicates included.

    Raises:
        ArchitectureError: an architecture cannot be written as JSON.
        TypeError: the argument is a single architecture or a string.
    """
    listed = list(architectures) if not isinstance(architectures, Mapping | str | bytes) else architectures
    payloads: list[Payload] = []
    entries = Payloads.from_architectures(listed).entries
    for index, (architecture, entry) in enumerate(zip(listed, entries, strict=True)):
        if isinstance(entry, Failure):
            raise entry.error
        payloads.append(Payload(entry, index, architecture))
    return payloads


def canonical_json(architecture: Any) -> str:
    """Return the JSON of an architecture, the same for equal architectures.

    Raises:
        TypeError: a value has a type that JSON lacks.
        ValueError: a number is not finite, or the value contains itself.
    """
    return _ENCODER.encode(architecture)


def request_body(payloads: Sequence[Payload], options: Mapping[str, Any]) -> bytes:
    """Return the body of a request."""
    rest = json.dumps(options, allow_nan=False, default=_to_list)
    architectures = ",".join(payload.json for payload in payloads)
    return f'{{"architectures":[{architectures}]{"," if options else ""}{rest[1:]}'.encode()


def split_into_requests(
    payloads: Sequence[Payload], options: Mapping[str, Any], max_architectures: int, max_bytes: int
) -> Iterator[list[Payload]]:
    """Split payloads, in order, into requests within the server's limits.

    A payload that is too large by itself gets a request of its own: the server refuses it with the reason.
    """
    request: list[Payload] = []
    overhead = len(request_body([], options)) + RESERVED_BODY_BYTES
    size = overhead
    for payload in payloads:
        length = len(payload.json) + 1  # ASCII, and a comma
        if request and (len(request) >= max_architectures or size + length > max_bytes):
            yield request
            request, size = [], overhead
        request.append(payload)
        size += length
    if request:
        yield request


def _to_list(value: Any) -> Any:
    """Convert arrays and their numbers, e.g. NumPy's, to Python's types."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"JSON has no {type(value).__name__}")


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False, default=_to_list)


def _encoding_error(index: int, architecture: Any, error: Exception) -> ArchitectureError:
    field, allowed = f"architectures[{index}]", f"JSON values ({error})"
    kind = type(architecture).__name__
    problem = Problem(
        status=422,
        title="Invalid input",
        detail=f"{field}: got {kind}; allowed: {allowed}",
        errors=[FieldProblem(field=field, value=kind, allowed=allowed)],
    )
    return ArchitectureError(problem.detail, problem=problem)
