"""Serializable specification of a probe batch on a graph."""

from typing import Literal, cast

from pydantic import Field
from typing_extensions import override

from common.errors import BatchError
from models.batch_spec import BatchSpec
from models.nas_bench_graph.graphs.files import load_graph
from models.nas_bench_graph.graphs.sampling import sample_batch
from models.nas_bench_graph.graphs.sizes import check_num_nodes
from models.nas_bench_graph.task import GraphTask
from models.task import ProbeBatch, Shapes, Task


class GraphBatchSpec(BatchSpec):
    """Specification of a probe batch on a graph.

    Attributes:
        source: `synthetic` graph, or the data set's published `graph`.
        num_nodes: number of nodes; 0: the whole published graph.
        seed: seed of the synthetic graph, or of the sample.
        data: path of the published graph on the machine that scores; None for a synthetic one.
    """

    source: Literal["synthetic", "graph"] = "synthetic"
    num_nodes: int = Field(ge=0)
    data: str | None = None

    @override
    def make(self, task: Task) -> ProbeBatch:
        dataset = cast(GraphTask, task).dataset
        if (self.data is None) == (self.source == "graph"):
            raise BatchError("data", self.data, "a path with source 'graph', none with source 'synthetic'")
        if self.source == "synthetic":
            return task.synthetic_batch(self.seed, num_nodes=self.num_nodes)
        graph = load_graph(dataset, str(self.data))
        if self.num_nodes:
            check_num_nodes(dataset, self.num_nodes, len(graph.labels))
        return sample_batch(graph, self.num_nodes, self.seed, f"{dataset.name} graph")

    @override
    def shapes(self, task: Task) -> Shapes:
        if self.source == "synthetic":
            return task.input_shapes(num_nodes=self.num_nodes)
        return self.make(task).shapes
