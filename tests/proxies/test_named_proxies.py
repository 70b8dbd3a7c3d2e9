"""The proxies that are computed where they are named, on both engines, against their definitions in NumPy."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from proxies import Score, proxy_infos, runner, score
from tests.proxies.oracle import Relus, trained, weights_of, without_batch_norm, without_dropout
from tests.proxies.test_zoo import exact_engine_only
from tests.proxies.zoo import ZOO
from tests.proxies.zoo.case import HIDDEN, NO_RELU, ROWS, X, Y, ZooCase, conv, head, pooled

pytestmark = pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")
NAMED = [info.name for info in proxy_infos() if not info.default]
BY_UNIT = ("expressivity", "participation", "progressivity", "trainability")
NO_UNITS = dict.fromkeys(BY_UNIT, "names no `units`")
SEED = 0


class Strided(nn.Module):
    """Units with a residual, a stride, and channels behind the positions."""

    channel_axis = -1

    def __init__(self) -> None:
        super().__init__()
        self.a, self.an = conv(3, 6), nn.BatchNorm2d(6)
        self.b, self.down = nn.Conv2d(6, 8, 3, stride=(2, 1), padding=1), nn.Conv2d(6, 8, 1, stride=(2, 1))
        self.fc = head(8)
        self.units = [Last(self._first), Last(self._second), Last(self._third)]

    def _first(self, x: Tensor) -> Tensor:
        return torch.relu(self.an(self.a(x)))

    def _second(self, x: Tensor) -> Tensor:
        return torch.relu(self.b(x) + self.down(x))

    def _third(self, x: Tensor) -> Tensor:
        return x + torch.tanh(x)

    def forward(self, x: Tensor) -> Any:
        x = x.movedim(1, -1)
        for unit in self.units:
            x = unit(x)
        return self.fc(x.mean((1, 2)))


class Last(nn.Module):
    """Function of (N, C, H, W) as a module of (N, H, W, C)."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x.movedim(-1, 1)).movedim(1, -1)


