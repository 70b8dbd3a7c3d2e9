"""Layers of nas-bench-graph: PyTorch Geometric's, by definition and, where it is installed, by number."""

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models.nas_bench_graph.layers import LAYERS, Attention, Graph, Layer

NODES, FEATURES, WIDTH = 30, 12, 8
NAMES = {
    "gat": {"att_src": "source", "att_dst": "target", "lin.weight": "linear.weight", "bias": "bias"},
    "gcn": {"lin.weight": "linear.weight", "bias": "bias"},
    "gin": {"nn.weight": "linear.weight", "nn.bias": "linear.bias"},
    "cheb": {"lins.0.weight": "root.weight", "lins.1.weight": "neighbors.weight", "bias": "bias"},
    "sage": {"lin_l.weight": "neighbors.weight", "lin_l.bias": "neighbors.bias", "lin_r.weight": "root.weight"},
    "arma": {
        "init_weight": "neighbors.weight",
        "root_weight": "root.weight",
        "weight": "unused_weight",
        "bias": "bias",
    },
    "graph": {"lin_rel.weight": "neighbors.weight", "lin_rel.bias": "neighbors.bias", "lin_root.weight": "root.weight"},
}
"""Parameters of PyTorch Geometric's layers and ours."""


@pytest.fixture
def edges() -> Tensor:
    """A random undirected graph; node 3 has no neighbors."""
    linked = torch.rand(NODES, NODES, generator=torch.Generator().manual_seed(0)) < 0.1
    linked = linked | linked.T
    linked[3], linked[:, 3] = False, False
    return linked.fill_diagonal_(False).nonzero().T.contiguous()


