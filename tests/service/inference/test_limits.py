"""Architectures that are too large are refused by formula, before a network is built."""

from typing import Any

import pytest
import torch

from models import ArchitectureError
from models.gcn_nas import PENG, GcnNas
from models.gcn_nas.batches import synthetic_batch
from service.api.documents import score_response
from service.api.schemas import FailedItem
from service.inference import pipeline
from service.inference.limits import SizeLimits
from service.inference.queries import PredictionQuery, ScoreQuery
from service.inference.registry import EnsembleRegistry
from service.inference.results import PredictedArchitecture, ScoredArchitecture
from service.inference.scoring_context import ScoringContext
from service.settings import Settings
from tests.estimates import accuracy_of
from tests.service.conftest import SIX, SMALL, run_inline


@pytest.fixture
def nothing_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(*_: Any) -> Any:
        raise AssertionError("a network was built")

    monkeypatch.setattr(GcnNas, "build", build)


def scoring_context(space: Any, frames: int = 8) -> ScoringContext:
    return ScoringContext(space, synthetic_batch(space.task, batch_size=2, frames=frames), torch.device("cpu"))


def test_limits_are_what_is_just_allowed(space: Any) -> None:
    arch = space.parse(SMALL)
    params = space.cost(arch, space.task.input_shapes(batch_size=2, frames=8)).params
    assert SizeLimits(params, 4.0).parser(scoring_context(space))(SMALL) == arch
    with pytest.raises(ArchitectureError) as caught:
        SizeLimits(params - 1, 4.0).parser(scoring_context(space))(SMALL)
    assert (caught.value.field, caught.value.value) == ("architecture (parameters)", str(params))
    assert caught.value.allowed == f"at most {params - 1}"


@pytest.mark.parametrize("frames", [1, 8, 300])
def test_flops_are_of_the_batch_that_is_measured_with(space: Any, frames: int) -> None:
    largest, smaller = space.to_json(space.largest), space.to_json(space.largest)
    smaller["layers"][9] = ["S"]
    assert SizeLimits(10**9, 1.0).parser(scoring_context(space, frames))(largest) == space.largest
    SizeLimits(10**9, 0.999).parser(scoring_context(space, frames))(smaller)
    with pytest.raises(ArchitectureError, match=r"FLOPs.*0.999 times those of the largest of gcn-nas"):
        SizeLimits(10**9, 0.999).parser(scoring_context(space, frames))(largest)


def test_what_is_malformed_is_named_first(space: Any) -> None:
    with pytest.raises(ArchitectureError, match="one of layers, mask, weights"):
        SizeLimits(1, 0.1).parser(scoring_context(space))({})


def test_every_architecture_of_the_space_is_within_the_usual_limits(space: Any) -> None:
    usual = Settings()
    parse = SizeLimits(usual.max_parameters, usual.max_flops_ratio).parser(scoring_context(space))
    assert parse(space.to_json(space.largest)) == space.largest


def test_too_large_is_an_error_in_its_place(ensembles: EnsembleRegistry) -> None:
    settings = Settings(device="cpu", backend="inline", max_parameters=5_000_000)
    result = run_inline(pipeline.score, [PENG, SMALL], ScoreQuery(proxies=["params"]), ensembles, settings)
    large, small = result.items
    assert isinstance(large, ArchitectureError)
    assert (large.field, large.allowed) == ("architectures[0].architecture (parameters)", "at most 5000000")
    assert int(large.value) > 5_000_000
    failed = score_response(result).scores[0]
    assert isinstance(failed, FailedItem)
    problem = failed.error
    assert (problem.status, problem.instance) == (422, "#/architectures/0")
    assert isinstance(small, ScoredArchitecture)
    assert small.scores["params"].value is not None
    assert small.scores["params"].value <= 5_000_000


@pytest.mark.usefixtures("nothing_is_built")
def test_nothing_is_built_of_what_is_too_large(ensembles: EnsembleRegistry) -> None:
    settings = Settings(device="cpu", backend="inline", max_flops_ratio=0.5)
    query = PredictionQuery(proxies=[])
    large, small = run_inline(pipeline.predict, [PENG, SIX], query, ensembles, settings).items
    assert isinstance(large, ArchitectureError)
    assert large.field == "architectures[0].architecture (FLOPs)"
    assert isinstance(small, PredictedArchitecture)
    assert accuracy_of(small.prediction) > 0.5
