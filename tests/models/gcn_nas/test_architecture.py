"""Parsing of architectures: three equivalent notations, and malformed input."""

import json
import math
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import ArchitectureError, get_space
from models.gcn_nas.architecture import MODULES

SPACE: Any = get_space("gcn-nas")
GOOD = [["L2", "S"]] * 4
MASK = [[0, 0, 0, 0, 1, 1, 0, 0]] * 4
masks = st.sampled_from([4, 6, 8, 10]).flatmap(
    lambda depth: st.lists(st.lists(st.booleans(), min_size=8, max_size=8), min_size=depth, max_size=depth)
)


@given(masks)
def test_three_notations_are_equivalent(mask: list[list[bool]]) -> None:
    names = [[name for name, present in zip(MODULES, row, strict=True) if present] for row in mask]
    weights = [[0.1001 if present else 0.1 for present in row] for row in mask]
    notations = [{"mask": mask}, {"layers": names}, {"weights": weights, "space": "gcn-nas"}, mask, weights, names]
    parsed = [SPACE.parse(obj) for obj in notations]
    assert len(set(parsed)) == 1
    assert len({arch.fingerprint for arch in parsed}) == 1
    assert SPACE.parse(SPACE.to_json(parsed[0])) == parsed[0]


def test_every_layer_is_parsed_and_written() -> None:
    for row in product((False, True), repeat=len(MODULES)):
        names = [name for name, present in zip(MODULES, row, strict=True) if present]
        for layer in (names, names[::-1]):
            arch = SPACE.parse([layer, *[["S"]] * 3])
            assert arch.mask[0] == row
            assert SPACE.to_json(arch)["layers"][0] == names
        assert hash(arch) == hash(SPACE.parse(SPACE.to_json(arch)))


def test_written_layers_can_be_changed() -> None:
    arch = SPACE.parse([["S"]] * 4)
    SPACE.to_json(arch)["layers"][0].append("T")
    assert SPACE.to_json(arch)["layers"] == [["S"]] * 4


def test_order_of_names_does_not_matter() -> None:
    assert SPACE.parse([["S", "L2"]] * 4) == SPACE.parse(GOOD)


def nested(levels: int) -> Any:
    value: Any = "S"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("obj", "field", "allowed"),
    [
        ("L2+S", "architecture", "JSON object"),
        (None, "architecture", "JSON object"),
        (7, "architecture", "JSON object"),
        ([], "layers (number of layers)", "4, 6, 8 or 10"),
        ({}, "architecture", "exactly one of"),
        ({"layers": GOOD, "mask": MASK}, "architecture", "exactly one of"),
        ({"layers": GOOD, "depth": 4}, "architecture (field)", "only space"),
        ({"layers": GOOD, "space": "resnet"}, "space", "gcn-nas"),
        ({"layers": GOOD, 3: 4}, "architecture (field)", "only space"),
        ({"layers": None}, "layers", "a list"),
        ({"layers": "SSSS"}, "layers", "a list"),
        ({"layers": GOOD[:3]}, "layers (number of layers)", "4, 6, 8 or 10"),
        ({"layers": [["S"]] * 5}, "layers (number of layers)", "4, 6, 8 or 10"),
        ({"mask": MASK * 1_000_000}, "mask (number of layers)", "4, 6, 8 or 10"),
        ({"layers": ["S"] * 4}, "layers[0]", "a list"),
        ({"layers": [["S"], ["S"], ["L5"], ["S"]]}, "layers[2][0]", "one of L, L4n, L4, L3, L2, S, T, ST"),
        ({"layers": [["s"]] * 4}, "layers[0][0]", "one of L"),
        ({"layers": [["S"], ["T", "T"], ["S"], ["S"]]}, "layers[1][1]", "at most once"),
        ({"layers": [["S"] * 9] * 4}, "layers[0] (number of modules)", "at most 8"),
        ({"layers": [[None]] * 4}, "layers[0][0]", "one of L"),
        ({"layers": [[1]] * 4}, "layers[0][0]", "one of L"),
        ({"layers": nested(500)}, "layers (number of layers)", "4, 6, 8 or 10"),
        ({"layers": [nested(3), ["S"], ["S"], ["S"]]}, "layers[0][0]", "one of L"),
        ({"mask": [[1] * 7] * 4}, "mask[0] (width)", "8 entries"),
        ({"mask": [[1] * 9] * 4}, "mask[0] (width)", "8 entries"),
        ({"mask": [[0, 0, 0, 0, 0, 2, 0, 0]] * 4}, "mask[0][5]", "0, 1, false or true"),
        ({"mask": [[0, 0, 0, 0, 0, 0.5, 0, 0]] * 4}, "mask[0][5]", "0, 1, false or true"),
        ({"mask": [["1"] * 8] * 4}, "mask[0][0]", "0, 1, false or true"),
        ({"mask": {"0": [1] * 8}}, "mask", "a list"),
        ({"weights": [[math.nan] * 8] * 4}, "weights[0][0]", "finite"),
        ({"weights": [[math.inf] * 8] * 4}, "weights[0][0]", "finite"),
        ({"weights": [["0.2"] * 8] * 4}, "weights[0][0]", "finite"),
        ({"weights": [[True] * 8] * 4}, "weights[0][0]", "finite"),
        ({"weights": [[0.2] * 3] * 4}, "weights[0] (width)", "8 entries"),
    ],
)
def test_errors_name_field_and_allowed_values(obj: Any, field: str, allowed: str) -> None:
    with pytest.raises(ArchitectureError) as error:
        SPACE.parse(obj)
    assert error.value.field == field
    assert allowed in error.value.allowed
    assert len(str(error.value)) < 500


