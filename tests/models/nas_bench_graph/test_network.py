"""Networks of nas-bench-graph: published parameter counts, costs, initial weights, wiring."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from models.nas_bench_graph.architecture import NasBenchGraphArchitecture, from_key
from models.nas_bench_graph.canonical import LINKS
from models.nas_bench_graph.cost import network_cost
from models.nas_bench_graph.datasets import DATASETS, OPERATIONS, Dataset, get_dataset
from models.nas_bench_graph.layers import Graph
from models.nas_bench_graph.network import NasBenchGraphNetwork, build
from models.nas_bench_graph.space import NasBenchGraph
from models.nas_bench_graph.task import GraphTask
from models.protocols import HasFeatureUnit, HasFlops, HasUnits
from tests.conftest import data_folder

SMALL = get_dataset("computers")
"""The narrowest data set, with layers before and after the cell."""
RAW = get_dataset("cora")
"""A data set without a layer before the cell."""


def on_meta(arch: NasBenchGraphArchitecture, dataset: Dataset) -> NasBenchGraphNetwork:
    with torch.device("meta"):
        return NasBenchGraphNetwork(arch, dataset)


def num_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def sample(dataset: Dataset, number: int, seed: int = 0) -> list[NasBenchGraphArchitecture]:
    space, rng = NasBenchGraph(dataset.name), np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(number)]


def chain(*ops: str) -> NasBenchGraphArchitecture:
    first, second, third, fourth = ops
    return NasBenchGraphArchitecture((0, 1, 2, 3), (first, second, third, fourth))


def nodes(network: NasBenchGraphNetwork) -> tuple[Any, ...]:
    return tuple(network.cell.nodes)


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=lambda dataset: dataset.name)
def test_parameters_are_those_that_the_cost_counts(dataset: Dataset) -> None:
    for arch in sample(dataset, 60):
        expected = network_cost(arch.link, arch.ops, dataset, ((1, dataset.num_features), (2, 0))).params
        assert num_parameters(on_meta(arch, dataset)) == expected, arch


@pytest.mark.parametrize("name", [name for name in DATASETS if name != "physics"])
def test_parameters_are_those_that_were_published(name: str) -> None:
    path = data_folder("ARCHRANK_BENCHMARKS", "benchmarks") / "nas-bench-graph" / f"{name}.npz"
    if not path.is_file():
        pytest.skip(f"{path} does not exist")
    with np.load(path) as table:
        keys, params = table["key"], table["params"]
    for row in np.random.default_rng(0).choice(len(keys), 60, replace=False):
        assert num_parameters(on_meta(from_key(int(keys[row])), get_dataset(name))) == round(float(params[row]))


def test_networks_offer_what_proxies_ask_for() -> None:
    batch = GraphTask(SMALL).synthetic_batch()
    network = build(chain("skip", "gcn", "gat", "sage"), SMALL, seed=0)
    assert isinstance(network, HasUnits)
    assert isinstance(network, HasFeatureUnit)
    assert isinstance(network, HasFlops)
    assert len(network.units) == 3
    assert network.flops(batch.shapes) == network_cost(network.arch.link, network.arch.ops, SMALL, batch.shapes).flops
    assert network(*batch.inputs).shape == (len(batch.x), SMALL.num_outputs)
    assert network.feature_unit(torch.ones(5, 64), Graph(torch.zeros(2, 0, dtype=torch.int64), 5)).shape == (5, 64)


@pytest.mark.parametrize("link", LINKS)
def test_leaves_are_concatenated_in_the_order_of_nodes(link: Any) -> None:
    """By a recursion over the nodes, with batch norm in evaluation mode, which is then a constant factor."""
    arch = NasBenchGraphArchitecture(link, ("gin", "fc", "graph", "cheb"))
    network = build(arch, RAW, seed=1).eval()
    x, edges = GraphTask(RAW).synthetic_batch().inputs
    graph = Graph(edges, len(x))

    def state(node: int) -> torch.Tensor:
        if node == 0:
            return x
        module = nodes(network)[node - 1]
        source = link[node - 1]
        inputs = state(source)
        if source:
            inputs = functional.relu(inputs / (1 + module.bn.eps) ** 0.5)
        result: torch.Tensor = module.layer(inputs, graph)
        return result

    leaves = [state(node) for node in (1, 2, 3, 4) if node not in link]
    expected = network.post(network.fc(functional.relu(torch.cat(leaves, 1)), graph), graph) if network.post else None
    torch.testing.assert_close(network(x, edges), expected)


def test_skips_of_the_raw_input_are_the_identity_and_others_are_not() -> None:
    """The input of node 3 behind two skips: the raw features without a first layer, else normalized twice."""
    arch = chain("skip", "skip", "gcn", "gcn")
    raw, prepared = nodes(on_meta(arch, RAW)), nodes(on_meta(arch, SMALL))
    assert [(node.raw, node.layer.in_features) for node in raw] == [(True, 1433)] * 3 + [(False, 256)]
    assert [(node.raw, node.layer.in_features) for node in prepared] == [(False, 64)] * 4


@pytest.mark.parametrize("op", OPERATIONS[:-1])
def test_weights_depend_on_seed_and_name_alone(op: str) -> None:
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    first = build(chain("skip", "gat", op, "gcn"), SMALL, seed=3)
    assert torch.equal(torch.random.get_rng_state(), state)
    second = build(chain("skip", "arma", op, "fc"), SMALL, seed=3)
    other = build(chain("skip", "gat", op, "gcn"), SMALL, seed=4)
    for name, parameter in nodes(first)[2].named_parameters():
        assert torch.equal(parameter, nodes(second)[2].get_parameter(name))
        if parameter.ndim > 1:
            assert not torch.equal(parameter, nodes(other)[2].get_parameter(name))


@pytest.mark.parametrize("name", DATASETS)
def test_networks_are_finite_and_deterministic_in_both_precisions(name: str) -> None:
    dataset = get_dataset(name)
    batch = GraphTask(dataset).synthetic_batch()
    for arch in sample(dataset, 4, seed=5):
        logits = build(arch, dataset, seed=0)(*batch.inputs)
        again = build(arch, dataset, seed=0)(*batch.inputs)
        assert torch.equal(logits, again)
        assert logits.shape == (len(batch.x), dataset.num_outputs)
        double = build(arch, dataset, seed=0).double()(batch.x.double(), batch.inputs[1])
        assert double.dtype == torch.float64
        torch.testing.assert_close(logits.double(), double, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("op", OPERATIONS[:-1])
def test_second_derivatives_exist(op: str) -> None:
    """The Hessian-vector product of grasp, for the weights that the loss depends on."""
    batch = GraphTask(SMALL).synthetic_batch()
    assert batch.rows is not None
    network = build(chain(op, "gat", op, "gin"), SMALL, seed=0)
    loss = functional.cross_entropy(network(*batch.inputs)[batch.rows], batch.targets)
    weights = [p for name, p in network.named_parameters() if p.ndim > 1 and "unused" not in name]
    gradients = torch.autograd.grad(loss, weights, create_graph=True)
    products = torch.autograd.grad(torch.stack([(g * g.detach()).sum() for g in gradients]).sum(), weights)
    assert all(bool(product.isfinite().all()) for product in products)
    assert any(bool((product != 0).any()) for product in products)


def test_dropout_is_left_out_unless_it_is_asked_for() -> None:
    batch = GraphTask(SMALL).synthetic_batch()
    arch = chain("skip", "gcn", "gat", "sage")
    assert torch.equal(build(arch, SMALL, 0).train()(*batch.inputs), build(arch, SMALL, 0).train()(*batch.inputs))
    network = build(arch, SMALL, 0, dropout=0.5)
    assert not torch.equal(network(*batch.inputs), network(*batch.inputs))
    network.eval()
    assert torch.equal(network(*batch.inputs), network(*batch.inputs))


def test_attention_adds_self_loops_only_where_labels_exclude_each_other() -> None:
    for name, expected in (("cora", True), ("proteins", False)):
        network = on_meta(chain("gat", "gcn", "gcn", "gcn"), get_dataset(name))
        assert nodes(network)[0].layer.self_loops is expected
