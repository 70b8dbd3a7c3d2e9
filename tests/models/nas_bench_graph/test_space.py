"""Search space `nas-bench-graph`: parsing, settings, sampling, edits, features, costs."""

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models import ArchitectureError, InputError, UnknownNameError
from models.nas_bench_graph import NasBenchGraph
from models.nas_bench_graph.architecture import NasBenchGraphArchitecture, from_key
from models.nas_bench_graph.canonical import LINKS, all_keys
from models.nas_bench_graph.datasets import DATASETS, OPERATIONS
from tests.conftest import data_folder

CORA = NasBenchGraph()
PROTEINS = NasBenchGraph("proteins")


@pytest.mark.parametrize(
    ("obj", "field", "allowed"),
    [
        (None, "architecture", "a JSON object"),
        (88811, "architecture", "a JSON object"),
        ([[0, 1, 2, 3], ["gcn"] * 4], "architecture", "a JSON object"),
        ({}, "architecture (fields)", "key, or link and ops"),
        ({"link": [0, 1, 2, 3]}, "architecture (fields)", "key, or link and ops"),
        ({"key": "88811", "ops": ["gcn"] * 4}, "architecture (fields)", "key, or link and ops"),
        ({"key": "88811", "space": "gcn-nas"}, "space", "nas-bench-graph"),
        ("8881", "key", "five digits, each from 0 to 8"),
        ("888111", "key", "five digits"),
        ("88891", "key", "five digits"),
        ("8881x", "key", "five digits"),
        ("8881١", "key", "five digits"),
        ({"key": 88811}, "key", "a text of five digits"),
        ("88888", "ops", "at least one operation other than skip"),
        ("08888", "ops", "at least one operation other than skip"),
        ({"link": [0, 1, 2], "ops": ["gcn"] * 4}, "link", "a list of 4"),
        ({"link": "0123", "ops": ["gcn"] * 4}, "link", "a list of 4"),
        ({"link": [1, 1, 2, 3], "ops": ["gcn"] * 4}, "link[0]", "0, the cell's input"),
        ({"link": [0, 1, 3, 3], "ops": ["gcn"] * 4}, "link[2]", "an earlier node, to 2"),
        ({"link": [0, 1, -1, 3], "ops": ["gcn"] * 4}, "link[2]", "an earlier node"),
        ({"link": [False, 1, 2, 3], "ops": ["gcn"] * 4}, "link[0]", "0, the cell's input"),
        ({"link": [0, 1, 2.0, 3], "ops": ["gcn"] * 4}, "link[2]", "an earlier node"),
        ({"link": [0, 1, 2, 3], "ops": ["gcn"] * 5}, "ops", "a list of 4"),
        ({"link": [0, 1, 2, 3], "ops": ["gcn", "conv", "gcn", "gcn"]}, "ops[1]", "one of gat, gcn"),
        ({"link": [0, 1, 2, 3], "ops": ["gcn", 9, "gcn", "gcn"]}, "ops[1]", "or its index"),
        ({"link": [0, 1, 2, 3], "ops": ["gcn", True, "gcn", "gcn"]}, "ops[1]", "or its index"),
    ],
)
def test_errors_name_field_and_allowed_values(obj: Any, field: str, allowed: str) -> None:
    with pytest.raises(ArchitectureError) as error:
        CORA.parse(obj)
    assert error.value.field == field
    assert allowed in error.value.allowed


def test_numpy_arrays_are_read() -> None:
    obj = {"link": np.array([0, 1, 2, 3]), "ops": np.array([8, 8, 1, 1])}
    assert CORA.parse(obj) == CORA.parse({"key": "88811"})


def test_proteins_has_five_operations() -> None:
    with pytest.raises(ArchitectureError, match=r"ops\[3\]: got 'gat'; allowed: one of gcn, sage, arma, fc, skip"):
        PROTEINS.parse("88810")
    assert PROTEINS.parse("85414").ops == ("arma", "sage", "gcn", "sage")
    rng = np.random.default_rng(0)
    for arch in (PROTEINS.sample(rng) for _ in range(50)):
        for edited in (*PROTEINS.neighbors(arch), PROTEINS.mutate(arch, rng)):
            assert PROTEINS.parse(PROTEINS.to_json(edited)) == edited
    assert set(PROTEINS.presets) == {"gcn × 2", "sage × 2", "fc × 4"}
    assert PROTEINS.describe()["presets"] == PROTEINS.presets
    for preset in PROTEINS.presets.values():
        PROTEINS.parse(preset)


