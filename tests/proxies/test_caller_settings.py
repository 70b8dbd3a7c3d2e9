"""Scores do not depend on the caller's settings, nor on earlier scores."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from models import get_space
from proxies import Score, runner, score
from proxies.passes import ProxyInput
from proxies.passes.batch import Batch
from proxies.runner import score_batch
from tests.proxies.test_zoo import check, exact_engine_only
from tests.proxies.zoo import ZOO
from tests.proxies.zoo.case import Net, X, Y, ZooCase, failing, head, pooled
from tests.proxies.zoo.in_place import convs

KINDS = ("residual block", "slices written", "dropout", "MultiheadAttention", "units, features and topology named")


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


SURROUNDINGS: dict[str, Callable[[], Any]] = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "float64 by default": lambda: default_dtype(torch.float64),
    "float16 by default": lambda: default_dtype(torch.float16),
    "device meta": lambda: torch.device("meta"),
}


def without_times(scores: dict[str, Score]) -> dict[str, tuple[Any, ...]]:
    return {name: (s.value, s.log, s.status, s.error, s.note) for name, s in scores.items()}


def in_float32(kind: str) -> tuple[nn.Module, Tensor, Tensor]:
    """Return a network of the zoo and its batch in float32."""
    case = ZOO[kind]
    return case.network().float(), case.x.float(), case.y


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("around", SURROUNDINGS)
def test_the_caller_s_modes_move_nothing(kind: str, around: str) -> None:
    network, x, y = in_float32(kind)
    expected = without_times(score(network, x, y))
    with SURROUNDINGS[around]():
        found = without_times(score(network, x, y))
    assert found == expected


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_and_a_batch_made_under_inference_mode(kind: str) -> None:
    expected = without_times(score(*in_float32(kind)))
    with torch.inference_mode():
        network, x, y = in_float32(kind)
        x, y = x.clone(), y.clone()
    assert without_times(score(network, x, y)) == expected


def test_threads_do_not_meet() -> None:
    expected = {kind: without_times(score(*in_float32(kind))) for kind in KINDS}
    state = torch.get_rng_state()
    networks = {kind: in_float32(kind) for kind in KINDS}
    torch.set_rng_state(state)
    with ThreadPoolExecutor(4) as pool:
        jobs = [(kind, pool.submit(score, *networks[kind])) for kind in KINDS * 3]
        assert all(without_times(job.result()) == expected[kind] for kind, job in jobs)
    assert torch.equal(torch.get_rng_state(), state)


class StraightThrough(torch.autograd.Function):
    """Sign with the derivative of the identity."""

    @staticmethod
    def forward(ctx: Any, w: Tensor) -> Tensor:
        return torch.sign(w)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


def _plain(m: Any, x: Tensor) -> Any:
    return m.fc(pooled(torch.relu(m.b(torch.relu(m.a(x).mul_(0.5))))))


def _without(m: Any, x: Tensor) -> Any:
    with torch.no_grad():
        z = m.a(x).mul_(0.5)
    return m.fc(pooled(torch.relu(m.b(torch.relu(z)))))


def _silent() -> Any:
    network: Any = Net(_plain, **convs())
    nn.init.zeros_(network.fc.weight)
    return network


def _frozen() -> Any:
    network: Any = Net(_plain, **convs())
    network.b.weight.requires_grad_(False)
    return network


def _signs(sign: Any) -> Callable[[], nn.Module]:
    def run(m: Any, x: Tensor) -> Any:
        return m.fc(torch.relu(F.linear(x.flatten(1), sign(m.w.weight))))

    return lambda: Net(run, w=nn.Linear(75, 6), fc=head())


SEQUELS = {
    "a head of zeros, then one of numbers": (_silent, lambda: Net(_plain, **convs())),
    "all weights, then one frozen": (lambda: Net(_plain, **convs()), _frozen),
    "gradients, then none for a part": (lambda: Net(_plain, **convs()), lambda: Net(_without, **convs())),
    "sign, then with a derivative": (_signs(torch.sign), _signs(StraightThrough.apply)),
}


@pytest.mark.parametrize("what", SEQUELS)
def test_what_was_scored_before_moves_nothing(what: str) -> None:
    """Networks with the same operations on the same shapes are verified one by one."""
    first, second = SEQUELS[what]
    score(ZooCase(first).network(), X, Y)
    cut_off = failing("no gradient", "jacov", "epe_nas") if "none" in what else {}
    case = ZooCase(second, fails=cut_off)
    assert not check(case, score(case.network(), X, Y))


PROBES = {
    "gcn-nas": lambda task: replace(task.synthetic_batch(batch_size=2, frames=4), targets=torch.tensor([0, 0])),
    "nas-bench-graph": lambda task: task.synthetic_batch(),
    "nas-bench-201": lambda task: task.synthetic_batch(batch_size=4),
}


@pytest.mark.parametrize("name", PROBES)
def test_engines_agree_on_the_networks_of_a_space(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The statement of `supports_tape` holds."""
    space: Any = get_space(name)
    batch, rng = PROBES[name](space.task), np.random.default_rng(0)
    batch = replace(batch, inputs=(batch.x.double(), *batch.inputs[1:]))
    for arch in sorted((space.sample(rng) for _ in range(20)), key=space.stratum)[:2]:
        network = space.build(arch).double()
        assert ProxyInput(
            network, Batch(batch.inputs, batch.targets, batch.rows, batch.sample_axis is not None)
        ).supports_tape
        with monkeypatch.context() as patch:
            fast = score_batch(network, batch)
            patch.setattr(runner, "verified_needs", exact_engine_only)
            exact = score_batch(network, batch)
        for proxy, result in fast.items():
            assert result.status == exact[proxy].status != "failed"
            if result.status == "ok":
                # Backward in float32, and without batch norm deep networks amplify rounding.
                rel = 1e-2 if proxy == "epe_nas" else 1e-4
                assert result.feature == pytest.approx(exact[proxy].feature, rel=rel), (arch, proxy)


