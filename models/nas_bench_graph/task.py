"""Node classification on one graph: the task of the `nas-bench-graph` networks."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from typing_extensions import override

from common.errors import BatchError
from models.nas_bench_graph.datasets import Dataset
from models.nas_bench_graph.graphs.sizes import check_num_nodes, default_num_nodes
from models.nas_bench_graph.graphs.synthetic import MAX_NUM_NODES, num_links, synthetic_batch
from models.task import ACCURACY, Metric, ProbeBatch, Shapes, Task, check_batch

if TYPE_CHECKING:
    from models.batch_spec import BatchSpec


@dataclass(frozen=True)
class GraphTask(Task):
    """Classification of a graph's nodes: features (nodes, F) and edges (2, E) → outputs (nodes, C).

    The rows of the output are nodes, which exchange messages; labeled nodes alone have targets.

    Attributes:
        dataset: data set of the benchmark.
    """

    dataset: Dataset

    @property
    @override
    def name(self) -> str:
        return self.dataset.name

    @property
    @override
    def num_outputs(self) -> int:
        return self.dataset.num_outputs

    @property
    @override
    def sample_axis(self) -> None:
        return None

    @property
    @override
    def metric(self) -> Metric:
        return Metric("roc_auc", "ROC-AUC") if self.dataset.is_multilabel else ACCURACY

    @override
    def synthetic_batch(self, seed: int = 0, **sizes: int) -> ProbeBatch:
        return synthetic_batch(self.dataset, self._num_nodes(**sizes), seed)

    @override
    def input_shapes(self, **sizes: int) -> Shapes:
        num_nodes = self._num_nodes(**sizes)
        check_num_nodes(self.dataset, num_nodes, MAX_NUM_NODES)
        return (num_nodes, self.dataset.num_features), (2, 2 * num_links(self.dataset, num_nodes))

    @override
    def batch_spec(self, /, **fields: Any) -> "BatchSpec":
        from models.nas_bench_graph.graphs.spec import GraphBatchSpec

        return GraphBatchSpec.parse({"num_nodes": default_num_nodes(self.dataset)} | fields)

    @override
    def check(self, batch: ProbeBatch) -> None:
        features, multilabel = self.dataset.num_features, self.dataset.is_multilabel
        if len(batch.inputs) != 2 or batch.x.ndim != 2 or batch.x.shape[1] != features or len(batch.x) == 0:
            raise BatchError("x (shape)", batch.shapes, f"features (nodes, {features}) and edges (2, E)")
        if batch.sample_axis is not None or len(batch.targets) == 0:
            raise BatchError("batch", (batch.sample_axis, len(batch.targets)), "sample_axis None and at least one row")
        check_edges(batch.inputs[1], len(batch.x))
        check_batch(batch, self.num_outputs)
        if multilabel != batch.targets.is_floating_point():
            raise BatchError("y", str(batch.targets.dtype), "float32 targets" if multilabel else "int64 labels")
        rows = batch.rows
        if (len(batch.targets) if rows is None else int(rows.max()) + 1) > len(batch.x):
            raise BatchError("rows", None if rows is None else int(rows.max()), f"nodes from 0 to {len(batch.x) - 1}")

    def _num_nodes(self, num_nodes: int | None = None, **unknown: int) -> int:
        if unknown:
            raise BatchError("sizes", sorted(unknown), "num_nodes")
        return default_num_nodes(self.dataset) if num_nodes is None else num_nodes


def check_edges(edge_index: Tensor, num_nodes: int) -> None:
    """Check that edges are those of an undirected graph without self-loops or repetitions.

    Args:
        edge_index: int64, (2, E).
        num_nodes: number of nodes.

    Raises:
        BatchError: they are not.
    """
    if edge_index.ndim != 2 or len(edge_index) != 2 or edge_index.dtype != torch.int64:
        raise BatchError("edges (shape)", (tuple(edge_index.shape), str(edge_index.dtype)), "int64, (2, E)")
    if edge_index.numel() and not 0 <= int(edge_index.min()) <= int(edge_index.max()) < num_nodes:
        raise BatchError("edges", [int(edge_index.min()), int(edge_index.max())], f"nodes from 0 to {num_nodes - 1}")
    source, target = edge_index
    forward, backward = ((a * num_nodes + b).sort().values for a, b in ((source, target), (target, source)))
    if bool((source == target).any()) or not forward.equal(backward) or bool((forward.diff() == 0).any()):
        raise BatchError("edges", tuple(edge_index.shape), "each link once in both directions, and no self-loops")
