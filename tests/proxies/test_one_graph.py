"""Proxies of networks on one graph, whose nodes exchange messages, against plain autograd."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.task import ProbeBatch
from proxies import Score, proxy_infos, score, score_batch
from proxies.spectrum import effective_rank

NAMED = [info.name for info in proxy_infos() if not info.default]
NODES, FEATURES, CLASSES = 12, 7, 3
X = torch.randn(NODES, FEATURES, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
RING = torch.stack([torch.arange(NODES), (torch.arange(NODES) + 1) % NODES])
EDGES = torch.cat([RING, RING.flip(0)], 1)
ROWS = torch.tensor([9, 0, 4, 2, 7, 11])
Y = torch.tensor([0, 1, 0, 1, 2, 2])


class Graph(nn.Module):
    """Two graph convolutions with batch norm and dropout, of sums over neighbours; the second is a bare product."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.second = nn.Linear(FEATURES, 6), nn.BatchNorm1d(6), nn.Linear(6, CLASSES)
        self.weight = nn.Parameter(0.3 * torch.randn(6, 6))
        self.feature_unit, self.units = self.norm, [self.norm]

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        h = torch.relu(self.norm(self.first(x + self.neighbors(x, edges))))
        h = functional.dropout(h, 0.5, self.training)
        h = torch.relu(self.neighbors(h @ self.weight, edges) + h)
        logits: Tensor = self.second(h)
        return logits

    @staticmethod
    def neighbors(x: Tensor, edges: Tensor) -> Tensor:
        return torch.zeros_like(x).index_add(0, edges[1], x[edges[0]])


def network(batch_norm: bool = True) -> Any:
    torch.manual_seed(0)
    made = Graph().double()
    if not batch_norm:
        made.norm = nn.Identity()  # type: ignore[assignment]
    made.forward = lambda x, edges: run(made, x, edges)  # type: ignore[method-assign]
    return made


def run(m: Any, x: Tensor, edges: Tensor) -> Tensor:
    """The network without dropout."""
    h = torch.relu(m.norm(m.first(x + m.neighbors(x, edges))))
    logits: Tensor = m.second(torch.relu(m.neighbors(h @ m.weight, edges) + h))
    return logits


@pytest.fixture(scope="module")
def scores() -> dict[str, Score]:
    torch.manual_seed(0)
    batch = ProbeBatch((X, EDGES), Y, "test", ROWS, None)
    return score_batch(Graph().double(), batch)


def weights(m: Any) -> list[Tensor]:
    return [m.first.weight, m.second.weight, m.weight]


def test_all_but_the_topology_apply(scores: dict[str, Score]) -> None:
    assert {name for name, s in scores.items() if s.status == "failed"} == set()
    assert {name for name, s in scores.items() if s.status == "not_applicable"} == {"sed"}


def test_losses_are_over_the_labelled_rows(scores: dict[str, Score]) -> None:
    m = network()
    loss = functional.cross_entropy(m(X, EDGES)[ROWS], Y)
    gradients = torch.autograd.grad(loss, weights(m), create_graph=True)
    products = [(w * g).detach() for w, g in zip(weights(m), gradients, strict=True)]
    assert scores["snip"].value == pytest.approx(sum(float(product.abs().sum()) for product in products))
    assert scores["plain"].value == pytest.approx(sum(float(product.sum()) for product in products))
    assert scores["grad_norm"].value == pytest.approx(sum(float(g.detach().norm()) for g in gradients))
    slopes = torch.autograd.grad(torch.stack([(g * g.detach()).sum() for g in gradients]).sum(), weights(m))
    assert scores["grasp"].value == pytest.approx(
        -sum(float((w * h).detach().sum()) for w, h in zip(weights(m), slopes, strict=True))
    )


def test_zico_takes_every_other_label(scores: dict[str, Score]) -> None:
    m, halves = network(), []
    for half in (slice(0, None, 2), slice(1, None, 2)):
        loss = functional.cross_entropy(m(X, EDGES)[ROWS[half]], Y[half])
        halves.append([g.abs() for g in torch.autograd.grad(loss, weights(m))])
    expected = 0.0
    for a, b in zip(*halves, strict=True):
        differ = a != b
        expected += math.log(float(((a + b)[differ] / (a - b).abs()[differ]).sum()))
    assert scores["zico"].value == pytest.approx(expected)


