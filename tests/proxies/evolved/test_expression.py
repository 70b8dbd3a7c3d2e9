"""Expressions: reading, types, evaluation, formulas."""

import json
import math
from typing import Any

import numpy as np
import pytest
import sympy

from common.errors import InputError
from proxies.evolved.expression import evaluate, parse_expression
from proxies.evolved.formula import in_words, simplify, symbol
from proxies.evolved.operators import OPERATORS, Segments
from proxies.evolved.terminals import TENSORS
from proxies.evolved.types import Kind, Type

SCORES: dict[str, Type] = {"a": Kind.SCALAR, "b": Kind.SCALAR, "c": Kind.SCALAR}
TERMINALS = SCORES | dict(TENSORS) | {"l": Kind.LAYERS}
ELEMENTWISE = [operator for operator in OPERATORS.values() if operator.kind == "elementwise"]


def values(expression: Any, **terminals: Any) -> Any:
    known = {json.dumps(name): np.array(value, dtype=np.float64) for name, value in terminals.items()}
    return evaluate(parse_expression(expression, TERMINALS), known)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (["add", "a", 1], [3, -1]),
        (["sub", "a", "b"], [-2, -3]),
        (["mul", "a", "b"], [8, -2]),
        (["div", "a", "b"], [2 / math.sqrt(17), -2 / math.sqrt(2)]),
        (["min", "a", "b"], [2, -2]),
        (["max", "a", "b"], [4, 1]),
        (["neg", "a"], [-2, 2]),
        (["abs", "a"], [2, 2]),
        (["sign", "a"], [1, -1]),
        (["square", "a"], [4, 4]),
        (["sqrt", "a"], [math.sqrt(2), math.sqrt(2)]),
        (["log", "a"], [math.log(3), math.log(3)]),
        (["tanh", "a"], [math.tanh(2), math.tanh(-2)]),
    ],
)
def test_elementwise_operators(expression: Any, expected: list[float]) -> None:
    np.testing.assert_allclose(values(expression, a=[2, -2], b=[4, 1]), expected, rtol=1e-12)


def test_every_elementwise_operator_is_tested_and_protected() -> None:
    extreme = [0.0, -1e6, 1e6, 1e-300, -1e-300]
    for operator in ELEMENTWISE:
        assert operator.elements is not None
        pairs = np.array([(a, b) for a in extreme for b in extreme]).T
        assert np.isfinite(operator.elements(*pairs[: operator.arity])).all(), operator.name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sum", [6, 5]),
        ("mean", [2, 5]),
        ("std", [math.sqrt(2 / 3), 0]),
        ("least", [1, 5]),
        ("most", [3, 5]),
        ("first", [3, 5]),
        ("last", [2, 5]),
        ("least_step", [-2, math.nan]),
    ],
)
def test_reductions_of_the_layers_of_each_network(name: str, expected: list[float]) -> None:
    expression = parse_expression([name, "l"], TERMINALS)
    known = {'"l"': np.array([3.0, 1.0, 2.0, 5.0])}
    np.testing.assert_allclose(evaluate(expression, known, Segments.from_lengths([3, 1])), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("expression", "field", "allowed"),
    [
        ("d", "expression", "one of a, b, c"),
        (["power", "a", "b"], "expression[0]", "one of add"),
        (["add", "a"], "expression", "2 arguments"),
        (["add", "a", ["log", "a", "b"]], "expression[2]", "1 arguments"),
        (["add", "a", "l"], "expression", "an operator that takes a number of the network, a number of each layer"),
        (["sum", ["norm", "data.outpt"]], "expression[1][1]", "one of"),
        (["norm", "a"], "expression", "an operator that takes a number of the network"),
        (["sum", ["norm", ["add", "weight", "data.output"]]], "expression[1][1]", "outputs × fan-in"),
        (["sum", ["norm", ["matmul", "weight", "weight"]]], "expression[1][1]", "an operator that takes"),
        ("weight", "expression", "a number of the network"),
        (3, "expression", "a number of the network"),
        (1e7, "expression", "a number from"),
        (True, "expression", "a terminal, a number, or a list"),
        ([], "expression", "a terminal, a number, or a list"),
        ({"add": 1}, "expression", "a terminal, a number, or a list"),
    ],
)
def test_an_expression_that_cannot_be_computed_is_refused(expression: Any, field: str, allowed: str) -> None:
    with pytest.raises(InputError) as raised:
        parse_expression(expression, TERMINALS)
    assert raised.value.field == field
    assert allowed in str(raised.value)


def test_depth_and_size_are_limited() -> None:
    deep: Any = "a"
    for _ in range(11):
        deep = ["neg", deep]
    with pytest.raises(InputError, match="depth 10"):
        parse_expression(deep, TERMINALS)
    wide: Any = "a"
    for _ in range(7):
        wide = ["add", wide, wide]
    with pytest.raises(InputError, match="255 operators"):
        parse_expression(wide, TERMINALS)


def test_products_with_the_transpose_fit() -> None:
    terms = ["matmul", ["transpose", "weight"], "data.output"]
    assert parse_expression(["mean", ["spectral_norm", terms]], TERMINALS).depth == 4


EXPRESSIONS: list[Any] = [
    ["sub", ["add", "a", "b"], "b"],
    ["neg", ["neg", ["mul", "a", "a"]]],
    ["square", ["sqrt", ["add", "a", "c"]]],
    ["add", ["mul", "a", "b"], ["mul", "a", "c"]],
    ["div", ["log", "a"], ["min", "b", ["max", "a", "c"]]],
    ["abs", ["abs", ["tanh", ["sub", "a", ["mul", 0.1, "b"]]]]],
    ["sign", ["square", ["add", 2, "a"]]],
]


@pytest.mark.parametrize("obj", EXPRESSIONS, ids=json.dumps)
def test_the_simplified_formula_gives_the_same_numbers(obj: Any) -> None:
    expression = parse_expression(obj, TERMINALS)
    simplified = simplify(expression)
    rng = np.random.default_rng(0)
    for _ in range(20):
        numbers = {name: float(rng.normal()) for name in SCORES}
        (expected,) = values(obj, **{name: [number] for name, number in numbers.items()})
        exact = simplified.subs({symbol(name): number for name, number in numbers.items()})
        assert float(exact) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_what_cancels_is_not_shown() -> None:
    assert simplify(parse_expression(EXPRESSIONS[0], TERMINALS)) == symbol("a")
    assert simplify(parse_expression(EXPRESSIONS[1], TERMINALS)) == symbol("a") ** 2
    assert sympy.latex(symbol("meco_opt")) == r"\mathrm{meco\_opt}"


def test_words() -> None:
    expression = parse_expression(["sub", "a", ["mean", ["norm", "noise.weight_gradient"]]], TERMINALS)
    assert in_words(expression) == "(a − the mean of the Frobenius norm of the loss's gradient by the weight on noise)"
