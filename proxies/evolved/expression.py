"""Expressions: trees of operators, terminals and constants, written as nested JSON lists.

Example:
    `["sub", "synflow", ["mul", 0.5, "num_layers"]]` over scores, and over the tensors of the layers
    `["mean", ["log", ["norm", ["mul", "weight", "data.weight_gradient"]]]]`.
"""

import json
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from common.errors import InputError, UnknownNameError
from proxies.evolved.operators import OPERATORS, Array, Segments
from proxies.evolved.types import Kind, Matrix, Type, describe

MAX_DEPTH = 10
MAX_NODES = 127
MAX_CONSTANT = 1e6


@dataclass(frozen=True)
class Expression:
    """Node of an expression, with its type.

    Attributes:
        head: name of an operator or terminal, or a constant.
        type: type of the result.
        arguments: of an operator.
    """

    head: str | float
    type: Type
    arguments: "tuple[Expression, ...]" = ()

    def to_json(self) -> Any:
        """Return the expression as plain JSON."""
        return [self.head, *(argument.to_json() for argument in self.arguments)] if self.arguments else self.head

    @cached_property
    def key(self) -> str:
        """JSON text, equal for equal expressions."""
        return json.dumps(self.to_json(), separators=(",", ":"))

    @cached_property
    def size(self) -> int:
        """Number of nodes."""
        return 1 + sum(argument.size for argument in self.arguments)

    @cached_property
    def depth(self) -> int:
        """Number of nodes on the longest path from the root, less 1."""
        return 1 + max(argument.depth for argument in self.arguments) if self.arguments else 0

    def nodes(self) -> "Iterator[Expression]":
        """Iterate over all nodes, the root first."""
        yield self
        for argument in self.arguments:
            yield from argument.nodes()

    @property
    def terminals(self) -> frozenset[str]:
        """Names of the terminals."""
        return frozenset(node.head for node in self.nodes() if isinstance(node.head, str) and not node.arguments)


def parse_expression(obj: Any, terminals: Mapping[str, Type], field: str = "expression") -> Expression:
    """Read an expression from JSON.

    Args:
        obj: a name of a terminal, a number, or a list of an operator's name and its arguments.
        terminals: types by name.
        field: name of the value in errors.

    Returns:
        The expression, a number of the network.

    Raises:
        InputError: the expression is malformed, too large, or no number of the network.
    """
    expression = _parse(obj, terminals, field, MAX_DEPTH)
    if expression.size > MAX_NODES:
        raise InputError(field, f"{expression.size} operators and operands", f"at most {MAX_NODES}")
    if expression.type is not Kind.SCALAR:
        raise InputError(field, describe(expression.type), Kind.SCALAR.value)
    return expression


def parse_statistic(obj: Any, terminals: Mapping[str, Type]) -> Expression:
    """Read an expression that is a number of each layer, as `parse_expression` reads one of the network."""
    expression = _parse(obj, terminals, "statistic", MAX_DEPTH)
    if expression.type is not Kind.LAYERS:
        raise InputError("statistic", describe(expression.type), Kind.LAYERS.value)
    return expression


def _parse(obj: Any, terminals: Mapping[str, Type], field: str, depth: int) -> Expression:
    if isinstance(obj, str):
        if obj not in terminals:
            raise UnknownNameError(field, obj, [*terminals])
        return Expression(obj, terminals[obj])
    if isinstance(obj, int | float) and not isinstance(obj, bool):
        if not abs(obj) <= MAX_CONSTANT:
            raise InputError(field, obj, f"a number from -{MAX_CONSTANT:g} to {MAX_CONSTANT:g}")
        return Expression(float(obj), Kind.CONSTANT)
    if not isinstance(obj, list) or not obj:
        raise InputError(field, obj, "a terminal, a number, or a list of an operator and its arguments")
    if not isinstance(obj[0], str) or obj[0] not in OPERATORS:
        raise UnknownNameError(f"{field}[0]", obj[0], [*OPERATORS])
    if not depth:
        raise InputError(field, obj, f"a tree of depth {MAX_DEPTH} or less")
    operator = OPERATORS[obj[0]]
    if len(obj) - 1 != operator.arity:
        raise InputError(field, obj, f"{operator.arity} arguments of {operator.name}")
    arguments = [_parse(part, terminals, f"{field}[{i}]", depth - 1) for i, part in enumerate(obj[1:], start=1)]
    return apply_operator(operator.name, arguments, field)


def apply_operator(name: str, arguments: Sequence[Expression], field: str = "expression") -> Expression:
    """Return an operator's result as an expression. Raises `InputError` if it does not take such arguments."""
    types = [argument.type for argument in arguments]
    result = OPERATORS[name].result(types)
    if result is None:
        given = ", ".join(describe(type_) for type_ in types)
        raise InputError(field, name, f"an operator that takes {given}")
    return Expression(name, result, tuple(arguments))


def evaluate(expression: Expression, known: MutableMapping[str, Array], segments: Segments | None = None) -> Array:
    """Evaluate an expression for several networks at once.

    Args:
        expression: numbers of the networks, or of each layer.
        known: values of sub-expressions by key, at least of the terminals; results are added.
        segments: layers of the networks, for reductions over layers.

    Returns:
        An array over the networks, or over all their layers. A number that is not defined is NaN or infinite.
    """
    if (value := known.get(expression.key)) is not None:
        return value
    if not expression.arguments:
        return np.array(float(expression.head))
    operator = OPERATORS[str(expression.head)]
    values = [evaluate(argument, known, segments) for argument in expression.arguments]
    with np.errstate(all="ignore"):
        if operator.elements is not None:
            value = operator.elements(*values)
        elif operator.by_network is not None and segments is not None:
            value = operator.by_network(values[0], segments)
        else:
            raise ValueError(f"no values of {expression.key}")
    known[expression.key] = value
    return value


def evaluate_layer(expression: Expression, known: MutableMapping[str, Array]) -> Array:
    """Evaluate an expression over the tensors of one layer.

    Args:
        expression: a matrix of the layer, or a number.
        known: values of sub-expressions by key, at least of the terminals; results are added.
    """
    if (value := known.get(expression.key)) is not None:
        return value
    if not expression.arguments:
        return np.array(float(expression.head))
    operator = OPERATORS[str(expression.head)]
    values = [evaluate_layer(argument, known) for argument in expression.arguments]
    with np.errstate(all="ignore"):
        if operator.elements is not None:
            value = operator.elements(*values)
        else:
            assert operator.by_layer is not None  # by the expression's type
            value = np.array(float(operator.by_layer(values[0])))
    known[expression.key] = value
    return value


def layer_statistics(expression: Expression) -> list[Expression]:
    """Return the largest sub-expressions that are numbers of each layer computed from its tensors alone."""
    if isinstance(expression.type, Matrix):
        return []
    operator = OPERATORS.get(str(expression.head)) if expression.arguments else None
    if operator is not None and operator.kind == "reduction" and isinstance(expression.arguments[0].type, Matrix):
        return [expression]
    found = [node for argument in expression.arguments for node in layer_statistics(argument)]
    return list({node.key: node for node in found}.values())