EVEN = torch.randn(4, 3, 6, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
CASES: dict[str, tuple[ZooCase, dict[str, str]]] = {
    "units, features and topology named": (ZOO["units, features and topology named"], {}),
    "strided units, channels last": (ZooCase(Strided, EVEN), {}),
    **{
        name: (ZOO[name], NO_UNITS)
        for name in ("residual block", "grouped and dilated convolutions", "weight_norm", "learned adjacency", "LoRA")
    },
    "no ReLU at all": (
        ZOO["no ReLU at all"],
        NO_UNITS | dict.fromkeys(("near", "near_mean", "swap"), NO_RELU),
    ),
    "TorchScript with batch norm": (
        ZOO["TorchScript with batch norm"],
        NO_UNITS | dict.fromkeys(("swap", "vkdnw"), HIDDEN),
    ),
    "frames folded before samples": (
        ZOO["frames folded before samples"],
        NO_UNITS | {"swap": ROWS},
    ),
}


@pytest.fixture(params=["chosen", "exact"])
def _engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "exact":
        monkeypatch.setattr(runner, "verified_needs", exact_engine_only)


class ReluInputs(Relus):
    """Mode that records the inputs of relu."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs: list[np.ndarray] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before, x = len(self.active), args[0].detach().clone() if args and isinstance(args[0], Tensor) else None
        result = super().__torch_function__(func, types, args, kwargs)
        if len(self.active) > before and x is not None:
            self.inputs.append(x.numpy())
        return result


def relu_inputs(case: ZooCase, x: Tensor) -> list[np.ndarray]:
    network = trained(case)
    relus = ReluInputs()
    with relus, torch.no_grad():
        network(x.clone())
    return relus.inputs


def erank(matrix: np.ndarray) -> float:
    values = np.linalg.svd(matrix, compute_uv=False)
    shares = values[values > 1e-12] / values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum())) if len(shares) else 0.0


def eranks(case: ZooCase) -> list[tuple[float, int]]:
    result = []
    for z in relu_inputs(case, case.x):
        places = np.moveaxis(z, 1, -1).reshape(-1, z.shape[1])
        if len(places) > z.shape[1]:
            order = torch.randperm(len(places), generator=torch.Generator().manual_seed(0))
            places = places[order[: z.shape[1]].numpy()]
        result += [(erank(places), z.shape[1]), (erank(np.maximum(places, 0)), z.shape[1])]
    return result


def near(case: ZooCase) -> float:
    return sum(rank for rank, _ in eranks(case))


def near_mean(case: ZooCase) -> float:
    return float(np.mean([rank / channels for rank, channels in eranks(case)]))


def swap(case: ZooCase) -> float:
    x = torch.randn((16, *case.x.shape[1:]), generator=torch.Generator().manual_seed(SEED)).double()
    patterns = [column for z in relu_inputs(case, x) for column in (z.reshape(len(z), -1) > 0).T.tolist()]
    return len(set(map(tuple, patterns)))


def vkdnw(case: ZooCase) -> float:
    network = trained(case)
    weights = weights_of(case, network)
    entries = [np.linspace(0, w.numel() - 1, min(4, w.numel()), dtype=int) for w in weights]
    samples, jacobians, roots = len(case.y), [], []
    with without_batch_norm():
        for n in range(samples):
            (logits,) = network(case.x[n : n + 1].clone())
            rows = []
            for logit in logits:
                grads = torch.autograd.grad(logit, weights, retain_graph=True, allow_unused=True)
                rows.append(
                    np.concatenate(
                        [
                            np.zeros(len(e)) if g is None else g.numpy().ravel()[e]
                            for g, e in zip(grads, entries, strict=True)
                        ]
                    )
                )
            jacobians.append(np.stack(rows))
            p = 0.95 * torch.softmax(logits.detach(), 0).numpy() + 0.05 / len(logits)
            root = np.diag(np.sqrt(p)) - np.outer(p, np.sqrt(p))
            assert root @ root.T == pytest.approx(np.diag(p) - np.outer(p, p))
            roots.append(root)
    generator, vectors = torch.Generator().manual_seed(SEED), []
    for _ in range(math.ceil(8 / samples)):
        signs = 2 * torch.randint(2, (samples, len(p)), generator=generator).numpy() - 1
        vectors += [xi @ root.T @ jacobian for xi, root, jacobian in zip(signs, roots, jacobians, strict=True)]
    deciles = np.quantile(np.linalg.svd(np.stack(vectors), compute_uv=False) ** 2, np.arange(1, 10) / 10)
    shares = deciles[deciles > 0] / deciles.sum()
    return float(-(shares * np.log(shares)).sum())


def unit_calls(case: ZooCase) -> tuple[list[tuple[Tensor, Tensor]], int]:
    """Return input and output of each unit on the autograd graph, and the dimension of the channels."""
    network = trained(case)
    calls: list[tuple[Tensor, Tensor]] = []
    for unit in network.units:  # type: ignore[union-attr]
        unit.register_forward_hook(lambda module, args, output: calls.append((args[0], output)))
    network(case.x.clone().requires_grad_().clone())
    return calls, getattr(network, "channel_axis", 1)


def spectra(case: ZooCase) -> list[np.ndarray]:
    calls, axis = unit_calls(case)
    places = [output.detach().movedim(axis, -1).flatten(0, -2).numpy() for _, output in calls]
    return [np.linalg.eigvalsh(np.cov(matrix.T)).clip(0) for matrix in places]


def entropies(case: ZooCase) -> list[float]:
    shares = [values / values.sum() for values in spectra(case)]
    return [float(-(p * np.log(p + 1e-8)).sum()) for p in shares]


def expressivity(case: ZooCase) -> float:
    return sum(entropies(case))


def progressivity(case: ZooCase) -> float:
    return float(np.diff(entropies(case)).min())


def participation(case: ZooCase) -> float:
    return float(np.mean([np.log(values.sum() ** 2 / (values**2).sum()) for values in spectra(case)]))


def trainability(case: ZooCase) -> float:
    calls, axis = unit_calls(case)
    values = []
    for x, output in calls[1:]:
        signs = 2.0 * torch.randint(2, output.shape, generator=torch.Generator().manual_seed(SEED)) - 1
        (gradient,) = torch.autograd.grad(output, x, signs.double(), retain_graph=True)
        inner, outer = gradient.movedim(axis, 1).numpy(), signs.movedim(axis, 1).numpy()
        height, width = inner.shape[2] // outer.shape[2], inner.shape[3] // outer.shape[3]
        total: Any = 0
        for n, i, j in np.ndindex(outer.shape[0], *outer.shape[2:]):
            block = inner[n, :, i * height : (i + 1) * height, j * width : (j + 1) * width]
            total = total + np.outer(block.ravel(), outer[n, :, i, j])
        sigma = np.linalg.svd(total * outer.shape[1] / outer.size, compute_uv=False)[0]
        values.append(2 - sigma - 1 / (sigma + 1e-6))
    return float(np.mean(values))


FORMULAS = {
    formula.__name__: formula
    for formula in (expressivity, near, near_mean, participation, progressivity, swap, trainability, vkdnw)
}


@pytest.mark.usefixtures("_engine")
@pytest.mark.parametrize("name", CASES)
def test_scores_are_what_the_definitions_say(name: str) -> None:
    case, failing = CASES[name]
    scores = score(case.network(), case.x, case.y, NAMED)
    assert list(scores) == list(FORMULAS) == NAMED
    for proxy, result in scores.items():
        if proxy in failing:
            assert failing[proxy] in f"{result.error} {result.note}", proxy
            assert result.value is None
        else:
            with without_dropout():
                expected = FORMULAS[proxy](case)
            assert result.value == pytest.approx(expected, rel=1e-5), (proxy, result)


def test_a_fast_engine_measures_them() -> None:
    case, _ = CASES["strided units, channels last"]
    for proxy, result in score(case.network(), case.x, case.y, NAMED).items():
        assert result.note is None, proxy


class Units(nn.Module):
    """Network of units that are given."""

    def __init__(self, *units: nn.Module) -> None:
        super().__init__()
        self.units, self.body, self.fc = units, nn.Sequential(*units), head()

    def forward(self, x: Tensor) -> Any:
        return self.fc(pooled(self.body(x)))


class Zero(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


class Cropped(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, 1:-1]


def scores_of(*units: nn.Module) -> dict[str, Score]:
    torch.manual_seed(0)
    return score(Units(*units).double(), X, Y, list(BY_UNIT))


@pytest.mark.usefixtures("_engine")
def test_units_that_a_definition_leaves_out() -> None:
    one = scores_of(conv())
    assert {name for name, s in one.items() if s.status == "ok"} == {"expressivity", "participation"}
    assert {one[name].status for name in ("progressivity", "trainability")} == {"not_applicable"}
    for unit, sentence in ((nn.Identity(), "a unit is the identity"), (Cropped(), "no blocks of places")):
        scores = scores_of(conv(), unit)
        assert scores["trainability"].status == "not_applicable"
        assert sentence in str(scores["trainability"].note)
        assert {scores[name].status for name in BY_UNIT[:3]} == {"ok"}
    constant = scores_of(conv(), Zero())
    assert {constant[name].status for name in BY_UNIT[:3]} == {"not_applicable"}
    assert "the output of a unit is constant" in str(constant["expressivity"].note)
    assert constant["trainability"].value == pytest.approx(2 - 1e6)
    assert scores_of(conv(), Zero(), Zero())["trainability"].value == pytest.approx(2 - 1e6)


def test_rounding_is_no_variance() -> None:
    """A constant that float32 rounds differently in each place is one."""
    layer = conv(6, 6)
    torch.manual_seed(0)
    network = Units(conv(), layer)
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.copy_(torch.rand(6) + 1 / 3)  # type: ignore[union-attr]
    result = score(network, X.float(), Y, ["expressivity"])["expressivity"]
    assert (result.status, result.value) == ("not_applicable", None)


def test_a_unit_without_a_tensor_fails_alone() -> None:
    class Pair(nn.Module):
        def forward(self, x: Tensor) -> Any:
            return x, x

    class Network(Units):
        def forward(self, x: Tensor) -> Any:
            return self.fc(pooled(self.units[0](self.units[1](x)[0])))

    scores = score(Network(conv(), Pair()).double(), X, Y, [*BY_UNIT, "snip"])
    assert {scores[name].status for name in BY_UNIT[:3]} == {"failed"}
    assert "a unit gives a tuple" in str(scores["expressivity"].error)
    assert scores["trainability"].status == scores["snip"].status == "ok"  # the tuple is the first unit's


def test_a_unit_that_is_cut_off_from_the_data() -> None:
    """Its Jacobian is that of the unit alone, and no other proxy of the pass sees it as differentiable."""

    class Detached(Units):
        def forward(self, x: Tensor) -> Any:
            return self.fc(pooled(self.units[1](self.units[0](x).detach())))

    torch.manual_seed(0)
    network, plain = (kind(conv(), nn.Sequential(nn.ReLU(), conv(6, 6))).double() for kind in (Detached, Units))
    plain.load_state_dict(network.state_dict())
    network.units[1].requires_grad_(False)
    together = score(network, X, Y, ["fisher", "trainability"])
    assert together["fisher"].value == score(network, X, Y, ["fisher"])["fisher"].value
    assert together["trainability"].value == pytest.approx(score(plain, X, Y, ["trainability"])["trainability"].value)


def test_writing_in_place_changes_nothing() -> None:
    torch.manual_seed(0)
    plain = Units(conv(), nn.Sequential(nn.ReLU(), conv(6, 6)), nn.ReLU()).double()
    in_place = Units(plain.units[0], nn.Sequential(nn.ReLU(inplace=True), plain.units[1][1]), nn.ReLU(inplace=True))  # type: ignore[index]
    in_place.fc = plain.fc
    expected = score(plain, X, Y, NAMED)
    assert {name: s.value for name, s in score(in_place, X, Y, NAMED).items()} == pytest.approx(
        {name: s.value for name, s in expected.items()}, rel=1e-9
    )


def test_enough_samples_are_taken_as_they_are() -> None:
    case = ZOO["residual block"]
    x = torch.randn(16, 3, 5, 5, generator=torch.Generator().manual_seed(5)).double()
    result = score(case.network(), x, torch.arange(16) % 4, ["swap"])["swap"]
    patterns = {tuple(c) for z in relu_inputs(case, x) for c in (z.reshape(16, -1) > 0).T.tolist()}
    assert result.value == len(patterns)


def test_several_labels_a_row() -> None:
    case = ZOO["residual block"]
    y = torch.randint(2, (4, 4), generator=torch.Generator().manual_seed(0)).double()
    scores = score(case.network(), case.x, y, ["vkdnw", "near", "swap"])
    assert {s.status for s in scores.values()} == {"ok"}
    assert scores["vkdnw"].value != score(case.network(), case.x, case.y, ["vkdnw"])["vkdnw"].value
    assert 0 < float(scores["vkdnw"].value or 0) <= math.log(9)


def test_chunks_of_the_batch_give_the_same_vectors() -> None:
    from proxies.base import Need
    from proxies.passes import ProxyInput
    from proxies.passes.batch import Batch
    from proxies.passes.gradient_sign import GradientSignPass

    case = ZOO["residual block"]
    inputs = ProxyInput(case.network(), Batch((case.x,), case.y))
    both = frozenset({Need.FISHER_VECTORS, Need.GRADIENT_SIGNS})
    whole, parts = (dict(GradientSignPass().run(inputs, both, chunks)) for chunks in (1, 4))
    torch.testing.assert_close(whole[Need.FISHER_VECTORS], parts[Need.FISHER_VECTORS])
    torch.testing.assert_close(whole[Need.GRADIENT_SIGNS].sums, parts[Need.GRADIENT_SIGNS].sums)
