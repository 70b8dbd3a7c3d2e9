"""The `nas-bench-graph` network (Qin et al., NeurIPS 2022): one cell of four nodes over a graph."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.initial_weights import fill_uniform
from models.nas_bench_graph.architecture import NasBenchGraphArchitecture
from models.nas_bench_graph.cost import network_cost
from models.nas_bench_graph.datasets import Dataset
from models.nas_bench_graph.layers import LAYERS, Attention, FullyConnected, Graph, Layer
from models.task import Shapes


class Node(nn.Module):
    """Node of the cell: batch norm, ReLU and dropout, unless its input is raw, then the layer.

    Batch norm is registered for raw inputs, too, where it counts in `params` and does not run.

    Args:
        layer: operation.
        width: number of features that batch norm normalizes, d.
        raw: the input is the network's, without a linear layer.
        dropout: dropout probability.
    """

    def __init__(self, layer: Layer, width: int, raw: bool, dropout: float) -> None:
        super().__init__()
        self.raw, self.dropout = raw, dropout
        self.bn = nn.BatchNorm1d(width)
        self.layer = layer

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        """Map (nodes, F or d) to (nodes, d)."""
        if not self.raw:
            x = functional.dropout(functional.relu(self.bn(x)), self.dropout, self.training)
        y: Tensor = self.layer(x, graph)
        return y


class Cell(nn.Module):
    """Four nodes, each with one input: (nodes, F or d) → the leaves' states side by side, (nodes, leaves · d).

    Args:
        arch: architecture.
        dataset: data set, which sets F and d.
        dropout: dropout probability.
    """

    def __init__(self, arch: NasBenchGraphArchitecture, dataset: Dataset, dropout: float) -> None:
        super().__init__()
        self.link = arch.link
        self.leaves = tuple(state for state in range(1, len(arch.link) + 1) if state not in arch.link)
        self.nodes = nn.ModuleList()
        raw = [not dataset.has_pre]
        for source, op in zip(arch.link, arch.ops, strict=True):
            features = dataset.num_features if raw[source] else dataset.width
            if op == "gat":
                layer: Layer = Attention(features, dataset.width, self_loops=not dataset.is_multilabel)
            else:
                layer = LAYERS[op](features, dataset.width)
            self.nodes.append(Node(layer, dataset.width, raw[source], dropout))
            raw.append(raw[source] and op == "skip")

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        """Map (nodes, F or d) to (nodes, leaves · d)."""
        states = [x]
        for source, node in zip(self.link, self.nodes, strict=True):
            states.append(node(states[source], graph))
        return torch.cat([states[leaf] for leaf in self.leaves], dim=1)


class NasBenchGraphNetwork(nn.Module):
    """Network of a `nas-bench-graph` architecture: features (nodes, F), edges (2, E) → logits (nodes, C).

    Edges are int64 pairs (source, target), both directions of each link, without self-loops.

    Args:
        arch: architecture.
        dataset: data set, which sets F, C, d and the layers around the cell.
        dropout: dropout probability, in front of the network and of each node's layer.
    """

    supports_tape = True

    def __init__(self, arch: NasBenchGraphArchitecture, dataset: Dataset, dropout: float = 0.0) -> None:
        super().__init__()
        self.arch, self.dataset, self.dropout = arch, dataset, dropout
        width, outputs = dataset.width, dataset.num_outputs
        self.pre = FullyConnected(dataset.num_features, width) if dataset.has_pre else None
        self.cell = Cell(arch, dataset, dropout)
        self.fc = FullyConnected(len(self.cell.leaves) * width, width if dataset.has_post else outputs)
        self.post = FullyConnected(width, outputs) if dataset.has_post else None

    @property
    def feature_unit(self) -> nn.Module:
        """Module whose output are the network's features (used by zen): the cell."""
        return self.cell

    @property
    def units(self) -> tuple[nn.Module, ...]:
        """Nodes that compute, those that skip left out, in the order of execution (used by meco and others)."""
        return tuple(node for node, op in zip(self.cell.nodes, self.arch.ops, strict=True) if op != "skip")

    def flops(self, shapes: Shapes) -> int:
        """Count the FLOPs of one forward pass of (nodes, F) and (2, E), as `network_cost` does."""
        return network_cost(self.arch.link, self.arch.ops, self.dataset, shapes).flops

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Map (nodes, F) and (2, E) to logits (nodes, C)."""
        graph = Graph(edge_index, len(x), x.dtype)
        x = functional.dropout(x, self.dropout, self.training)
        if self.pre is not None:
            x = self.pre(x, graph)
        x = self.fc(functional.relu(self.cell(x, graph)), graph)
        if self.post is not None:
            x = self.post(x, graph)
        return x


def build(arch: NasBenchGraphArchitecture, dataset: Dataset, seed: int, dropout: float = 0.0) -> NasBenchGraphNetwork:
    """Build a network at initialization.

    Every tensor has its own random generator, seeded by (seed, key): the same operation at the same node has the same
    initial weights in every architecture (common random numbers make scores comparable), and neither the order of
    construction nor the global random state matters. The distributions are `Layer.init_bound`'s.

    Args:
        arch: architecture.
        dataset: data set.
        seed: seed of the initial weights.
        dropout: dropout probability; 0 for scores, which are not to be random, `dataset.dropout` for training.
    """
    with torch.device("meta"):
        network = NasBenchGraphNetwork(arch, dataset, dropout)
    network.to_empty(device="cpu")
    with torch.no_grad():
        for prefix, module in network.named_modules():
            if isinstance(module, nn.BatchNorm1d):
                module.reset_parameters()
            elif isinstance(module, Layer):
                for name, parameter in module.named_parameters():
                    bound = module.init_bound(parameter)
                    fill_uniform(parameter, bound, seed, f"{prefix}.{name}")
    return network
