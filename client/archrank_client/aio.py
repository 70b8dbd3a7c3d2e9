"""The client that is awaited, in asyncio."""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Any, Literal, Self

import httpx

from archrank_client.kinds import PREDICTIONS, SCORES, VALIDATIONS, job_kind
from archrank_client.operations import Operations
from archrank_client.options import asked
from archrank_client.progress import Progress, told
from archrank_client.results import Failure, Ranked, Result
from archrank_client.schemas import Architecture, Ensemble, JobStatus, Limits, Prediction, Scores, Validation
from archrank_client.transport import AsyncWire, Settings


class AsyncClient:
    """As `Client`, with methods that are awaited. To be closed, or used in an `async with` statement."""

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        timeout: float = 60.0,
        patience: float = 300.0,
        parallel: int = 4,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._wire = AsyncWire(Settings.of(url, key, timeout, patience, parallel), transport)
        self._flows = Operations(self._wire)

    async def predict(
        self,
        architectures: Iterable[Any],
        *,
        proxies: Sequence[str] | None = None,
        explain: bool = False,
        ensemble: str | None = None,
        combiner: str | None = None,
        seed: int | None = None,
        progress: Progress = False,
    ) -> list[Prediction | Failure]:
        """As `Client.predict`."""
        options = asked(proxies, explain, ensemble, combiner, seed)
        return await self._flows.answers(PREDICTIONS, architectures, options, told(progress))

    async def rank(
        self,
        architectures: Iterable[Any],
        *,
        proxies: Sequence[str] | None = None,
        explain: bool = False,
        ensemble: str | None = None,
        combiner: str | None = None,
        seed: int | None = None,
        progress: Progress = False,
    ) -> list[Ranked]:
        """As `Client.rank`."""
        options = asked(proxies, explain, ensemble, combiner, seed)
        return Ranked.all_of(await self._flows.answers(PREDICTIONS, architectures, options, told(progress)))

    async def score(
        self,
        architectures: Iterable[Any],
        *,
        proxies: Sequence[str] | None = None,
        seed: int | None = None,
        progress: Progress = False,
    ) -> list[Scores | Failure]:
        """As `Client.score`."""
        options = asked(proxies, seed=seed)
        return await self._flows.answers(SCORES, architectures, options, told(progress))

    async def validate(self, architectures: Iterable[Any], *, progress: Progress = False) -> list[Validation | Failure]:
        """As `Client.validate`."""
        return await self._flows.answers(VALIDATIONS, architectures, {}, told(progress))

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
        idempotency_key: str | None = None,
    ) -> "AsyncJob":
        """As `Client.submit`."""
        options = asked(proxies, explain, ensemble, combiner, seed)
        status = await self._flows.submit(kind, architectures, options, idempotency_key)
        return AsyncJob(self._flows, status)

    async def job(self, id: str) -> "AsyncJob":  # noqa: A002
        """As `Client.job`."""
        return AsyncJob(self._flows, await self._flows.status(id))

    async def jobs(self, limit: int = 100) -> list[JobStatus]:
        """As `Client.jobs`."""
        return await self._flows.jobs(limit)

    async def spaces(self) -> dict[str, dict[str, Any]]:
        """As `Client.spaces`."""
        return await self._flows.spaces()

    async def sample(
        self, n: int, *, space: str = "gcn-nas", seed: int = 0, depth: int | None = None
    ) -> list[Architecture]:
        """As `Client.sample`."""
        return await self._flows.sample(n, space, seed, depth)

    async def ensembles(self) -> dict[str, Ensemble]:
        """As `Client.ensembles`."""
        return await self._flows.ensembles()

    async def limits(self) -> Limits:
        """As `Client.limits`."""
        return await self._flows.limits()

    async def close(self) -> None:
        """As `Client.close`."""
        await self._wire.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._wire.settings.url!r})"


class AsyncJob:
    """As `Job`; its methods are awaited."""

    def __init__(self, flows: Operations, status: JobStatus) -> None:
        self._flows, self.id, self.kind, self._total = flows, status.id, status.kind, status.counts.total

    async def status(self) -> JobStatus:
        """As `Job.status`."""
        return await self._flows.status(self.id)

    async def wait(self, timeout: float | None = None, *, progress: Progress = False) -> JobStatus:
        """As `Job.wait`."""
        return await self._flows.waited(self.id, timeout, told(progress))

    async def iter(self) -> AsyncGenerator[tuple[int, Result]]:
        """As `Job.iter`."""
        async with aclosing(self._flows.told(job_kind(self.kind), self.id, self._total)) as results:
            async for one in results:
                yield one

    async def results(self, *, progress: Progress = False) -> list[Result]:
        """As `Job.results`."""
        return await self._flows.collected(job_kind(self.kind), self.id, self._total, told(progress))

    async def cancel(self) -> JobStatus:
        """As `Job.cancel`."""
        return await self._flows.cancel(self.id)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r})"