@pytest.fixture
def x() -> Tensor:
    return torch.randn(NODES, FEATURES, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.fixture
def adjacency(edges: Tensor) -> Tensor:
    """Dense A."""
    return torch.zeros(NODES, NODES, dtype=torch.float64).index_put((edges[1], edges[0]), torch.ones(1).double())


def layer(op: str, **options: Any) -> Layer:
    made = LAYERS[op](FEATURES, WIDTH, **options).double()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return made


def dense_formulas(made: Any, x: Tensor, adjacency: Tensor) -> dict[str, Callable[[], Tensor]]:
    """Definitions of the table in matrices."""
    degree = adjacency.sum(1)
    looped = adjacency + torch.eye(NODES)
    scale = torch.where(degree > 0, degree, 1).rsqrt()
    normalized = scale[:, None] * adjacency * scale
    looped_scale = looped.sum(1).rsqrt()
    inverse = torch.where(degree > 0, degree, 1).reciprocal()
    return {
        "gcn": lambda: (looped_scale[:, None] * looped * looped_scale) @ x @ made.linear.weight.T + made.bias,
        "gin": lambda: (adjacency + torch.eye(NODES)) @ x @ made.linear.weight.T + made.linear.bias,
        "cheb": lambda: x @ made.root.weight.T - normalized @ x @ made.neighbors.weight.T + made.bias,
        "sage": lambda: (
            (inverse[:, None] * adjacency) @ x @ made.neighbors.weight.T + made.neighbors.bias + x @ made.root.weight.T
        ),
        "arma": lambda: (normalized @ x @ made.neighbors.weight.T + x @ made.root.weight.T + made.bias).clamp(min=0),
        "graph": lambda: adjacency @ x @ made.neighbors.weight.T + made.neighbors.bias + x @ made.root.weight.T,
        "fc": lambda: x @ made.linear.weight.T + made.linear.bias,
        "skip": lambda: x,
        "gat": lambda: attention(made, x, looped),
    }


def attention(made: Any, x: Tensor, looped: Tensor) -> Tensor:
    """Attention over dense matrices, head by head."""
    h = (x @ made.linear.weight.T).view(NODES, 4, -1)
    heads = []
    for head in range(4):
        scores = (h[:, head] @ made.target[head])[:, None] + (h[:, head] @ made.source[head])[None]
        scores = nn.functional.leaky_relu(scores, 0.2).masked_fill(looped == 0, -torch.inf)
        heads.append(scores.softmax(1) @ h[:, head])
    y: Tensor = torch.cat(heads, 1) + made.bias
    return y


@pytest.mark.parametrize("op", LAYERS)
def test_layers_are_their_definitions(op: str, x: Tensor, edges: Tensor, adjacency: Tensor) -> None:
    made = layer(op)
    torch.testing.assert_close(made(x, Graph(edges, NODES, x.dtype)), dense_formulas(made, x, adjacency)[op]())


@pytest.mark.parametrize("op", NAMES)
def test_layers_are_those_of_pytorch_geometric(op: str, x: Tensor, edges: Tensor) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it calls functions that PyTorch deprecates
        geometric = pytest.importorskip("torch_geometric.nn", reason="needs the extra [graph], torch-geometric")
        theirs: nn.Module = {
            "gat": lambda: geometric.GATConv(FEATURES, WIDTH // 4, 4),
            "gcn": lambda: geometric.GCNConv(FEATURES, WIDTH),
            "gin": lambda: geometric.GINConv(nn.Linear(FEATURES, WIDTH)),
            "cheb": lambda: geometric.ChebConv(FEATURES, WIDTH, K=2),
            "sage": lambda: geometric.SAGEConv(FEATURES, WIDTH),
            "arma": lambda: geometric.ARMAConv(FEATURES, WIDTH),
            "graph": lambda: geometric.GraphConv(FEATURES, WIDTH),
        }[op]()
        ours = layer(op)
        parameters = dict(ours.named_parameters())
        assert {NAMES[op][name] for name, _ in theirs.named_parameters()} == set(parameters)
        for name, parameter in theirs.named_parameters():
            number = parameters[NAMES[op][name]].detach()
            transposed = op == "arma" and number.ndim == 2
            parameter.data = (number.T if transposed else number).reshape(parameter.shape).clone()
        expected = theirs(x, edges)
    torch.testing.assert_close(ours(x, Graph(edges, NODES, x.dtype)), expected)


@pytest.mark.parametrize("op", ["gat", "gcn", "gin", "cheb", "sage", "arma", "graph"])
def test_initial_distributions_are_those_of_pytorch_geometric(op: str) -> None:
    """Bounds of the uniform distributions, from the largest of many numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        geometric = pytest.importorskip("torch_geometric.nn", reason="needs the extra [graph], torch-geometric")
        with torch.random.fork_rng():
            torch.manual_seed(0)
            theirs: nn.Module = {
                "gat": lambda: geometric.GATConv(100, 50, 4),
                "gcn": lambda: geometric.GCNConv(100, 200),
                "gin": lambda: geometric.GINConv(nn.Linear(100, 200)),
                "cheb": lambda: geometric.ChebConv(100, 200, K=2),
                "sage": lambda: geometric.SAGEConv(100, 200),
                "arma": lambda: geometric.ARMAConv(100, 200),
                "graph": lambda: geometric.GraphConv(100, 200),
            }[op]()
    ours = LAYERS[op](100, 200)
    bounds = {name: ours.init_bound(parameter) for name, parameter in ours.named_parameters()}
    for name, parameter in theirs.named_parameters():
        assert float(parameter.detach().abs().max()) == pytest.approx(bounds[NAMES[op][name]], rel=0.05), name


@pytest.mark.parametrize("op", LAYERS)
def test_layers_can_be_differentiated_twice(op: str, edges: Tensor) -> None:
    """Gradients and Hessian-vector products by finite differences, with respect to input and parameters."""
    made = LAYERS[op](4, 4).double()
    generator = torch.Generator().manual_seed(3)
    numbers = [torch.randn(p.shape, generator=generator, dtype=torch.float64) for p in made.parameters()]
    names = [name for name, _ in made.named_parameters()]
    graph = Graph(edges[:, (edges < 6).all(0)], 6, torch.float64)

    def run(x: Tensor, *parameters: Tensor) -> Any:
        return torch.func.functional_call(made, dict(zip(names, parameters, strict=True)), (x, graph))

    x = torch.randn(6, 4, generator=generator, dtype=torch.float64)
    arguments = tuple(tensor.requires_grad_() for tensor in (x, *numbers))
    assert torch.autograd.gradcheck(run, arguments)
    assert torch.autograd.gradgradcheck(run, arguments)


@pytest.mark.parametrize("op", LAYERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_graphs_without_links(op: str, dtype: torch.dtype) -> None:
    graph = Graph(torch.empty(2, 0, dtype=torch.int64), 3, dtype)
    y = layer(op).to(dtype)(torch.ones(3, FEATURES, dtype=dtype), graph)
    assert y.dtype == dtype
    assert bool(y.isfinite().all())


def test_attention_without_self_loops(x: Tensor, edges: Tensor, adjacency: Tensor) -> None:
    made = layer("gat", self_loops=False)
    assert isinstance(made, Attention)
    rows = torch.arange(NODES) != 3  # a node without neighbors has the bias alone
    expected = attention(made, x, adjacency)
    y = made(x, Graph(edges, NODES, x.dtype))
    torch.testing.assert_close(y[rows], expected[rows])
    torch.testing.assert_close(y[3], made.bias)
