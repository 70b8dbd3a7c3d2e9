"""Failures stay with their architecture, and only finite numbers are returned."""

import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NoReturn

import pytest
import torch
from fastapi.responses import JSONResponse
from pydantic import TypeAdapter

from ensemble import Ensemble
from models import Architecture, CapabilityError, get_space
from models.gcn_nas import GcnNas
from proxies import Score
from service.api.documents import prediction_response, score_response
from service.api.problems import ProblemResponse, problem
from service.api.routes.jobs import _server_sent_event
from service.api.schemas import FailedItem, PredictedItem, ProxyScore, ScoredItem
from service.inference import pipeline
from service.inference.pipeline import NoValidArchitectureError
from service.inference.queries import PredictionQuery, ScoreQuery
from service.inference.registry import EnsembleRegistry, LoadedEnsemble
from service.storage import JobEvent
from service.workers.backend import Task
from service.workers.inline_backend import InlineBackend
from tests.estimates import interval_of
from tests.service.conftest import SIX, SMALL, run_inline, shipped_ensembles


@pytest.fixture
def ensembles() -> EnsembleRegistry:
    """A registry without ensembles, which scores do not need."""
    return EnsembleRegistry({}, "none", torch.device("cpu"))


def test_failure_stays_with_its_architecture(ensembles: EnsembleRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    build, broken = GcnNas.build, get_space("gcn-nas").parse(SIX)

    def build_or_fail(space: GcnNas, arch: Any, seed: int = 0) -> Any:
        if arch == broken:
            raise RuntimeError("secret of the server")
        return build(space, arch, seed)

    monkeypatch.setattr(GcnNas, "build", build_or_fail)
    query = ScoreQuery(proxies=["params"])
    result = run_inline(pipeline.score, [SIX, SMALL, {"layers": []}], query, ensembles)
    failed, scored, malformed = score_response(result).scores
    assert isinstance(failed, FailedItem)
    assert isinstance(scored, ScoredItem)
    assert isinstance(malformed, FailedItem)
    assert (failed.error.status, malformed.error.status) == (500, 422)
    assert failed.error.instance == "#/architectures/0"
    assert scored.scores["params"].status == "ok"


def test_equal_architectures_are_computed_once(ensembles: EnsembleRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = list[Task]()
    submit = InlineBackend.submit

    def counted(backend: InlineBackend, task: Task) -> Any:
        tasks.append(task)
        return submit(backend, task)

    monkeypatch.setattr(InlineBackend, "submit", counted)
    run_inline(pipeline.score, [SMALL, SIX, SMALL, SIX], ScoreQuery(proxies=["params"]), ensembles)
    assert len(tasks) == 2


def test_all_malformed_is_refused_before_any_work(ensembles: EnsembleRegistry) -> None:
    with pytest.raises(NoValidArchitectureError) as caught:
        run_inline(pipeline.score, [1, 2], ScoreQuery(), ensembles)
    document = problem(caught.value)
    assert document.status == 422
    assert [error.field for error in document.errors] == [
        "architectures[0].architecture",
        "architectures[1].architecture",
    ]


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_score_that_is_not_finite_is_null(value: float) -> None:
    failed = ProxyScore.from_score(Score(value, None, "ok", 0.1))
    assert (failed.value, failed.status, failed.error) == (None, "failed", "the score is not finite")
    overflowed = ProxyScore.from_score(Score(value, 800.0, "ok", 0.1))
    assert (overflowed.value, overflowed.log, overflowed.status) == (None, 800.0, "ok")


@pytest.mark.parametrize("field", ["accuracy", "low", "high", "percentile"])
def test_prediction_that_is_not_finite_is_an_error(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    predict_all = LoadedEnsemble.predict

    def predict_or_not(loaded: LoadedEnsemble, scores: Any, *arguments: Any) -> Any:
        predictions = predict_all(loaded, scores, *arguments)
        first = next(iter(predictions))
        change: dict[str, Any] = {field: math.nan}
        if field in ("low", "high"):
            change = {"interval": replace(interval_of(predictions[first]), **change)}
        return {**predictions, first: replace(predictions[first], **change)}

    monkeypatch.setattr(LoadedEnsemble, "predict", predict_or_not)
    query, ensembles = PredictionQuery(proxies=[]), shipped_ensembles()
    response = prediction_response(run_inline(pipeline.predict, [SIX, SMALL], query, ensembles, compare=True))
    failed, predicted = response.predictions
    assert isinstance(failed, FailedItem)
    assert failed.error.status == 500
    assert isinstance(predicted, PredictedItem)
    assert predicted.accuracy is not None
    assert math.isfinite(predicted.accuracy)
    json.loads(response.model_dump_json(), parse_constant=pytest.fail)


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_nothing_that_is_not_finite_can_be_sent(number: float) -> None:
    event = JobEvent(id=1, kind="item", data={"position": number}, created_at=datetime.now(UTC))
    for send in (JSONResponse, ProblemResponse, lambda data: _server_sent_event(replace(event, data=data))):
        with pytest.raises(ValueError, match="not JSON compliant"):
            send({"results": [number]})
    assert b"null" in TypeAdapter(dict[str, Any]).dump_json({"card": number})  # as FastAPI encodes plain data


def test_a_prediction_that_cannot_be_explained_is_an_error_of_its_architecture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def explain(self: Ensemble, architecture: Architecture, *_: Any) -> NoReturn:
        raise CapabilityError(self.space.name, "structural features")

    loaded = shipped_ensembles()
    monkeypatch.setattr(Ensemble, "explain", explain)
    result = run_inline(pipeline.predict, [SMALL], PredictionQuery([], explain=True), loaded)
    assert isinstance(result.items[0], CapabilityError)
    (item,) = prediction_response(result).predictions
    assert isinstance(item, FailedItem)
    assert item.error.status == 422
    assert "structural features, which gcn-nas does not have" in item.error.detail


def test_in_a_space_without_neighbors_there_are_explanations_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def suggest(self: Ensemble, architecture: Architecture) -> NoReturn:
        raise CapabilityError(self.space.name, "neighbors")

    loaded = shipped_ensembles()
    monkeypatch.setattr(Ensemble, "suggest_mutations", suggest)
    result = run_inline(pipeline.predict, [SMALL], PredictionQuery([], explain=True), loaded)
    (item,) = prediction_response(result).predictions
    assert isinstance(item, PredictedItem)
    assert item.explanation is not None
    assert item.suggested_mutations is None
