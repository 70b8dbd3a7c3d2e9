"""The `nas-bench-201` search space for image classification (Dong & Yang, ICLR 2020)."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from common.errors import InputError, UnknownNameError
from models.base import BuildableSpace, Cost, CostedSpace, EditableSpace, EncodedSpace, FeatureGroup
from models.nas_bench_201 import architecture, features, network
from models.nas_bench_201.architecture import NUM_ARCHITECTURES, NasBench201Architecture, with_operation
from models.nas_bench_201.cell import CONV_3X3, EDGES, OPERATIONS
from models.nas_bench_201.cost import network_cost
from models.nas_bench_201.macro import DATASETS
from models.nas_bench_201.task import ImageTask
from models.task import Shapes


class NasBench201(
    BuildableSpace[NasBench201Architecture],
    CostedSpace[NasBench201Architecture],
    EncodedSpace[NasBench201Architecture],
    EditableSpace[NasBench201Architecture],
):
    """Networks of fifteen equal cells; a cell has one of five operations on each of six edges.

    Args:
        dataset: `cifar10`, `cifar100` or `imagenet16-120`.
    """

    name: ClassVar[str] = architecture.NAME
    stratum_feature: ClassVar[str] = features.STRATUM
    stratum_label: ClassVar[str] = "number of convolutions"

    def __init__(self, dataset: str = "cifar10") -> None:
        if not isinstance(dataset, str) or dataset not in DATASETS:
            raise UnknownNameError("dataset", dataset, list(DATASETS))
        self._task = ImageTask(dataset)

    @property
    def task(self) -> ImageTask:
        """Classification of the data set's images."""
        return self._task

    @property
    def settings(self) -> dict[str, Any]:
        """Name of the data set, as plain JSON."""
        return {"dataset": self._task.name}

    @property
    def presets(self) -> dict[str, Any]:
        """The residual block, the largest cell, and the best cell on each data set."""
        return {
            "residual block": {"digits": "300103"},
            "all 3×3 convolutions": {"digits": "333333"},
            "best on CIFAR-10": {"digits": "333132"},
            "best on CIFAR-100": {"digits": "333133"},
            "best on ImageNet16-120": {"digits": "223133"},
        }

    def describe(self) -> dict[str, Any]:
        """Return operations, edges, data sets and presets, as plain JSON."""
        return {
            "name": self.name,
            "editor": {"kind": "cell", "edges": [list(edge) for edge in EDGES], "operations": list(OPERATIONS)},
            "notations": list(architecture.NOTATIONS),
            "size": NUM_ARCHITECTURES,
            "setting_choices": {"dataset": list(DATASETS)},
            "presets": self.presets,
            "settings": self.settings,
        }

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the four notations."""
        return architecture.json_schema()

    def parse(self, obj: Any) -> NasBench201Architecture:
        """Read an architecture from `arch`, `ops`, `digits` or `index`."""
        return architecture.parse(obj)

    def to_json(self, arch: NasBench201Architecture) -> dict[str, Any]:
        """Write an architecture as the benchmark's string."""
        return architecture.to_json(arch)

    def build(self, arch: NasBench201Architecture, seed: int = 0) -> network.NasBench201Network:
        """Build a network at initialization."""
        return network.build(arch, self._task.num_outputs, seed)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the structural features."""
        return features.FEATURE_NAMES

    def feature_values(self, archs: Sequence[NasBench201Architecture]) -> NDArray[np.float64]:
        """Return structural features, (len(archs), len(feature_names))."""
        return features.feature_values(archs)

    @property
    def feature_groups(self) -> tuple[FeatureGroup, ...]:
        """One group for each edge, one for the numbers of operations, one for the paths and one for the nodes."""
        return features.FEATURE_GROUPS

    def cost(self, arch: NasBench201Architecture, shapes: Shapes | None = None) -> Cost:
        """Count parameters, and FLOPs of one forward pass; by default of one image."""
        if shapes is None:
            shapes = self._task.input_shapes(batch_size=1)
        return network_cost(arch, shapes, self._task.num_outputs)

    @property
    def largest(self) -> NasBench201Architecture:
        """Architecture of 3×3 convolutions alone."""
        return NasBench201Architecture((CONV_3X3,) * 6)

    def sample(self, rng: np.random.Generator, **fixed: Any) -> NasBench201Architecture:
        """Draw one of the 15,625 architectures; all are equally likely.

        Args:
            rng: source of randomness.
            fixed: none are supported.

        Raises:
            InputError: a property is given.
        """
        if fixed:
            raise InputError("sample", sorted(fixed), "no properties to condition on")
        return architecture.from_index(int(rng.integers(NUM_ARCHITECTURES)))

    def mutate(self, arch: NasBench201Architecture, rng: np.random.Generator) -> NasBench201Architecture:
        """Change the operation of one edge."""
        edge, step = int(rng.integers(len(EDGES))), int(rng.integers(1, len(OPERATIONS)))
        return with_operation(arch, edge, (arch.ops[edge] + step) % len(OPERATIONS))

    def crossover(
        self, first: NasBench201Architecture, second: NasBench201Architecture, rng: np.random.Generator
    ) -> NasBench201Architecture:
        """Take the operation of each edge from a random parent."""
        child = first
        for edge, inherited in enumerate(rng.integers(2, size=len(EDGES))):
            child = with_operation(child, edge, (first, second)[inherited].ops[edge])
        return child

    def neighbors(self, arch: NasBench201Architecture) -> Iterator[NasBench201Architecture]:
        """Iterate over the 24 architectures that differ in the operation of one edge."""
        for edge, current in enumerate(arch.ops):
            for op in range(len(OPERATIONS)):
                if op != current:
                    yield with_operation(arch, edge, op)

    def describe_feature(self, feature: str) -> str:
        """Return the description of a structural feature."""
        return features.describe_feature(feature)

    def feature_group(self, arch: NasBench201Architecture, feature: str) -> str:
        """Return the edge or node that a feature describes, the paths, or all operations."""
        return features.feature_group(arch, feature)

    def describe_mutation(self, before: NasBench201Architecture, after: NasBench201Architecture) -> dict[str, Any]:
        """Describe a mutation as `{"edge", "from", "to"}`."""
        (edge,) = (i for i, (old, new) in enumerate(zip(before.ops, after.ops, strict=True)) if old != new)
        source, target = EDGES[edge]
        return {"edge": f"{source}-{target}", "from": before.names[edge], "to": after.names[edge]}
