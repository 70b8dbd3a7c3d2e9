"""Every proxy on every network of the zoo, on both engines: the value of its definition, or a failure."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from proxies import Score, proxy_versions, runner, score
from proxies.base import Need
from proxies.passes import Pass, ProxyInput
from proxies.passes.exact import MEASUREMENTS, ExactPass
from tests.proxies import oracle
from tests.proxies.zoo import ZOO
from tests.proxies.zoo.case import NO_RELU, ZooCase

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*is deprecated:FutureWarning"),
]
NEEDED_ATTRIBUTES = {"meco": "units", "meco_opt": "units", "sed": "topology", "zen": "feature_unit"}
NOT_APPLICABLE = {NO_RELU, *(f"names no `{attribute}`" for attribute in NEEDED_ATTRIBUTES.values())}
FAST = (
    "dense block",
    "residual block",
    "relu method",
    "batch norm shared",
    "modules in place",
    "weight_norm",
    "pruned",
    "dropout",
    "einsum",
    "learned adjacency",
)
EXACT = ("F.relu in place", "slices written", "baddbmm", "MultiheadAttention", "GRU", "hypernetwork")


def exact_engine_only(shared_pass: Pass, inputs: ProxyInput, needs: frozenset[Need]) -> frozenset[Need]:
    """Replace `verified_needs`: the fast engine is verified for nothing."""
    return needs if isinstance(shared_pass, ExactPass) else needs - frozenset(MEASUREMENTS)


@pytest.fixture(params=list(ZOO))
def case(request: pytest.FixtureRequest) -> ZooCase:
    return ZOO[request.param]


@pytest.fixture(params=["chosen", "exact"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "exact":
        monkeypatch.setattr(runner, "verified_needs", exact_engine_only)
    return str(request.param)


def failures(case: ZooCase) -> dict[str, str]:
    """Return part of the error of each proxy that must fail."""
    network = case.network()
    unnamed = {name: attribute for name, attribute in NEEDED_ATTRIBUTES.items() if not hasattr(network, attribute)}
    return {name: f"names no `{attribute}`" for name, attribute in unnamed.items()} | dict(case.fails)


def check(case: ZooCase, scores: dict[str, Score]) -> list[str]:
    """Return a sentence for each difference from the zoo and the oracle."""
    wrong, failing = [], failures(case)
    for name, result in scores.items():
        if name in failing:
            if result.feature is not None or failing[name] not in f"{result.error} {result.note}":
                wrong.append(f"{name}: {result.feature} {result.error}, not a failure with {failing[name]!r}")
            elif (result.status == "not_applicable") != (failing[name] in NOT_APPLICABLE):
                wrong.append(f"{name}: {result.status}")
        elif result.feature is None:
            wrong.append(f"{name}: {result.error}")
        elif name in oracle.FORMULAS:
            with oracle.without_dropout():
                expected = oracle.FORMULAS[name](case)
            if result.feature != pytest.approx(expected, rel=1e-4, abs=1e-12):
                wrong.append(f"{name}: {result.feature}, not {expected} ({result.note})")
    return wrong


@contextmanager
def untouched(network: nn.Module, *batch: Tensor) -> Iterator[None]:
    """Check that a network, a batch and the random states stay unchanged."""

    def state() -> list[object]:
        modules = [(m.training, len(m._forward_hooks), len(m._forward_pre_hooks)) for m in network.modules()]
        parameters = [(p.requires_grad, p.grad, p.dtype, p.device) for p in network.parameters()]
        numpys = [part.tolist() if isinstance(part, np.ndarray) else part for part in np.random.get_state()]  # noqa: NPY002
        return [modules, parameters, numpys, random.getstate(), torch.get_rng_state().tolist(), torch.is_grad_enabled()]

    before, tensors = state(), [*batch, *network.parameters(), *network.buffers()]
    copies = [tensor.detach().clone() for tensor in tensors]
    yield
    assert state() == before
    assert all(torch.equal(tensor, copy) for tensor, copy in zip(tensors, copies, strict=True))


def test_scores_are_what_the_definitions_say(case: ZooCase, engine: str) -> None:
    network = case.network().eval() or case.network()
    with untouched(network, case.x, case.y):
        scores = score(network, case.x, case.y)
    assert list(scores) == list(proxy_versions())
    assert not check(case, scores)


@pytest.mark.parametrize("name", [*FAST, *EXACT])
def test_a_note_says_which_engine_measured(name: str) -> None:
    case = ZOO[name]
    note = score(case.network(), case.x, case.y, ["snip"])["snip"].note
    assert note == (None if name in FAST else runner.EXACT_ENGINE_NOTE)


@pytest.mark.parametrize("name", ["tokens", "transformer", "sequence first", "TorchScript with batch norm", "dropout"])
def test_alone_or_together_scores_are_the_same(name: str) -> None:
    case = ZOO[name]
    together = score(case.network(), case.x, case.y)
    for proxy, result in together.items():
        alone = score(case.network(), case.x, case.y, [proxy])[proxy]
        assert (alone.value, alone.error) == (result.value, result.error), proxy
