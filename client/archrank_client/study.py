"""Studies of both clients."""

from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from archrank_client.results import Failure, StudyAnswer
from archrank_client.study_operations import StudyOperations
from archrank_client.study_schemas import (
    ObserveResult,
    StudyMetric,
    StudyObservation,
    StudyPrediction,
    StudyState,
)
from archrank_client.transport import iterate, run


class _Study:
    """Common part of `Study` and `AsyncStudy`."""

    id: str
    name: str
    space: str
    metric: StudyMetric

    def __init__(self, operations: StudyOperations, state: StudyState) -> None:
        self._operations = operations
        self.id, self.name, self.space, self.metric = state.id, state.name, state.space, state.metric

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


class Study(_Study):
    """Study of the server: a predictor that learns a task from its trained architectures.

    Attributes:
        id: identifier of the study.
        name: name of the study; `client.study(name)` opens it, in another process too.
        space: name of the search space.
        metric: metric of the observations.
    """

    def observe(
        self,
        architecture: Any,
        value: float | None = None,
        *,
        error: str | None = None,
        seconds: float | None = None,
        epochs: int | None = None,
        curve: Sequence[float] | None = None,
    ) -> ObserveResult:
        """Add the result of a training, or the curve so far of one that still runs.

        The same observation counts once, however often it is sent. A curve with neither value nor error is that of a
        running training; a longer curve, a value or an error supersedes it.

        Args:
            architecture: the architecture as JSON.
            value: metric after the training; None if the training failed or still runs.
            error: reason of the failure.
            seconds: time of the training.
            epochs: number of epochs.
            curve: metric after each epoch or evaluation, so far.

        Raises:
            ValueError: there is neither a value, an error nor a curve.
            InvalidRequestError: the observation is invalid, e.g. the value is outside the range of the metric's unit.
            ArchrankError: the call failed.
        """
        return run(
            self._operations.observe(self.id, [_observation(architecture, value, error, seconds, epochs, curve)])
        )

    def observe_many(self, observations: Iterable[Mapping[str, Any]]) -> ObserveResult:
        """Add the results of trainings.

        Args:
            observations: mappings with the arguments of `observe`, in any order. They are sent a thousand at a time;
                of these all are added, or none.

        Raises:
            InvalidRequestError: an observation is invalid.
            ArchrankError: the call failed.
        """
        return run(self._operations.observe(self.id, observations))

    def predict(self, architectures: Iterable[Any], *, wait: float = 0) -> StudyAnswer[StudyPrediction | Failure]:
        """Predict the metric of architectures.

        Args:
            architectures: architectures as JSON, any number; equal ones are sent once.
            wait: seconds to wait for a fit to all observations, at most half the client's timeout; after them the last
                fit answers.

        Returns:
            The result of each architecture, in order: a `StudyPrediction`, or a `Failure` where there is none.

        Raises:
            ArchrankError: the whole call failed.
        """
        return run(self._operations.predict(self.id, architectures, wait))

    def suggest(
        self,
        n: int = 1,
        candidates: Iterable[Any] | None = None,
        *,
        seed: int = 0,
        reserve: bool = True,
        wait: float = 0,
    ) -> StudyAnswer[StudyPrediction]:
        """Return architectures to train next. Observed architectures are never suggested.

        Args:
            n: number of suggestions; there may be fewer.
            candidates: architectures to choose from; the whole space if None.
            seed: seed of the draw of candidates from the space.
            reserve: keep the suggestions from other calls for a day, so that workers train different architectures.
            wait: as for `predict`.

        Raises:
            ArchrankError: the call failed.
        """
        return run(self._operations.suggest(self.id, n, candidates, seed, reserve, wait))

    def state(self, *, wait: float = 0) -> StudyState:
        """Return the study's state: numbers of observations, cross-validated quality, notes, best architectures.

        Args:
            wait: seconds to wait for a fit to all observations and its quality, as for `predict`.

        Raises:
            ArchrankError: the call failed.
        """
        return run(self._operations.state(self.id, wait))

    def observations(self) -> Iterator[StudyObservation]:
        """Yield all observations, each once."""
        return iterate(self._operations.observations(self.id))

    def delete_observation(self, id: str) -> None:  # noqa: A002
        """Delete a mistaken observation; nothing happens if there is none of this identifier."""
        run(self._operations.delete_observation(self.id, id))

    def export(self) -> dict[str, Any]:
        """Return the study as one JSON document, which `Client.import_study` reads."""
        return run(self._operations.export(self.id))

    def delete(self) -> None:
        """Delete the study with its observations; nothing happens if it has been deleted."""
        run(self._operations.delete(self.id))


def _observation(
    architecture: Any,
    value: float | None,
    error: str | None,
    seconds: float | None,
    epochs: int | None,
    curve: Sequence[float] | None,
) -> dict[str, Any]:
    optional = {"error": error, "seconds": seconds, "epochs": epochs, "curve": None if curve is None else list(curve)}
    known = {name: item for name, item in optional.items() if item is not None}
    if value is None and not known.keys() & {"error", "curve"}:
        raise ValueError("value: got None; allowed: a number, or an error or a curve in its place")
    return {"architecture": architecture, "value": value, **known}


class AsyncStudy(_Study):
    """Asynchronous counterpart of `Study`."""

    async def observe(
        self,
        architecture: Any,
        value: float | None = None,
        *,
        error: str | None = None,
        seconds: float | None = None,
        epochs: int | None = None,
        curve: Sequence[float] | None = None,
    ) -> ObserveResult:
        """As `Study.observe`."""
        observation = _observation(architecture, value, error, seconds, epochs, curve)
        return await self._operations.observe(self.id, [observation])

    async def observe_many(self, observations: Iterable[Mapping[str, Any]]) -> ObserveResult:
        """As `Study.observe_many`."""
        return await self._operations.observe(self.id, observations)

    async def predict(self, architectures: Iterable[Any], *, wait: float = 0) -> StudyAnswer[StudyPrediction | Failure]:
        """As `Study.predict`."""
        return await self._operations.predict(self.id, architectures, wait)

    async def suggest(
        self,
        n: int = 1,
        candidates: Iterable[Any] | None = None,
        *,
        seed: int = 0,
        reserve: bool = True,
        wait: float = 0,
    ) -> StudyAnswer[StudyPrediction]:
        """As `Study.suggest`."""
        return await self._operations.suggest(self.id, n, candidates, seed, reserve, wait)

    async def state(self, *, wait: float = 0) -> StudyState:
        """As `Study.state`."""
        return await self._operations.state(self.id, wait)

    async def observations(self) -> AsyncGenerator[StudyObservation]:
        """As `Study.observations`."""
        async with aclosing(self._operations.observations(self.id)) as observations:
            async for observation in observations:
                yield observation

    async def delete_observation(self, id: str) -> None:  # noqa: A002
        """As `Study.delete_observation`."""
        await self._operations.delete_observation(self.id, id)

    async def export(self) -> dict[str, Any]:
        """As `Study.export`."""
        return await self._operations.export(self.id)

    async def delete(self) -> None:
        """As `Study.delete`."""
        await self._operations.delete(self.id)
