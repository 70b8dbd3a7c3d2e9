"""Every proxy on every network of the zoo: what the definitions say, on both engines, or an honest failure."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from proxies import Score, proxy_names, runner, score
from proxies.base import Need
from proxies.passes import Pass, ProxyInput
from proxies.passes.exact import MEASUREMENTS, ExactPass
from tests.proxies import oracle
from tests.proxies.zoo import ZOO
from tests.proxies.zoo.specimen import Specimen

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*is deprecated:FutureWarning"),
]
LOOKED_AT = {"meco": "units", "meco_opt": "units", "sed": "topology", "zen": "feature_unit"}
FAST = (
    "dense block",
    "residual block",
    "relu method",
    "batch norm shared",
    "modules in place",
    "weight_norm",
    "pruned",
)
EXACT = ("F.relu in place", "slices written", "einsum", "MultiheadAttention", "GRU", "hypernetwork", "dropout")


def exact_alone(shared_pass: Pass, inputs: ProxyInput, needs: frozenset[Need]) -> frozenset[Need]:
    """In place of `verified_needs`: the fast engine is right for nothing."""
    return needs if isinstance(shared_pass, ExactPass) else needs - frozenset(MEASUREMENTS)


@pytest.fixture(params=list(ZOO))
def specimen(request: pytest.FixtureRequest) -> Specimen:
    return ZOO[request.param]


@pytest.fixture(params=["chosen", "exact"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "exact":
        monkeypatch.setattr(runner, "verified_needs", exact_alone)
    return str(request.param)


def failures(specimen: Specimen) -> dict[str, str]:
    """Part of the sentence of each proxy that must fail."""
    network = specimen.network()
    unnamed = {name: attribute for name, attribute in LOOKED_AT.items() if not hasattr(network, attribute)}
    return {name: f"names no `{attribute}`" for name, attribute in unnamed.items()} | dict(specimen.fails)


def check(specimen: Specimen, scores: dict[str, Score]) -> list[str]:
    """Sentences about what is otherwise than the specimen and the oracle say."""
    wrong, failing = [], failures(specimen)
    for name, found in scores.items():
        if name in failing:
            if found.status != "failed" or found.value is not None or failing[name] not in str(found.error):
                wrong.append(f"{name}: {found.feature} {found.error}, not a failure with {failing[name]!r}")
        elif found.feature is None:
            wrong.append(f"{name}: {found.error}")
        elif name in oracle.FORMULAS:
            expected = oracle.FORMULAS[name](specimen)
            if found.feature != pytest.approx(expected, rel=1e-4, abs=1e-12):
                wrong.append(f"{name}: {found.feature}, not {expected} ({found.note})")
    return wrong


@contextmanager
def untouched(network: nn.Module, *batch: Tensor) -> Iterator[None]:
    """Check that a network, a batch and the random states come out as they went in."""

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


def test_scores_are_what_the_definitions_say(specimen: Specimen, engine: str) -> None:
    network = specimen.network().eval() or specimen.network()
    with untouched(network, specimen.x, specimen.y):
        scores = score(network, specimen.x, specimen.y)
    assert list(scores) == proxy_names()
    assert not check(specimen, scores)


@pytest.mark.parametrize("name", [*FAST, *EXACT])
def test_a_note_says_which_engine_measured(name: str) -> None:
    specimen = ZOO[name]
    note = score(specimen.network(), specimen.x, specimen.y, ["snip"])["snip"].note
    assert note == (None if name in FAST else runner.EXACT_ENGINE_NOTE)


@pytest.mark.parametrize("name", ["tokens", "transformer", "sequence first", "TorchScript with batch norm", "dropout"])
def test_alone_or_together_scores_are_the_same(name: str) -> None:
    specimen = ZOO[name]
    together = score(specimen.network(), specimen.x, specimen.y)
    for proxy, found in together.items():
        alone = score(specimen.network(), specimen.x, specimen.y, [proxy])[proxy]
        assert (alone.value, alone.error) == (found.value, found.error), proxy
