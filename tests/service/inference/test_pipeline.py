"""What fails inside stays with its architecture, and nothing that is not finite gets out."""

import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import torch
from fastapi.responses import JSONResponse
from pydantic import TypeAdapter

from models.gcn_nas import GcnNas
from proxies import Score
from service.api.problems import ProblemError, ProblemResponse, problem
from service.api.routes.jobs import _said as told
from service.api.schemas import FailedItem, PredictionRequest, ProxyScore, ScoredItem, ScoreRequest
from service.inference.pipeline import predict, score_all
from service.inference.registry import EnsembleRegistry, LoadedEnsemble
from service.settings import Settings
from service.storage import JobEvent
from service.workers.backend import Task
from service.workers.inline_backend import InlineBackend
from tests.service.conftest import SIX, SMALL, answer


@pytest.fixture
def library() -> EnsembleRegistry:
    """No ensemble is needed for scores."""
    return EnsembleRegistry({}, "none", torch.device("cpu"))


def test_failure_stays_with_its_architecture(library: EnsembleRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    build, broken = GcnNas.build, library.probe.space.parse(SIX)

    def build_or_fail(space: GcnNas, arch: Any, seed: int = 0) -> Any:
        if arch == broken:
            raise RuntimeError("secret of the server")
        return build(space, arch, seed)

    monkeypatch.setattr(GcnNas, "build", build_or_fail)
    request = ScoreRequest(architectures=[SIX, SMALL, {"layers": []}], proxies=["params"])
    failed, scored, malformed = answer(score_all, request, library).scores
    assert isinstance(failed, FailedItem)
    assert isinstance(scored, ScoredItem)
    assert isinstance(malformed, FailedItem)
    assert (failed.error.status, malformed.error.status) == (500, 422)
    assert failed.error.instance == "#/architectures/0"
    assert scored.scores["params"].status == "ok"


def test_equal_architectures_are_computed_once(library: EnsembleRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = list[Task]()
    submit = InlineBackend.submit
    monkeypatch.setattr(InlineBackend, "submit", lambda backend, task: (tasks.append(task), submit(backend, task))[1])
    answer(score_all, ScoreRequest(architectures=[SMALL, SIX, SMALL, SIX], proxies=["params"]), library)
    assert len(tasks) == 2


def test_all_malformed_is_refused_before_any_work(library: EnsembleRegistry) -> None:
    with pytest.raises(ProblemError) as caught:
        answer(score_all, ScoreRequest(architectures=[1, 2]), library)
    assert [error.field for error in problem(caught.value).errors] == [
        "architectures[0].architecture",
        "architectures[1].architecture",
    ]


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_score_that_is_not_finite_is_null(value: float) -> None:
    said = ProxyScore.from_score(Score(value, None, "ok", 0.1))
    assert (said.value, said.status, said.error) == (None, "failed", "the score is not finite")
    overflowed = ProxyScore.from_score(Score(value, 800.0, "ok", 0.1))
    assert (overflowed.value, overflowed.log, overflowed.status) == (None, 800.0, "ok")


@pytest.mark.parametrize("field", ["accuracy", "low", "high", "percentile"])
def test_prediction_that_is_not_finite_is_an_error(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    predict_all = LoadedEnsemble.predict

    def predict_or_not(model: LoadedEnsemble, scores: Any, *more: Any) -> Any:
        said = predict_all(model, scores, *more)
        first = next(iter(said))
        if field in ("low", "high"):
            change = {"interval": replace(said[first].interval, **{field: math.nan})}
        else:
            change = {field: math.nan}
        return {**said, first: replace(said[first], **change)}

    monkeypatch.setattr(LoadedEnsemble, "predict", predict_or_not)
    request = PredictionRequest(architectures=[SIX, SMALL], proxies=[], compare=True)
    response = answer(predict, request, EnsembleRegistry.load(Settings(device="cpu")))
    failed, predicted = response.predictions
    assert isinstance(failed, FailedItem)
    assert failed.error.status == 500
    assert math.isfinite(predicted.accuracy)
    json.loads(response.model_dump_json(), parse_constant=pytest.fail)


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_nothing_that_is_not_finite_can_be_sent(number: float) -> None:
    event = JobEvent(id=1, kind="item", data={"position": number}, created_at=datetime.now(UTC))
    for send in (JSONResponse, ProblemResponse, lambda data: told(replace(event, data=data))):
        with pytest.raises(ValueError, match="not JSON compliant"):
            send({"results": [number]})
    assert b"null" in TypeAdapter(dict[str, Any]).dump_json({"card": number})  # what FastAPI makes of plain data
