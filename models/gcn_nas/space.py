"""The `gcn-nas` search space for skeleton-based action recognition (Peng et al., AAAI 2020)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from common.errors import InputError
from models.base import Cost, CostedSpace, EditableSpace, FeatureGroup
from models.gcn_nas import architecture, feature_descriptions, network, stack
from models.gcn_nas.architecture import (
    DEPTHS,
    DYNAMIC_MODULES,
    FIXED_MODULES,
    MODULES,
    SLOTS,
    GcnNasArchitecture,
    Row,
    has_dynamic,
)
from models.gcn_nas.backbone import BACKBONE, SUBSETS
from models.gcn_nas.cost import network_cost
from models.gcn_nas.features import FEATURE_NAMES, NORMS, NUM_FIXED, feature_values
from models.gcn_nas.skeletons import SKELETONS, Skeleton
from models.gcn_nas.task import SkeletonTask
from models.stack import NetworkStack, StackableSpace
from models.task import Shapes

DEPTH_MUTATION_PROBABILITY = 0.1
"""Probability that a mutation changes the depth."""
REFERENCE_FRAMES = 64
"""Frames of the sample that FLOPs are counted for by default."""


class GcnNas(
    StackableSpace[GcnNasArchitecture],
    CostedSpace[GcnNasArchitecture],
    EditableSpace[GcnNasArchitecture],
):
    """Networks of 4, 6, 8 or 10 layers, each a subset of eight graph modules.

    Args:
        skeleton: `ntu` (25 joints), `kinect` (20 joints), or a custom `Skeleton`.
        num_persons: number of persons per sample, M.
        num_classes: number of classes.
    """

    name: ClassVar[str] = architecture.NAME
    stratum_feature: ClassVar[str] = "depth"
    stratum_label: ClassVar[str] = "number of layers"

    def __init__(
        self, skeleton: str | Skeleton | Mapping[str, Any] = "ntu", num_persons: int = 2, num_classes: int = 60
    ) -> None:
        self._task = SkeletonTask.from_settings(skeleton, num_persons, num_classes)
        self._reference_shapes = self._task.input_shapes(batch_size=1, frames=REFERENCE_FRAMES)

    @property
    def task(self) -> SkeletonTask:
        """Skeleton, number of persons and number of classes."""
        return self._task

    @property
    def settings(self) -> dict[str, Any]:
        """Skeleton, number of persons and number of classes, as plain JSON."""
        task = self._task
        return {
            "skeleton": task.skeleton.setting,
            "num_persons": task.num_persons,
            "num_classes": task.num_classes,
        }

    @property
    def presets(self) -> dict[str, Any]:
        """Architecture of the publication."""
        return {"Peng et al. 2020": architecture.PENG}

    def describe(self) -> dict[str, Any]:
        """Return modules, depths, slots and presets, as plain JSON."""
        return {
            "name": self.name,
            "modules": list(MODULES),
            "fixed_graph_modules": list(FIXED_MODULES),
            "dynamic_graph_modules": list(DYNAMIC_MODULES),
            "depths": list(DEPTHS),
            "max_modules": len(MODULES),
            "slots": {str(depth): list(slots) for depth, slots in SLOTS.items()},
            "weight_threshold": architecture.THRESHOLD,
            "skeletons": list(SKELETONS),
            "presets": self.presets,
            "settings": self.settings,
        }

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the three notations."""
        return architecture.json_schema()

    def parse(self, obj: Any) -> GcnNasArchitecture:
        """Read an architecture from `layers`, `mask` or `weights`."""
        return architecture.parse(obj)

    def to_json(self, arch: GcnNasArchitecture) -> dict[str, Any]:
        """Write an architecture as module names by layer."""
        return architecture.to_json(arch)

    def build(self, arch: GcnNasArchitecture, seed: int = 0) -> network.GcnNasNetwork:
        """Build a network at initialization."""
        return network.build(arch, self._task.skeleton, self._task.num_persons, self._task.num_classes, seed)

    def build_stack(self, archs: Sequence[GcnNasArchitecture], seed: int = 0) -> NetworkStack:
        """Build the networks of several architectures of one depth."""
        return stack.build_stack(archs, self._task.skeleton, self._task.num_persons, self._task.num_classes, seed)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the structural features."""
        return FEATURE_NAMES

    def feature_values(self, archs: Sequence[GcnNasArchitecture]) -> NDArray[np.float64]:
        """Return structural features, (len(archs), len(feature_names))."""
        return feature_values(archs, self._task.skeleton)

    def strata(self, archs: Sequence[GcnNasArchitecture]) -> NDArray[np.int64]:
        """Return the depth of each architecture, (len(archs),), without its other features."""
        return np.array([arch.depth for arch in archs], dtype=np.int64)

    @property
    def feature_groups(self) -> tuple[FeatureGroup, ...]:
        """One group for each slot of the backbone: modules, number of fixed-graph modules, norms of their graph."""
        return tuple(
            FeatureGroup(
                f"slot{slot}",
                tuple(f"slot{slot}.{module}" for module in MODULES),
                {f"slot{slot}.fixed={number}": float(number) for number in range(NUM_FIXED + 1)},
                tuple(f"slot{slot}.subset{i}.{norm}" for i in range(SUBSETS) for norm in NORMS),
            )
            for slot in BACKBONE
        )

    def cost(self, arch: GcnNasArchitecture, shapes: Shapes | None = None) -> Cost:
        """Count parameters, and FLOPs of one forward pass; by default of one sample of 64 frames."""
        return network_cost(arch, shapes or self._reference_shapes, self._task.num_classes)

    @property
    def largest(self) -> GcnNasArchitecture:
        """Architecture of ten layers with all modules."""
        return GcnNasArchitecture(((True,) * len(MODULES),) * max(DEPTHS))

    def sample(self, rng: np.random.Generator, depth: int | None = None, **fixed: Any) -> GcnNasArchitecture:
        """Draw an architecture as the benchmark drew its 693.

        Each module is present with probability ½; a layer without attention gets one random attention module.

        Args:
            rng: source of randomness.
            depth: number of layers; by default drawn from 4, 6, 8 and 10.
            fixed: none are supported.

        Raises:
            InputError: the depth is not one of 4, 6, 8 and 10, or another property is given.
        """
        if fixed:
            raise InputError("sample", sorted(fixed), "depth")
        if depth is None:
            depth = int(rng.choice(DEPTHS))
        if depth not in DEPTHS:
            raise InputError("depth", depth, "4, 6, 8 or 10")
        return GcnNasArchitecture(tuple(_random_row(rng) for _ in range(depth)))

    def mutate(self, arch: GcnNasArchitecture, rng: np.random.Generator) -> GcnNasArchitecture:
        """Flip one module, or with probability 0.1 change to the next depth and keep the layers of shared slots."""
        if rng.random() < DEPTH_MUTATION_PROBABILITY:
            nearby = [depth for depth in DEPTHS if abs(depth - arch.depth) == 2]
            rows = dict(zip(arch.slots, arch.mask, strict=True))
            slots = SLOTS[int(rng.choice(nearby))]
            return GcnNasArchitecture(tuple(rows[slot] if slot in rows else _random_row(rng) for slot in slots))
        choices = list(self.neighbors(arch))
        return choices[int(rng.integers(len(choices)))]

    def crossover(
        self, first: GcnNasArchitecture, second: GcnNasArchitecture, rng: np.random.Generator
    ) -> GcnNasArchitecture:
        """Take the depth of a random parent, and in each slot the layer of a random parent that has the slot."""
        parents = [dict(zip(arch.slots, arch.mask, strict=True)) for arch in (first, second)]
        child = []
        for slot in (first, second)[int(rng.integers(2))].slots:
            rows = [parent[slot] for parent in parents if slot in parent]
            child.append(rows[int(rng.integers(len(rows)))])
        return GcnNasArchitecture(tuple(child))

    def neighbors(self, arch: GcnNasArchitecture) -> Iterator[GcnNasArchitecture]:
        """Iterate over architectures that differ in one module and have attention in each changed layer."""
        for i, row in enumerate(arch.mask):
            for column in range(len(MODULES)):
                flipped = (*row[:column], not row[column], *row[column + 1 :])
                if has_dynamic(flipped):
                    yield GcnNasArchitecture((*arch.mask[:i], flipped, *arch.mask[i + 1 :]))

    def warnings(self, arch: GcnNasArchitecture) -> list[str]:
        """Return a warning for each layer without attention: the benchmark has none."""
        return [
            f"layers[{i}] has none of {', '.join(DYNAMIC_MODULES)}: no architecture of the benchmark is like that"
            for i, row in enumerate(arch.mask)
            if not has_dynamic(row)
        ]

    def describe_feature(self, feature: str) -> str:
        """Return the description of a structural feature."""
        return feature_descriptions.describe_feature(feature)

    def feature_group(self, arch: GcnNasArchitecture, feature: str) -> str:
        """Return the layer that a feature describes, the depth, or all layers."""
        slot = re.search(r"slot(\d+)", feature)
        if slot and int(slot[1]) in arch.slots:
            layer = arch.slots.index(int(slot[1]))
            modules = self.to_json(arch)["layers"][layer]
            return f"layers[{layer}] ({', '.join(modules) or 'no modules'})"
        # The slots depend on the depth.
        return f"{arch.depth} layers" if slot or feature.startswith("depth") else "all layers together"

    def describe_mutation(self, before: GcnNasArchitecture, after: GcnNasArchitecture) -> dict[str, Any]:
        """Describe a mutation as `{"layer", "module", "action"}`, the action being `add` or `remove`."""
        (cell,) = np.argwhere(np.array(before.mask) != np.array(after.mask))
        layer, column = (int(i) for i in cell)
        return {"layer": layer, "module": MODULES[column], "action": "add" if after.mask[layer][column] else "remove"}


def _random_row(rng: np.random.Generator) -> Row:
    row = rng.random(len(MODULES)) < 0.5
    if not row[len(FIXED_MODULES) :].any():
        row[len(FIXED_MODULES) + rng.integers(len(DYNAMIC_MODULES))] = True
    return tuple(bool(present) for present in row)