def test_huge_numbers_are_weights_too() -> None:
    assert SPACE.parse({"weights": [[10**400] * 8] * 4}).mask[0] == (True,) * 8


def test_a_layer_without_attention_builds_with_a_warning() -> None:
    arch = SPACE.parse([["L2"], ["S"], [], ["T"]])
    assert [warning.split(" ")[0] for warning in SPACE.warnings(arch)] == ["layers[0]", "layers[2]"]
    assert SPACE.build(arch) is not None


def test_sample_of_a_given_depth() -> None:
    assert {SPACE.sample(np.random.default_rng(i), depth=8).depth for i in range(5)} == {8}
    with pytest.raises(ValueError, match="depth"):
        SPACE.sample(np.random.default_rng(0), depth=5)


def test_mutation_reaches_every_depth() -> None:
    rng, arch, depths = np.random.default_rng(0), SPACE.parse(GOOD), set()
    for _ in range(400):
        arch = SPACE.mutate(arch, rng)
        depths.add(arch.depth)
    assert depths == {4, 6, 8, 10}


class LengthOnly(list[Any]):
    """List that allows reading its length only."""

    def __iter__(self) -> Any:
        raise AssertionError("the list was read")

    def __getitem__(self, index: Any) -> Any:
        raise AssertionError("the list was read")


@pytest.mark.parametrize("notation", ["layers", "mask", "weights"])
def test_overlong_lists_are_refused_without_reading_them(notation: str) -> None:
    long = LengthOnly([["S"] * 8] * 5000)
    with pytest.raises(ArchitectureError, match=r"number of layers\): got 5000; allowed: 4, 6, 8 or 10"):
        SPACE.parse({notation: long})
    with pytest.raises(ArchitectureError, match=r"\[0\] \(.*\): got 5000; allowed: (at most )?8"):
        SPACE.parse({notation: [long] * 4})


def test_errors_about_long_names_are_short() -> None:
    for obj in ({"x" * 10_000: 1}, {"layers": [["x" * 10_000]] * 4}, {"space": "x" * 10_000}):
        with pytest.raises(ArchitectureError) as error:
            SPACE.parse(obj)
        assert len(str(error.value)) < 200


@given(masks)
def test_the_key_is_canonical_json(mask: list[list[bool]]) -> None:
    document = {"mask": [list(map(int, row)) for row in mask], "space": "gcn-nas"}
    assert SPACE.parse({"mask": mask}).key == json.dumps(document, separators=(",", ":"), sort_keys=True)
