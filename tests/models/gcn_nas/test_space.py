"""The `gcn-nas` space beyond the contract of every space."""

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from models import InputError, UnknownNameError, get_space


@pytest.fixture
def samples(space: Any, rng: np.random.Generator) -> list[Any]:
    return [space.sample(rng) for _ in range(40)]


def test_neighbors_are_distinct_symmetric_and_without_warnings(space: Any, samples: list[Any]) -> None:
    arch = samples[0]
    neighbors = list(space.neighbors(arch))
    assert len(set(neighbors)) == len(neighbors) > 0
    assert arch not in neighbors
    for neighbor in neighbors:
        assert arch in set(space.neighbors(neighbor))
        assert not space.warnings(neighbor)


def test_mutations_of_an_architecture_have_distinct_descriptions(space: Any, samples: list[Any]) -> None:
    for arch in samples[:4]:
        neighbors = list(space.neighbors(arch))
        mutations = [space.describe_mutation(arch, neighbor) for neighbor in neighbors]
        assert len({json.dumps(mutation, sort_keys=True) for mutation in mutations}) == len(neighbors)
        for mutation, neighbor in zip(mutations, neighbors, strict=True):
            assert space.describe_mutation(neighbor, arch) != mutation, "the reverse mutation differs"


def test_feature_groups_are_named_after_layers(space: Any) -> None:
    arch = space.parse({"layers": [["S"], ["L", "S"], ["T"], ["L2", "ST"]]})  # slots 1, 5, 8 and 9
    for feature, group in {
        "slot1.S": "layers[0] (S)",
        "slot5.fixed=1": "layers[1] (L, S)",
        "slot9.subset1.spectral": "layers[3] (L2, ST)",
        "fixed.slot8": "layers[2] (T)",
        "dynamic.slot9": "layers[3] (L2, ST)",
        "slot10.L": "4 layers",
        "fixed.slot2": "4 layers",
        "depth": "4 layers",
        "depth=8": "4 layers",
        "stage3.S": "all layers together",
        "network.fixed.mean": "all layers together",
    }.items():
        assert feature in space.features(arch)
        assert space.feature_group(arch, feature) == group
    empty = space.parse({"layers": [[], ["S"], ["S"], ["S"]]})
    assert space.feature_group(empty, "slot1.L") == "layers[0] (no modules)"


def test_descriptions_of_mutations_can_be_applied(space: Any) -> None:
    arch = space.sample(np.random.default_rng(3), depth=6)
    for neighbor in space.neighbors(arch):
        mutation = space.describe_mutation(arch, neighbor)
        layers = [set(modules) for modules in space.to_json(arch)["layers"]]
        change = {"add": set.add, "remove": set.remove}[mutation["action"]]
        change(layers[mutation["layer"]], mutation["module"])
        assert space.parse({"layers": [sorted(modules) for modules in layers]}) == neighbor


def test_crossover_takes_each_layer_from_a_parent(space: Any, samples: list[Any]) -> None:
    rng = np.random.default_rng(2)
    layers = {arch: space.to_json(arch)["layers"] for arch in samples}
    for first, second in pairwise(samples):
        child = space.crossover(first, second, rng)
        child_layers = space.to_json(child)["layers"]
        assert all(layer in layers[first] + layers[second] for layer in child_layers)
        assert len(child_layers) in (len(layers[first]), len(layers[second]))
        assert not space.warnings(child)
        assert space.crossover(first, first, rng) == first


def test_crossover_is_slot_by_slot(space: Any) -> None:
    four, ten = (space.parse({"layers": [[module]] * depth}) for module, depth in (("S", 4), ("T", 10)))
    children = {space.crossover(four, ten, np.random.default_rng(seed)) for seed in range(60)}
    assert {child.depth for child in children} == {4, 10}
    for child in children:
        for slot, (layer,) in zip(child.slots, space.to_json(child)["layers"], strict=True):
            assert layer == "T" or slot in four.slots
    assert len(children) > 20


def test_analytic_cost_is_that_of_the_network(space: Any, samples: list[Any]) -> None:
    shapes = space.task.input_shapes()
    for arch in samples[:8]:
        network = space.build(arch).to("meta")
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            logits = network(*(torch.empty(shape, device="meta") for shape in shapes))
        cost = space.cost(arch, shapes)
        assert cost.flops == counter.get_total_flops()
        assert cost.params == sum(p.numel() for p in network.parameters())
        assert logits.shape == (shapes[0][0], space.task.num_outputs)


def test_no_architecture_costs_more_than_the_largest(space: Any, samples: list[Any]) -> None:
    largest = space.largest
    maximum = space.cost(largest)
    for arch in (*samples, *space.neighbors(largest)):
        assert space.cost(arch).params <= maximum.params
        assert space.cost(arch).flops <= maximum.flops


@pytest.mark.parametrize("depth", [4, 6, 8, 10])
def test_samples_have_the_depth_that_is_asked_for(space: Any, rng: np.random.Generator, depth: int) -> None:
    assert depth in space.describe()["depths"]
    assert {space.sample(rng, depth=depth).depth for _ in range(10)} == {depth}


def test_unknown_space_and_settings_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="gcn-nas"):
        get_space("resnet")
    with pytest.raises(InputError, match="settings"):
        get_space("gcn-nas", color="red")
    with pytest.raises(UnknownNameError, match="kinect"):
        get_space("gcn-nas", skeleton="octopus")
    with pytest.raises(InputError, match="num_persons"):
        get_space("gcn-nas", num_persons=0)
