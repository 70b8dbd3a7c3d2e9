"""The sampler of Optuna."""

import logging
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import optuna
import pytest
from archrank_client import Client, Study
from archrank_client.optuna import ArchrankSampler
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    RelativeSamplerTestCase,
    SingleOnlySamplerTestCase,
)

from tests.client.fake_studies import FakeStudies

optuna.logging.set_verbosity(optuna.logging.WARNING)
SPACE: dict[str, BaseDistribution] = {
    "depth": IntDistribution(1, 3),
    **{f"layer {i}": IntDistribution(0, 9) for i in range(3)},
}
MakeStudy = Callable[..., Study]


def to_architecture(params: dict[str, Any]) -> dict[str, Any]:
    return {"layers": [params[f"layer {i}"] for i in range(params["depth"])]}


def score(architecture: dict[str, Any]) -> float:
    """Score of an architecture in [0, 1]: the mean of its layers, highest for a single 9."""
    layers = architecture["layers"]
    return float(sum(layers)) / (9 * len(layers))


def objective(trial: Any) -> float:
    """Value of the suggested architecture, which has only as many parameters as its depth needs."""
    layers = [trial.suggest_int(f"layer {i}", 0, 9) for i in range(trial.suggest_int("depth", 1, 3))]
    return score({"layers": layers})


@pytest.fixture
def server() -> FakeStudies:
    return FakeStudies(score)


@pytest.fixture
def make_study(server: FakeStudies) -> Iterator[MakeStudy]:
    """Creates studies of the fake server."""
    with Client("http://server", transport=server, max_retry_time=0) as client:
        yield lambda **metric: client.study("test", space="test", metric=metric)


def optimize(sampler: Any, n_trials: int = 5, **arguments: Any) -> Any:
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(objective, n_trials, **arguments)
    return study


def stored(server: FakeStudies) -> list[Any]:
    """Return the observations of the only study."""
    (observations,) = server.observations.values()
    return list(observations.values())


def candidates_of(seed: int, n: int = 64) -> list[dict[str, Any]]:
    """Return the architectures of random draws from `SPACE`."""
    draws = optuna.samplers.RandomSampler(seed)
    study = optuna.create_study(sampler=draws)
    trial = optuna.create_trial(value=0.0)
    params = [
        {name: draws.sample_independent(study, trial, name, distribution) for name, distribution in SPACE.items()}
        for _ in range(n)
    ]
    return [to_architecture(candidate) for candidate in params]


def test_it_returns_the_best_of_the_candidates(make_study: MakeStudy) -> None:
    scores = [score(candidate) for candidate in candidates_of(seed=3)]
    (trial,) = optimize(ArchrankSampler(make_study(), SPACE, to_architecture, seed=3), 1).trials
    assert trial.value == max(scores) > scores[0]


def test_unused_parameters_are_not_suggested(server: FakeStudies, make_study: MakeStudy) -> None:
    study = optimize(ArchrankSampler(make_study(), SPACE, to_architecture, seed=0), 12)
    assert {trial.params["depth"] for trial in study.trials} > {1}
    for trial, observation in zip(study.trials, stored(server), strict=True):
        assert len(trial.params) == 1 + trial.params["depth"]
        assert observation == {"architecture": to_architecture(trial.params), "value": trial.value}


def test_the_same_seed_leads_to_the_same_trials(make_study: MakeStudy) -> None:
    def params(seed: int) -> list[Any]:
        study = optimize(ArchrankSampler(make_study(), SPACE, to_architecture, candidates=4, seed=seed))
        return [trial.params for trial in study.trials]

    assert params(1) == params(1) != params(2)


def test_no_architecture_is_trained_twice(make_study: MakeStudy) -> None:
    space = {"depth": IntDistribution(1, 1), "layer 0": IntDistribution(0, 9)}
    sampler = ArchrankSampler(make_study(), space, to_architecture, seed=0)
    study = optimize(sampler, 10)
    assert [trial.params["layer 0"] for trial in study.trials] == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    resumed = ArchrankSampler(make_study(), space | {"layer 0": IntDistribution(0, 10)}, to_architecture, seed=1)
    study.sampler = resumed  # knows the trials of the study
    trial = study.ask({"layer 0": IntDistribution(0, 10), "depth": IntDistribution(1, 1)})
    assert trial.params["layer 0"] == 10
    study.tell(trial, 0.5)
    study.optimize(lambda trial: trial.suggest_int("layer 0", 0, 10) + trial.suggest_int("depth", 1, 1), 1)
    assert len(study.trials) == 12  # nothing new is left


