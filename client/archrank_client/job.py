"""Jobs of both clients."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any

from archrank_client.endpoints import Endpoint, job_endpoint
from archrank_client.operations import Operations
from archrank_client.progress import Progress, progress_callback
from archrank_client.results import Result
from archrank_client.schemas import JobStatus
from archrank_client.transport import iterate, run


class Job:
    """Job of the server, which continues without this process.

    Attributes:
        id: identifier; `client.job(id)` resumes the job, in another process too.
        kind: `predictions` or `scores`.
    """

    def __init__(self, operations: Operations, status: JobStatus) -> None:
        self._operations, self.id, self.kind, self._total = operations, status.id, status.kind, status.counts.total
        self._status = status

    def status(self) -> JobStatus:
        """Return the job's status."""
        return run(self._operations.status(self.id))

    def wait(self, timeout: float | None = None, *, progress: Progress = False) -> JobStatus:
        """Wait for the job's end and return its status.

        Args:
            timeout: seconds to wait; any number if None.
            progress: as for `Client.predict`.

        Raises:
            APITimeoutError: the job has not ended in time; it continues.
        """
        return run(self._operations.wait(self.id, timeout, progress_callback(progress)))

    def iter(self) -> Iterator[tuple[int, Result]]:
        """Iterate over position and result of each architecture in order of completion, each once.

        Raises:
            JobCancelledError: the job was cancelled before all results were there.
            JobFailedError: the job ended without all results.
        """
        return iterate(self._operations.iter_results(self._endpoint, self.id, self._total))

    def results(self, *, progress: Progress = False) -> list[Result]:
        """Wait for the job's end and return all results, in the order of the architectures. Raises as `iter`."""
        on_progress = progress_callback(progress)
        return run(self._operations.results(self._endpoint, self.id, self._total, on_progress))

    def cancel(self) -> JobStatus:
        """Cancel the job and return its status. Finished results can still be read."""
        return run(self._operations.cancel(self.id))

    @property
    def _endpoint(self) -> Endpoint[Any]:
        return job_endpoint(self._status)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r})"


class AsyncJob:
    """Asynchronous counterpart of `Job`."""

    def __init__(self, operations: Operations, status: JobStatus) -> None:
        self._operations, self.id, self.kind, self._total = operations, status.id, status.kind, status.counts.total
        self._status = status

    async def status(self) -> JobStatus:
        """As `Job.status`."""
        return await self._operations.status(self.id)

    async def wait(self, timeout: float | None = None, *, progress: Progress = False) -> JobStatus:
        """As `Job.wait`."""
        return await self._operations.wait(self.id, timeout, progress_callback(progress))

    async def iter(self) -> AsyncGenerator[tuple[int, Result]]:
        """As `Job.iter`."""
        async with aclosing(self._operations.iter_results(self._endpoint, self.id, self._total)) as results:
            async for position_and_result in results:
                yield position_and_result

    async def results(self, *, progress: Progress = False) -> list[Result]:
        """As `Job.results`."""
        on_progress = progress_callback(progress)
        return await self._operations.results(self._endpoint, self.id, self._total, on_progress)

    async def cancel(self) -> JobStatus:
        """As `Job.cancel`."""
        return await self._operations.cancel(self.id)

    @property
    def _endpoint(self) -> Endpoint[Any]:
        return job_endpoint(self._status)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r})"
