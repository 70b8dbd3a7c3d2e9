"""Asks an archrank server how well graph-convolutional architectures will perform; needs neither torch nor the server.

with Client("http://127.0.0.1:8000") as client:
    best = client.rank(client.sample(100), proxies=[])[0]
"""

from archrank_client.aio import AsyncClient, AsyncJob
from archrank_client.client import Client, Job
from archrank_client.errors import (
    ArchitectureError,
    ArchrankError,
    AuthenticationError,
    Conflict,
    ConnectionFailed,
    InvalidRequest,
    JobCancelled,
    JobFailed,
    NotFound,
    Overloaded,
    PermissionDenied,
    RateLimited,
    ServerError,
    TimedOut,
    TooLarge,
    UnexpectedAnswer,
)
from archrank_client.progress import ProgressBar
from archrank_client.results import Failure, Ranked
from archrank_client.schemas import (
    Edit,
    Ensemble,
    Estimate,
    Explanation,
    FieldProblem,
    Interval,
    JobCounts,
    JobStatus,
    Limits,
    Prediction,
    Problem,
    ProxyScore,
    Reason,
    Scores,
    Summary,
    Validation,
)

__all__ = [
    "ArchitectureError",
    "ArchrankError",
    "AsyncClient",
    "AsyncJob",
    "AuthenticationError",
    "Client",
    "Conflict",
    "ConnectionFailed",
    "Edit",
    "Ensemble",
    "Estimate",
    "Explanation",
    "Failure",
    "FieldProblem",
    "Interval",
    "InvalidRequest",
    "Job",
    "JobCancelled",
    "JobCounts",
    "JobFailed",
    "JobStatus",
    "Limits",
    "NotFound",
    "Overloaded",
    "PermissionDenied",
    "Prediction",
    "Problem",
    "ProgressBar",
    "ProxyScore",
    "Ranked",
    "RateLimited",
    "Reason",
    "Scores",
    "ServerError",
    "Summary",
    "TimedOut",
    "TooLarge",
    "UnexpectedAnswer",
    "Validation",
]
