"""The `nas-bench-graph` search space for node classification (Qin et al., NeurIPS 2022)."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from common.errors import InputError
from models.base import BuildableSpace, Cost, CostedSpace, EditableSpace, EncodedSpace, FeatureGroup
from models.nas_bench_graph import architecture, edits, feature_descriptions
from models.nas_bench_graph.architecture import NasBenchGraphArchitecture, from_key
from models.nas_bench_graph.canonical import LINKS, NODES
from models.nas_bench_graph.cost import network_cost
from models.nas_bench_graph.datasets import DATASETS, OPERATIONS, get_dataset
from models.nas_bench_graph.features import DEPTHS, FEATURE_NAMES, KINDS, LAYERS, PATH_STATISTICS, SHAPE, feature_values
from models.nas_bench_graph.network import NasBenchGraphNetwork, build
from models.nas_bench_graph.task import GraphTask
from models.task import Shapes


class NasBenchGraph(
    BuildableSpace[NasBenchGraphArchitecture],
    CostedSpace[NasBenchGraphArchitecture],
    EncodedSpace[NasBenchGraphArchitecture],
    EditableSpace[NasBenchGraphArchitecture],
):
    """Cells of four nodes, each with one input and one of nine operations, for node classification.

    Args:
        dataset: data set of the benchmark, which sets the network around the cell.
    """

    name: ClassVar[str] = architecture.NAME
    stratum_feature: ClassVar[str] = "depth"
    stratum_label: ClassVar[str] = "depth"

    def __init__(self, dataset: str = "cora") -> None:
        self._task = GraphTask(get_dataset(dataset))
        self._operations = self._task.dataset.operations

    @property
    def task(self) -> GraphTask:
        """Node classification on the data set's graph."""
        return self._task

    @property
    def settings(self) -> dict[str, Any]:
        """Name of the data set, as plain JSON."""
        return {"dataset": self._task.dataset.name}

    @property
    def presets(self) -> dict[str, Any]:
        """Chains of two equal layers, and a perceptron; those whose operations the data set's networks have."""
        chains = {f"{op} × 2": ["skip", "skip", op, op] for op in ("gcn", "gat", "sage", "gin")} | {
            "fc × 4": ["fc"] * 4
        }
        return {
            name: {"space": self.name, "link": [0, 1, 2, 3], "ops": ops}
            for name, ops in chains.items()
            if set(ops) <= set(self._operations)
        }

    def describe(self) -> dict[str, Any]:
        """Return topologies, operations, data set and presets, as plain JSON."""
        return {
            "name": self.name,
            "editor": {
                "kind": "cell",
                "nodes": NODES,
                "operations": list(OPERATIONS),
                "restricted_operations": {
                    "dataset": {
                        name: list(dataset.operations)
                        for name, dataset in DATASETS.items()
                        if dataset.operations != OPERATIONS
                    }
                },
            },
            "links": [list(link) for link in LINKS],
            "size": len(edits.support(self._operations)),
            "dataset": {**asdict(self._task.dataset), "operations": list(self._operations)},
            "setting_choices": {"dataset": list(DATASETS)},
            "presets": self.presets,
            "settings": self.settings,
        }

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of both notations."""
        return architecture.json_schema(self._operations)

    def parse(self, obj: Any) -> NasBenchGraphArchitecture:
        """Read an architecture from `key`, or `link` and `ops`, and make it canonical."""
        return architecture.parse(obj, self._operations)

    def to_json(self, arch: NasBenchGraphArchitecture) -> dict[str, Any]:
        """Write an architecture as inputs and operations by node."""
        return architecture.to_json(arch)

    def build(self, arch: NasBenchGraphArchitecture, seed: int = 0) -> NasBenchGraphNetwork:
        """Build a network at initialization, without dropout."""
        return build(arch, self._task.dataset, seed)

    def cost(self, arch: NasBenchGraphArchitecture, shapes: Shapes | None = None) -> Cost:
        """Count parameters, and FLOPs of one forward pass; by default of the data set's whole graph."""
        dataset = self._task.dataset
        if shapes is None:
            shapes = ((dataset.num_nodes, dataset.num_features), (2, dataset.num_edges))
        return network_cost(arch.link, arch.ops, dataset, shapes)

    @property
    def largest(self) -> NasBenchGraphArchitecture:
        """Four leaves that have two weight matrices each, and pass messages of the cell's input."""
        return NasBenchGraphArchitecture((0, 0, 0, 0), ("sage", "sage", "sage", "sage"))

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the structural features."""
        return FEATURE_NAMES

    def feature_values(self, archs: Sequence[NasBenchGraphArchitecture]) -> NDArray[np.float64]:
        """Return structural features, (len(archs), len(feature_names))."""
        return feature_values(archs)

    @property
    def feature_groups(self) -> tuple[FeatureGroup, ...]:
        """Topology and operation of each node, then the numbers of operations by position, pairs and paths."""
        nodes = (f"node{node + 1}.{op}" for node in range(NODES) for op in OPERATIONS)
        positions = ("leaf", "input", *(f"depth{depth}" for depth in DEPTHS))
        return (
            FeatureGroup("cell", (*(f"link={index}" for index in range(len(LINKS))), *nodes)),
            FeatureGroup("operations", measures=tuple(f"all.{op}" for op in OPERATIONS)),
            *(FeatureGroup(place, measures=tuple(f"{place}.{op}" for op in OPERATIONS)) for place in positions),
            FeatureGroup("pairs", measures=tuple(f"pair.{parent}.{op}" for parent in LAYERS for op in OPERATIONS)),
            FeatureGroup("paths", measures=tuple(f"{kind}.{name}" for kind in KINDS for name in PATH_STATISTICS)),
            FeatureGroup("shape", measures=SHAPE),
        )

    def describe_feature(self, feature: str) -> str:
        """Return the description of a structural feature."""
        return feature_descriptions.describe_feature(feature)

    def feature_group(self, arch: NasBenchGraphArchitecture, feature: str) -> str:
        """Return the part of the cell that a feature describes."""
        return feature_descriptions.feature_group(arch, feature)

    def sample(self, rng: np.random.Generator, depth: int | None = None, **fixed: Any) -> NasBenchGraphArchitecture:
        """Draw one of the benchmark's architectures, all with the same probability.

        Args:
            rng: source of randomness.
            depth: number of operations on the longest path, 1 to 4; by default any.
            fixed: none are supported.

        Raises:
            InputError: the depth is not allowed, or another property is given.
        """
        if fixed:
            raise InputError("sample", sorted(fixed), "depth")
        if depth is not None and (isinstance(depth, bool) or depth not in DEPTHS):
            raise InputError("depth", depth, f"a whole number from 1 to {NODES}")
        keys = edits.support(self._operations, depth)
        return from_key(int(keys[rng.integers(len(keys))]))

    def mutate(self, arch: NasBenchGraphArchitecture, rng: np.random.Generator) -> NasBenchGraphArchitecture:
        """Return a random neighbor."""
        return edits.mutate(arch, self._operations, rng)

    def crossover(
        self, first: NasBenchGraphArchitecture, second: NasBenchGraphArchitecture, rng: np.random.Generator
    ) -> NasBenchGraphArchitecture:
        """Take input and operation of each node from a random parent."""
        return edits.crossover(first, second, rng)

    def neighbors(self, arch: NasBenchGraphArchitecture) -> Iterator[NasBenchGraphArchitecture]:
        """Iterate over the architectures that one choice apart, an operation or an input, turns into each other."""
        yield from (from_key(int(key)) for key in edits.neighbor_keys(int(arch.digits), self._operations))

    def describe_mutation(self, before: NasBenchGraphArchitecture, after: NasBenchGraphArchitecture) -> dict[str, Any]:
        """Describe a mutation as the changed operation of a node, or as the new cell."""
        return edits.describe_mutation(before, after)
