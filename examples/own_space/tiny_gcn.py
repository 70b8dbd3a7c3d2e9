"""Search space `tiny-gcn`: small graph-convolutional networks that classify synthetic graphs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import models

OPERATIONS, WIDTHS, MAX_LAYERS = ("linear", "gcn", "gin"), (8, 16, 32), 4
LAYER_FEATURES = [tuple(f"layer{i}.{name}" for name in OPERATIONS) for i in range(MAX_LAYERS)]
WIDTH_FEATURES = {f"width={width}": float(np.log2(width)) for width in WIDTHS}
NUM_NODES, NUM_FEATURES, NUM_CLASSES = 16, 8, 4


class GraphTask(models.Task):
    """Graphs as features (N, V, F) and adjacency matrices (N, V, V); the class is the origin of the edges."""

    name, num_outputs = "synthetic-graphs", NUM_CLASSES

    def input_shapes(self, batch_size: int = 16, **unknown: int) -> models.Shapes:
        if unknown or not 1 <= batch_size <= 10_000:
            raise models.BatchError("sizes", unknown or batch_size, "batch_size from 1 to 10000")
        return (batch_size, NUM_NODES, NUM_FEATURES), (batch_size, NUM_NODES, NUM_NODES)

    def synthetic_batch(self, seed: int = 0, **sizes: int) -> models.ProbeBatch:
        (n, v, f), _ = self.input_shapes(**sizes)
        generator, node = torch.Generator().manual_seed(seed), torch.arange(v)
        distance = (node[:, None] - node).abs()
        ring = torch.where(torch.minimum(distance, v - distance) <= 2, 0.8, 0.08)
        communities = torch.where(distance % 2 == 0, 0.45, 0.1)
        hubs = torch.where(torch.minimum(node[:, None], node) < 2, 0.75, 0.17)
        labels = torch.randint(NUM_CLASSES, (n,), generator=generator)
        probabilities = torch.stack([ring, communities, hubs, torch.full((v, v), 0.28)])[labels]
        edges = (torch.rand(n, v, v, generator=generator) < probabilities).float().triu(1)
        features = torch.randn(n, v, f, generator=generator)
        features[..., 0] = 1  # its sum over neighbors is the degree
        features[..., 1] += 1.5 * (node % 2) - 0.75  # a weak sign of the community
        return models.ProbeBatch((features, edges + edges.mT), labels, f"synthetic graphs, seed {seed}")


class GraphNetwork(nn.Module):
    """Maps features and adjacency matrices to logits (N, classes)."""

    def __init__(self, operations: Sequence[str], width: int) -> None:
        super().__init__()
        inputs = [NUM_FEATURES] + [width] * (len(operations) - 1)
        self.operations, self.units = operations, nn.ModuleList(nn.Linear(size, width) for size in inputs)
        self.classifier = nn.Linear(width, NUM_CLASSES)

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        loops = adjacency + torch.eye(adjacency.shape[-1], dtype=x.dtype, device=x.device)
        scale = loops.sum(-1, keepdim=True).rsqrt()
        graphs = {"gin": loops, "gcn": loops * scale * scale.mT}
        for operation, unit in zip(self.operations, self.units, strict=True):
            x = torch.relu(unit(graphs[operation] @ x if operation in graphs else x))
        return self.classifier(x.mean(1))


@dataclass(frozen=True)
class Stack(models.Architecture):
    """Graph convolutions of one width."""

    space = "tiny-gcn"
    layers: tuple[str, ...]
    width: int

    def _canonical(self) -> dict[str, Any]:
        return {"layers": list(self.layers), "width": self.width}


class TinyGcn(
    models.BuildableSpace[Stack], models.CostedSpace[Stack], models.EncodedSpace[Stack], models.EditableSpace[Stack]
):
    """One to four graph convolutions of one width, and the mean over the nodes."""

    name, settings, task = "tiny-gcn", {}, GraphTask()
    largest = Stack(("gcn",) * MAX_LAYERS, max(WIDTHS))
    stratum_feature, stratum_label = "num_layers", "number of layers"
    feature_names = ("num_layers", *(name for names in LAYER_FEATURES for name in names), *WIDTH_FEATURES)
    feature_groups = (
        *(models.FeatureGroup(f"layer{i}", names) for i, names in enumerate(LAYER_FEATURES)),
        models.FeatureGroup("width", counts=WIDTH_FEATURES),
    )

    @property
    def presets(self) -> dict[str, Any]:
        return {"two gcn layers": {"layers": ["gcn", "gcn"], "width": 16}}

    def describe(self) -> dict[str, Any]:
        return {"name": self.name, "operations": [*OPERATIONS], "widths": [*WIDTHS], "max_layers": MAX_LAYERS}

    def json_schema(self) -> dict[str, Any]:
        layers = {"type": "array", "items": {"enum": [*OPERATIONS]}, "minItems": 1, "maxItems": MAX_LAYERS}
        properties = {"space": {"const": self.name}, "layers": layers, "width": {"enum": [*WIDTHS]}}
        return {
            "type": "object",
            "properties": properties,
            "required": ["layers", "width"],
            "additionalProperties": False,
        }

    def parse(self, obj: Any) -> Stack:
        if not isinstance(obj, dict) or {"space": self.name, **obj}.keys() != {"space", "layers", "width"}:
            raise models.ArchitectureError("architecture", obj, "an object with layers and width")
        if obj.get("space", self.name) != self.name:
            raise models.ArchitectureError("space", obj["space"], self.name)
        layers, width = obj["layers"], obj["width"]
        if not isinstance(layers, list) or not 1 <= len(layers) <= MAX_LAYERS:
            raise models.ArchitectureError("layers", layers, f"a list of 1 to {MAX_LAYERS} operations")
        for i, operation in enumerate(layers):
            if operation not in OPERATIONS:
                raise models.ArchitectureError(f"layers[{i}]", operation, ", ".join(OPERATIONS))
        if type(width) is not int or width not in WIDTHS:
            raise models.ArchitectureError("width", width, ", ".join(map(str, WIDTHS)))
        return Stack(tuple(layers), width)

    def to_json(self, arch: Stack) -> dict[str, Any]:
        return {"space": self.name, **arch._canonical()}

    def sample(self, rng: np.random.Generator, **fixed: Any) -> Stack:
        if fixed:
            raise models.InputError("sample", sorted(fixed), "no property")
        layers = rng.choice(OPERATIONS, rng.integers(1, MAX_LAYERS + 1)).tolist()
        return Stack(tuple(layers), int(rng.choice(WIDTHS)))

    def build(self, arch: Stack, seed: int = 0) -> GraphNetwork:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            return GraphNetwork(arch.layers, arch.width)

    def cost(self, arch: Stack, shapes: models.Shapes | None = None) -> models.Cost:
        (n, v, f), _ = shapes or self.task.input_shapes(batch_size=1)
        inputs = [f] + [arch.width] * (len(arch.layers) - 1)
        params = sum((i + 1) * arch.width for i in inputs) + (arch.width + 1) * NUM_CLASSES
        products = sum(v * v * i for i, name in zip(inputs, arch.layers, strict=True) if name != "linear")
        return models.Cost(params, 2 * n * (products + v * sum(inputs) * arch.width + arch.width * NUM_CLASSES))

    def feature_values(self, archs: Sequence[Stack]) -> NDArray[np.float64]:
        present = [{f"layer{i}.{name}" for i, name in enumerate(a.layers)} | {f"width={a.width}"} for a in archs]
        one_hot = [[name in names for name in self.feature_names[1:]] for names in present]
        rows = [[len(arch.layers), *row] for arch, row in zip(archs, one_hot, strict=True)]
        return np.array(rows, dtype=float).reshape(-1, len(self.feature_names))

    def describe_feature(self, feature: str) -> str:
        if feature not in self.feature_names:
            raise models.UnknownNameError("feature", feature, self.feature_names)
        return feature.replace("_", " of ").replace("=", " ").replace(".", ": ")

    def feature_group(self, arch: Stack, feature: str) -> str:
        return feature.partition(".")[0].partition("=")[0]

    def mutate(self, arch: Stack, rng: np.random.Generator) -> Stack:
        neighbors = list(self.neighbors(arch))
        return neighbors[rng.integers(len(neighbors))]

    def crossover(self, first: Stack, second: Stack, rng: np.random.Generator) -> Stack:
        return Stack(first.layers, second.width) if rng.random() < 0.5 else Stack(second.layers, first.width)

    def neighbors(self, arch: Stack) -> Iterator[Stack]:
        same = [(*arch.layers[:i], name, *arch.layers[i + 1 :]) for i in range(len(arch.layers)) for name in OPERATIONS]
        longer = [(*arch.layers, name) for name in OPERATIONS]
        chains = [layers for layers in (*same, *longer, arch.layers[:-1]) if 1 <= len(layers) <= MAX_LAYERS]
        found = [Stack(layers, arch.width) for layers in chains] + [Stack(arch.layers, width) for width in WIDTHS]
        return (neighbor for neighbor in found if neighbor != arch)

    def describe_mutation(self, before: Stack, after: Stack) -> dict[str, Any]:
        field = "width" if before.layers == after.layers else "layers"
        return {"field": field, "before": before._canonical()[field], "after": after._canonical()[field]}
