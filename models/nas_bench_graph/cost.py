"""Parameters and FLOPs of a `nas-bench-graph` network, counted analytically."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.base import Cost
from models.nas_bench_graph.datasets import Dataset
from models.task import Shapes


@dataclass(frozen=True)
class LayerCost:
    """Cost of an operation from i to d features.

    Attributes:
        matrices: number of i × d weight matrices.
        vectors: number of weight vectors of length d, the bias included.
        message: 0 if no messages are passed, else the features that are: 1 for i, 2 for d.
        has_loops: each node also sends a message to itself.
        unused: number of registered d × d matrices that are not used.
        dot_products: dot products of length d per node.
    """

    matrices: int = 0
    vectors: int = 0
    message: int = 0
    has_loops: bool = False
    unused: int = 0
    dot_products: int = 0


LAYER_COSTS = {
    "gat": LayerCost(1, 3, message=2, has_loops=True, dot_products=2),
    "gcn": LayerCost(1, 1, message=2, has_loops=True),
    "gin": LayerCost(1, 1, message=1),
    "cheb": LayerCost(2, 1, message=1),
    "sage": LayerCost(2, 1, message=1),
    "arma": LayerCost(2, 1, message=2, unused=1),
    "graph": LayerCost(2, 1, message=1),
    "fc": LayerCost(1, 1),
    "skip": LayerCost(),
}
"""Cost of each operation."""


def network_cost(link: Sequence[int], ops: Sequence[str], dataset: Dataset, shapes: Shapes) -> Cost:
    """Count trainable parameters, and FLOPs of one forward pass.

    FLOPs are 2 × multiply-adds of all linear maps, of the attention's dot products, and of the messages: one per edge
    and feature, those from a node to itself included. Batch norm, activations, softmax and degrees are not counted.

    Args:
        link: input of each node: 0 for the cell's, k for node k.
        ops: operation of each node.
        dataset: data set, which sets F, C, d and the layers around the cell.
        shapes: shapes of node features and edges, (nodes, F) and (2, E).
    """
    (num_nodes, _), (_, num_edges) = shapes
    d = dataset.width
    params, multiply_adds = 2 * d * len(ops), 0  # batch norm
    widths = [d if dataset.has_pre else dataset.num_features]
    for source, op in zip(link, ops, strict=True):
        layer, width = LAYER_COSTS[op], widths[source]
        widths.append(width if op == "skip" else d)
        params += layer.matrices * width * d + layer.vectors * d + layer.unused * d * d
        multiply_adds += num_nodes * (layer.matrices * width + layer.dot_products) * d
        num_messages = num_edges + num_nodes * (layer.has_loops and not (op == "gat" and dataset.is_multilabel))
        multiply_adds += num_messages * (0, width, d)[layer.message]
    leaves = sum(node + 1 not in link for node in range(len(link)))
    maps = [(leaves * d, d if dataset.has_post else dataset.num_outputs)]
    if dataset.has_pre:
        maps.append((dataset.num_features, d))
    if dataset.has_post:
        maps.append((d, dataset.num_outputs))
    for inputs, outputs in maps:
        params += (inputs + 1) * outputs
        multiply_adds += num_nodes * inputs * outputs
    return Cost(params, 2 * multiply_adds)
