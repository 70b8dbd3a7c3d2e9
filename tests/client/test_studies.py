"""Studies of both clients against a real server."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from archrank_client import (
    ArchitectureError,
    Client,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    StudyPrediction,
)
from archrank_client.optuna import ArchrankSampler

from tests.client.conftest import MakeClient, SharedServer
from tests.client.test_client import INVALID
from tests.waiting import PATIENCE_S


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """Name of a study that no other test has."""
    return re.sub(r"\W+", "-", request.node.name)


@pytest.fixture
def study(client: Any, name: str) -> Any:
    """A study without sources, so that it is fitted quickly."""
    return client.study(name, space="gcn-nas", task="a test", sources=[])


def value_of(architecture: Any) -> float:
    """Metric of an architecture in [0, 1]: larger with more modules."""
    modules = sum(map(len, architecture["layers"]))
    return 0.5 + min(modules, 80) / 200


def observations_of(client: Any, n: int, seed: int = 1) -> list[dict[str, Any]]:
    return [{"architecture": each, "value": value_of(each)} for each in client.sample(n, depth=4, seed=seed)]


def test_a_study_is_created_once_and_opened_by_its_name(client: Any, study: Any, name: str) -> None:
    assert client.study(name, space="gcn-nas", task="a test", sources=[]).id == study.id
    assert client.study(name).id == study.id
    assert (study.name, study.space) == (name, "gcn-nas")
    assert (study.metric.name, study.metric.direction, study.metric.unit) == ("accuracy", "maximize", "fraction")
    assert study.id in [state.id for state in client.studies()]
    state = study.state()
    assert (state.task, state.sources, state.observations.total) == ("a test", [], 0)
    with pytest.raises(ConflictError):
        client.study(name, space="gcn-nas", metric={"direction": "minimize"})
    with pytest.raises(NotFoundError, match="name: got 'no-such-study'"):
        client.study("no-such-study")
    with pytest.raises(InvalidRequestError, match="direction"):
        client.study(f"{name}2", space="gcn-nas", metric={"direction": "upwards"})


def test_workers_create_a_study_and_observe_at_once(server: SharedServer, name: str) -> None:
    def work(seed: int) -> str:
        with Client(server.url) as client:
            study = client.study(name, space="gcn-nas", sources=[])
            for observation in observations_of(client, 10, seed % 3):  # each seed twice
                study.observe(**observation)
            return study.id

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(work, range(6)))) == 1
    with Client(server.url) as client:
        assert client.study(name).state().observations.total == 30


def test_a_study_learns(client: Any, study: Any) -> None:
    architectures = client.sample(60, depth=4, seed=2)
    poor = study.predict(architectures[:2], wait=PATIENCE_S)
    assert [prediction.value for prediction in poor] == [None, None]
    assert [prediction.interval for prediction in poor] == [None, None]
    assert (poor.observations, poor.pending) == (0, 0)
    assert poor.notes
    result = study.observe_many({"architecture": each, "value": value_of(each)} for each in architectures)
    assert (result.added, result.duplicates, result.observations) == (60, 0, 60)
    new = [*client.sample(40, depth=4, seed=3), INVALID]
    *predictions, failure = answer = study.predict(new, wait=PATIENCE_S)
    assert (answer.observations, answer.pending) == (60, 0)
    assert all(isinstance(prediction, StudyPrediction) for prediction in predictions)
    assert [prediction.architecture for prediction in predictions] == new[:-1]
    for prediction in predictions:
        assert 0 <= prediction.interval.low <= prediction.value <= prediction.interval.high <= 1
    best = sorted(predictions, key=lambda prediction: -prediction.score)
    values = [value_of(prediction.architecture) for prediction in best]
    assert sum(values[:10]) > sum(values[-10:])
    assert not failure.ok
    with pytest.raises(ArchitectureError, match=r"architectures\[40\]\.layers\[0\]\[0\]: got 'L5'"):
        _ = failure.value
    state = study.state(wait=PATIENCE_S)
    assert state.fitted is not None
    assert state.fitted.trained == 60
    assert state.best[0].value == max(map(value_of, architectures))
    assert state.quality is not None
    assert state.quality.curve


def test_suggestions_are_new_and_differ_between_workers(client: Any, study: Any) -> None:
    candidates = client.sample(10, depth=4, seed=4)
    study.observe(candidates[0], 0.9)
    first, second = study.suggest(3, candidates, wait=PATIENCE_S), study.suggest(9, candidates)
    suggested = [suggestion.architecture for suggestion in (*first, *second)]
    assert len(first) == 3
    assert len(suggested) == 9
    assert all(each in candidates[1:] for each in suggested)
    assert len({str(each) for each in suggested}) == 9
    assert len(study.suggest(5, wait=PATIENCE_S)) == 5  # from the whole space
    unreserved = [study.suggest(2, client.sample(8, seed=5), reserve=False) for _ in range(2)]
    assert list(unreserved[0]) == list(unreserved[1])


def test_trainings_that_run(client: Any, study: Any) -> None:
    (architecture,) = client.sample(1, depth=4, seed=7)
    with pytest.raises(ValueError, match="an error or a curve in its place"):
        study.observe(architecture)
    study.observe(architecture, curve=[0.25])
    study.observe(architecture, curve=[0.25, 0.5])
    counts = study.state().observations
    assert (counts.total, counts.trained, counts.failed, counts.running, counts.architectures) == (2, 0, 0, 1, 1)
    assert [each.curve for each in study.observations()] == [[0.25], [0.25, 0.5]]
    (prediction,) = study.predict([architecture], wait=10)
    assert prediction.curve_length is None
    study.observe(architecture, 0.75)
    assert study.state().observations.running == 0


def test_failed_trainings_and_curves(client: Any, study: Any) -> None:
    first, second = client.sample(2, depth=4, seed=6)
    study.observe(first, 0.75, seconds=12.5, epochs=2, curve=[0.5, 0.75])
    study.observe(second, None, error="out of memory")
    counts = study.state().observations
    assert (counts.total, counts.trained, counts.failed) == (2, 1, 1)
    trained, failed = study.observations()
    assert (trained.architecture, trained.value, trained.seconds, trained.epochs) == (first, 0.75, 12.5, 2)
    assert trained.curve == [0.5, 0.75]
    assert (failed.architecture, failed.value, failed.error) == (second, None, "out of memory")
    study.delete_observation(failed.id)
    study.delete_observation(failed.id)
    assert [each.id for each in study.observations()] == [trained.id]


def test_invalid_observations(client: Any, study: Any) -> None:
    observations = observations_of(client, 3)
    percentage = [*observations, {"architecture": observations[0]["architecture"], "value": 93.1}]
    with pytest.raises(InvalidRequestError, match=r"observations\[3\]\.value: got 93\.1"):
        study.observe_many(percentage)
    with pytest.raises(InvalidRequestError, match=r"observations\[0\]\.architecture.*got 'L5'"):
        study.observe(INVALID, 0.5)
    with pytest.raises(InvalidRequestError, match=r"observations\[0\].*nonsense"):
        study.observe_many([observations[0] | {"nonsense": 1}])
    assert study.state().observations.total == 0  # all or nothing


def test_all_pages_of_observations(client: Any, study: Any) -> None:
    observations = observations_of(client, 1200)
    study.observe_many(observations)
    assert [each.architecture for each in study.observations()] == [each["architecture"] for each in observations]


def test_export_and_import(client: Any, study: Any, name: str) -> None:
    study.observe_many(observations_of(client, 5))
    document = study.export()
    study.delete()
    with pytest.raises(NotFoundError):
        client.study(name)
    imported = client.import_study(document)
    assert (imported.name, imported.state().observations.total) == (name, 5)
    assert client.import_study(document).id == imported.id
    assert client.study(name).export() == document
    study.delete()  # nothing happens
    with pytest.raises(InvalidRequestError):
        client.import_study({"nonsense": 1})


def test_a_missing_study(client: Any, make_client: MakeClient, study: Any, server: SharedServer) -> None:
    study.delete()
    calls: list[Callable[[], Any]] = [
        lambda: study.state(),
        lambda: study.observe_many(observations_of(client, 1)),
        lambda: study.predict(client.sample(1)),
        lambda: study.suggest(1),
        lambda: list(study.observations()),
        lambda: study.export(),
    ]
    for call in calls:
        with pytest.raises(NotFoundError):
            call()


def test_the_sampler_of_optuna(server: SharedServer, name: str) -> None:
    import optuna
    from optuna.distributions import CategoricalDistribution

    rows = [f"{n:08b}" for n in range(1, 8)]  # the modules with attention
    space = {f"layer {i}": CategoricalDistribution(rows) for i in range(4)}

    def mask(params: dict[str, Any]) -> dict[str, Any]:
        return {"mask": [[int(bit) for bit in params[name]] for name in space]}

    def train(trial: optuna.Trial) -> float:
        layers = [trial.suggest_categorical(name, rows) for name in space]
        return sum(layer.count("1") for layer in layers) / 12

    with Client(server.url) as client:
        study = client.study(name, space="gcn-nas", sources=[])
        sampler = ArchrankSampler(study, space, mask, candidates=16, seed=0, wait=0)
        optuna_study = optuna.create_study(direction="maximize", sampler=sampler)
        optuna_study.optimize(train, 6)
        observations = list(study.observations())
        validations = client.validate([mask(trial.params) for trial in optuna_study.trials])
        assert [each.architecture for each in observations] == [validation.architecture for validation in validations]
        assert [each.value for each in observations] == [trial.value for trial in optuna_study.trials]
