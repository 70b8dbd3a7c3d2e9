"""Published graphs as data of `nas-bench-graph` trainings."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from typing_extensions import override

from common.errors import BatchError, InputError
from models import Architecture, BuildableSpace, ProbeBatch
from models.nas_bench_graph import NasBenchGraph
from models.nas_bench_graph.architecture import NasBenchGraphArchitecture
from models.nas_bench_graph.graphs.files import load_graph
from models.nas_bench_graph.graphs.sampling import GraphData
from models.nas_bench_graph.network import build
from models.nas_bench_graph.task import GraphTask
from training.data.base import SpaceTraining, Split, TrainingData
from training.data.fields import DataFields, file_hash
from training.recipe import Recipe

NUM_VALID = 500
"""Validation nodes of the public split: those that follow the training nodes."""
TRAIN_PER_CLASS, VALID_PER_CLASS = 20, 30
SPLITS = ("public", "random")


class GraphFields(DataFields):
    """Choices about a graph.

    Attributes:
        split_seed: seed of a random split.
    """

    split_seed: int = Field(default=0, ge=0, lt=2**32)


class GraphTraining(SpaceTraining):
    """Trainings of `nas-bench-graph` networks, each step on the full graph."""

    space = NasBenchGraph.name

    @override
    def load(
        self, space: BuildableSpace[Any], path: Path, split: str | None, fields: Mapping[str, Any]
    ) -> TrainingData:
        assert isinstance(space, NasBenchGraph)
        return load_graph_data(space.task, path, split, GraphFields.parse(fields))

    @override
    def recipe(self, space: BuildableSpace[Any]) -> Recipe:
        assert isinstance(space, NasBenchGraph)
        protocol = space.task.dataset.training
        return Recipe(
            epochs=protocol.epochs,
            batch_size=None,
            optimizer=protocol.optimizer,
            learning_rate=protocol.learning_rate,
            momentum=0.0,
            nesterov=False,
            weight_decay=protocol.weight_decay,
            milestones=(),
        )

    @override
    def network(self, space: BuildableSpace[Any], architecture: Architecture, seed: int) -> nn.Module:
        """Build a network with the data set's dropout."""
        assert isinstance(space, NasBenchGraph)
        assert isinstance(architecture, NasBenchGraphArchitecture)
        dataset = space.task.dataset
        return build(architecture, dataset, seed, dataset.dropout)


@dataclass(frozen=True, eq=False)
class FullGraph(TrainingData):
    """Graph in memory, of whose nodes each part has some.

    Attributes:
        task, description: see `TrainingData`.
        inputs: features, (nodes, F), and edges, (2, E).
        labels: class of each node, (nodes,).
        nodes: nodes by part.
    """

    task: GraphTask
    inputs: tuple[Tensor, Tensor]
    labels: Tensor
    nodes: dict[Split, Tensor]
    description: dict[str, Any]

    @override
    def size(self, split: Split) -> int:
        return len(self.nodes[split])

    @override
    def batches(self, split: Split, batch_size: int | None, seed: int) -> Iterator[ProbeBatch]:
        """Yield the whole graph with the labels of a part. Raises `InputError` if the batch size is a number."""
        if batch_size is not None:
            raise InputError("recipe.batch_size", batch_size, "null: a graph is one batch")
        nodes = self.nodes[split]
        source = f"{self.task.name} graph, {split}"
        yield ProbeBatch(self.inputs, self.labels[nodes], source, nodes, sample_axis=None)


def load_graph_data(task: GraphTask, path: Path, split: str | None, fields: GraphFields) -> FullGraph:
    """Read the graph of a data set and divide its labeled nodes as the benchmark did.

    Args:
        task: task of the networks.
        path: file or folder of the graph, see `load_graph`.
        split: `public` for the published split of cora, citeseer and pubmed; `random` for 20 nodes a class for
            training, 30 for validation and all others for the test. By default the published one if there is one.
        fields: further choices.

    Raises:
        BatchError: a file, the split or a field is not allowed.
    """
    graph = load_graph(task.dataset, path)
    split = split or ("random" if graph.train is None else "public")
    if split not in SPLITS:
        raise BatchError("split", split, " or ".join(SPLITS))
    parts = _public_split(graph) if split == "public" else _random_split(graph, fields.split_seed)
    x = torch.from_numpy(graph.features.toarray().astype(np.float32))
    edges = torch.from_numpy(np.stack(graph.adjacency.nonzero()).astype(np.int64))
    names: tuple[Split, ...] = ("training", "validation", "test")
    nodes = {name: torch.from_numpy(part) for name, part in zip(names, parts, strict=True)}
    description = {
        "data": path.name,
        "sha256": file_hash(path),
        "split": {"rule": split, **({"seed": fields.split_seed} if split == "random" else {})},
        "sizes": {name: len(part) for name, part in nodes.items()},
        "normalisation": "none",
        "augmentation": "none",
    }
    data = FullGraph(task, (x, edges), torch.from_numpy(graph.labels), nodes, description)
    task.check(next(data.batches("training", None, 0)))
    return data


def _public_split(graph: GraphData) -> tuple[NDArray[np.int64], ...]:
    if graph.train is None or graph.test is None:
        raise BatchError("split", "public", "random, as this graph has no published split")
    first = len(graph.train)
    if first + NUM_VALID > len(graph.labels):
        raise BatchError("split", "public", f"random, as the graph has no {NUM_VALID} nodes behind the training nodes")
    return graph.train, np.arange(first, first + NUM_VALID), graph.test


def _random_split(graph: GraphData, seed: int) -> tuple[NDArray[np.int64], ...]:
    order = np.random.default_rng(seed).permutation(len(graph.labels))
    members = [order[graph.labels[order] == label] for label in np.unique(graph.labels)]
    train = np.concatenate([nodes[:TRAIN_PER_CLASS] for nodes in members])
    valid = np.concatenate([nodes[TRAIN_PER_CLASS : TRAIN_PER_CLASS + VALID_PER_CLASS] for nodes in members])
    test = np.setdiff1d(order, np.concatenate([train, valid]))
    if 0 in (len(valid), len(test)):
        raise BatchError("split", "random", f"a graph with more than {TRAIN_PER_CLASS + VALID_PER_CLASS} nodes a class")
    return train, valid, test
