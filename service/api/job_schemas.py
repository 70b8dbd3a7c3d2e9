"""Documents of jobs."""

from datetime import datetime, timedelta
from typing import Literal

from pydantic import ConfigDict, Field, StrictBool

from common.errors import InputError
from service.api.schemas import (
    EXAMPLE,
    BatchFields,
    BriefEstimate,
    Document,
    EstimatedItem,
    FailedItem,
    PredictionRequest,
    ScoredItem,
    ScoreRequest,
)
from service.storage import Job


class JobRequest(PredictionRequest):
    """Architectures to process in the background."""

    batch: BatchFields = None
    kind: Literal["predictions", "scores"] = Field("predictions", description="kind of result for each architecture")
    compare: StrictBool = Field(
        False,
        description="must be false: a job predicts each architecture independently",
        json_schema_extra={"const": False},
    )

    model_config = ConfigDict(json_schema_extra={"examples": [{"architectures": [EXAMPLE]}]})

    def to_request(self) -> PredictionRequest | ScoreRequest:
        """Convert to the equivalent synchronous request. Raises `InputError` for fields that it does not have."""
        fields = {name: getattr(self, name) for name in self.model_fields_set - {"kind"}}
        if self.compare:
            raise InputError("compare", True, "false: a job predicts each architecture independently")
        return (PredictionRequest if self.kind == "predictions" else ScoreRequest).model_validate(fields)


class JobCounts(Document):
    """Numbers of a job's architectures by state."""

    total: int
    queued: int
    running: int
    done: int
    failed: int
    cached: int = Field(description="number of those done whose result was known from earlier work")


class JobStatus(Document):
    """State and progress of a job."""

    id: str
    owner: str = Field(description="id of the API key that created the job, or `anonymous`")
    kind: Literal["predictions", "scores"]
    ensemble: str | None = Field(
        description="name of the ensemble that the job is bound to: it predicts, or supplies probe batch and seed of "
        "the scores; null for scores that no ensemble determines"
    )
    ensemble_hash: str | None = Field(description="SHA-256 of the ensemble's artifact; null as above")
    state: Literal["queued", "running", "done", "cancelled", "failed"]
    counts: JobCounts
    progress: float = Field(description="fraction of the architectures that are done or failed")
    eta_seconds: float | None = Field(description="estimated time to completion; null for a finished job")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime | None = Field(description="end of the results' retention; null for an unfinished job")

    @classmethod
    def from_job(cls, job: Job, eta_seconds: float | None, result_retention: timedelta) -> "JobStatus":
        """Convert a stored job."""
        return cls(
            id=job.id,
            owner=job.owner,
            kind=job.kind,
            ensemble=job.ensemble,
            ensemble_hash=job.ensemble_hash,
            state=job.state,
            counts=JobCounts(
                total=job.total,
                queued=job.queued,
                running=job.running,
                done=job.done,
                failed=job.failed,
                cached=job.cached,
            ),
            progress=(job.done + job.failed) / job.total,
            eta_seconds=eta_seconds,
            created_at=job.created_at,
            started_at=job.started_at,
            finished_at=job.finished_at,
            expires_at=job.finished_at and job.finished_at + result_retention,
        )


class JobList(Document):
    """Jobs, newest first."""

    jobs: list[JobStatus]


class JobResult(Document):
    """Result of one of a job's architectures."""

    position: int = Field(description="index in the list of the request, from 0")
    result: EstimatedItem | ScoredItem | BriefEstimate | FailedItem


class JobResults(Document):
    """A page of results, in the order of completion."""

    results: list[JobResult]
    next: str | None = Field(description="path of the next page; null after the last one")
