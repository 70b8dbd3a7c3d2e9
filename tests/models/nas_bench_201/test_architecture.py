"""Notations, numbering and isomorphism classes."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models import ArchitectureError, UnknownNameError, get_space
from models.nas_bench_201 import NasBench201
from models.nas_bench_201.architecture import NUM_ARCHITECTURES, from_index
from models.nas_bench_201.cell import OPERATIONS
from tests.conftest import data_folder

ARCH = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|nor_conv_1x1~0|none~1|avg_pool_3x3~2|"
NAMES = ["nor_conv_3x3", "none", "skip_connect", "nor_conv_1x1", "none", "avg_pool_3x3"]
SPACE = NasBench201()


def table(name: str) -> list[dict[str, str]]:
    path: Path = data_folder("ARCHRANK_BENCHMARKS", "benchmarks") / "nas-bench-201" / name
    if not path.is_file():
        pytest.skip(f"{path} does not exist")
    with path.open() as file:
        return list(csv.DictReader(file))


def test_all_notations_are_one_architecture() -> None:
    arch = SPACE.parse(ARCH)
    notations: list[Any] = [
        {"ops": NAMES},
        {"digits": "301204"},
        {"index": arch.index},
        "301204",
        NAMES,
        {"arch": ARCH},
    ]
    for notation in [*notations, NAMES, tuple(NAMES), np.array(NAMES), SPACE.to_json(arch)]:
        assert SPACE.parse(notation) == arch
        assert SPACE.parse(notation).fingerprint == arch.fingerprint
    assert arch.digits == "301204"
    assert arch.arch == ARCH


def test_the_numbering_is_the_benchmarks() -> None:
    # The first architectures of the published numbering.
    assert [from_index(i).digits for i in range(3)] == ["421211", "334131", "433444"]
    assert {from_index(i).index for i in range(NUM_ARCHITECTURES)} == set(range(NUM_ARCHITECTURES))


def test_the_numbering_is_that_of_the_published_table() -> None:
    rows = table("accuracy.csv")
    assert len(rows) == NUM_ARCHITECTURES
    assert all(SPACE.parse(row["ops"]).index == int(row["index"]) for row in rows)


def test_presets_are_the_best_cells_of_the_published_table() -> None:
    rows = table("accuracy.csv")
    for title, column in (("CIFAR-10", "c10"), ("CIFAR-100", "c100"), ("ImageNet16-120", "in16")):
        best = max(float(row[column]) for row in rows)
        digits = SPACE.presets[f"best on {title}"]["digits"]
        assert [float(row[column]) for row in rows if row["ops"] == digits] == [best]


@pytest.mark.parametrize(
    ("notation", "message"),
    [
        ({"digits": "30120"}, r"digits: got '30120'; allowed: a string of six digits"),
        ({"digits": "301205"}, "digits"),
        ({"digits": 301204}, "digits"),
        ({"index": NUM_ARCHITECTURES}, "index: got 15625; allowed: a whole number from 0 to 15624"),
        ({"index": True}, "index"),
        ({"index": 1.0}, "index"),
        ({"ops": NAMES[:5]}, "ops: got .*a list of 6 operations"),
        ({"ops": [*NAMES[:5], "conv"]}, r"ops \(edge 2-3\): got 'conv'; allowed: one of none, skip_connect"),
        ({"ops": [*NAMES[:5], 3]}, r"ops \(edge 2-3\)"),
        ({"arch": ARCH[1:]}, "arch: got .*a string like"),
        ({"arch": ARCH.replace("none~0", "conv~0")}, r"arch \(edge 0-2\): got 'conv'"),
        ({"arch": ARCH.replace("~2", "~1")}, "arch"),
        ({"arch": "|" * 10_000}, "arch"),
        ({"arch": ARCH, "index": 3}, "exactly one of"),
        ({}, "exactly one of"),
        ({"arch": ARCH, "depth": 3}, r"architecture \(field\): got 'depth'"),
        ({"space": "gcn-nas", "arch": ARCH}, "space: got 'gcn-nas'"),
        (7, "a JSON object with arch, ops, digits or index"),
        (None, "a JSON object"),
    ],
)
def test_malformed_notations_are_refused(notation: Any, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        SPACE.parse(notation)


def test_there_are_5390_isomorphism_classes() -> None:
    archs = [from_index(i) for i in range(NUM_ARCHITECTURES)]
    complete = [arch for arch in archs if len(arch.live_edges) == sum(op != 0 for op in arch.ops)]
    assert len(complete) == 9445
    assert len({arch.isomorphism_class for arch in complete}) == 5390
    assert len({arch.isomorphism_class for arch in archs}) == 5390


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("300000", "030000", True),  # no path: the operations have no effect
        ("320203", "230230", True),  # nodes 1 and 2 exchanged
        ("300030", "030003", True),
        ("300130", "030103", True),
        ("111000", "000000", True),
        ("000300", "000200", False),
        ("000300", "000310", True),  # an operation on a node without input
        ("103003", "003003", False),
        ("130030", "100030", True),  # node 2 is not connected to the output
    ],
)
def test_isomorphic_cells(first: str, second: str, same: bool) -> None:
    assert (SPACE.parse(first).isomorphism_class == SPACE.parse(second).isomorphism_class) == same


def test_json_schema_accepts_every_notation_and_refuses_others() -> None:
    jsonschema_rs = pytest.importorskip("jsonschema_rs")
    validator = jsonschema_rs.validator_for(json.loads(json.dumps(SPACE.json_schema())))
    for notation in ({"arch": ARCH}, {"ops": NAMES}, {"digits": "301204"}, {"index": 0}, SPACE.to_json(SPACE.largest)):
        assert validator.is_valid(notation)
    for notation in (
        {},
        {"index": -1},
        {"digits": "5"},
        {"ops": NAMES[1:]},
        {"arch": "|none~0|"},
        {"index": 0, "x": 1},
    ):
        assert not validator.is_valid(notation)


def test_unknown_data_sets_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="dataset: got 'mnist'; allowed: one of cifar10"):
        get_space("nas-bench-201", dataset="mnist")


def test_mutations_change_one_edge(rng: np.random.Generator) -> None:
    arch = SPACE.parse(ARCH)
    neighbors = list(SPACE.neighbors(arch))
    assert len(set(neighbors)) == 24
    assert arch not in neighbors
    mutations = {SPACE.mutate(arch, rng) for _ in range(400)}
    assert mutations == set(neighbors)
    mutation = SPACE.describe_mutation(arch, SPACE.parse("311204"))
    assert mutation == {"edge": "0-2", "from": "none", "to": OPERATIONS[1]}
    children = {SPACE.crossover(arch, SPACE.largest, rng).ops for _ in range(50)}
    assert all(
        op in pair
        for ops in children
        for op, pair in zip(ops, zip(arch.ops, SPACE.largest.ops, strict=True), strict=True)
    )