def test_parallel_trials_differ(make_study: MakeStudy) -> None:
    study = optuna.create_study(
        direction="maximize", sampler=ArchrankSampler(make_study(), SPACE, to_architecture, seed=0)
    )
    trials = [study.ask(SPACE) for _ in range(5)]
    assert len({str(to_architecture(trial.params)) for trial in trials}) == 5


def test_a_failure_probability_counts(make_study: MakeStudy, server: FakeStudies) -> None:
    def prediction(architecture: Any) -> dict[str, Any]:
        fails = architecture["layers"][0] == 9
        percentile = {"percentile": 1.0 if fails else 0.8, "failure_probability": 0.5 if fails else None}
        return {"architecture": architecture, "score": 0.0} | percentile

    server.prediction = prediction  # type: ignore[method-assign]
    space = {"depth": IntDistribution(1, 1), "layer 0": CategoricalDistribution([8, 9])}
    study = optuna.create_study(
        direction="maximize", sampler=ArchrankSampler(make_study(), space, to_architecture, seed=0)
    )
    assert study.ask(space).params["layer 0"] == 8


def test_failed_and_pruned_trials_are_observed_without_a_value(server: FakeStudies, make_study: MakeStudy) -> None:
    def train(trial: Any) -> float:
        if trial.number == 0:
            raise MemoryError
        value = objective(trial)
        if trial.number == 1:
            trial.report(0.25, 1)
            trial.report(0.5, 2)
            raise optuna.TrialPruned
        if trial.number == 2:
            raise MemoryError
        return float("nan") if trial.number == 3 else value

    sampler = ArchrankSampler(make_study(), SPACE, to_architecture, seed=0)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(train, 5, catch=(MemoryError,))
    architectures = [to_architecture(trial.params) for trial in study.trials[1:]]  # the first had none yet
    assert [observation.pop("architecture") for observation in stored(server)] == architectures
    assert stored(server) == [
        {"value": None, "error": "pruned", "curve": [0.25, 0.5]},
        {"value": None, "error": "the trial failed"},
        {"value": None, "error": "the trial failed"},
        {"value": study.trials[4].value},
    ]


