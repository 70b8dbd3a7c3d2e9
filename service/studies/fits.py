"""Predictors of studies, fitted in the background to the observations in the store."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from common.errors import ArchrankError
from ensemble.combiners.transfer import MIN_ROWS
from models import SearchSpace
from service.inference.registry import EnsembleRegistry
from service.observability.metrics import Metrics
from service.storage import NotFoundError, Store, StoredObservation, StoredStudy
from service.studies.background import BackgroundThreads, Latest
from service.studies.definitions import resolve_space
from service.studies.sources import LoadedSources
from study import Observation, Quality, StudyDefinition, StudyPredictor, estimate_quality, quality_notes

MAX_FITS = 32
"""Number of studies whose predictors are kept in memory."""
NUM_FIT_THREADS = 2
NUM_QUALITY_THREADS = 1


class StudyFitError(ArchrankError):
    """The predictor of a study could not be fitted, and there is no earlier one."""


@dataclass(frozen=True)
class Fit:
    """Predictor of a study, and what it was fitted to.

    Attributes:
        revision: revision of the study.
        last_position: position of the latest observation.
        predictor: the predictor.
        notes: notes on missing sources.
    """

    revision: int
    last_position: int
    predictor: StudyPredictor
    notes: tuple[str, ...]

    @property
    def space(self) -> SearchSpace[Any]:
        """Search space of the study."""
        return self.predictor.space

    @cached_property
    def held_out(self) -> dict[str, float]:
        """Held-out predictions of the observed architectures by fingerprint, in the unit of the metric."""
        return {arch.fingerprint: value for arch, value in self.predictor.held_out_values.items()}


class StudyState:
    """Latest fit of one study, and its quality. For one event loop.

    Attributes:
        fit: the fit.
        quality: quality of a fit, perhaps of an earlier one than `fit`.
    """

    def __init__(self, study_id: str, fits: "StudyFits") -> None:
        self.fit: Latest[Fit] = Latest(
            f"the predictor of study {study_id}", partial(fits.compute_fit, study_id), self.rate
        )
        self.quality: Latest[Quality] = Latest(f"the quality of study {study_id}", partial(fits.compute_quality, self))

    def rate(self) -> None:
        """Estimate the quality of the latest fit in the background."""
        self.quality.request(self.fit.revision)

    @property
    def is_running(self) -> bool:
        """True while a fit or its quality is computed."""
        return self.fit.is_running or self.quality.is_running

    def cancel(self) -> None:
        """Abandon running computations."""
        self.fit.cancel()
        self.quality.cancel()

    async def wait(self, revision: int) -> None:
        """Wait for fit and quality of a revision, as long as they are computed."""
        await self.fit.wait(revision)
        await self.quality.wait(self.fit.revision)

    def notes(self) -> list[str]:
        """Return the notes of answers from the latest fit."""
        notes = []
        if (fit := self.fit.value) is not None:
            notes += [*fit.notes, *fit.predictor.notes]
        if (quality := self.quality.value) is not None:
            if self.quality.revision >= self.fit.revision:
                notes += quality_notes(quality)
            elif quality.trained >= MIN_ROWS:  # below, it says nothing of the latest fit
                notes += [f"with {quality.observations} observations: {note}" for note in quality_notes(quality)]
        if self.fit.error is not None:
            rest = f"; answers rest on the last fit, to {fit.predictor.num_observations} observations" if fit else ""
            notes.append(f"the last refit failed ({describe(self.fit.error)}){rest}")
        if self.quality.error is not None:
            notes.append(f"the quality could not be estimated ({describe(self.quality.error)})")
        return notes


class StudyFits:
    """Fits of the most recently used studies; the store has the truth. For one event loop.

    Args:
        store: store of the studies.
        ensembles: the loaded ensembles.
        metrics: metrics of the service.
    """

    def __init__(self, store: Store, ensembles: EnsembleRegistry, metrics: Metrics) -> None:
        self._store, self._sources, self._metrics = store, LoadedSources(ensembles), metrics
        self._states: OrderedDict[str, StudyState] = OrderedDict()
        self._fit_threads = BackgroundThreads(NUM_FIT_THREADS, "study-fit")
        self._quality_threads = BackgroundThreads(NUM_QUALITY_THREADS, "study-quality")

    def refresh(self, study: StoredStudy) -> StudyState:
        """Refit a study in the background if its latest fit is older than its observations."""
        state = self._states.setdefault(study.id, StudyState(study.id, self))
        self._states.move_to_end(study.id)
        for study_id in list(self._states)[: max(0, len(self._states) - MAX_FITS)]:
            if not self._states[study_id].is_running:
                del self._states[study_id]
        state.fit.request(study.revision)
        if state.fit.value is not None:
            state.rate()
        return state

    def known(self, study_id: str) -> StudyState | None:
        """Return the fit of a study without a refit; None if it is not in memory."""
        return self._states.get(study_id)

    def forget(self, study_id: str) -> None:
        """Drop the fit of a deleted study."""
        if (state := self._states.pop(study_id, None)) is not None:
            state.cancel()

    def close(self) -> None:
        """Abandon all computations: nothing of them has to be kept."""
        for study_id in list(self._states):
            self.forget(study_id)

    async def compute_fit(self, study_id: str) -> tuple[int, Fit]:
        """Read the observations of a study and fit its predictor. Cancelled if the study was deleted meanwhile."""
        try:
            study, rows = await asyncio.to_thread(self._store.studies.observations, study_id)
        except NotFoundError as error:
            self.forget(study_id)
            raise asyncio.CancelledError from error
        with self._metrics.time_fit("predictor"):
            fit = await self._fit_threads.run(_fit, study, rows, self._sources)
        return study.revision, fit

    async def compute_quality(self, state: StudyState) -> tuple[int, Quality]:
        """Estimate the quality of the latest fit."""
        fit = state.fit.value
        assert fit is not None, "the quality is requested after a fit"
        with self._metrics.time_fit("quality"):
            quality = await self._quality_threads.run(estimate_quality, fit.predictor)
        return fit.revision, quality


def _fit(study: StoredStudy, rows: Sequence[StoredObservation], loaded: LoadedSources) -> Fit:
    definition = StudyDefinition.from_json(study.definition)
    space = resolve_space(definition.space, definition.settings)
    observations = [Observation.from_json(space, row.document) for row in rows]
    sources, notes = loaded.of_study(definition)
    predictor = StudyPredictor.fit(definition, space, observations, sources)
    last_position = rows[-1].position if rows else 0
    return Fit(study.revision, last_position, predictor, tuple(notes))


def describe(error: Exception) -> str:
    """Describe a failed computation; unexpected errors reveal nothing of the server's internals."""
    return str(error) if isinstance(error, ArchrankError) else f"{type(error).__name__}; the server's log says more"
