"""The store: scores, jobs and API keys, on SQLite or PostgreSQL, whatever happens to the processes that use it."""

from service.storage.errors import (
    IdempotencyError,
    JobStateError,
    NotFoundError,
    StoreBusyError,
    StoreError,
    StoreFullError,
    StoreGoneError,
    StoreSchemaError,
    TooManyJobsError,
)
from service.storage.records import ApiKey, Basis, Claim, Event, Item, Job, NewItem, Outcome, Page, Requeued
from service.storage.store import Store

__all__ = [
    "ApiKey",
    "Basis",
    "Claim",
    "Event",
    "IdempotencyError",
    "Item",
    "Job",
    "JobStateError",
    "NewItem",
    "NotFoundError",
    "Outcome",
    "Page",
    "Requeued",
    "Store",
    "StoreBusyError",
    "StoreError",
    "StoreFullError",
    "StoreGoneError",
    "StoreSchemaError",
    "TooManyJobsError",
]
