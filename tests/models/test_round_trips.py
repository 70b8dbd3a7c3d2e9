"""All notations of an architecture are read as the same architecture, for every built-in space."""

import copy
import json
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.strict_json import loads
from models import Architecture, ArchitectureError, get_space
from models.gcn_nas.architecture import MODULES, THRESHOLD
from models.nas_bench_graph.canonical import RAW_LINKS, canonical_keys
from models.nas_bench_graph.datasets import OPERATIONS
from models.registry import BUILT_IN

EXAMPLES = settings(max_examples=60)
NESTING = 32


def gcn_nas_notations(arch: Any) -> list[Any]:
    """All notations of an architecture."""
    layers = [[name for name, present in zip(MODULES, row, strict=True) if present] for row in arch.mask]
    reversed_layers = [names[::-1] for names in layers]
    mask = [[int(present) for present in row] for row in arch.mask]
    weights = [[float(np.nextafter(THRESHOLD, 1)) if present else THRESHOLD for present in row] for row in arch.mask]
    forms = [("layers", layers), ("layers", reversed_layers), ("mask", mask), ("mask", arch.mask), ("weights", weights)]
    named = [{field: rows} for field, rows in forms]
    return [*named, *({"space": "gcn-nas", **obj} for obj in named), *(rows for _, rows in forms)]


def nas_bench_graph_notations(arch: Any) -> list[Any]:
    """All notations of an architecture: ten of the cells with its key, operations by name and by index, and the key."""
    raw = np.argwhere(canonical_keys() == int(arch.digits))[:10].tolist()
    cells = [(list(RAW_LINKS[link]), ops) for link, *ops in raw]
    forms: list[dict[str, Any]] = [
        *({"link": link, "ops": ops} for link, ops in cells),
        *({"link": link, "ops": [OPERATIONS[op] for op in ops]} for link, ops in cells),
        {"key": arch.digits},
    ]
    return [*forms, *({"space": "nas-bench-graph", **obj} for obj in forms), arch.digits]


def nas_bench_201_notations(arch: Any) -> list[Any]:
    """All notations of an architecture; string, names and digits also without the name of the field."""
    plain = {"arch": arch.arch, "ops": list(arch.names), "digits": arch.digits}
    forms: list[dict[str, Any]] = [*({name: value} for name, value in plain.items()), {"index": arch.index}]
    return [*forms, *({"space": "nas-bench-201", **obj} for obj in forms), *plain.values()]


NOTATIONS: dict[str, Callable[[Any], list[Any]]] = {
    "gcn-nas": gcn_nas_notations,
    "nas-bench-graph": nas_bench_graph_notations,
    "nas-bench-201": nas_bench_201_notations,
}
"""Notations by space."""
PINNED: dict[str, tuple[dict[str, Any], str]] = {
    "gcn-nas": ({"layers": [["L2", "S"], ["S"], [], ["L", "ST"]]}, "94498fe2e7830d7a68a74f3a84102989"),
    "nas-bench-graph": ({"key": "88811"}, "e0ea5c6a2dbf9e9a692b84a6e295dfe0"),
    "nas-bench-201": ({"digits": "312401"}, "e9dc3416e44eaa522ff335ef5350bf35"),
}
"""An architecture and its fingerprint by space. Stored scores depend on fingerprints, so they never change."""


def architectures(name: str) -> st.SearchStrategy[Architecture]:
    """Random architectures, up to three mutations from the sampling distribution."""
    space: Any = get_space(name)

    def draw(seed: int, mutations: int) -> Architecture:
        rng = np.random.default_rng(seed)
        arch: Architecture = space.sample(rng)
        for _ in range(mutations):
            arch = space.mutate(arch, rng)
        return arch

    return st.builds(draw, st.integers(0, 2**32 - 1), st.integers(0, 3))


@pytest.fixture(params=[space.name for space in BUILT_IN])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def read(name: str, text: str) -> Architecture:
    """Parse JSON text as the service does."""
    return get_space(name).parse(loads(text.encode(), NESTING))


def test_every_space_has_notations_and_a_pinned_fingerprint() -> None:
    assert set(NOTATIONS) == set(PINNED) == {space.name for space in BUILT_IN}


def test_fingerprints_are_pinned(name: str) -> None:
    text, fingerprint = PINNED[name]
    assert get_space(name).parse(text).fingerprint == fingerprint


def test_every_notation_is_the_same_architecture(name: str) -> None:
    @EXAMPLES
    @given(architectures(name), st.booleans(), st.sampled_from([None, 2]))
    def check(arch: Architecture, ascii_only: bool, indent: int | None) -> None:
        for form in [get_space(name).to_json(arch), *NOTATIONS[name](arch)]:
            again = read(name, json.dumps(form, ensure_ascii=ascii_only, indent=indent))
            assert again == arch
            assert (again.key, again.fingerprint, hash(again)) == (arch.key, arch.fingerprint, hash(arch))
            assert get_space(name).to_json(again) == get_space(name).to_json(arch)

    check()


def test_architectures_are_equal_exactly_if_their_texts_and_fingerprints_are(name: str) -> None:
    @EXAMPLES
    @given(architectures(name), architectures(name), st.integers(0, 2**32 - 1))
    def check(first: Architecture, other: Architecture, seed: int) -> None:
        space: Any = get_space(name)
        for second in (first, other, space.mutate(first, np.random.default_rng(seed))):
            same = first == second
            assert (first.fingerprint == second.fingerprint) == same
            assert (first.key == second.key) == same
            assert (space.to_json(first) == space.to_json(second)) == same

    check()


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.sampled_from(MODULES),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=12,
)


def test_one_replaced_entry_is_read_or_raises_a_short_error(name: str) -> None:
    @settings(EXAMPLES, max_examples=300)
    @given(architectures(name), ANYTHING, st.integers(0, 2**32 - 1))
    def check(arch: Architecture, replacement: Any, seed: int) -> None:
        space, rng = get_space(name), random.Random(seed)
        obj = replace_one(rng.choice(NOTATIONS[name](arch)), replacement, rng)
        try:
            parsed = space.parse(obj)
        except ArchitectureError as raised:
            error = raised
        else:
            assert space.parse(space.to_json(parsed)) == parsed
            return
        assert error.field
        assert error.allowed
        assert len(str(error)) < 500

    check()


def replace_one(obj: Any, replacement: Any, rng: random.Random) -> Any:
    """Copy in which one entry, at any level, is replaced."""
    if rng.random() < 0.25 or not isinstance(obj, dict | list | tuple) or not obj:
        return replacement
    obj = copy.deepcopy(list(obj) if isinstance(obj, tuple) else obj)
    key = rng.choice(list(obj) if isinstance(obj, dict) else range(len(obj)))
    obj[key] = replace_one(obj[key], replacement, rng)
    return obj
