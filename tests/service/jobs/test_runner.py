"""The runner in this process, on a store of its own: none of a job's items is left behind."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from models.gcn_nas import PENG
from proxies import proxy_versions
from service.api.documents import stored_item
from service.app import make_backend, make_context
from service.inference.registry import EnsembleRegistry, LoadedEnsemble
from service.jobs.runner import MIN_HELD_TURNS, JobRunner
from service.settings import Settings
from service.storage import Basis, Claim, Job, NewItem, Store
from service.storage.records import UNBOUND, JobKind
from tests.service.conftest import FOUR_LAYERS, SIX, SMALL, shipped_ensembles, without_costs
from tests.service.storage.conftest import get_items
from tests.waiting import PATIENCE_S


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(Store.directory_url(tmp_path)) as store:
        yield store


def run(store: Store, job: str, ensembles: EnsembleRegistry | None = None) -> Job:
    """The job when it has ended."""
    settings = Settings(device="cpu", backend="inline")
    ensembles = ensembles or shipped_ensembles()
    backend = make_backend(settings, ensembles)
    backend.start()

    async def ended() -> Job:
        runner = JobRunner(
            make_context(settings, ensembles, backend, store), store, timedelta(hours=1), 20, stored_item
        )
        await runner.start()
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not (found := store.jobs.get(job)).complete:
                    await asyncio.sleep(0.01)
        finally:
            await runner.stop(5)
        return found

    try:
        return asyncio.run(ended())
    finally:
        backend.stop()


def create(
    store: Store, architectures: list[Any], kind: JobKind = "predictions", basis: Basis = UNBOUND, **options: Any
) -> str:
    items = [NewItem(one, str(i)) for i, one in enumerate(architectures)]
    return store.jobs.create(kind, options, items, "me", basis=basis)[0].id


def details(store: Store, job: str) -> set[str]:
    """The errors of a job's items."""
    return {one.error["detail"] for one in store.jobs.results(job).items if one.error is not None}


def test_more_than_are_held_at_once(store: Store) -> None:
    job = run(store, create(store, [SMALL, SIX] * MIN_HELD_TURNS, proxies=[]))
    assert (job.state, job.done, job.running) == ("done", 2 * MIN_HELD_TURNS, 0)


def test_items_of_several_turns_of_the_ensembles(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.jobs.runner.PREDICTIONS_PER_TURN", 2)
    job = create(store, [SMALL, SIX, SMALL, SIX, SMALL], proxies=[])
    assert run(store, job).done == 5
    depths = {item.position: (item.result or {})["stratum"] for item in store.jobs.results(job).items}
    assert depths == {0: 4, 1: 6, 2: 4, 3: 6, 4: 4}


def test_job_of_an_ensemble_that_is_gone_fails(store: Store) -> None:
    """It was there when the job was accepted, by a server of before."""
    job = run(store, create(store, [SMALL, SIX], ensemble="gone"))
    assert (job.state, job.failed, job.running) == ("failed", 2, 0)
    (one, _) = store.jobs.results(job.id).items
    assert one.error is not None
    assert "gone" in one.error["detail"]


@pytest.fixture
def mine(ensembles: EnsembleRegistry) -> LoadedEnsemble:
    return ensembles.get()


PROXIES = proxy_versions(["params", "nwot"])


def test_unbound_job_is_bound_when_it_is_worked_on(
    store: Store, ensembles: EnsembleRegistry, mine: LoadedEnsemble
) -> None:
    job = run(store, create(store, [SMALL, SIX], proxies=[]), ensembles)
    assert (job.state, job.basis) == ("done", Basis(mine.name, mine.hash, {}))
    for one in store.jobs.results(job.id).items:
        assert one.result is not None
        assert (one.result["ensemble"], one.result["ensemble_hash"]) == (mine.name, mine.hash)


@pytest.mark.parametrize("kind", ["predictions", "scores"])
def test_job_goes_on_with_its_own_ensemble(
    kind: JobKind, store: Store, ensembles: EnsembleRegistry, mine: LoadedEnsemble
) -> None:
    """Whatever the default has become: here one with other weights and draws, which its scores would show."""
    other = replace(mine, name="other", context=replace(mine.context, seed=7))
    both = replace(ensembles, ensembles={mine.name: mine, "other": other}, default="other")
    id_ = create(store, [SMALL], kind, Basis(mine.name, mine.hash, PROXIES), proxies=list(PROXIES))
    job = run(store, id_, both)
    (one,) = store.jobs.results(job.id).items
    again = run(store, create(store, [SMALL], kind, proxies=list(PROXIES)), ensembles)
    (expected,) = store.jobs.results(again.id).items
    assert job.state == again.state == "done"
    assert one.result is not None
    assert expected.result is not None
    assert without_costs(one.result) == without_costs(expected.result)


@pytest.mark.parametrize("kind", ["predictions", "scores"])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ensemble": "gone"}, "ensemble 'gone' is not installed"),
        ({"ensemble_hash": "0" * 64}, f"not {'0' * 64}"),
        ({"proxies": {"params": "0", "nwot": PROXIES["nwot"]}}, "other versions are installed of the proxies params"),
        ({"proxies": {"none": "1"}}, "other versions are installed of the proxies none"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_job_whose_basis_is_gone_fails(
    kind: JobKind, change: dict[str, Any], said: str, store: Store, ensembles: EnsembleRegistry, mine: LoadedEnsemble
) -> None:
    basis = Basis(mine.name, mine.hash, PROXIES)._replace(**change)
    job = run(store, create(store, [SMALL, SIX], kind, basis, proxies=list(PROXIES)), ensembles)
    assert (job.state, job.failed) == ("failed", 2)
    (detail,) = details(store, job.id)
    assert detail.startswith("the job cannot continue: ")
    assert said in detail


def test_scores_of_a_server_that_had_no_ensemble(store: Store, ensembles: EnsembleRegistry) -> None:
    basis = Basis(None, None, PROXIES)
    empty = replace(ensembles, ensembles={})
    assert run(store, create(store, [SMALL], "scores", basis, proxies=list(PROXIES)), empty).done == 1
    job = run(store, create(store, [SMALL], "scores", basis, proxies=list(PROXIES)), ensembles)
    assert job.done == 1  # its batch and its seed are those of a server without ensembles


def test_scores_of_a_space_that_is_gone(store: Store, ensembles: EnsembleRegistry) -> None:
    basis = Basis(None, None, PROXIES)
    job = run(store, create(store, [SMALL], "scores", basis, proxies=list(PROXIES), space="gone"), ensembles)
    assert job.failed == 1
    assert "search space 'gone' is not installed" in details(store, job.id).pop()


def test_what_was_begun_before_is_begun_by_itself(
    store: Store, ensembles: EnsembleRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or what ends a server would take along those that are answered with it."""
    job = create(store, [SMALL, SIX, PENG, FOUR_LAYERS], proxies=[])
    store.queue.begin(store.queue.claim(2, "lost"))
    store.queue.requeue_all(10, {})
    begun: list[list[int]] = []
    begin = store.queue.begin

    def counted(claims: Sequence[Claim]) -> None:
        begun.append([claim.position for claim in claims])
        begin(claims)

    monkeypatch.setattr(store.queue, "begin", counted)
    run(store, job, ensembles)
    assert sorted(begun) in ([[0], [1], [2, 3]], [[0, 1], [2, 3]])  # written together where the store was slow
    assert [one.attempts for one in get_items(store, job)] == [2, 2, 1, 1]
