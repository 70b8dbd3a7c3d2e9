"""An architecture that costs too much is refused by formula: no network is built."""

from typing import Any

import pytest
import torch

from models import ArchitectureError
from models.batches import synthetic_batch
from models.gcn_nas import GcnNas
from service.api.schemas import FailedItem, PredictionRequest, ScoredItem, ScoreRequest
from service.inference.limits import Limits
from service.inference.pipeline import predict, score_all
from service.inference.registry import EnsembleRegistry, Probe
from service.settings import Settings
from tests.service.conftest import PENG, SIX, SMALL, answer


@pytest.fixture(scope="module")
def library() -> EnsembleRegistry:
    return EnsembleRegistry.load(Settings(device="cpu"))


@pytest.fixture
def nothing_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(*_: Any) -> Any:
        raise AssertionError("a network was built")

    monkeypatch.setattr(GcnNas, "build", build)


def probe(space: Any, frames: int = 8) -> Probe:
    return Probe.of(space, synthetic_batch(space, batch_size=2, frames=frames), torch.device("cpu"))


def test_limits_are_what_is_just_allowed(space: Any) -> None:
    arch = space.parse(SMALL)
    params = space.cost(arch, space.input_shape(2, 8)).params
    assert Limits(params, 4.0).reader(probe(space))(SMALL) == arch
    with pytest.raises(ArchitectureError) as caught:
        Limits(params - 1, 4.0).reader(probe(space))(SMALL)
    assert (caught.value.field, caught.value.value) == ("architecture (parameters)", str(params))
    assert caught.value.allowed == f"at most {params - 1}"


@pytest.mark.parametrize("frames", [1, 8, 300])
def test_flops_are_of_the_batch_that_is_measured_with(space: Any, frames: int) -> None:
    largest, smaller = space.to_json(space.largest), space.to_json(space.largest)
    smaller["layers"][9] = ["S"]
    assert Limits(10**9, 1.0).reader(probe(space, frames))(largest) == space.largest
    Limits(10**9, 0.999).reader(probe(space, frames))(smaller)
    with pytest.raises(ArchitectureError, match=r"FLOPs.*0.999 times those of the largest of gcn-nas"):
        Limits(10**9, 0.999).reader(probe(space, frames))(largest)


def test_what_is_malformed_is_named_first(space: Any) -> None:
    with pytest.raises(ArchitectureError, match="one of layers, mask, weights"):
        Limits(1, 0.1).reader(probe(space))({})


def test_every_architecture_of_the_space_is_within_the_usual_limits(space: Any) -> None:
    usual = Settings()
    reader = Limits(usual.max_parameters, usual.max_flops_ratio).reader(probe(space))
    assert reader(space.to_json(space.largest)) == space.largest


def test_too_large_is_an_error_in_its_place(library: EnsembleRegistry) -> None:
    request = ScoreRequest(architectures=[PENG, SMALL], proxies=["params"])
    settings = Settings(device="cpu", backend="inline", max_parameters=5_000_000)
    large, small = answer(score_all, request, library, settings).scores
    assert isinstance(large, FailedItem)
    assert (large.error.status, large.error.instance) == (422, "#/architectures/0")
    (cause,) = large.error.errors
    assert (cause.field, cause.allowed) == ("architectures[0].architecture (parameters)", "at most 5000000")
    assert int(cause.value) > 5_000_000
    assert isinstance(small, ScoredItem)
    assert small.scores["params"].value is not None
    assert small.scores["params"].value <= 5_000_000


@pytest.mark.usefixtures("nothing_is_built")
def test_nothing_is_built_of_what_is_too_large(library: EnsembleRegistry) -> None:
    request = PredictionRequest(architectures=[PENG, SIX], proxies=[])
    settings = Settings(device="cpu", backend="inline", max_flops_ratio=0.5)
    large, small = answer(predict, request, library, settings).predictions
    assert isinstance(large, FailedItem)
    assert large.error.errors[0].field == "architectures[0].architecture (FLOPs)"
    assert small.accuracy > 0.5
