"""The client that blocks."""

from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Literal, Self

import httpx

from archrank_client.kinds import PREDICTIONS, SCORES, VALIDATIONS, job_kind
from archrank_client.operations import Operations
from archrank_client.options import asked
from archrank_client.progress import Progress, told
from archrank_client.results import Failure, Ranked, Result
from archrank_client.schemas import Architecture, Ensemble, JobStatus, Limits, Prediction, Scores, Validation
from archrank_client.transport import Settings, SyncWire, run


class Client:
    """Asks an archrank server. May be shared by threads; to be closed, or used in a `with` statement.

    Args:
        url: of the server; `ARCHRANK_URL`, or this machine's port 8000, if not given.
        key: API key; `ARCHRANK_KEY` if not given. It is in no error, log or picture of the client.
        timeout: seconds that one answer may take.
        patience: seconds for which a request is sent again where the server cannot be reached or take it.
        parallel: requests at a time, where a call takes several.
        transport: of httpx, instead of its own.

    Raises `ValueError` for what none of these can be.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        timeout: float = 60.0,
        patience: float = 300.0,
        parallel: int = 4,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._wire = SyncWire(Settings.of(url, key, timeout, patience, parallel), transport)
        self._flows = Operations(self._wire)

    def predict(
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
        """A prediction for each architecture, in order; a `Failure` in the place of one that has none.

        Args:
            architectures: any number, as JSON; equal ones are sent once.
            proxies: names; all that are of use if None; none if empty: from structure alone, no network is built.
            explain: say what moved each prediction, and which edits raise it.
            ensemble: name; the server's default if None.
            combiner: name; the ensemble's own choice if None.
            seed: of weights and draws; the ensemble's if None.
            progress: True for a bar on a terminal, or a function of the number done and of all.
        """
        options = asked(proxies, explain, ensemble, combiner, seed)
        return run(self._flows.answers(PREDICTIONS, architectures, options, told(progress)))

    def rank(
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
        """As `predict`, best first over the whole set; failures come last, without a rank."""
        options = asked(proxies, explain, ensemble, combiner, seed)
        return Ranked.all_of(run(self._flows.answers(PREDICTIONS, architectures, options, told(progress))))

    def score(
        self,
        architectures: Iterable[Any],
        *,
        proxies: Sequence[str] | None = None,
        seed: int | None = None,
        progress: Progress = False,
    ) -> list[Scores | Failure]:
        """The proxies' scores of each architecture, in order; a `Failure` in the place of one that has none."""
        options = asked(proxies, seed=seed)
        return run(self._flows.answers(SCORES, architectures, options, told(progress)))

    def validate(self, architectures: Iterable[Any], *, progress: Progress = False) -> list[Validation | Failure]:
        """Size and cost of each architecture, in order, without building it; a `Failure` for one that is none."""
        return run(self._flows.answers(VALIDATIONS, architectures, {}, told(progress)))

    def submit(
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
    ) -> "Job":
        """A job: work that goes on when nobody waits for it, also over a restart of the server.

        Args:
            architectures: all of them are sent, so that a result's position is that of this list; at most as many as
                `limits().job_architectures`.
            kind: what is asked of each; the rest as for `predict` and `score`.
            idempotency_key: the same again, with the same architectures, and it is the same job.
        """
        options = asked(proxies, explain, ensemble, combiner, seed)
        status = run(self._flows.submit(kind, architectures, options, idempotency_key))
        return Job(self._flows, status)

    def job(self, id: str) -> "Job":  # noqa: A002
        """A job that was submitted before, by this process or another."""
        return Job(self._flows, run(self._flows.status(id)))

    def jobs(self, limit: int = 100) -> list[JobStatus]:
        """The jobs that there are, newest first."""
        return run(self._flows.jobs(limit))

    def spaces(self) -> dict[str, dict[str, Any]]:
        """Search spaces by name, with all that is needed to write an architecture down."""
        return run(self._flows.spaces())

    def sample(self, n: int, *, space: str = "gcn-nas", seed: int = 0, depth: int | None = None) -> list[Architecture]:
        """Random architectures, each of them once; the same seed draws the same. `depth`: layers, drawn if None."""
        return run(self._flows.sample(n, space, seed, depth))

    def ensembles(self) -> dict[str, Ensemble]:
        """By name, what each ensemble was fitted on and how good it is."""
        return run(self._flows.ensembles())

    def limits(self) -> Limits:
        """How much the server takes at once; asked for once."""
        return run(self._flows.limits())

    def close(self) -> None:
        """Close the connections."""
        self._wire.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._wire.settings.url!r})"


class Job:
    """Work of the server's that goes on when nobody waits for it.

    Attributes:
        id: `client.job(id)` takes it up again, in another process too.
        kind: `predictions` or `scores`.
    """

    def __init__(self, flows: Operations, status: JobStatus) -> None:
        self._flows, self.id, self.kind, self._total = flows, status.id, status.kind, status.counts.total

    def status(self) -> JobStatus:
        """How it is doing."""
        return run(self._flows.status(self.id))

    def wait(self, timeout: float | None = None, *, progress: Progress = False) -> JobStatus:
        """How it is when it has ended. Raises `TimedOut` after so many seconds; the job goes on."""
        return run(self._flows.waited(self.id, timeout, told(progress)))

    def iter(self) -> Iterator[tuple[int, Result]]:
        """Position and result of each architecture, in the order in which they are finished, each once.

        Raises `JobCancelled` or `JobFailed` at the end where there are not all of them.
        """
        results = self._flows.told(job_kind(self.kind), self.id, self._total)
        try:
            while True:
                try:
                    one = run(anext(results))
                except StopAsyncIteration:
                    return
                yield one
        finally:
            run(results.aclose())

    def results(self, *, progress: Progress = False) -> list[Result]:
        """All results, in the order of the architectures, when the job has ended. Raises as `iter`."""
        return run(self._flows.collected(job_kind(self.kind), self.id, self._total, told(progress)))

    def cancel(self) -> JobStatus:
        """Begin no more of it. What is done stays to be read."""
        return run(self._flows.cancel(self.id))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r})"
