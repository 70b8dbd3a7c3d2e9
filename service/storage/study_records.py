"""Records of studies. Times are in UTC and informative: positions define the order."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from service.storage.records import JsonObject


@dataclass(frozen=True)
class StoredStudy:
    """A study.

    Attributes:
        number: consecutive number, in the order of creation.
        id: random identifier, used by clients.
        owner: id of an API key, or `anonymous`.
        name: name, unique among the studies of the owner.
        definition: definition of the study.
        created_at: time of creation.
        updated_at: time of the last change.
        revision: number of changes of the set of observations.
        total: number of observations.
        last_position: position of the latest observation ever added.
    """

    number: int
    id: str
    owner: str
    name: str
    definition: JsonObject
    created_at: datetime
    updated_at: datetime
    revision: int
    total: int
    last_position: int


@dataclass(frozen=True)
class NewObservation:
    """An observation to add.

    Attributes:
        id: hash of its content.
        fingerprint: fingerprint of the architecture.
        value: metric; None if the training failed or still runs.
        document: the observation as JSON data.
    """

    id: str
    fingerprint: str
    value: float | None
    document: JsonObject


@dataclass(frozen=True)
class StoredObservation(NewObservation):
    """An observation of a study.

    Attributes:
        position: consecutive number within the study, in the order of arrival.
    """

    position: int


@dataclass(frozen=True)
class SuggestionKey:
    """Identity of a request for suggestions.

    Attributes:
        key: idempotency key chosen by the client.
        body_hash: hash of the request's body.
    """

    key: str
    body_hash: str


@dataclass(frozen=True)
class StudySummary:
    """Numbers of a study's observations, and its best architectures.

    Attributes:
        total: number of observations.
        trained: number of architectures with a value.
        failed: number of architectures whose trainings have all failed.
        running: number of architectures whose first training still runs.
        architectures: number of distinct architectures, `trained + failed + running`.
        best: documents of the best architectures and their mean values, best first.
    """

    total: int
    trained: int
    failed: int
    running: int
    architectures: int
    best: Sequence[tuple[JsonObject, float]]
