"""Client for asyncio."""

from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, overload

import httpx

from archrank_client.brief_schemas import BriefPrediction
from archrank_client.endpoints import SCORES, VALIDATIONS, prediction_endpoint
from archrank_client.job import AsyncJob
from archrank_client.operations import Operations
from archrank_client.options import Detail, request_options
from archrank_client.progress import Progress, progress_callback
from archrank_client.results import Failure, Ranked, rank_results
from archrank_client.schemas import Architecture, Ensemble, JobStatus, Limits, Prediction, Scores, Validation
from archrank_client.study import AsyncStudy
from archrank_client.study_operations import StudyOperations
from archrank_client.study_schemas import StudyState
from archrank_client.transport import AsyncTransport, Settings


class AsyncClient:
    """Asynchronous counterpart of `Client`. Close it after use, or use it in an `async with` statement."""

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        timeout: float = 60.0,
        max_retry_time: float = 300.0,
        max_concurrency: int = 4,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        settings = Settings.from_arguments(url, key, timeout, max_retry_time, max_concurrency)
        self._transport = AsyncTransport(settings, transport)
        self._operations = Operations(self._transport)
        self._studies = StudyOperations(self._transport, self._operations)

    @overload
    async def predict(
        self,
        architectures: Iterable[Any],
        *,
        proxies: Sequence[str] | None = None,
        explain: bool = False,
        ensemble: str | None = None,
        combiner: str | None = None,
        seed: int | None = None,
        space: str | None = None,
        settings: Mapping[str, Any] | None = None,
        detail: Literal["full"] = "full",
        progress: Progress = False,
    ) -> list[Prediction | Failure]: ...

    @overload
    async def predict(
        self,
        architectures: Iterable[Any],
        *,
        proxies: Sequence[str] | None = None,
        explain: bool = False,
        ensemble: str | None = None,
        combiner: str | None = None,
        seed: int | None = None,
        space: str | None = None,
        settings: Mapping[str, Any] | None = None,
        detail: Literal["brief"],
        progress: Progress = False,
    ) -> list[BriefPrediction | Failure]: ...

    async def predict(
        self,
        architectures: Iterable[Any],
        *,
        proxies: Sequence[str] | None = None,
        explain: bool = False,
        ensemble: str | None = None,
        combiner: str | None = None,
        seed: int | None = None,
        space: str | None = None,
        settings: Mapping[str, Any] | None = None,
        detail: Detail = "full",
        progress: Progress = False,
    ) -> list[Any | Failure]:
        """As `Client.predict`."""
        options = request_options(proxies, explain, ensemble, combiner, seed, space, settings, detail=detail)
        return await self._operations.run_batch(
            prediction_endpoint(options), architectures, options, progress_callback(progress)
        )

    @overload
    async def rank(
        self,
        architectures: Iterable[Any],
        *,
        proxies: Sequence[str] | None = None,
        explain: bool = False,
        ensemble: str | None = None,
        combiner: str | None = None,
        seed: int | None = None,
        space: str | None = None,
        settings: Mapping[str, Any] | None = None,
        detail: Literal["full"] = "full",
        progress: Progress = False,
    ) -> list[Ranked[Prediction]]: ...

    @overload
    async def rank(
        self,
        architectures: Iterable[Any],
        *,
        proxies: Sequence[str] | None = None,
        explain: bool = False,
        ensemble: str | None = None,
        combiner: str | None = None,
        seed: int | None = None,
        space: str | None = None,
        settings: Mapping[str, Any] | None = None,
        detail: Literal["brief"],
        progress: Progress = False,
    ) -> list[Ranked[BriefPrediction]]: ...

    async def rank(
        self,
        architectures: Iterable[Any],
        *,
        proxies: Sequence[str] | None = None,
        explain: bool = False,
        ensemble: str | None = None,
        combiner: str | None = None,
        seed: int | None = None,
        space: str | None = None,
        settings: Mapping[str, Any] | None = None,
        detail: Detail = "full",
        progress: Progress = False,
    ) -> list[Ranked[Any]]:
        """As `Client.rank`."""
        options = request_options(proxies, explain, ensemble, combiner, seed, space, settings, detail=detail)
        call = self._operations.run_batch(
            prediction_endpoint(options), architectures, options, progress_callback(progress)
        )
        return rank_results(await call)

    async def score(
        self,
        architectures: Iterable[Any],
        *,
        proxies: Sequence[str] | None = None,
        seed: int | None = None,
        space: str | None = None,
        settings: Mapping[str, Any] | None = None,
        batch: Mapping[str, int] | None = None,
        progress: Progress = False,
    ) -> list[Scores | Failure]:
        """As `Client.score`."""
        options = request_options(proxies, seed=seed, space=space, settings=settings, batch=batch)
        return await self._operations.run_batch(SCORES, architectures, options, progress_callback(progress))

    async def validate(
        self,
        architectures: Iterable[Any],
        *,
        space: str | None = None,
        settings: Mapping[str, Any] | None = None,
        progress: Progress = False,
    ) -> list[Validation | Failure]:
        """As `Client.validate`."""
        options = request_options(space=space, settings=settings)
        return await self._operations.run_batch(VALIDATIONS, architectures, options, progress_callback(progress))

    async def submit(
        self,
        architectures: Iterable[Any],
        kind: Literal["predictions", "scores"] = "predictions",
        *,
        proxies: Sequence[str] | None = None,
        explain: bool = False,
        ensemble: str | None = None,
        combiner: str | None = None,
        seed: int | None = None,
        space: str | None = None,
        settings: Mapping[str, Any] | None = None,
        batch: Mapping[str, int] | None = None,
        detail: Detail = "full",
        idempotency_key: str | None = None,
    ) -> AsyncJob:
        """As `Client.submit`."""
        options = request_options(proxies, explain, ensemble, combiner, seed, space, settings, batch, detail)
        status = await self._operations.submit(kind, architectures, options, idempotency_key)
        return AsyncJob(self._operations, status)

    async def job(self, id: str) -> AsyncJob:  # noqa: A002
        """As `Client.job`."""
        return AsyncJob(self._operations, await self._operations.status(id))

    async def jobs(self, limit: int = 100) -> list[JobStatus]:
        """As `Client.jobs`."""
        return await self._operations.jobs(limit)

    async def study(
        self,
        name: str,
        *,
        space: str | None = None,
        task: str | None = None,
        metric: Mapping[str, str] | None = None,
        settings: Mapping[str, Any] | None = None,
        sources: Sequence[str] | None = None,
    ) -> AsyncStudy:
        """As `Client.study`."""
        return AsyncStudy(self._studies, await self._studies.open(name, space, task, metric, settings, sources))

    async def studies(self) -> list[StudyState]:
        """As `Client.studies`."""
        return await self._studies.studies()

    async def import_study(self, document: Mapping[str, Any]) -> AsyncStudy:
        """As `Client.import_study`."""
        return AsyncStudy(self._studies, await self._studies.import_study(document))

    async def spaces(self) -> dict[str, dict[str, Any]]:
        """As `Client.spaces`."""
        return await self._operations.spaces()

    async def sample(
        self,
        n: int,
        *,
        space: str | None = None,
        seed: int = 0,
        settings: Mapping[str, Any] | None = None,
        **fixed: Any,
    ) -> list[Architecture]:
        """As `Client.sample`."""
        return await self._operations.sample(n, space, seed, settings, fixed)

    async def mutate(
        self,
        architecture: Architecture,
        n: int = 1,
        *,
        space: str | None = None,
        seed: int = 0,
        settings: Mapping[str, Any] | None = None,
    ) -> list[Architecture]:
        """As `Client.mutate`."""
        return await self._operations.mutate(architecture, n, space, seed, settings)

    async def ensembles(self) -> dict[str, Ensemble]:
        """As `Client.ensembles`."""
        return await self._operations.ensembles()

    async def limits(self) -> Limits:
        """As `Client.limits`."""
        return await self._operations.limits()

    async def close(self) -> None:
        """As `Client.close`."""
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._transport.settings.url!r})"
