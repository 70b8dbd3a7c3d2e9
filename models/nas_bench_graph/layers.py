"""Graph layers of `nas-bench-graph`, with the definitions and initial distributions of PyTorch Geometric's defaults.

Each maps node features (nodes, F) to (nodes, d). Weights are used by `torch.nn.functional.linear`, messages are summed
by `index_add`; nothing is written in place, and every layer can be differentiated twice. Graphs are undirected, without
self-loops: the layers that need loops add them.
"""

from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

ATTENTION_HEADS = 4
NEGATIVE_SLOPE = 0.2


class Graph:
    """Undirected graph, as the layers of one forward pass use it.

    Args:
        edge_index: int64, (2, E): source and target of each directed edge. A link is two edges; there are no loops.
        num_nodes: number of nodes.
        dtype: floating-point type of degrees.
    """

    def __init__(self, edge_index: Tensor, num_nodes: int, dtype: torch.dtype = torch.float32) -> None:
        self.source, self.target = edge_index.unbind(0)
        self.num_nodes = num_nodes
        self._dtype = dtype

    @cached_property
    def degree(self) -> Tensor:
        """Number of neighbors, (nodes, 1)."""
        ones = torch.ones(len(self.target), 1, dtype=self._dtype, device=self.target.device)
        return ones.new_zeros(self.num_nodes, 1).index_add(0, self.target, ones)

    @cached_property
    def loops(self) -> Tensor:
        """Index of each node, (nodes,)."""
        return torch.arange(self.num_nodes, device=self.target.device)

    def sum(self, x: Tensor) -> Tensor:
        """Sum over the neighbors, A x: (nodes, F) to (nodes, F)."""
        return self.scatter(x.index_select(0, self.source), self.target)

    def mean(self, x: Tensor) -> Tensor:
        """Mean over the neighbors, 0 without any: (nodes, F) to (nodes, F)."""
        return self.sum(x) / self.degree.clamp(min=1)

    def normalized_sum(self, x: Tensor) -> Tensor:
        """Symmetrically normalized sum, D^-½ A D^-½ x: (nodes, F) to (nodes, F). Nodes without neighbors become 0."""
        scale = self.degree.clamp(min=1).rsqrt()
        return scale * self.sum(scale * x)

    def normalized_sum_with_loops(self, x: Tensor) -> Tensor:
        """Normalized sum over neighbors and node, (D + I)^-½ (A + I) (D + I)^-½ x: (nodes, F) to (nodes, F)."""
        scale = (self.degree + 1).rsqrt()
        return scale * (self.sum(scale * x) + scale * x)

    def scatter(self, messages: Tensor, target: Tensor) -> Tensor:
        """Sum messages (E, …) by target node: (nodes, …)."""
        return messages.new_zeros(self.num_nodes, *messages.shape[1:]).index_add(0, target, messages)


class Layer(nn.Module):
    """Layer from (nodes, in_features) to (nodes, out_features).

    Initial weights are uniform: Glorot's with biases of 0 where `glorot` is true, else those of `nn.Linear`, in which
    weights and biases are bounded by in_features^-½.
    """

    glorot: ClassVar[bool] = False

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        """Map (nodes, in_features) to (nodes, out_features)."""
        raise NotImplementedError

    def init_bound(self, parameter: Tensor) -> float:
        """Bound b of a parameter's initial distribution U(−b, b)."""
        if not self.glorot:
            return float(self.in_features**-0.5)
        return float((6 / sum(parameter.shape)) ** 0.5) if parameter.ndim > 1 else 0.0


