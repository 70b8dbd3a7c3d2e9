"""The passes against slow reference computations, and behaviour out of memory."""

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from models import ProbeBatch
from proxies import proxy_versions, score
from proxies.passes import temporal_convolution
from proxies.passes.copies import working_copy
from proxies.passes.functions import WithoutBatchNorm
from tests.proxies.layers import layers
from tests.proxies.test_runner import Small


def test_grad_sign_equals_a_loop_over_samples(space: Any, batch: ProbeBatch) -> None:
    network = space.build(space.parse([["L2", "S", "T", "ST"]] * 4))
    total: list[torch.Tensor] | None = None
    copied = working_copy(network)
    for x, y in zip(batch.x[:, None], batch.y[:, None], strict=True):
        with WithoutBatchNorm():
            loss = functional.cross_entropy(copied(x), y)
        weights = [layer.weight for layer in layers(copied)]
        grads = torch.autograd.grad(loss, weights, allow_unused=True)
        signs = [torch.zeros_like(w) if g is None else g.sign() for w, g in zip(weights, grads, strict=True)]
        total = signs if total is None else [a + b for a, b in zip(total, signs, strict=True)]
    assert total is not None
    expected = torch.cat([t.abs().flatten() for t in total]).mean()
    ours = score(network, batch.x, batch.y, ["grad_sign"])["grad_sign"].value
    assert ours == pytest.approx(float(expected), rel=1e-3)


def test_grasp_equals_a_finite_difference(small_double: Small) -> None:
    torch.manual_seed(1)
    x, y = torch.randn(6, 3, 6, 6).double(), torch.tensor([0, 1, 2, 3, 4, 0])
    weights = [layer.weight for layer in layers(small_double)]

    def gradients() -> tuple[torch.Tensor, ...]:
        return torch.autograd.grad(functional.cross_entropy(small_double(x), y), weights)

    g, step = gradients(), 1e-5
    shifted = []
    for sign in (1, -1):
        with torch.no_grad():
            for w, direction in zip(weights, g, strict=True):
                w.add_(direction, alpha=sign * step)
        shifted.append(gradients())
        with torch.no_grad():
            for w, direction in zip(weights, g, strict=True):
                w.sub_(direction, alpha=sign * step)
    product = [(plus - minus) / (2 * step) for plus, minus in zip(*shifted, strict=True)]
    expected = -sum(float((w.detach() * hg).sum()) for w, hg in zip(weights, product, strict=True))
    assert score(small_double, x, y, ["grasp"])["grasp"].value == pytest.approx(expected, rel=1e-4)


def test_synflow_does_not_depend_on_the_order_of_summation(
    space: Any, batch: ProbeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Joints that are equivalent by symmetry have equal attention scores, which rounding must not separate."""
    network = space.build(space.sample(np.random.default_rng(2), depth=8))
    ours = score(network, batch.x, batch.y, ["synflow"])["synflow"].log
    monkeypatch.setattr(temporal_convolution, "applies", lambda *_: False)
    assert score(network, batch.x, batch.y, ["synflow"])["synflow"].log == pytest.approx(ours, rel=1e-9)


@pytest.fixture
def small_double() -> Small:
    torch.manual_seed(0)
    return Small().double()


class MemoryLimited(Small):
    """Network that runs out of memory above a number of samples."""

    def __init__(self, max_samples: int) -> None:
        super().__init__()
        self.max_samples = max_samples

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if len(x) > self.max_samples and x.device.type != "meta":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return super().forward(x)


@pytest.fixture
def sixfold() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(6, 3, 6, 6, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 0, 1, 1, 2, 2])


def test_out_of_memory_is_chunked_where_the_definition_allows(sixfold: tuple[torch.Tensor, torch.Tensor]) -> None:
    torch.manual_seed(0)
    limited, unlimited = MemoryLimited(max_samples=2), MemoryLimited(max_samples=100)
    unlimited.load_state_dict(limited.state_dict())
    ours, whole = score(limited, *sixfold), score(unlimited, *sixfold)
    for name in ("grad_sign", "epe_nas"):
        assert ours[name].value == pytest.approx(whole[name].value, rel=1e-4)
        assert "3 chunks" in str(ours[name].note)
        assert whole[name].note is None
    assert ours["synflow"].value == whole["synflow"].value
    for name in ("snip", "grasp", "nwot", "jacov", "fisher", "zen", "zico"):
        assert ours[name].status == "failed"
        assert str(ours[name].error).startswith("out of memory")
        assert ours[name].value is None


class NoMemoryForSecondOrder(torch.autograd.Function):
    """Identity without memory for the second derivative."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        if torch.is_grad_enabled():
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")
        return gradient


class NoSecondOrder(Small):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return NoMemoryForSecondOrder.apply(super().forward(x))  # type: ignore[no-any-return, no-untyped-call]


def test_what_does_not_fit_fails_alone(sixfold: tuple[torch.Tensor, torch.Tensor]) -> None:
    scores = score(NoSecondOrder(), *sixfold)
    assert {name for name, s in scores.items() if s.status == "failed"} == {"grasp"}
    assert set(scores) == set(proxy_versions())


def test_above_a_hundred_classes_epe_nas_compares_classes() -> None:
    from proxies.base import Need
    from proxies.epe_nas import EpeNas

    rows = torch.randn(202, 9, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(202) // 2
    values = []
    for c in range(101):
        corr = torch.corrcoef(rows[labels == c].double())
        values.append(float((corr.abs() + 1e-5).log().mean()))
    expected = sum(abs(a - b) for a in values for b in values) / 101
    assert EpeNas().compute({Need.INPUT_GRADIENT_WITHOUT_BATCH_NORM: (rows, labels)}) == pytest.approx(expected)


def test_inplace_modules_do_not_change_a_score(sixfold: tuple[torch.Tensor, torch.Tensor]) -> None:
    torch.manual_seed(0)
    plain = Small()
    inplace = copy.deepcopy(plain)
    for module in inplace.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = True
    ours, theirs = score(inplace, *sixfold), score(plain, *sixfold)
    assert {name: s.value for name, s in ours.items()} == {name: s.value for name, s in theirs.items()}


def test_random_modules_are_seeded_and_leave_the_random_state(sixfold: tuple[torch.Tensor, torch.Tensor]) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(108, 5))
    state = torch.get_rng_state()
    first, second = (score(network, *sixfold, ["snip", "grad_sign"]) for _ in range(2))
    assert [s.value for s in first.values()] == [s.value for s in second.values()]
    assert torch.equal(torch.get_rng_state(), state)


def test_what_overflows_keeps_its_logarithm(sixfold: tuple[torch.Tensor, torch.Tensor]) -> None:
    layer = nn.Linear(108, 5)
    network = nn.Sequential(nn.Flatten(), layer)
    with torch.no_grad():
        layer.weight.fill_(3e38)
    usual = score(network, *sixfold, ["synflow"])["synflow"]
    assert usual.value == pytest.approx(108 * 5 * 3e38, rel=1e-5)
    layer.double()
    with torch.no_grad():
        layer.weight.fill_(1.7e308)
    overflowing = score(network, *sixfold, ["synflow"])["synflow"]
    assert (overflowing.status, overflowing.value) == ("ok", None)
    assert overflowing.log == pytest.approx(math.log(108 * 5) + math.log(1.7e308))
    assert overflowing.feature == overflowing.log


def test_labels_of_any_whole_type(sixfold: tuple[torch.Tensor, torch.Tensor]) -> None:
    x, y = sixfold
    network = Small()
    assert score(network, x, y.int(), ["snip"])["snip"].value == score(network, x, y, ["snip"])["snip"].value
