"""Every proxy on a small network: arguments, failures, and what stays unchanged."""

import copy
import json
import math
from dataclasses import asdict
from time import process_time
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from models import InputError, ProbeBatch, UnknownNameError
from models.topology import UnitTopology
from proxies import proxy_infos, proxy_names, proxy_versions, runner, score

ALL = proxy_names()


class Small(nn.Module):
    """Small network with all attributes that proxies read."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()),
            nn.Sequential(nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=2), nn.BatchNorm2d(8), nn.ReLU()),
        )
        self.feature_unit = self.features
        self.units = list(self.features)
        graph = np.full((1, 6, 6), 1 / 6)
        self.topology = tuple(UnitTopology(graph[0] > 0, (graph,), 1, 3, stride) for stride in (1, 2))
        self.fc = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.fc(self.features(x).mean((2, 3)))
        return logits


@pytest.fixture
def small() -> Small:
    torch.manual_seed(0)
    return Small()


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(6, 3, 6, 6, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def y() -> torch.Tensor:
    return torch.tensor([0, 0, 1, 1, 2, 3])


@pytest.fixture(params=ALL)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_score_is_finite_timed_and_plain_data(name: str, small: Small, x: torch.Tensor, y: torch.Tensor) -> None:
    (result,) = score(small, x, y, [name]).values()
    assert result.status == "ok", result.error
    assert result.value is not None
    assert math.isfinite(result.value)
    assert result.seconds > 0
    assert json.loads(json.dumps(asdict(result)))["value"] == result.value
    info = next(info for info in proxy_infos() if info.name == name)
    assert (result.log is not None) == info.log_feature
    assert result.feature == (result.log if info.log_feature else result.value)


def test_alone_or_together_a_score_is_the_same(name: str, small: Small, x: torch.Tensor, y: torch.Tensor) -> None:
    assert score(small, x, y, [name])[name].value == pytest.approx(score(small, x, y, ALL)[name].value, rel=1e-6)


def test_same_seed_same_score(name: str, small: Small, x: torch.Tensor, y: torch.Tensor) -> None:
    first, second = (score(small, x, y, [name], seed=3)[name].value for _ in range(2))
    assert first == second


def test_network_batch_and_random_state_stay_untouched(
    name: str, small: Small, x: torch.Tensor, y: torch.Tensor
) -> None:
    small.eval()
    small.fc.weight.requires_grad_(False)
    small.fc.bias.grad = torch.ones(5)
    before = copy.deepcopy(small.state_dict())
    flags = [(p.requires_grad, p.grad is not None) for p in small.parameters()]
    x_before, state = x.clone(), torch.get_rng_state()
    score(small, x, y, [name])
    assert all(torch.equal(tensor, before[key]) for key, tensor in small.state_dict().items())
    assert [(p.requires_grad, p.grad is not None) for p in small.parameters()] == flags
    assert not small.training
    assert torch.equal(x, x_before)
    assert not x.requires_grad
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(module._forward_hooks for module in small.modules())


def test_labels_beyond_the_classes_never_become_a_number(small: Small, x: torch.Tensor) -> None:
    scores = score(small, x, torch.tensor([0, 0, 1, 1, 2, 99]))
    failed = {name for name, s in scores.items() if s.status == "failed"}
    assert {"snip", "grad_norm", "grad_sign", "grasp", "zico"} <= failed
    assert all(scores[name].value is None and scores[name].error for name in failed)


def test_nan_in_the_weights_is_a_failure_not_a_number(small: Small, x: torch.Tensor, y: torch.Tensor) -> None:
    with torch.no_grad():
        small.fc.weight[0, 0] = math.nan
    scores = score(small, x, y, ALL)
    assert {"snip", "plain", "grasp", "l2_norm", "synflow", "zico"} <= {
        n for n, s in scores.items() if s.status == "failed"
    }
    assert scores["params"].status == scores["flops"].status == "ok"
    assert all(s.value is None or math.isfinite(s.value) for s in scores.values())


def test_a_network_that_does_not_run_fails_proxy_by_proxy(x: torch.Tensor, y: torch.Tensor) -> None:
    scores = score(nn.Linear(2, 3), x, y)
    assert scores["params"].value == 9
    assert scores["snip"].status == "failed"
    assert scores["snip"].error
    assert "Error: " in scores["snip"].error


@pytest.mark.parametrize(
    ("attribute", "needed_by"),
    [
        ("feature_unit", {"zen"}),
        ("units", {"meco", "meco_opt", "expressivity", "participation", "progressivity", "trainability"}),
        ("topology", {"sed"}),
    ],
)
def test_what_the_network_does_not_name_is_not_applicable(
    attribute: str, needed_by: set[str], x: torch.Tensor, y: torch.Tensor, small: Small
) -> None:
    delattr(small, attribute)
    scores = score(small, x, y, ALL)
    assert {name for name, s in scores.items() if s.status != "ok"} == needed_by
    for name in needed_by:
        result = scores[name]
        assert (result.status, result.value, result.log, result.error) == ("not_applicable", None, None, None)
        assert f"the network names no `{attribute}`" in str(result.note)


def test_units_that_are_no_modules_fail_only_the_proxies_that_read_them(
    small: Small, x: torch.Tensor, y: torch.Tensor
) -> None:
    for units in (None, 64, [1, 2]):
        small.units = units  # type: ignore[assignment]
        assert score(small, x, y, ["snip"])["snip"].status == "ok"


def test_order_and_subset_are_as_asked(small: Small, x: torch.Tensor, y: torch.Tensor) -> None:
    assert list(score(small, x, y, ["zen", "params", "zen"])) == ["zen", "params"]
    assert score(small, x, y, []) == {}
    default = [info.name for info in proxy_infos() if info.default]
    assert len(default) == 18
    assert list(score(small, x, y)) == list(proxy_versions()) == default
    assert list(proxy_versions(ALL)) == ALL


def test_bad_arguments_name_field_and_what_is_allowed(small: Small, x: torch.Tensor, y: torch.Tensor) -> None:
    with pytest.raises(UnknownNameError, match=r"proxies\[1\].*'zenith'.*one of epe_nas"):
        score(small, x, y, ["zen", "zenith"])
    with pytest.raises(InputError, match="a list of names"):
        score(small, x, y, "zen")
    with pytest.raises(InputError, match="y: got"):
        score(small, x, y[:3])
    with pytest.raises(InputError, match="y: got"):
        score(small, x, y.float())
    with pytest.raises(InputError, match="y: got"):
        score(small, x, torch.full((6, 5), 2.0))
    with pytest.raises(InputError, match=r"rows: got \[0, 0\]"):
        score(small, x, y[:2], rows=torch.tensor([0, 0]))
    with pytest.raises(InputError, match=r"rows: got \[6\].*0 to 5"):
        score(small, x, y[:1], rows=torch.tensor([6]))
    with pytest.raises(InputError, match="sample_axis: got 1"):
        score(small, x, y, sample_axis=1)
    with pytest.raises(InputError, match=r"x\[1\]: got .*6 samples"):
        score(small, (x, x[:2]), y)
    with pytest.raises(InputError, match="x: got"):
        score(small, x.long(), y)
    with pytest.raises(InputError, match="seed: got -1"):
        score(small, x, y, seed=-1)
    with pytest.raises(InputError, match="repeats: got 0"):
        score(small, x, y, repeats=0)


def test_seconds_add_up_to_the_call(space: Any, batch: ProbeBatch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "perf_counter", process_time)  # other processes do not change it
    network = space.build(space.parse([["L2", "S"]] * 4))
    started = process_time()
    scores = score(network, batch.x, batch.y)
    elapsed = process_time() - started
    assert 0.8 * elapsed <= sum(s.seconds for s in scores.values()) <= elapsed


def test_other_seeds_move_what_draws_only(small: Small, x: torch.Tensor, y: torch.Tensor) -> None:
    first, second = score(small, x, y, ALL, seed=0), score(small, x, y, ALL, seed=1)
    assert {name for name in ALL if first[name].value != second[name].value} == {
        *("meco", "meco_opt", "swap", "trainability", "vkdnw", "zen")
    }
