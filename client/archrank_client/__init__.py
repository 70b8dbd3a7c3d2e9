"""Client of archrank, which predicts the accuracy of neural architectures without training them.

The package needs neither torch nor the server's packages:

    with Client("http://127.0.0.1:8000") as client:
        best = client.rank(client.sample(100), proxies=[])[0]
"""

from archrank_client.async_client import AsyncClient, AsyncJob
from archrank_client.client import Client, Job
from archrank_client.errors import (
    APIConnectionError,
    APITimeoutError,
    ArchitectureError,
    ArchrankError,
    AuthenticationError,
    ConflictError,
    InvalidRequestError,
    JobCancelledError,
    JobFailedError,
    NotFoundError,
    OverloadedError,
    PayloadTooLargeError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    UnexpectedResponseError,
)
from archrank_client.progress import ProgressBar
from archrank_client.results import Failure, Ranked, Result
from archrank_client.schemas import (
    Architecture,
    Attribution,
    CombinerMetrics,
    Ensemble,
    Estimate,
    Explanation,
    FieldProblem,
    Interval,
    IntervalMetric,
    JobCounts,
    JobStatus,
    Limits,
    PairMetric,
    Prediction,
    Problem,
    ProxyScore,
    Scores,
    SuggestedMutation,
    Summary,
    Validation,
)

__all__ = [
    "APIConnectionError",
    "APITimeoutError",
    "Architecture",
    "ArchitectureError",
    "ArchrankError",
    "AsyncClient",
    "AsyncJob",
    "Attribution",
    "AuthenticationError",
    "Client",
    "CombinerMetrics",
    "ConflictError",
    "Ensemble",
    "Estimate",
    "Explanation",
    "Failure",
    "FieldProblem",
    "Interval",
    "IntervalMetric",
    "InvalidRequestError",
    "Job",
    "JobCancelledError",
    "JobCounts",
    "JobFailedError",
    "JobStatus",
    "Limits",
    "NotFoundError",
    "OverloadedError",
    "PairMetric",
    "PayloadTooLargeError",
    "PermissionDeniedError",
    "Prediction",
    "Problem",
    "ProgressBar",
    "ProxyScore",
    "Ranked",
    "RateLimitError",
    "Result",
    "Scores",
    "ServerError",
    "SuggestedMutation",
    "Summary",
    "UnexpectedResponseError",
    "Validation",
]
