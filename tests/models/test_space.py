"""Contract of search spaces, for every registered space."""

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from models import InputError, UnknownNameError, get_space, space_names


@pytest.fixture(params=space_names())
def any_space(request: pytest.FixtureRequest) -> Any:
    return get_space(request.param)


@pytest.fixture
def samples(any_space: Any, rng: np.random.Generator) -> list[Any]:
    return [any_space.sample(rng) for _ in range(40)]


def test_sampling_is_seeded_and_without_warnings(any_space: Any, samples: list[Any]) -> None:
    rng = np.random.default_rng(0)
    assert [any_space.sample(rng) for _ in range(40)] == samples
    assert not any(any_space.warnings(arch) for arch in samples)


def test_features_have_the_same_names_and_finite_values(any_space: Any, samples: list[Any]) -> None:
    names = list(any_space.features(samples[0]))
    for arch in samples:
        features = any_space.features(arch)
        assert list(features) == names
        assert np.isfinite(list(features.values())).all()


def test_features_of_many_are_those_of_each(any_space: Any, samples: list[Any]) -> None:
    values = any_space.feature_values(samples)
    assert values.shape == (len(samples), len(any_space.feature_names))
    for arch, row in zip(samples, values, strict=True):
        assert any_space.features(arch) == dict(zip(any_space.feature_names, row.tolist(), strict=True))
    assert any_space.feature_values([]).shape == (0, len(any_space.feature_names))


def test_neighbors_are_distinct_symmetric_and_without_warnings(any_space: Any, samples: list[Any]) -> None:
    arch = samples[0]
    neighbors = list(any_space.neighbors(arch))
    assert len(set(neighbors)) == len(neighbors) > 0
    assert arch not in neighbors
    for neighbor in neighbors:
        assert arch in set(any_space.neighbors(neighbor))
        assert not any_space.warnings(neighbor)


def test_presets_are_architectures_without_warnings(any_space: Any) -> None:
    assert any_space.presets
    for preset in any_space.presets.values():
        assert not any_space.warnings(any_space.parse(preset))


def test_descriptions_of_features_are_distinct(any_space: Any) -> None:
    descriptions = [any_space.describe_feature(feature) for feature in any_space.feature_names]
    assert len(set(descriptions)) == len(descriptions)
    assert not any("\\" in text or "." in text for text in descriptions)
    with pytest.raises(UnknownNameError, match="no such feature"):
        any_space.describe_feature("no such feature")


def test_every_feature_belongs_to_a_group(any_space: Any, samples: list[Any]) -> None:
    for arch in samples[:8]:
        groups = {any_space.feature_group(arch, feature) for feature in any_space.features(arch)}
        assert all(isinstance(group, str) and group for group in groups)
        assert 1 < len(groups) < len(any_space.features(arch))


def test_mutations_of_an_architecture_have_distinct_descriptions(any_space: Any, samples: list[Any]) -> None:
    for arch in samples[:4]:
        neighbors = list(any_space.neighbors(arch))
        mutations = [any_space.describe_mutation(arch, neighbor) for neighbor in neighbors]
        assert len({json.dumps(mutation, sort_keys=True) for mutation in mutations}) == len(neighbors)
        for mutation, neighbor in zip(mutations, neighbors, strict=True):
            assert any_space.describe_mutation(neighbor, arch) != mutation, "the reverse mutation differs"


def test_gcn_nas_feature_groups_are_named_after_layers() -> None:
    space = get_space("gcn-nas")
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


def test_gcn_nas_descriptions_of_mutations_can_be_applied() -> None:
    space = get_space("gcn-nas")
    arch = space.sample(np.random.default_rng(3), depth=6)
    for neighbor in space.neighbors(arch):
        mutation = space.describe_mutation(arch, neighbor)
        layers = [set(modules) for modules in space.to_json(arch)["layers"]]
        change = {"add": set.add, "remove": set.remove}[mutation["action"]]
        change(layers[mutation["layer"]], mutation["module"])
        assert space.parse({"layers": [sorted(modules) for modules in layers]}) == neighbor


def test_mutations_differ_and_have_no_warnings(any_space: Any, samples: list[Any]) -> None:
    rng = np.random.default_rng(1)
    for arch in samples * 3:
        mutant = any_space.mutate(arch, rng)
        assert mutant != arch
        assert not any_space.warnings(mutant)


def test_crossover_takes_each_layer_from_a_parent(any_space: Any, samples: list[Any]) -> None:
    rng = np.random.default_rng(2)
    layers = {arch: any_space.to_json(arch)["layers"] for arch in samples}
    for first, second in pairwise(samples):
        child = any_space.crossover(first, second, rng)
        child_layers = any_space.to_json(child)["layers"]
        assert all(layer in layers[first] + layers[second] for layer in child_layers)
        assert len(child_layers) in (len(layers[first]), len(layers[second]))
        assert not any_space.warnings(child)
        assert any_space.crossover(first, first, rng) == first


def test_gcn_nas_crossover_is_slot_by_slot() -> None:
    space: Any = get_space("gcn-nas")
    four, ten = (space.parse({"layers": [[module]] * depth}) for module, depth in (("S", 4), ("T", 10)))
    children = {space.crossover(four, ten, np.random.default_rng(seed)) for seed in range(60)}
    assert {child.depth for child in children} == {4, 10}
    for child in children:
        for slot, (layer,) in zip(child.slots, space.to_json(child)["layers"], strict=True):
            assert layer == "T" or slot in four.slots
    assert len(children) > 20


def test_build_depends_on_the_seed_alone(any_space: Any, samples: list[Any]) -> None:
    before = torch.get_rng_state()
    first, second = any_space.build(samples[0], seed=3), any_space.build(samples[0], seed=3)
    other = any_space.build(samples[0], seed=4)
    assert torch.equal(torch.get_rng_state(), before)
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert any(not torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))


def test_analytic_cost_is_that_of_the_network(any_space: Any, samples: list[Any]) -> None:
    shapes = any_space.task.input_shapes()
    for arch in samples[:8]:
        network = any_space.build(arch).to("meta")
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            logits = network(*(torch.empty(shape, device="meta") for shape in shapes))
        cost = any_space.cost(arch, shapes)
        assert cost.flops == counter.get_total_flops()
        assert cost.params == sum(p.numel() for p in network.parameters())
        assert logits.shape == (shapes[0][0], any_space.task.num_outputs)


def test_no_architecture_costs_more_than_the_largest(any_space: Any, samples: list[Any]) -> None:
    largest = any_space.largest
    maximum = any_space.cost(largest)
    for arch in (*samples, *any_space.neighbors(largest)):
        assert any_space.cost(arch).params <= maximum.params
        assert any_space.cost(arch).flops <= maximum.flops


def test_settings_reconstruct_the_space(any_space: Any) -> None:
    assert get_space(any_space.name, **any_space.settings).settings == any_space.settings


def test_description_is_plain_json(any_space: Any) -> None:
    assert json.loads(json.dumps(any_space.describe()))["name"] == any_space.name


def test_unknown_space_and_settings_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="gcn-nas"):
        get_space("resnet")
    with pytest.raises(InputError, match="settings"):
        get_space("gcn-nas", color="red")
    with pytest.raises(UnknownNameError, match="kinect"):
        get_space("gcn-nas", skeleton="octopus")
    with pytest.raises(InputError, match="num_persons"):
        get_space("gcn-nas", num_persons=0)