def test_the_schema_of_proteins_refuses_other_operations() -> None:
    validator = pytest.importorskip("jsonschema_rs").validator_for
    objects = [{"key": "88810"}, {"link": [0, 1, 2, 3], "ops": ["gcn", "gcn", "gcn", "gat"]}]
    for obj in objects:
        assert validator(CORA.json_schema()).is_valid(obj)
        assert not validator(PROTEINS.json_schema()).is_valid(obj)
    for obj in ({"key": "88888"}, {"link": [0, 1, 2, 3], "ops": ["skip", 8, "skip", 8]}):
        assert not validator(CORA.json_schema()).is_valid(obj)


def test_unknown_data_sets_are_refused() -> None:
    for name in ("imagenet", "", None, 3):
        with pytest.raises(UnknownNameError, match="cora"):
            NasBenchGraph(name)  # type: ignore[arg-type]


def test_samples_are_uniform_over_the_canonical_keys() -> None:
    rng = np.random.default_rng(0)
    links = np.bincount([LINKS.index(CORA.sample(rng).link) for _ in range(3000)], minlength=9) / 3000
    expected = np.bincount(all_keys() // 10_000, minlength=9) / len(all_keys())
    assert np.abs(links - expected).max() < 0.03
    assert {CORA.stratum(CORA.sample(rng, depth=2)) for _ in range(20)} == {2}
    for depth in (0, 5, True, "2", 2.5):
        with pytest.raises(InputError, match="depth"):
            CORA.sample(rng, depth=depth)  # type: ignore[arg-type]


def test_neighbors_are_symmetric() -> None:
    rng = np.random.default_rng(1)
    for arch in (CORA.sample(rng) for _ in range(12)):
        for neighbor in CORA.neighbors(arch):
            assert arch in set(CORA.neighbors(neighbor))


def test_neighbors_are_one_choice_apart() -> None:
    def choices(arch: NasBenchGraphArchitecture) -> set[NasBenchGraphArchitecture]:
        link, ops = list(arch.link), list(arch.ops)
        objects: list[dict[str, Any]] = [
            {"link": link, "ops": [*ops[:i], op, *ops[i + 1 :]]} for i in range(4) for op in OPERATIONS
        ]
        objects += [{"link": [*link[:i], k, *link[i + 1 :]], "ops": ops} for i in range(4) for k in range(i + 1)]
        valid = [obj for obj in objects if set(obj["ops"]) != {"skip"}]
        return {CORA.parse(obj) for obj in valid} - {arch}

    rng = np.random.default_rng(2)
    for arch in (CORA.sample(rng) for _ in range(6)):
        neighbors = set(CORA.neighbors(arch))
        assert choices(arch) <= neighbors
        assert all(neighbor in choices(arch) or arch in choices(neighbor) for neighbor in neighbors)


def test_every_architecture_has_neighbors() -> None:
    rng = np.random.default_rng(3)
    for space in (CORA, PROTEINS):
        for depth in (1, 2, 3, 4):
            for _ in range(30):
                assert len(list(space.neighbors(space.sample(rng, depth=depth)))) >= 5


def test_crossover_takes_nodes_of_the_parents() -> None:
    rng = np.random.default_rng(4)
    first, second = CORA.parse("80123"), CORA.parse("84567")
    children = {CORA.crossover(first, second, rng) for _ in range(300)}
    expected = {
        CORA.parse({"link": [0, 1, 2, 3], "ops": ops}) for ops in product(*zip(first.ops, second.ops, strict=True))
    }
    assert children == expected
    assert CORA.crossover(first, first, rng) == first


def test_crossover_to_skips_alone_is_the_first_parent() -> None:
    first, second = CORA.parse("88881"), CORA.parse({"link": [0, 1, 1, 1], "ops": ["gcn", "skip", "skip", "skip"]})
    assert second.ops == ("gcn", "skip", "skip", "skip")
    children = {CORA.crossover(first, second, np.random.default_rng(seed)) for seed in range(60)}
    assert first in children
    assert all("gcn" in child.ops for child in children)


def test_descriptions_of_mutations() -> None:
    before = CORA.parse("88811")
    assert CORA.describe_mutation(before, CORA.parse("88810")) == {"node": 4, "from": "gcn", "to": "gat"}
    after = CORA.parse("78801")
    assert CORA.describe_mutation(before, after) == {"link": [0, 1, 2, 2], "ops": ["skip", "skip", "gat", "gcn"]}


def features(key: str) -> dict[str, float]:
    return CORA.features(CORA.parse(key))


def test_features_of_a_chain() -> None:
    values = features("88216")  # skip, gin, gcn, graph
    assert {name for name, value in values.items() if value and name.startswith(("link", "node", "pair"))} == {
        "link=8",
        "node1.skip",
        "node2.gin",
        "node3.gcn",
        "node4.graph",
        "pair.gin.gcn",
        "pair.gcn.graph",
    }
    assert {name for name, value in values.items() if value and name.startswith(("depth", "leaf.", "input."))} == {
        "depth",
        "depth_min",
        "depth_mean",
        "depth1.gin",
        "depth2.gcn",
        "depth3.graph",
        "leaf.graph",
        "input.gin",
        "input.skip",
    }
    assert (values["depth"], values["leaves"], values["inputs"], values["leading_skips"]) == (3, 1, 1, 1)
    assert [values[f"sum.{name}"] for name in ("nodes", "path_max", "path_min", "path_mean")] == [2, 2, 2, 2]
    assert [values[f"{kind}.nodes"] for kind in ("mean", "attention", "normalized", "message", "root", "fc")] == [
        0,
        0,
        1,
        3,
        1,
        0,
    ]


def test_features_of_a_tree() -> None:
    values = features("71278")  # gcn → gin → (fc, skip)
    assert values["link=7"] == values["node4.skip"] == values["pair.gin.skip"] == values["leaf_skips"] == 1
    assert (values["depth"], values["depth_min"], values["depth_mean"]) == (3, 2, 2.5)
    assert (values["leaves"], values["leaf.fc"], values["leaf.skip"], values["leaf.gin"]) == (2, 1, 1, 0)
    assert (values["pair.gcn.gin"], values["pair.gin.fc"], values["input.gcn"], values["all.gin"]) == (1, 1, 1, 1)
    values = features("61274")  # gcn → (gin → sage, fc)
    assert [values[f"sum.{name}"] for name in ("nodes", "path_max", "path_min", "path_mean")] == [1, 1, 0, 0.5]
    values = features("01234")
    assert (values["depth"], values["leaves"], values["inputs"], values["depth1.cheb"]) == (1, 4, 4, 1)


def test_parts_of_an_architecture() -> None:
    arch = CORA.parse("71278")
    parts = {
        "node2.gcn": "node 2 (gin)",
        "link=3": "topology",
        "depth2.gat": "nodes at depth 2",
        "leaf.gat": "leaves",
        "pair.gcn.gat": "pairs of nodes",
        "all.gat": "numbers of operations",
        "sum.nodes": "numbers of operations",
        "sum.path_max": "paths to the leaves",
        "depth_min": "shape of the cell",
    }
    for feature, part in parts.items():
        assert feature in CORA.feature_names
        assert CORA.feature_group(arch, feature) == part


def test_every_feature_is_in_a_group() -> None:
    grouped = {feature for group in CORA.feature_groups for feature in group.features}
    assert set(CORA.feature_names) == grouped


def test_no_architecture_costs_more_than_the_largest() -> None:
    for name in DATASETS:
        space = NasBenchGraph(name)
        rng = np.random.default_rng(0)
        maximum = space.cost(space.largest)
        for arch in (*(space.sample(rng) for _ in range(100)), *space.neighbors(space.largest)):
            assert space.cost(arch).flops <= maximum.flops


def test_cost_of_one_layer_by_hand() -> None:
    """Key 88811 on cora: batch norm 8·256, gcn 1433 → 256 and 256 → 256, linear 256 → 256 → 7."""
    arch = CORA.parse("88811")
    cost = CORA.cost(arch, ((3, 1433), (2, 4)))
    assert cost.params == 502_535 == 8 * 256 + (1433 + 1) * 256 + 2 * (256 + 1) * 256 + (256 + 1) * 7
    linear = 3 * (1433 * 256 + 256 * 256 + 256 * 256 + 256 * 7)
    messages = 2 * (4 + 3) * 256
    assert cost.flops == 2 * (linear + messages)


@pytest.mark.parametrize("name", list(DATASETS))
def test_parameters_are_the_published_ones_of_every_key(name: str) -> None:
    file = data_folder("ARCHRANK_BENCHMARKS", "benchmarks") / "nas-bench-graph" / f"{name}.npz"
    if not file.is_file():
        pytest.skip(f"{file} does not exist")
    space = NasBenchGraph(name)
    with np.load(Path(file)) as table:
        keys, published = table["key"], table["params"]
    assert set(keys.tolist()) <= set(all_keys().tolist())
    params = np.array([space.cost(from_key(key)).params for key in keys.tolist()])
    equal = params == published
    # Published counts of physics that are means of two networks'.
    assert (~equal).sum() == (1260 if name == "physics" else 0)


def test_description_names_the_data_set() -> None:
    description = json.loads(json.dumps(PROTEINS.describe()))
    assert description["dataset"]["name"] == "proteins"
    assert description["size"] == 2021
    assert len(description["links"]) == 9
