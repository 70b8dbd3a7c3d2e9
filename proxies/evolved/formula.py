"""Formulas of expressions in words and in LaTeX."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import sympy

from proxies.base import Formula
from proxies.evolved.expression import Expression
from proxies.evolved.operators import OPERATORS
from proxies.evolved.terminals import NUM_LAYERS, TENSORS, tensor_in_words

MAX_SIMPLIFIED = 63
"""Nodes of an expression above which it is not simplified."""
_TENSOR_SYMBOLS = {
    "weight": "W",
    "input": "X",
    "output": "Z",
    "output_gradient": r"\partial L/\partial Z",
    "weight_gradient": r"\partial L/\partial W",
}
_EXACT: Mapping[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / sympy.sqrt(1 + b**2),
    "min": sympy.Min,
    "max": sympy.Max,
    "neg": lambda a: -a,
    "abs": sympy.Abs,
    "sign": sympy.sign,
    "square": lambda a: a**2,
    "sqrt": lambda a: sympy.sqrt(sympy.Abs(a)),
    "log": lambda a: sympy.log(1 + sympy.Abs(a)),
    "tanh": sympy.tanh,
}
"""Element-wise operators in real arithmetic."""


@lru_cache(maxsize=256)
def describe(expression: Expression) -> Formula:
    """Return the formula of an expression: in words as it is, in LaTeX simplified by rules of real arithmetic."""
    simplified = simplify(expression)
    return Formula(expression.to_json(), str(sympy.latex(simplified)), in_words(expression))


def in_words(expression: Expression) -> str:
    """Return an expression in words."""
    if expression.arguments:
        words = OPERATORS[str(expression.head)].words
        return words.format(*(in_words(argument) for argument in expression.arguments))
    if isinstance(expression.head, float):
        return f"{expression.head:g}"
    if expression.head in TENSORS:
        return tensor_in_words(expression.head)
    return "the number of layers" if expression.head == NUM_LAYERS else expression.head


def simplify(expression: Expression) -> sympy.Expr:
    """Return an expression in sympy, the shortest of several forms that are equal for all real numbers.

    Operators of matrices and reductions are functions without properties.
    """
    if expression.size > MAX_SIMPLIFIED:
        with sympy.evaluate(False):
            return _convert(expression)
    plain = _convert(expression)
    forms = (plain, sympy.expand_mul(plain), sympy.factor_terms(plain))
    return min(forms, key=sympy.count_ops)


def _convert(expression: Expression) -> Any:
    if not expression.arguments:
        if isinstance(expression.head, float):
            return sympy.nsimplify(expression.head, rational=True)
        return symbol(expression.head)
    name = str(expression.head)
    arguments = [_convert(argument) for argument in expression.arguments]
    return (_EXACT[name] if name in _EXACT else sympy.Function(name.replace("_", " "), real=True))(*arguments)


def _escaped(name: str) -> str:
    return name.replace("_", r"\_")


def symbol(terminal: str) -> sympy.Symbol:
    """Return the symbol of a terminal."""
    if terminal not in TENSORS:
        return sympy.Symbol(rf"\mathrm{{{_escaped(terminal)}}}", real=True)
    batch, _, name = terminal.rpartition(".")
    text = _TENSOR_SYMBOLS[name]
    return sympy.Symbol(text if batch in ("", "data") else rf"{{{text}}}_\mathrm{{{batch}}}", real=True)
