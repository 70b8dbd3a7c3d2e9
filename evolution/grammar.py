"""Grammar of the expressions that are evolved, for deap's typed genetic programming."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from deap import gp

from common.errors import InputError
from proxies.evolved.expression import Expression, apply_operator
from proxies.evolved.operators import OPERATORS
from proxies.evolved.types import Kind

CONSTANTS = (0.1, 0.5, 2.0, 10.0)
MAX_MUTATION_DEPTH = 2


class Scalar:
    """deap's type of a number of the network."""


class Layers:
    """deap's type of a number of each layer."""


RandomState = list[Any]
"""State of Python's random generator as plain JSON."""


@contextmanager
def random_state(state: RandomState) -> Iterator[None]:
    """Run with a state of the global generator, which deap draws from; it is updated, and the caller's restored."""
    before = random.getstate()
    version, numbers, gauss = state
    random.setstate((version, tuple(numbers), gauss))
    try:
        yield
    finally:
        version, numbers, gauss = random.getstate()
        state[:] = version, list(numbers), gauss
        random.setstate(before)


def initial_state(seed: int) -> RandomState:
    """Return the state of a seeded generator."""
    version, numbers, gauss = random.Random(seed).getstate()
    return [version, list(numbers), gauss]


class Grammar:
    """Operators, terminals and constants by type, and the random operations on trees. Trees are deap's.

    Args:
        terminals: numbers of the networks and of each layer.
        max_depth: largest depth of a tree.
    """

    def __init__(self, terminals: Sequence[Expression], max_depth: int) -> None:
        self._max_depth = max_depth
        self._set = gp.PrimitiveSetTyped("expression", [], Scalar)
        self._names: dict[str, str] = {}
        self._leaves: dict[str, Expression] = {}
        has_layers = any(terminal.type is Kind.LAYERS for terminal in terminals)
        for type_ in (Scalar, Layers) if has_layers else (Scalar,):
            for constant in CONSTANTS:
                self._add_leaf(Expression(constant, Kind.CONSTANT), type_)
            for operator in OPERATORS.values():
                if operator.kind == "elementwise":
                    self._add_operator(operator.name, [type_] * operator.arity, type_)
        if has_layers:
            for operator in OPERATORS.values():
                if operator.by_network is not None:
                    self._add_operator(operator.name, [Layers], Scalar)
        for terminal in terminals:
            self._add_leaf(terminal, Layers if terminal.type is Kind.LAYERS else Scalar)
        self._nodes = {node.name: node for nodes in self._set.primitives.values() for node in nodes}
        self._nodes |= {node.name: node for nodes in self._set.terminals.values() for node in nodes}

    def _add_operator(self, name: str, types: list[type], result: type) -> None:
        unique = f"{name}:{types[0].__name__}"
        self._set.addPrimitive(len, types, result, name=unique)
        self._names[unique] = name

    def _add_leaf(self, leaf: Expression, type_: type) -> None:
        unique = f"{leaf.key}:{type_.__name__}"
        self._set.addTerminal(leaf, type_, name=unique)
        self._leaves[unique] = leaf

    def random_trees(self, number: int) -> list[Any]:
        """Draw trees, half of them full and half of them of any shape ("ramped half-and-half")."""
        depth = min(3, self._max_depth)
        return [gp.PrimitiveTree(gp.genHalfAndHalf(self._set, 1, depth)) for _ in range(number)]

    def crossed(self, first: Any, second: Any) -> tuple[Any, Any]:
        """Swap subtrees of two trees; a result that is too deep is replaced by its parent."""
        one, two = gp.cxOnePoint(gp.PrimitiveTree(first), gp.PrimitiveTree(second))
        return self._limited(one, first), self._limited(two, second)

    def mutated(self, tree: Any) -> Any:
        """Replace a subtree or a node, or remove an operator; a result that is too deep is replaced by its parent."""
        copy, kind = gp.PrimitiveTree(tree), random.random()
        if kind < 0.5:
            changed = gp.mutUniform(copy, lambda pset, type_: gp.genFull(pset, 0, MAX_MUTATION_DEPTH, type_), self._set)
        elif kind < 0.75:
            changed = gp.mutNodeReplacement(copy, self._set)
        else:
            changed = gp.mutShrink(copy)
        return self._limited(changed[0], tree)

    def _limited(self, tree: Any, parent: Any) -> Any:
        return tree if tree.height <= self._max_depth else parent

    def expression(self, tree: Any) -> Expression | None:
        """Return a tree as an expression; None if it is a constant, or reduces a constant."""
        nodes = iter(tree)

        def read() -> Expression:
            node = next(nodes)
            if node.arity == 0:
                return self._leaves[node.name]
            return apply_operator(self._names[node.name], [read() for _ in range(node.arity)])

        try:
            expression = read()
        except InputError:
            return None
        return expression if expression.type is Kind.SCALAR else None

    def to_json(self, tree: Any) -> list[str]:
        """Return a tree as the names of its nodes, the root first."""
        return [node.name for node in tree]

    def from_json(self, names: Sequence[str]) -> Any:
        """Return the tree with the given names. Raises `KeyError` for a name of another grammar."""
        return gp.PrimitiveTree([self._nodes[name] for name in names])
