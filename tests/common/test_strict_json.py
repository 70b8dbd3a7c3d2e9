"""Strict JSON: extensions of Python's reader are refused, standard JSON is read as Python reads it."""

import contextlib
import json
import math
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as rules
from hypothesis import strategies as st

from common.strict_json import CONTAINER_SHARE, JsonError, TooManyValuesError, loads
from service.settings import Settings

NESTING = 8
EXAMPLES = rules(max_examples=300)
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
def test_written_values_are_read_back(value: Any, indent: int | None) -> None:
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


@rules(EXAMPLES, max_examples=1000)
@given(st.binary() | st.lists(PIECES).map(lambda pieces: "".join(pieces).encode()))
def test_any_bytes_are_read_as_python_reads_them_or_refused(data: bytes) -> None:
    try:
        value = loads(data, NESTING)
    except JsonError as raised:
        error = raised
    else:
        assert value == json.loads(data.decode())
        assert json.loads(json.dumps(value, allow_nan=False)) == value
        return
    assert error.field.startswith("body")
    assert len(str(error)) < 500


@EXAMPLES
@given(NAMES, VALUES, VALUES)
def test_repeated_names_are_refused(name: str, first: Any, second: Any) -> None:
    text = "{%s: %s, %s: %s}" % tuple(map(json.dumps, (name, first, name, second)))  # noqa: UP031
    with pytest.raises(JsonError):
        loads(text.encode(), 10**6)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e309", "-1e309", "1" + "0" * 309 + ".0"])
def test_numbers_that_are_not_finite_are_refused(number: str) -> None:
    assert not math.isfinite(float(number))
    with pytest.raises(JsonError, match="finite"):
        loads(f"[{number}]".encode(), NESTING)


@pytest.mark.parametrize(
    ("text", "values", "fits"),
    [
        ("1", 1, True),
        ("[1,2,3,4,5,6,7]", 8, True),
        ("[1,2,3,4,5,6,7]", 7, False),
        ('{"a":1,"b":2}', 15, False),
        ('{"a":1,"b":2}', 16, True),
        ("[[]]", 15, False),
        ("[[]]", 16, True),
        ('"[,{"', 3, False),  # an upper bound: characters within strings count as well
    ],
)
def test_values_are_counted_before_they_are_constructed(text: str, values: int, fits: bool) -> None:
    if fits:
        assert loads(text.encode(), NESTING, values) == json.loads(text)
    else:
        with pytest.raises(TooManyValuesError, match="allowed: at most"):
            loads(text.encode(), NESTING, values)


@EXAMPLES
@given(VALUES)
def test_no_text_holds_more_values_than_are_counted(value: Any) -> None:
    text = json.dumps(value).encode()
    number, containers, names = count(value)
    for limit in (number - 1, CONTAINER_SHARE * (containers - 1), CONTAINER_SHARE * (names - 1)):
        with pytest.raises(TooManyValuesError):
            loads(text, 10**6, limit)


def count(value: Any) -> tuple[int, int, int]:
    """Numbers of values, of lists and objects, and of named values."""
    if not isinstance(value, list | dict):
        return 1, 0, 0
    is_object = isinstance(value, dict)
    children = [count(child) for child in (value.values() if isinstance(value, dict) else value)]
    values, containers, names = (sum(counts[kind] for counts in children) for kind in range(3))
    return 1 + values, 1 + containers, names + is_object * len(children)


SIZE, MAX_COST = 2**20, 12
COSTLY_VALUES = {
    "lists": "[],",
    "objects": "{},",
    "objects of lists": '{"":[]},',
    "objects of objects": '{"":{"":{}}},',
    "names": '{"%07d":0},',
    "names of one object": '"%x":0,',
    "names of eight": '{"%x0":0,"1":0,"2":0,"3":0,"4":0,"5":0,"6":0,"7":0},',
    "strings": '"ab",',
    "long strings": f'"{"x" * 50}",',
    "wide strings": '"\\ud83d\\ude00",',
    "numbers": "300,",
    "fractions": "1.5,",
    "masks": "[[0,1,0,1,0,0,1,0],[0,1,0,1,0,0,1,0],[0,1,0,1,0,0,1,0],[0,1,0,1,0,0,1,0]],",
}


LIMITS = Settings()
MAX_VALUES = LIMITS.max_json_values * LIMITS.max_job_architectures * SIZE // LIMITS.max_job_body_bytes
"""Allowed values of a body of `SIZE` bytes, in proportion to the limits of a job."""


def cost(text: bytes) -> float:
    """Peak memory of reading or refusing a text, as a multiple of `SIZE`."""
    tracemalloc.start()
    try:
        with contextlib.suppress(TooManyValuesError):
            loads(text, LIMITS.max_json_depth, MAX_VALUES)
        return tracemalloc.get_traced_memory()[1] / SIZE
    finally:
        tracemalloc.stop()


def body(unit: str, number: int) -> bytes:
    items = "".join(unit % i if "%" in unit else unit for i in range(number))
    inside = f'{{{items}"":0}}' if unit.startswith('"%') else f"[{items}0]"
    return f'{{"architectures":{inside}}}'.encode()


@pytest.mark.parametrize("kind", COSTLY_VALUES)
def test_a_body_costs_a_bounded_multiple_of_its_size(kind: str) -> None:
    unit = COSTLY_VALUES[kind]
    fitting = SIZE // len(body(unit, 1)[19:-3])
    containers, names, commas = unit.count("[") + unit.count("{"), unit.count(":"), unit.count(",")
    allowed = MAX_VALUES // max(containers + commas, CONTAINER_SHARE * containers, CONTAINER_SHARE * names) - 3
    text = body(unit, min(fitting, allowed))
    loads(text, LIMITS.max_json_depth, MAX_VALUES)
    assert cost(text) < MAX_COST
    if allowed < fitting:
        text = body(unit, fitting)
        with pytest.raises(TooManyValuesError):
            loads(text, LIMITS.max_json_depth, MAX_VALUES)
        assert cost(text) < 0.1