def _hooked(network: Any) -> None:
    network.fc.register_forward_hook(lambda module, args, output: output)


def _other_module(network: Any) -> None:
    network.fc = nn.Sequential(nn.Bilinear(1, 1, 1))


def _tied(network: Any) -> None:
    first, second = network.units[:2]
    first.tcn.conv.weight = second.tcn.conv.weight


def _frozen_head(network: Any) -> None:
    network.fc.weight.requires_grad_(False)


def _replaced(network: Any) -> None:
    network.forward = network.forward


@pytest.mark.parametrize("change", [_hooked, _other_module, _tied, _frozen_head, _replaced])
def test_a_statement_does_not_hold_for_what_was_changed(change: Callable[[Any], None], space: Any) -> None:
    network = space.build(space.parse([["L2", "S"]] * 4))
    assert ProxyInput(network, Batch((X,), Y)).supports_tape
    change(network)
    assert not ProxyInput(network, Batch((X,), Y)).supports_tape


def test_a_statement_does_not_hold_for_subclasses(space: Any) -> None:
    network = space.build(space.parse([["L2", "S"]] * 4))
    network.__class__ = type("Other", (type(network),), {})
    assert not ProxyInput(network, Batch((X,), Y)).supports_tape


class Adjacency(nn.Module):
    """Network that mixes nodes by a matrix: a buffer, or a plain attribute that PyTorch does not convert."""

    def __init__(self, plain: bool) -> None:
        super().__init__()
        self.a, self.fc, graph = nn.Linear(12, 8), nn.Linear(8, 5), torch.rand(9, 9)
        if plain:
            self.graph = graph
        else:
            self.register_buffer("graph", graph, persistent=False)
        self.again = [self.graph]

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(torch.relu(self.a(self.graph @ self.again[0] @ x)).mean(1))
        return logits


def test_a_plain_tensor_is_taken_along_to_float64() -> None:
    results, x = [], torch.randn(len(Y), 9, 12, generator=torch.Generator().manual_seed(0))
    for plain in (True, False):
        torch.manual_seed(0)
        results.append(without_times(score(Adjacency(plain), x, Y)))
    assert results[0] == results[1]
    assert {results[0][name][2] for name in ("epe_nas", "synflow", "snip")} == {"ok"}
