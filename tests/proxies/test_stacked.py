"""Several networks in one pass have the scores that each has alone."""

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from common.errors import InputError
from models import ProbeBatch, get_space
from models.gcn_nas import GcnNasArchitecture
from models.gcn_nas.batches import synthetic_batch
from models.stack import NetworkStack
from proxies import Score, proxy_names, score_batch
from proxies.passes import PASSES
from proxies.passes.convolution import ConvolutionOptions
from proxies.passes.tape import TapedCall
from proxies.registry import get_proxies
from proxies.stacked import MAX_STACK, by_stratum, score_architectures, score_stack, stack_size

pytestmark = pytest.mark.unit
ROWS: list[list[list[str]]] = [
    [["L2", "S"], ["L", "T"], ["L3", "ST"], ["L4n"]],
    [["T", "ST"], ["L"], ["L", "S"], ["L4", "S", "T", "ST"]],
    [["L"], ["L2", "T"], ["ST"], ["L3", "T"]],
]
TOLERANCE = 1e-6
"""Relative difference in float64, where nothing but the order of sums differs."""


@pytest.fixture(scope="module")
def space() -> Any:
    return get_space("gcn-nas")


@pytest.fixture(scope="module")
def archs(space: Any) -> list[GcnNasArchitecture]:
    return [space.parse(rows) for rows in ROWS]


@pytest.fixture(scope="module")
def batch(space: Any) -> ProbeBatch:
    batch = synthetic_batch(space.task, 4, 4)
    return ProbeBatch((batch.x.double(),), batch.y, batch.source)


def in_double(stack: NetworkStack) -> NetworkStack:
    for network in (stack.network, *stack.networks):
        network.double()
    return stack


@pytest.fixture(scope="module")
def together(space: Any, archs: list[GcnNasArchitecture], batch: ProbeBatch) -> list[dict[str, Score]]:
    return score_stack(in_double(space.build_stack(archs)), batch, proxy_names())


@pytest.fixture(scope="module")
def alone(space: Any, archs: list[GcnNasArchitecture], batch: ProbeBatch) -> list[dict[str, Score]]:
    return [score_batch(space.build(arch).double(), batch, proxy_names()) for arch in archs]


def same(a: Score, b: Score) -> bool:
    assert (a.status, a.note, a.error) == (b.status, b.note, b.error)
    if a.log is not None and b.log is not None:
        return math.isclose(a.log, b.log, rel_tol=TOLERANCE)
    return a.value == b.value or math.isclose(a.value or 0.0, b.value or 0.0, rel_tol=TOLERANCE)


@pytest.mark.parametrize("proxy", proxy_names())
def test_each_network_has_the_score_that_it_has_alone(
    proxy: str, together: list[dict[str, Score]], alone: list[dict[str, Score]]
) -> None:
    assert [same(a[proxy], b[proxy]) for a, b in zip(together, alone, strict=True)] == [True] * len(ROWS)


def test_zen_alone_of_the_default_proxies_that_run_a_network_runs_it_for_each() -> None:
    stackable = frozenset().union(*(shared_pass.stackable for shared_pass in PASSES))
    alone = {proxy.info.name for proxy in get_proxies(None) if not proxy.info.needs <= stackable}
    assert alone == {"zen", "params", "l2_norm", "flops", "sed"}


def test_networks_share_the_initial_weights_of_the_stack(space: Any, archs: list[GcnNasArchitecture]) -> None:
    stack = space.build_stack(archs, seed=3)
    shared = dict(stack.network.named_parameters())
    for arch, network in zip(archs, stack.networks, strict=True):
        expected = space.build(arch, seed=3)
        assert list(network.state_dict()) == list(expected.state_dict())
        assert all(
            torch.equal(a, b)
            for a, b in zip(network.state_dict().values(), expected.state_dict().values(), strict=True)
        )
        assert all(torch.equal(a, b) for a, b in zip(network.buffers(), expected.buffers(), strict=True))
        assert all(parameter is shared[name] for name, parameter in network.named_parameters())


@pytest.mark.parametrize("depths", [(), (4, 6)])
def test_architectures_of_several_depths_are_refused(space: Any, depths: tuple[int, ...]) -> None:
    archs = [space.parse([["L", "S"]] * depth) for depth in depths]
    with pytest.raises(InputError, match="one depth"):
        space.build_stack(archs)


def test_a_network_that_fails_fails_alone(
    space: Any, archs: list[GcnNasArchitecture], batch: ProbeBatch, alone: list[dict[str, Score]]
) -> None:
    stack = in_double(space.build_stack(archs))
    name = f"l{archs[1].slots[1]}.gtcn"
    stack.network.get_submodule(name).get_buffer("graph")[1] = math.inf
    stack.networks[1].get_submodule(name).get_buffer("graph").fill_(math.inf)
    names = ["nwot", "grad_norm", "synflow", "zico", "params"]
    scores = score_stack(stack, batch, names)
    assert {name: result.status for name, result in scores[1].items() if name != "params"} == dict.fromkeys(
        names[:-1], "failed"
    )
    for i in (0, 2):
        assert all(same(scores[i][name], alone[i][name]) for name in names)


