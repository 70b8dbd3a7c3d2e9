"""Store of scores, jobs, studies and API keys, on SQLite or PostgreSQL."""

from service.storage.errors import (
    IdempotencyError,
    NotFoundError,
    StoreBusyError,
    StoreError,
    StoreFullError,
    StoreSchemaError,
    StoreUnavailableError,
    StudyExistsError,
    TooManyJobsError,
)
from service.storage.records import (
    ApiKey,
    Basis,
    Claim,
    Item,
    ItemOutcome,
    ItemPage,
    Job,
    JobEvent,
    NewItem,
    RequeueResult,
)
from service.storage.score_key import ScoreKey
from service.storage.store import Store
from service.storage.study_records import NewObservation, StoredObservation, StoredStudy, StudySummary, SuggestionKey

__all__ = [
    "ApiKey",
    "Basis",
    "Claim",
    "IdempotencyError",
    "Item",
    "ItemOutcome",
    "ItemPage",
    "Job",
    "JobEvent",
    "NewItem",
    "NewObservation",
    "NotFoundError",
    "RequeueResult",
    "ScoreKey",
    "Store",
    "StoreBusyError",
    "StoreError",
    "StoreFullError",
    "StoreSchemaError",
    "StoreUnavailableError",
    "StoredObservation",
    "StoredStudy",
    "StudyExistsError",
    "StudySummary",
    "SuggestionKey",
    "TooManyJobsError",
]
