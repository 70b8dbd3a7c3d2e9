"""However an architecture is written, it is the same one, and no other: for every space, found through the registry."""

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
from models import Architecture, ArchitectureError, get_space, space_names
from models.gcn_nas.architecture import MODULES, THRESHOLD

EXAMPLES = settings(deadline=None, derandomize=True, max_examples=60)
NESTING = 32


def gcn_nas_notations(arch: Any) -> list[Any]:
    """All ways in which people write it down."""
    layers = [[name for name, there in zip(MODULES, row, strict=True) if there] for row in arch.mask]
    backwards = [names[::-1] for names in layers]
    mask = [[int(there) for there in row] for row in arch.mask]
    weights = [[float(np.nextafter(THRESHOLD, 1)) if there else THRESHOLD for there in row] for row in arch.mask]
    forms = [("layers", layers), ("layers", backwards), ("mask", mask), ("mask", arch.mask), ("weights", weights)]
    named = [{field: rows} for field, rows in forms]
    return [*named, *({"space": "gcn-nas", **one} for one in named), *(rows for _, rows in forms)]


NOTATIONS: dict[str, Callable[[Any], list[Any]]] = {"gcn-nas": gcn_nas_notations}
"""By space; a new one has its own."""
PINNED = {"gcn-nas": ({"layers": [["L2", "S"], ["S"], [], ["L", "ST"]]}, "94498fe2e7830d7a68a74f3a84102989")}
"""By space an architecture and its fingerprint, under which scores are stored: it never changes."""


def architectures(name: str) -> st.SearchStrategy[Architecture]:
    """Of the population that the space draws from, and some edits away from it."""
    space = get_space(name)

    def drawn(seed: int, edits: int) -> Architecture:
        rng = np.random.default_rng(seed)
        arch = space.sample(rng)
        for _ in range(edits):
            arch = space.mutate(arch, rng)
        return arch

    return st.builds(drawn, st.integers(0, 2**32 - 1), st.integers(0, 3))


@pytest.fixture(params=space_names())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def read(name: str, text: str) -> Architecture:
    """As the service reads it."""
    return get_space(name).parse(loads(text.encode(), NESTING))


def test_every_space_has_notations_and_a_pinned_fingerprint() -> None:
    assert set(NOTATIONS) == set(PINNED) == set(space_names())


def test_fingerprints_are_what_they_were(name: str) -> None:
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
    def check(one: Architecture, other: Architecture, seed: int) -> None:
        space = get_space(name)
        for second in (one, other, space.mutate(one, np.random.default_rng(seed))):
            same = one == second
            assert (one.fingerprint == second.fingerprint) == same
            assert (one.key == second.key) == same
            assert (space.to_json(one) == space.to_json(second)) == same

    check()


def test_what_is_sampled_is_what_is_described(name: str) -> None:
    space = get_space(name)
    described = json.loads(json.dumps(space.describe()))

    @EXAMPLES
    @given(st.integers(0, 2**32 - 1), st.sampled_from(described["depths"]))
    def check(seed: int, depth: int) -> None:
        arch = space.sample(np.random.default_rng(seed), depth=depth)
        assert space.features(arch)["depth"] == depth
        assert not space.warnings(arch)
        assert space.sample(np.random.default_rng(seed), depth=depth) == arch

    check()


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.sampled_from(MODULES),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=12,
)


def test_one_entry_replaced_by_anything_is_read_or_refused(name: str) -> None:
    """Either way it is understood: what is read can be written and read again, and an error is short."""

    @settings(EXAMPLES, max_examples=300)
    @given(architectures(name), ANYTHING, st.integers(0, 2**32 - 1))
    def check(arch: Architecture, thing: Any, seed: int) -> None:
        space, rng = get_space(name), random.Random(seed)
        form = replaced(rng.choice(NOTATIONS[name](arch)), thing, rng)
        try:
            found = space.parse(form)
        except ArchitectureError as error:
            refusal = error
        else:
            assert space.parse(space.to_json(found)) == found
            return
        assert refusal.field
        assert refusal.allowed
        assert len(str(refusal)) < 500

    check()


def replaced(form: Any, thing: Any, rng: random.Random) -> Any:
    """A copy in which one entry, at any level, is `thing`."""
    if rng.random() < 0.25 or not isinstance(form, dict | list | tuple) or not form:
        return thing
    form = copy.deepcopy(list(form) if isinstance(form, tuple) else form)
    place = rng.choice(list(form) if isinstance(form, dict) else range(len(form)))
    form[place] = replaced(form[place], thing, rng)
    return form