def test_grad_sign_takes_each_label_on_the_whole_graph(scores: dict[str, Score]) -> None:
    m = network(batch_norm=False)
    total = [torch.zeros_like(w) for w in weights(m)]
    for row, label in zip(ROWS, Y, strict=True):
        loss = functional.cross_entropy(m(X, EDGES)[row][None], label[None])
        for t, g in zip(total, torch.autograd.grad(loss, weights(m)), strict=True):
            t += g.sign()
    entries = sum(t.numel() for t in total)
    assert scores["grad_sign"].value == pytest.approx(sum(float(t.abs().sum()) for t in total) / entries)


def own_jacobian(m: Any) -> Any:
    """Gradients of each row's logits by its own features, rows by class."""
    x, order = X.clone().requires_grad_(), [ROWS[i] for kind in range(CLASSES) for i in range(6) if Y[i] == kind]
    logits = m(x, EDGES)
    rows = [torch.autograd.grad(logits[row].sum(), x, retain_graph=True)[0][row] for row in order]
    return torch.stack(rows).detach().numpy()


def test_jacobians_are_of_a_rows_own_logits_and_features(scores: dict[str, Score]) -> None:
    values = np.linalg.eigvalsh(np.corrcoef(own_jacobian(network()))) + 1e-5
    assert scores["jacov"].value == pytest.approx(-float((np.log(values) + 1 / values).sum()), rel=1e-5)
    rows = own_jacobian(network(batch_norm=False)).reshape(CLASSES, 2, FEATURES)
    logs = [abs(np.log(np.abs(np.corrcoef(pair)) + 1e-5).sum()) for pair in rows]
    assert scores["epe_nas"].value == pytest.approx(sum(logs), rel=1e-5)


def test_nwot_compares_the_labelled_rows(scores: dict[str, Score]) -> None:
    m = network()
    first = m.norm(m.first(X + m.neighbors(X, EDGES)))
    h = torch.relu(first)
    active = torch.cat([first, m.neighbors(h @ m.weight, EDGES) + h], 1)[ROWS] > 0
    kernel = (active[:, None] == active).sum(2).double() + 1e-6 * torch.eye(len(ROWS))
    assert scores["nwot"].value == pytest.approx(float(torch.logdet(kernel.detach())), rel=1e-6)


def test_synflow_is_of_all_rows_with_features_of_ones(scores: dict[str, Score]) -> None:
    m = network(batch_norm=False)
    with torch.no_grad():
        for parameter in m.parameters():
            parameter.abs_()
    gradients = torch.autograd.grad(m(torch.ones_like(X), EDGES).sum(), weights(m))
    total = sum(float((w * g).detach().sum()) for w, g in zip(weights(m), gradients, strict=True))
    assert scores["synflow"].log == pytest.approx(math.log(total))


def test_meco_reads_nodes_as_positions(scores: dict[str, Score]) -> None:
    m = network()
    x = torch.randn(X.shape, generator=torch.Generator().manual_seed(0)).double()
    features = m.norm(m.first(x + m.neighbors(x, EDGES))).detach().numpy().T
    assert scores["meco"].value == pytest.approx(float(np.linalg.eigvalsh(np.corrcoef(features))[0]))


def test_fisher_is_a_mean_over_nodes(scores: dict[str, Score]) -> None:
    m = network()
    a = m.first(X + m.neighbors(X, EDGES))
    h = torch.relu(m.norm(a))
    b = h @ m.weight
    c = m.second(torch.relu(m.neighbors(b, EDGES) + h))
    gradients = torch.autograd.grad(functional.cross_entropy(c[ROWS], Y), [a, b, c])
    numel = (FEATURES, 6, 6)
    expected = sum(
        0.5 * float((z * g).detach().square().mean(0).sum()) * n
        for z, g, n in zip((a, b, c), gradients, numel, strict=True)
    )
    assert scores["fisher"].value == pytest.approx(expected)


def test_proxies_that_are_named() -> None:
    torch.manual_seed(0)
    made = Graph().double()
    scores = score_batch(made, ProbeBatch((X, EDGES), Y, "test", ROWS, None), NAMED)
    assert {name for name, s in scores.items() if s.status != "ok"} == {"progressivity", "trainability"}
    m = network()
    unit = m.norm(m.first(X + m.neighbors(X, EDGES)))
    spectrum = np.linalg.eigvalsh(np.cov(unit.detach().numpy().T))
    assert scores["participation"].value == pytest.approx(math.log(spectrum.sum() ** 2 / (spectrum**2).sum()))
    h = torch.relu(unit)
    relus = [z.detach().numpy() for z in (unit, m.neighbors(h @ m.weight, EDGES) + h)]
    patterns = {tuple(column) for z in relus for column in (z[ROWS] > 0).T.tolist()}
    assert scores["swap"].value == len(patterns)
    order = torch.randperm(NODES, generator=torch.Generator().manual_seed(0))[:6]
    assert scores["near"].value == pytest.approx(
        sum(effective_rank(torch.tensor(part)) for z in relus for part in (z[order], np.maximum(z[order], 0)))
    )


