"""Blocking client."""

from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, overload

import httpx

from archrank_client.brief_schemas import BriefPrediction
from archrank_client.endpoints import SCORES, VALIDATIONS, prediction_endpoint
from archrank_client.job import Job
from archrank_client.operations import Operations
from archrank_client.options import Detail, request_options
from archrank_client.progress import Progress, progress_callback
from archrank_client.results import Failure, Ranked, rank_results
from archrank_client.schemas import Architecture, Ensemble, JobStatus, Limits, Prediction, Scores, Validation
from archrank_client.study import Study
from archrank_client.study_operations import StudyOperations
from archrank_client.study_schemas import StudyState
from archrank_client.transport import Settings, SyncTransport, run


class Client:
    """Client of an archrank server.

    Threads may share a client. Close it after use, or use it in a `with` statement.

    Args:
        url: URL of the server; the environment's `ARCHRANK_URL`, else `http://127.0.0.1:8000`, by default.
        key: API key; the environment's `ARCHRANK_KEY` by default. No error, log or representation contains it.
        timeout: seconds that one response may take.
        max_retry_time: seconds for which a request is sent again while the server cannot be reached or is overloaded.
        max_concurrency: largest number of concurrent requests of a call.
        transport: transport of httpx, instead of the default.

    Raises:
        ValueError: an argument is invalid.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        timeout: float = 60.0,
        max_retry_time: float = 300.0,
        max_concurrency: int = 4,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        settings = Settings.from_arguments(url, key, timeout, max_retry_time, max_concurrency)
        self._transport = SyncTransport(settings, transport)
        self._operations = Operations(self._transport)
        self._studies = StudyOperations(self._transport, self._operations)

    @overload
    def predict(
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
    def predict(
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

    def predict(
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
        """Predict the accuracy of architectures.

        Args:
            architectures: architectures as JSON, any number; equal ones are sent once.
            proxies: names of the proxies to compute; all that the ensemble uses if None; none if empty, which predicts
                from structure alone and builds no network.
            explain: explain each prediction, and suggest mutations that raise it.
            ensemble: name of the ensemble; if None, the server's default if it is of the space, else the space's first.
            combiner: name of the combiner; the ensemble's choice if None.
            seed: seed of weights and random draws; the ensemble's if None.
            space: name of the search space, of all architectures; the one that they name if None.
            settings: settings of the space that the ensemble must have, e.g. `{"dataset": "cora"}`.
            detail: `brief` for accuracy, interval and ranking score alone, several times as fast from structure.
            progress: True for a bar on a terminal, or a function of the number done and the total.

        Returns:
            The result of each architecture, in order: a `Prediction` (a `BriefPrediction` with `detail="brief"`), or a
            `Failure` where there is none.

        Raises:
            ArchrankError: the whole call failed.

        Example:
            >>> with Client() as client:
            ...     (prediction,) = client.predict(client.sample(1, seed=1), proxies=[])
            >>> prediction.interval.low < prediction.accuracy < prediction.interval.high
            True
        """
        options = request_options(proxies, explain, ensemble, combiner, seed, space, settings, detail=detail)
        return run(
            self._operations.run_batch(
                prediction_endpoint(options), architectures, options, progress_callback(progress)
            )
        )

    @overload
    def rank(
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
    def rank(
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

    def rank(
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
        """Rank architectures by their predicted accuracy. The arguments are those of `predict`.

        Returns:
            The ranking of the whole list, best first; failures come last, without a rank.

        Raises:
            ArchrankError: the whole call failed.

        Example:
            >>> with Client() as client:
            ...     best, *others = client.rank(client.sample(20, seed=1), proxies=[])
            >>> best.rank, all(best.accuracy >= other.accuracy for other in others)
            (1, True)
        """
        options = request_options(proxies, explain, ensemble, combiner, seed, space, settings, detail=detail)
        call = self._operations.run_batch(
            prediction_endpoint(options), architectures, options, progress_callback(progress)
        )
        return rank_results(run(call))

    def score(
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
        """Compute proxy scores of architectures, also of a space without an ensemble.

        Args:
            architectures: as for `predict`.
            proxies: names of the proxies; the default ones if None.
            seed: as for `predict`.
            space: as for `predict`.
            settings: settings of the space; those of its ensemble if None, else the space's defaults.
            batch: seed and sizes of a synthetic probe batch, e.g. `{"batch_size": 8}`; the ensemble's batch if None.
            progress: as for `predict`.

        Returns:
            The result of each architecture, in order: its `Scores`, or a `Failure`.

        Raises:
            ArchrankError: the whole call failed.
        """
        options = request_options(proxies, seed=seed, space=space, settings=settings, batch=batch)
        return run(self._operations.run_batch(SCORES, architectures, options, progress_callback(progress)))

    def validate(
        self,
        architectures: Iterable[Any],
        *,
        space: str | None = None,
        settings: Mapping[str, Any] | None = None,
        progress: Progress = False,
    ) -> list[Validation | Failure]:
        """Validate architectures, and count their parameters and FLOPs, without building a network.

        Args:
            architectures: as for `predict`.
            space: as for `predict`.
            settings: as for `score`.
            progress: as for `predict`.

        Returns:
            The result of each architecture, in order: a `Validation`, or a `Failure`.

        Raises:
            ArchrankError: the whole call failed.
        """
        options = request_options(space=space, settings=settings)
        return run(self._operations.run_batch(VALIDATIONS, architectures, options, progress_callback(progress)))

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
        space: str | None = None,
        settings: Mapping[str, Any] | None = None,
        batch: Mapping[str, int] | None = None,
        detail: Detail = "full",
        idempotency_key: str | None = None,
    ) -> Job:
        """Submit a job, which continues without this process and over restarts of the server.

        Args:
            architectures: architectures as JSON, at most `limits().max_job_architectures`. Duplicates are sent, so that
                positions are those of this list.
            kind: kind of the results.
            proxies: as for `predict`.
            explain: as for `predict`.
            ensemble: as for `predict`.
            combiner: as for `predict`.
            seed: as for `predict`.
            space: as for `predict`.
            settings: as for `predict` or `score`.
            batch: as for `score`.
            detail: as for `predict`.
            idempotency_key: submissions of the same architectures with the same key create one job.

        Raises:
            ArchrankError: the job was not created.

        Example:
            >>> with Client() as client:
            ...     job = client.submit(client.sample(3, seed=1), proxies=[])
            ...     accuracies = [result.accuracy for result in job.results()]
            ...     job.status().state, len(accuracies)
            ('done', 3)
        """
        options = request_options(proxies, explain, ensemble, combiner, seed, space, settings, batch, detail)
        status = run(self._operations.submit(kind, architectures, options, idempotency_key))
        return Job(self._operations, status)

    def job(self, id: str) -> Job:  # noqa: A002
        """Return a job that this process or another submitted."""
        return Job(self._operations, run(self._operations.status(id)))

    def jobs(self, limit: int = 100) -> list[JobStatus]:
        """Return the status of each job, newest first."""
        return run(self._operations.jobs(limit))

    def study(
        self,
        name: str,
        *,
        space: str | None = None,
        task: str | None = None,
        metric: Mapping[str, str] | None = None,
        settings: Mapping[str, Any] | None = None,
        sources: Sequence[str] | None = None,
    ) -> Study:
        """Create a study, or open the one of that name.

        Several processes may create it at once, with the same definition. With a name alone, a study is only opened.

        Args:
            name: name of the study, unique among those of the API key.
            space: name of the search space.
            task: name of the task or data set, for users.
            metric: `name`, `direction` (`maximize` or `minimize`) and `unit` (`fraction`, `percent` or `number`) of
                the observed values; an accuracy as a fraction if None.
            settings: settings of the space; its defaults if None.
            sources: names of the ensembles of other tasks whose predictions are inputs; all of the space if None.

        Raises:
            NotFoundError: there is no study of that name, and no space to create it in.
            ConflictError: the study of that name has another definition.
            ArchrankError: the call failed.

        Example:
            >>> with Client() as client:
            ...     study = client.study("example", space="gcn-nas", task="my data")
            ...     for architecture in client.sample(3, seed=1):
            ...         result = study.observe(architecture, 0.9)
            ...     result.observations
            3
        """
        return Study(self._studies, run(self._studies.open(name, space, task, metric, settings, sources)))

    def studies(self) -> list[StudyState]:
        """Return the states of all studies of the API key."""
        return run(self._studies.studies())

    def import_study(self, document: Mapping[str, Any]) -> Study:
        """Create a study from a document of `Study.export`, or add its observations to the study of that name."""
        return Study(self._studies, run(self._studies.import_study(document)))

    def spaces(self) -> dict[str, dict[str, Any]]:
        """Return the search spaces by name: capabilities, settings, presets, JSON Schema of the architectures."""
        return run(self._operations.spaces())

    def sample(
        self,
        n: int,
        *,
        space: str | None = None,
        seed: int = 0,
        settings: Mapping[str, Any] | None = None,
        **fixed: Any,
    ) -> list[Architecture]:
        """Draw distinct random architectures.

        Args:
            n: number of architectures.
            space: name of the search space; the server's first one with an ensemble if None.
            seed: seed of the draw.
            settings: settings of the space; its defaults if None.
            fixed: properties that the space can hold fixed, e.g. `depth=6` in `gcn-nas`.

        Raises:
            ArchrankError: the call failed, or the space has fewer architectures.
        """
        return run(self._operations.sample(n, space, seed, settings, fixed))

    def mutate(
        self,
        architecture: Architecture,
        n: int = 1,
        *,
        space: str | None = None,
        seed: int = 0,
        settings: Mapping[str, Any] | None = None,
    ) -> list[Architecture]:
        """Draw distinct random mutations of an architecture.

        Args:
            architecture: the architecture as JSON.
            n: number of mutations, at most `limits().max_sample_size`; there may be fewer.
            space: name of the search space; the one that the architecture names if None.
            seed: as for `sample`.
            settings: as for `sample`.

        Raises:
            ArchrankError: the call failed.
        """
        return run(self._operations.mutate(architecture, n, space, seed, settings))

    def ensembles(self) -> dict[str, Ensemble]:
        """Return the ensembles' cards by name."""
        return run(self._operations.ensembles())

    def limits(self) -> Limits:
        """Return the server's limits, requested once."""
        return run(self._operations.limits())

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._transport.settings.url!r})"
