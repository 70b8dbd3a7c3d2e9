"""JSON as the standard has it: what Python reads beyond it is refused, and the rest is read as Python reads it."""

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.strict_json import JsonError, loads

NESTING = 8
EXAMPLES = settings(deadline=None, derandomize=True, max_examples=300)
NAMES = st.text(alphabet=st.characters(exclude_categories=()))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.floats(allow_nan=False, allow_infinity=False)
    | NAMES,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(NAMES, children, max_size=4),
    max_leaves=20,
)


def depth(value: Any) -> int:
    if not isinstance(value, list | dict):
        return 0
    return 1 + max(map(depth, value.values() if isinstance(value, dict) else value), default=0)


@EXAMPLES
@given(VALUES, st.sampled_from([None, 0, 3]))
def test_what_is_written_is_read(value: Any, indent: int | None) -> None:
    text = json.dumps(value, indent=indent).encode()
    if depth(value) > NESTING:
        with pytest.raises(JsonError, match="8 levels"):
            loads(text, NESTING)
    else:
        assert loads(text, NESTING) == value


@EXAMPLES
@given(st.integers(1, 3 * NESTING), st.lists(st.booleans(), min_size=3 * NESTING, max_size=3 * NESTING))
def test_nesting_is_counted_in_lists_and_objects(levels: int, objects: list[bool]) -> None:
    value: Any = 1
    for is_object in objects[:levels]:
        value = {"a": value} if is_object else [value]
    if levels > NESTING:
        with pytest.raises(JsonError, match="8 levels"):
            loads(json.dumps(value).encode(), NESTING)
    else:
        assert loads(json.dumps(value).encode(), NESTING) == value


PIECES = st.sampled_from(
    [*'[]{}",:\\ \n\t0123456789.eE+-/', "null", "true", "NaN", "Infinity", "1e999", "\\ud800", "\\u0000", '"a"', "é"]
)


@settings(EXAMPLES, max_examples=1000)
@given(st.binary() | st.lists(PIECES).map(lambda pieces: "".join(pieces).encode()))
def test_any_bytes_are_read_as_python_reads_them_or_refused(data: bytes) -> None:
    try:
        value = loads(data, NESTING)
    except JsonError as error:
        refusal = error
    else:
        assert value == json.loads(data.decode())
        assert json.loads(json.dumps(value, allow_nan=False)) == value
        return
    assert refusal.field.startswith("body")
    assert len(str(refusal)) < 500


@EXAMPLES
@given(NAMES, VALUES, VALUES)
def test_a_name_that_comes_twice_is_refused(name: str, first: Any, second: Any) -> None:
    text = "{%s: %s, %s: %s}" % tuple(map(json.dumps, (name, first, name, second)))  # noqa: UP031
    with pytest.raises(JsonError):
        loads(text.encode(), 10**6)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e309", "-1e309", "1" + "0" * 309 + ".0"])
def test_numbers_that_are_not_finite_are_refused(number: str) -> None:
    assert not math.isfinite(float(number))
    with pytest.raises(JsonError, match="finite"):
        loads(f"[{number}]".encode(), NESTING)
