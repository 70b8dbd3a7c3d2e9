"""Fits of studies in this process: failures, several servers on one store, memory."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from common.errors import ArchrankError
from ensemble.combiners.transfer import MIN_ROWS
from models import get_space
from service.inference.registry import EnsembleRegistry
from service.observability.metrics import Metrics
from service.storage import NewObservation, Store, StoredStudy
from service.studies import fits as fits_module
from service.studies.fits import StudyFits, StudyState
from study import Observation, StudyDefinition, StudyPredictor
from tests.synthetic_study import SPACE, observations
from tests.waiting import PATIENCE_S

NO_ENSEMBLES = EnsembleRegistry({}, "none", torch.device("cpu"))
Test = Callable[[StudyFits], Coroutine[Any, Any, None]]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(Store.directory_url(tmp_path)) as store:
        yield store


def new_observations(number: int) -> list[NewObservation]:
    space = get_space(SPACE)
    parsed = [Observation.from_json(space, row) for row in observations(number)]
    return [NewObservation(each.id, each.architecture.fingerprint, each.value, each.to_json(space)) for each in parsed]


def create(store: Store, number: int = 0, **fields: Any) -> StoredStudy:
    definition = StudyDefinition(**{"name": "s", "space": SPACE, "settings": get_space(SPACE).settings, **fields})
    return store.studies.create("me", definition.to_json(), new_observations(number))[0]


async def fitted(fits: StudyFits, study: StoredStudy) -> StudyState:
    state = fits.refresh(study)
    await asyncio.wait_for(state.wait(study.revision), PATIENCE_S)
    return state


def run(store: Store, test: Test) -> None:
    async def call() -> None:
        fits = StudyFits(store, NO_ENSEMBLES, Metrics())
        try:
            await test(fits)
        finally:
            fits.close()

    asyncio.run(call())


def test_a_failed_refit_is_named_and_the_last_fit_stays(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    study = create(store, 5)

    async def test(fits: StudyFits) -> None:
        before = await fitted(fits, study)
        predictor = before.fit.value and before.fit.value.predictor
        with monkeypatch.context() as patch:

            def fail(*_: Any, **__: Any) -> None:
                raise FloatingPointError("internal")

            patch.setattr(StudyPredictor, "fit", fail)
            changed, _ = store.studies.observe(study.id, new_observations(8))
            state = await fitted(fits, changed)
        assert state.fit.value is not None
        assert state.fit.value.predictor is predictor
        (note,) = (note for note in state.notes() if "refit failed" in note)
        assert "FloatingPointError" in note
        assert "internal" not in note
        assert "answers rest on the last fit, to 5 observations" in note
        changed, _ = store.studies.observe(study.id, new_observations(9))
        state = await fitted(fits, changed)
        assert state.fit.value is not None
        assert state.fit.value.predictor.num_observations == 9
        assert not any("failed" in note for note in state.notes())

    run(store, test)
    assert "could not be computed" in caplog.text


def test_a_quality_that_cannot_be_estimated_is_named(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    study = create(store, 5)

    def fail(*_: Any, **__: Any) -> None:
        raise ArchrankError("no folds")

    monkeypatch.setattr(fits_module, "estimate_quality", fail)

    async def test(fits: StudyFits) -> None:
        state = await fitted(fits, study)
        assert state.quality.value is None
        assert "the quality could not be estimated (no folds)" in state.notes()

    run(store, test)


def test_observations_of_another_server_are_noticed(store: Store) -> None:
    study = create(store, 5)

    async def test(first: StudyFits) -> None:
        second = StudyFits(store, NO_ENSEMBLES, Metrics())
        await fitted(first, study)
        changed, _ = store.studies.observe(study.id, new_observations(7))
        await fitted(second, changed)
        state = await fitted(first, store.studies.get(study.id))
        assert state.fit.value is not None
        assert state.fit.value.predictor.num_observations == 7
        second.close()

    run(store, test)


def test_missing_sources_are_named(store: Store) -> None:
    study = create(store, 5, sources=("gone",))

    async def test(fits: StudyFits) -> None:
        state = await fitted(fits, study)
        assert "source gone is not loaded by the server; predictions do without it" in state.notes()

    run(store, test)


def test_notes_of_an_earlier_quality_name_its_number(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    study = create(store, MIN_ROWS)
    monkeypatch.setattr(fits_module, "quality_notes", lambda _: ("poor",))

    async def test(fits: StudyFits) -> None:
        state = await fitted(fits, study)
        assert state.notes()[-1] == "poor"
        changed, _ = store.studies.observe(study.id, new_observations(MIN_ROWS + 3))
        monkeypatch.setattr(state.quality, "request", lambda _: None)
        fits.refresh(changed)
        await asyncio.wait_for(state.fit.wait(changed.revision), PATIENCE_S)
        assert state.notes()[-1] == f"with {MIN_ROWS} observations: poor"

    run(store, test)


def test_the_least_recently_used_fits_are_dropped(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fits_module, "MAX_FITS", 2)
    studies = [create(store, name=f"s{i}") for i in range(3)]

    async def test(fits: StudyFits) -> None:
        for study in (*studies[:2], studies[0], studies[2]):
            await fitted(fits, study)
        assert [fits.known(study.id) is not None for study in studies] == [True, False, True]
        state = await fitted(fits, studies[1])
        assert state.fit.value is not None

    run(store, test)


def test_a_deleted_study_is_forgotten(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    study = create(store, 5)

    async def test(fits: StudyFits) -> None:
        fits.refresh(study)
        store.studies.delete(study.id)
        fits.forget(study.id)
        assert fits.known(study.id) is None
        await asyncio.sleep(0.05)

    run(store, test)
    assert not caplog.records


def test_a_study_that_was_deleted_before_its_fit_is_not_an_error(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    study = create(store, 5)
    store.studies.delete(study.id)

    async def test(fits: StudyFits) -> None:
        state = await fitted(fits, study)
        assert (state.fit.value, state.fit.error) == (None, None)
        assert fits.known(study.id) is None

    run(store, test)
    assert not caplog.records