def test_vkdnw_sums_over_the_labelled_rows() -> None:
    m = network(batch_norm=False)
    logits = m(X, EDGES)[ROWS]
    p = 0.95 * logits.detach().softmax(1) + 0.05 / CLASSES
    generator, vectors = torch.Generator().manual_seed(0), []
    for _ in range(8):
        signs = 2.0 * torch.randint(2, (len(Y), CLASSES), generator=generator) - 1
        projected = p.sqrt() * signs - p * (p.sqrt() * signs).sum(1, keepdim=True)
        gradients = torch.autograd.grad(
            (logits * projected).sum(), [m.first.weight, m.second.weight, m.weight], retain_graph=True
        )
        named = dict(zip(("first.weight", "second.weight", "weight"), gradients, strict=True))
        order = [name for name, _ in m.named_parameters() if name in named]
        vectors.append(
            torch.cat([named[n].flatten()[np.linspace(0, named[n].numel() - 1, 4, dtype=int)] for n in order])
        )
    deciles = np.quantile(np.linalg.svd(torch.stack(vectors).numpy(), compute_uv=False) ** 2, np.arange(1, 10) / 10)
    shares = deciles / deciles.sum()
    torch.manual_seed(0)
    ours = score_batch(Graph().double(), ProbeBatch((X, EDGES), Y, "test", ROWS, None), ["vkdnw"])["vkdnw"]
    assert ours.value == pytest.approx(-float((shares * np.log(shares)).sum()), rel=1e-6)


def test_several_labels_a_row() -> None:
    torch.manual_seed(0)
    m, y = Graph().double(), torch.tensor([[0.0, 1, 1], [1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 1, 0], [1, 1, 1]])
    ours = score(m, (X, EDGES), y, rows=ROWS, sample_axis=None)
    assert {name for name, s in ours.items() if s.status != "ok"} == {"epe_nas", "sed"}
    assert "several labels a row" in str(ours["epe_nas"].note)
    plain = network()
    loss = functional.binary_cross_entropy_with_logits(plain(X, EDGES)[ROWS], y.double())
    gradients = torch.autograd.grad(loss, weights(plain))
    assert ours["grad_norm"].value == pytest.approx(sum(float(g.norm()) for g in gradients))


def test_rows_of_the_output_that_are_not_nodes() -> None:
    """One output for a graph has no row of the data, and ReLUs have other rows."""

    class Pooled(Graph):
        def forward(self, x: Tensor, edges: Tensor) -> Tensor:
            return super().forward(x, edges).view(2, -1, CLASSES).mean(1)

    ours = score(Pooled().double(), (X, EDGES), torch.tensor([0, 0]), sample_axis=None)
    assert {name for name, s in ours.items() if s.status == "failed"} == set()
    assert {name for name, s in ours.items() if s.status == "not_applicable"} == {
        *("epe_nas", "fisher", "jacov", "nwot", "sed")
    }


def test_a_row_that_the_output_lacks_is_a_failure() -> None:
    result = score(Graph().double(), (X, EDGES), Y[:1], ["snip"], rows=torch.tensor([NODES]), sample_axis=None)["snip"]
    assert (result.status, result.value) == ("failed", None)


def test_independent_samples_without_a_label_are_left_out() -> None:
    layer, y = nn.Linear(FEATURES, CLASSES).double(), Y[:2]
    some = score(layer, X, y, rows=torch.tensor([3, 5]))
    assert some["snip"].value == score(layer, X[[3, 5]], y)["snip"].value


def test_without_rows_every_row_has_a_label() -> None:
    names = ["grad_norm", "grad_sign", "zico", "epe_nas", "jacov", "nwot"]
    some = score(Graph().double(), (X, EDGES), Y, names, sample_axis=None)
    assert {name: s.status for name, s in some.items()} == dict.fromkeys(names, "failed")
    all_of_them = score(Graph().double(), (X, EDGES), Y.repeat(2), names, sample_axis=None)
    assert {s.status for s in all_of_them.values()} == {"ok"}
