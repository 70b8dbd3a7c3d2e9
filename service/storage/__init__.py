"""Store of scores, jobs and API keys, on SQLite or PostgreSQL."""

from service.storage.errors import (
    IdempotencyError,
    NotFoundError,
    StoreBusyError,
    StoreError,
    StoreFullError,
    StoreSchemaError,
    StoreUnavailableError,
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
    "NotFoundError",
    "RequeueResult",
    "ScoreKey",
    "Store",
    "StoreBusyError",
    "StoreError",
    "StoreFullError",
    "StoreSchemaError",
    "StoreUnavailableError",
    "TooManyJobsError",
]