def test_without_a_server_the_loop_goes_on(
    server: FakeStudies, make_study: MakeStudy, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampler = ArchrankSampler(make_study(), SPACE, to_architecture, seed=3)

    def refuse(_: Any) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with monkeypatch.context() as context:
        context.setattr(server, "_route", refuse)
        study = optimize(sampler, 3)
        assert not sampler.flush()
    assert to_architecture(study.trials[0].params) == candidates_of(seed=3, n=1)[0]
    messages = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len([text for text in messages if text.startswith("no prediction of study 'test'")]) == 3
    assert "3 observations wait for study 'test': " in messages[-1]
    study.optimize(objective, 1)  # the server is back
    assert len(stored(server)) == 4
    assert sampler.flush()


def test_a_broken_connection_neither_loses_nor_doubles_an_observation(
    server: FakeStudies, make_study: MakeStudy, caplog: pytest.LogCaptureFixture
) -> None:
    sampler = ArchrankSampler(make_study(), SPACE, to_architecture, seed=0)
    server.broken = [httpx.ReadError("reset"), httpx.ReadError("reset")]  # of the prediction and the observation
    optimize(sampler, 2)
    assert server.broken == []
    assert len(stored(server)) == 2


def test_a_refused_observation_is_logged(
    server: FakeStudies, make_study: MakeStudy, caplog: pytest.LogCaptureFixture
) -> None:
    sampler = ArchrankSampler(make_study(), SPACE, to_architecture, seed=0)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(lambda trial: objective(trial) + 100 * (trial.number == 0), 2)
    assert len(stored(server)) == 1
    assert ["refuses an observation: " in record.getMessage() for record in caplog.records] == [True]
    assert "observations[0].value: got 10" in caplog.text


def test_candidates_without_an_architecture_are_left_out(
    server: FakeStudies, make_study: MakeStudy, caplog: pytest.LogCaptureFixture
) -> None:
    def shallow(params: dict[str, Any]) -> Any:
        return to_architecture(params) if params["depth"] == 1 else None

    study = optimize(ArchrankSampler(make_study(), SPACE, shallow, seed=0), 5)
    assert {trial.params["depth"] for trial in study.trials} == {1}
    assert caplog.records == []
    optimize(ArchrankSampler(make_study(), SPACE, lambda _: None, seed=0), 1)
    assert "predicts no candidate, so the draw is random: none is an architecture" in caplog.text


def test_the_inner_sampler_draws_the_candidates(make_study: MakeStudy) -> None:
    class Inner(optuna.samplers.RandomSampler):
        def infer_relative_search_space(self, *_: Any) -> Any:
            return {"depth": SPACE["depth"], "layer 0": IntDistribution(0, 5), "other": IntDistribution(0, 1)}

        def sample_relative(self, study: Any, trial: Any, search_space: Any) -> Any:
            assert set(search_space) == {"depth"}  # the rest is unknown, or has another range
            return {"depth": 2}

    study = optimize(ArchrankSampler(make_study(), SPACE, to_architecture, inner=Inner(seed=0)), 5)
    assert {trial.params["depth"] for trial in study.trials} == {2}
    tpe = optuna.samplers.TPESampler(seed=0, n_startup_trials=2)
    study = optimize(ArchrankSampler(make_study(), SPACE, to_architecture, inner=tpe, candidates=8), 6)
    assert study.best_value > 0.8


def test_another_sampler_may_fix_parameters(make_study: MakeStudy) -> None:
    sampler = ArchrankSampler(make_study(), SPACE, to_architecture, seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        fixed = optuna.samplers.PartialFixedSampler({"depth": 2}, sampler)
    assert [trial.params["depth"] for trial in optimize(fixed, 2).trials] == [2, 2]


def test_wrong_arguments(make_study: MakeStudy) -> None:
    with pytest.raises(ValueError, match="candidates: got 0; allowed: 1 or more"):
        ArchrankSampler(make_study(), SPACE, to_architecture, candidates=0)
    with pytest.raises(ValueError, match="seed: got 1; allowed: None, as the inner sampler has a seed of its own"):
        ArchrankSampler(make_study(), SPACE, to_architecture, inner=optuna.samplers.RandomSampler(), seed=1)
    sampler = ArchrankSampler(make_study(), SPACE, to_architecture)
    with pytest.raises(ValueError, match="direction: got 'minimize'; allowed: 'maximize', as of study 'test'"):
        optuna.create_study(sampler=sampler).ask()
    with pytest.raises(ValueError, match="got 2 objectives; allowed: one"):
        optuna.create_study(directions=["maximize", "maximize"], sampler=sampler).ask()


def test_a_faulty_function_is_not_hidden(make_study: MakeStudy) -> None:
    def faulty(params: dict[str, Any]) -> Any:
        return params["nonsense"]

    with pytest.raises(KeyError, match="nonsense"):
        optimize(ArchrankSampler(make_study(), SPACE, faulty), 1)


SPACES: dict[str, dict[str, Any]] = {
    "test_sample_relative_categorical": {
        "x": CategoricalDistribution([1, 10, 100]),
        "y": CategoricalDistribution([-1, -10, -100]),
    },
    "test_sample_relative_mixed": {"y": CategoricalDistribution([-1, -10, -100])},
    "test_trial_relative_params": dict.fromkeys("xy", FloatDistribution(-10, 10)),
}
"""Search spaces of Optuna's tests of relative sampling, besides their arguments."""


class OptunaContract:
    """Optuna's own tests, with their parameters as the architecture."""

    @pytest.fixture
    def server(self) -> FakeStudies:
        return FakeStudies(lambda architecture: -sum(map(hash, architecture.values())) % 7 / 7)

    @pytest.fixture
    def sampler(self, make_study: MakeStudy, request: pytest.FixtureRequest) -> Callable[[], Any]:
        node: Any = request.node
        arguments = getattr(node, "callspec", None)
        space = dict(SPACES.get(node.originalname, {}))
        for name in ("x", "y"):
            if arguments is not None and f"{name}_distribution" in arguments.params:
                space[name] = arguments.params[f"{name}_distribution"]
        study = make_study(direction="minimize", unit="number")
        return lambda: ArchrankSampler(study, space, dict, candidates=4, seed=0)


class TestBasic(OptunaContract, BasicSamplerTestCase):
    """Parameters outside the search space."""


class TestSingleOnly(OptunaContract, SingleOnlySamplerTestCase):
    """Several objectives are refused."""


class TestRelative(OptunaContract, RelativeSamplerTestCase):
    """Parameters of the search space."""
