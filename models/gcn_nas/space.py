"""The `gcn-nas` search space: skeleton-based action recognition, Peng et al., AAAI 2020."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from common.errors import InputError
from models.base import Cost, SearchSpace, Shape
from models.gcn_nas import architecture, network, wording
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
from models.gcn_nas.backbone import COORDINATES
from models.gcn_nas.cost import network_cost
from models.gcn_nas.features import FEATURE_NAMES, feature_values
from models.skeletons import SKELETONS, Skeleton, get_skeleton

DEPTH_CHANGE = 0.1
"""Share of mutations that add or remove layers."""


class GcnNas(SearchSpace[GcnNasArchitecture]):
    """Networks of 4, 6, 8 or 10 layers, each a set of eight graph modules.

    Args:
        skeleton: `ntu` (25 joints), `kinect` (20 joints), or one's own `Skeleton`.
        num_persons: persons in a sample, M.
        num_classes: number of classes.
    """

    name: ClassVar[str] = architecture.NAME
    max_layers: ClassVar[int] = max(DEPTHS)
    max_modules: ClassVar[int] = len(MODULES)
    presets: ClassVar[Mapping[str, Any]] = {"Peng et al. 2020": architecture.PENG}

    def __init__(
        self, skeleton: str | Skeleton | Mapping[str, Any] = "ntu", num_persons: int = 2, num_classes: int = 60
    ) -> None:
        self.skeleton = get_skeleton(skeleton)
        for field, value, highest in (("num_persons", num_persons, 16), ("num_classes", num_classes, 10_000)):
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= highest:
                raise InputError(field, value, f"a whole number from 1 to {highest}")
        self.num_persons = num_persons
        self._num_classes = num_classes

    @property
    def settings(self) -> dict[str, Any]:
        return {"skeleton": self.skeleton.setting, "num_persons": self.num_persons, "num_classes": self._num_classes}

    @property
    def num_classes(self) -> int:
        return self._num_classes

    def describe(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "modules": list(MODULES),
            "fixed_graph_modules": list(FIXED_MODULES),
            "dynamic_graph_modules": list(DYNAMIC_MODULES),
            "depths": list(DEPTHS),
            "max_modules": self.max_modules,
            "slots": {str(depth): list(slots) for depth, slots in SLOTS.items()},
            "weight_threshold": architecture.THRESHOLD,
            "skeletons": list(SKELETONS),
            "presets": dict(self.presets),
            "settings": self.settings,
        }

    def parse(self, obj: Any) -> GcnNasArchitecture:
        return architecture.parse(obj)

    def to_json(self, arch: GcnNasArchitecture) -> dict[str, Any]:
        return architecture.to_json(arch)

    def build(self, arch: GcnNasArchitecture, seed: int = 0) -> network.GcnNasNetwork:
        return network.build(arch, self.skeleton, self.num_persons, self.num_classes, seed)

    def input_shape(self, batch_size: int, frames: int) -> Shape:
        return (batch_size, COORDINATES, frames, self.skeleton.joints, self.num_persons)

    @property
    def feature_names(self) -> tuple[str, ...]:
        return FEATURE_NAMES

    def feature_values(self, archs: Sequence[GcnNasArchitecture]) -> NDArray[np.float64]:
        return feature_values(archs, self.skeleton)

    def cost(self, arch: GcnNasArchitecture, batch: Shape) -> Cost:
        return network_cost(arch, batch, self.num_classes)

    @property
    def largest(self) -> GcnNasArchitecture:
        return GcnNasArchitecture(((True,) * self.max_modules,) * self.max_layers)

    def sample(self, rng: np.random.Generator, depth: int | None = None, **fixed: Any) -> GcnNasArchitecture:
        """As the benchmark drew its 693: every module with probability ½, then one attention module where none came.

        Args:
            rng: where the randomness comes from.
            depth: number of layers; drawn from 4, 6, 8, 10 where not given.
        """
        if fixed:
            raise InputError("sample", sorted(fixed), "depth")
        if depth is None:
            depth = int(rng.choice(DEPTHS))
        if depth not in DEPTHS:
            raise InputError("depth", depth, "4, 6, 8 or 10")
        return GcnNasArchitecture(tuple(_random_row(rng) for _ in range(depth)))

    def mutate(self, arch: GcnNasArchitecture, rng: np.random.Generator) -> GcnNasArchitecture:
        """Flip one module; in one of ten cases go to the next depth instead, keeping the layers of shared slots."""
        if rng.random() < DEPTH_CHANGE:
            nearby = [depth for depth in DEPTHS if abs(depth - arch.depth) == 2]
            rows = dict(zip(arch.slots, arch.mask, strict=True))
            slots = SLOTS[int(rng.choice(nearby))]
            return GcnNasArchitecture(tuple(rows[slot] if slot in rows else _random_row(rng) for slot in slots))
        choices = list(self.neighbors(arch))
        return choices[int(rng.integers(len(choices)))]

    def crossover(
        self, one: GcnNasArchitecture, other: GcnNasArchitecture, rng: np.random.Generator
    ) -> GcnNasArchitecture:
        """The depth of either; in each slot the layer of either, or of the one that has it."""
        rows = [dict(zip(arch.slots, arch.mask, strict=True)) for arch in (one, other)]
        child = []
        for slot in (one, other)[int(rng.integers(2))].slots:
            having = [parent[slot] for parent in rows if slot in parent]
            child.append(having[int(rng.integers(len(having)))])
        return GcnNasArchitecture(tuple(child))

    def neighbors(self, arch: GcnNasArchitecture) -> Iterator[GcnNasArchitecture]:
        for i, row in enumerate(arch.mask):
            for column in range(len(MODULES)):
                flipped = (*row[:column], not row[column], *row[column + 1 :])
                if has_dynamic(flipped):
                    yield GcnNasArchitecture((*arch.mask[:i], flipped, *arch.mask[i + 1 :]))

    def warnings(self, arch: GcnNasArchitecture) -> list[str]:
        return [
            f"layers[{i}] has none of {', '.join(DYNAMIC_MODULES)}: no architecture of the benchmark is like that"
            for i, row in enumerate(arch.mask)
            if not has_dynamic(row)
        ]

    def meaning(self, feature: str) -> str:
        return wording.meaning(feature)

    def part(self, arch: GcnNasArchitecture, feature: str) -> str:
        slot = re.search(r"slot(\d+)", feature)
        if slot and int(slot[1]) in arch.slots:
            layer = arch.slots.index(int(slot[1]))
            modules = self.to_json(arch)["layers"][layer]
            return f"layers[{layer}] ({', '.join(modules) or 'no modules'})"
        # Depth decides which slots there are.
        return f"{arch.depth} layers" if slot or feature.startswith("depth") else "all layers together"

    def edit(self, before: GcnNasArchitecture, after: GcnNasArchitecture) -> dict[str, Any]:
        (place,) = zip(*np.nonzero(np.array(before.mask) != np.array(after.mask)), strict=True)
        layer, column = (int(i) for i in place)
        return {"layer": layer, "module": MODULES[column], "action": "add" if after.mask[layer][column] else "remove"}


def _random_row(rng: np.random.Generator) -> Row:
    row = rng.random(len(MODULES)) < 0.5
    if not row[len(FIXED_MODULES) :].any():
        row[len(FIXED_MODULES) + rng.integers(len(DYNAMIC_MODULES))] = True
    return tuple(bool(present) for present in row)