def test_a_graph_cannot_be_stacked(space: Any, archs: list[GcnNasArchitecture]) -> None:
    graphs: Any = get_space("nas-bench-graph")
    with pytest.raises(InputError, match="independent samples"):
        score_stack(space.build_stack(archs), graphs.task.synthetic_batch())


def test_architectures_on_a_cpu_are_scored_one_by_one(
    monkeypatch: pytest.MonkeyPatch, space: Any, archs: list[GcnNasArchitecture], batch: ProbeBatch
) -> None:
    monkeypatch.setattr("proxies.stacked.score_stack", None)
    scores = score_architectures(space, archs, ProbeBatch((batch.x.float(),), batch.y, batch.source), ["params"])
    assert [row["params"].value for row in scores] == [space.cost(arch).params for arch in archs]


def test_architectures_are_scored_in_stacks_of_the_size_that_fits(
    monkeypatch: pytest.MonkeyPatch, space: Any, archs: list[GcnNasArchitecture], batch: ProbeBatch
) -> None:
    sizes = []

    def build(archs: Sequence[GcnNasArchitecture], seed: int) -> NetworkStack:
        sizes.append(len(archs))
        return in_double(build_stack(archs, seed))

    build_stack = space.build_stack
    monkeypatch.setattr(type(space), "build_stack", lambda _, *arguments: build(*arguments))
    monkeypatch.setattr("proxies.stacked.stack_size", lambda *_: 2)
    scores = score_architectures(space, archs, batch, ["params", "nwot"])
    assert sizes == [2, 1]
    expected = score_stack(in_double(build_stack(archs)), batch, ["params", "nwot"])
    assert all(same(a[name], b[name]) for a, b in zip(scores, expected, strict=True) for name in a)


def test_a_stack_fits_in_half_of_the_memory(monkeypatch: pytest.MonkeyPatch, batch: ProbeBatch) -> None:
    def size(gib: float, processes: int = 1) -> int:
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (0, int(gib * 2**30)))
        return stack_size(batch, torch.device("cuda"), processes)

    assert (size(0.1), size(1000)) == (1, MAX_STACK)
    assert 1 < size(10) < MAX_STACK
    assert size(10, processes=4) == size(2.5)
    assert stack_size(batch, torch.device("cpu")) == 1


def test_architectures_are_grouped_by_stratum(space: Any) -> None:
    archs = [space.parse([["L", "S"]] * depth) for depth in (4, 6, 4, 4, 6)]
    groups = list(by_stratum(space, archs, 2))
    assert [[arch.depth for arch in group] for group in groups] == [[4, 4], [4], [6, 6]]


OPTIONS = {
    "frames": (ConvolutionOptions((2, 1), (4, 0), (1, 1), 1), (6, 4, 9, 1), (6, 4, 8, 5)),
    "image": (ConvolutionOptions((1, 1), (1, 1), (1, 1), 1), (6, 4, 3, 3), (6, 4, 8, 5)),
    "groups": (ConvolutionOptions((1, 1), (0, 0), (1, 1), 2), (6, 2, 3, 3), (6, 4, 8, 5)),
}


def taped_calls() -> dict[str, TapedCall]:
    calls = {}
    for name, (options, *shapes) in OPTIONS.items():
        w, x = (torch.randn(*shape, dtype=torch.float64) for shape in shapes)
        b = torch.randn(len(w), dtype=torch.float64)
        calls[name] = TapedCall(x, w, torch.convolution(x, w, b, *options.aten_args), b, options)
    x, w, b = (torch.randn(*shape, dtype=torch.float64) for shape in ((6, 2, 4), (3, 4), (3,)))
    calls["linear"] = TapedCall(x, w, x @ w.T + b, b)
    return calls


@pytest.mark.parametrize("kind", [*OPTIONS, "linear"])
def test_parts_of_a_call_are_calls_of_the_parts(kind: str) -> None:
    torch.manual_seed(0)
    call, parts = taped_calls()[kind], 3
    gradient, weights = torch.randn_like(call.z), torch.randn(parts, *call.weight.shape, dtype=torch.float64)
    rows = [slice(i, i + 2) for i in range(0, 6, 2)]
    alone = [TapedCall(call.x[r], call.weight, call.z[r], call.bias, call.options) for r in rows]
    torch.testing.assert_close(
        call.weight_gradients(gradient, parts),
        torch.stack([one.weight_gradient(gradient[r]) for one, r in zip(alone, rows, strict=True)]),
    )
    torch.testing.assert_close(
        call.apply_each(weights), torch.cat([one.apply(w) for one, w in zip(alone, weights, strict=True)])
    )
    torch.testing.assert_close(
        call.inner_products(gradient, parts),
        torch.cat([one.inner_products(gradient[r], 1) for one, r in zip(alone, rows, strict=True)]),
    )