class Attention(Layer):
    """Graph attention (Veličković et al., ICLR 2018): 4 heads of d/4 features, concatenated; no attention dropout.

    Args:
        in_features: features of a node.
        out_features: d.
        self_loops: attend to the node itself, too.
    """

    glorot = True

    def __init__(self, in_features: int, out_features: int, self_loops: bool = True) -> None:
        super().__init__(in_features, out_features)
        self.self_loops = self_loops
        self.linear = nn.Linear(in_features, out_features, bias=False)
        self.source = nn.Parameter(torch.empty(ATTENTION_HEADS, out_features // ATTENTION_HEADS))
        self.target = nn.Parameter(torch.empty(ATTENTION_HEADS, out_features // ATTENTION_HEADS))
        self.bias = nn.Parameter(torch.empty(out_features))

    @override
    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        source, target = graph.source, graph.target
        if self.self_loops:
            source, target = torch.cat([source, graph.loops]), torch.cat([target, graph.loops])
        h = self.linear(x).unflatten(1, self.source.shape)
        by_source, by_target = (h * self.source).sum(-1), (h * self.target).sum(-1)
        scores = functional.leaky_relu(
            by_source.index_select(0, source) + by_target.index_select(0, target), NEGATIVE_SLOPE
        )
        attention = _softmax_by_target(scores, target, graph)
        messages = attention[..., None] * h.index_select(0, source)
        return graph.scatter(messages, target).flatten(1) + self.bias


def _softmax_by_target(scores: Tensor, target: Tensor, graph: Graph) -> Tensor:
    """Softmax over the edges of each target node: (E, heads) to (E, heads)."""
    index = target[:, None].expand_as(scores)
    largest = scores.new_full((graph.num_nodes, scores.shape[1]), -torch.inf)
    largest = largest.scatter_reduce(0, index, scores.detach(), "amax")  # a constant shift has no gradient
    exponentials = (scores - largest.index_select(0, target)).exp()
    return exponentials / graph.scatter(exponentials, target).index_select(0, target)


class Convolution(Layer):
    """Graph convolution (Kipf & Welling, ICLR 2017): (D + I)^-½ (A + I) (D + I)^-½ x W + b."""

    glorot = True

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)
        self.linear = nn.Linear(in_features, out_features, bias=False)
        self.bias = nn.Parameter(torch.empty(out_features))

    @override
    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        return graph.normalized_sum_with_loops(self.linear(x)) + self.bias


class Isomorphism(Layer):
    """Graph isomorphism layer (Xu et al., ICLR 2019) with ε = 0 and one linear map: (x + A x) W + b."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)
        self.linear = nn.Linear(in_features, out_features)

    @override
    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        y: Tensor = self.linear(x + graph.sum(x))
        return y


class Chebyshev(Layer):
    """Chebyshev convolution (Defferrard et al., NeurIPS 2016), K = 2, λ_max = 2: x W₀ − D^-½ A D^-½ x W₁ + b."""

    glorot = True

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)
        self.root = nn.Linear(in_features, out_features, bias=False)
        self.neighbors = nn.Linear(in_features, out_features, bias=False)
        self.bias = nn.Parameter(torch.empty(out_features))

    @override
    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        y: Tensor = self.root(x) + self.neighbors(-graph.normalized_sum(x)) + self.bias
        return y


class Sage(Layer):
    """GraphSAGE (Hamilton et al., NeurIPS 2017) with the mean of the neighbors: D⁻¹ A x W₁ + x W₂ + b."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)
        self.neighbors = nn.Linear(in_features, out_features)
        self.root = nn.Linear(in_features, out_features, bias=False)

    @override
    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        y: Tensor = self.neighbors(graph.mean(x)) + self.root(x)
        return y


class Arma(Layer):
    """ARMA filter (Bianchi et al., TPAMI 2021), one stack of one layer: ReLU(D^-½ A D^-½ x W + x V + b).

    The weight between layers of a stack is registered and unused: it counts in `params`.
    """

    glorot = True

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)
        self.neighbors = nn.Linear(in_features, out_features, bias=False)
        self.unused_weight = nn.Parameter(torch.empty(out_features, out_features))
        self.root = nn.Linear(in_features, out_features, bias=False)
        self.bias = nn.Parameter(torch.empty(out_features))

    @override
    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        return functional.relu(graph.normalized_sum(self.neighbors(x)) + self.root(x) + self.bias)


class HigherOrder(Layer):
    """Graph layer of k-GNN (Morris et al., AAAI 2019), k = 1: A x W₁ + x W₂ + b."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)
        self.neighbors = nn.Linear(in_features, out_features)
        self.root = nn.Linear(in_features, out_features, bias=False)

    @override
    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        y: Tensor = self.neighbors(graph.sum(x)) + self.root(x)
        return y


class FullyConnected(Layer):
    """Linear map without messages: x W + b."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)
        self.linear = nn.Linear(in_features, out_features)

    @override
    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        y: Tensor = self.linear(x)
        return y


class Skip(Layer):
    """Identity."""

    @override
    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        return x


LAYERS: dict[str, type[Layer]] = {
    "gat": Attention,
    "gcn": Convolution,
    "gin": Isomorphism,
    "cheb": Chebyshev,
    "sage": Sage,
    "arma": Arma,
    "graph": HigherOrder,
    "fc": FullyConnected,
    "skip": Skip,
}
"""Layers by operation."""
