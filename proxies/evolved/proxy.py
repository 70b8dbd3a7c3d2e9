"""Proxy of an expression."""

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from typing_extensions import override

from proxies.base import Formula, Measured, Need, Proxy, ProxyInfo
from proxies.evolved.expression import Expression, evaluate, evaluate_layer, layer_statistics
from proxies.evolved.operators import Segments
from proxies.evolved.terminals import NUM_LAYERS, TENSORS, NumLayers, matrix_of, score_terminal
from proxies.evolved.types import Kind, Type

PREFIX = "evolved:"
LANGUAGE_VERSION = "1"
"""Raised whenever operators or terminals give other numbers."""
LAYER_TENSORS_COST = 9.0


class LayerExpression(Proxy):
    """Part of an expression that is computed from the tensors of the layers alone."""

    def __init__(self, expression: Expression) -> None:
        self._expression = expression
        self._statistics = layer_statistics(expression)
        self.info = ProxyInfo(
            name=expression.key,
            needs=frozenset({Need.LAYER_TENSORS}),
            batch_norm=True,
            direction=1,
            cost=LAYER_TENSORS_COST,
            source="expression",
        )

    @override
    def compute(self, measured: Measured) -> float:
        values = measure_statistics(self._statistics, measured[Need.LAYER_TENSORS])
        known = dict(zip((statistic.key for statistic in self._statistics), values.T, strict=True))
        return float(evaluate(self._expression, known, Segments.from_lengths([len(values)]))[0])


def measure_statistics(statistics: list[Expression], layers: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Compute numbers of each layer from its tensors.

    Args:
        statistics: expressions that are numbers of each layer.
        layers: the tensors, a list of `LayerTensors`.

    Returns:
        Array (layers, statistics).
    """
    terminals = frozenset().union(*(statistic.terminals for statistic in statistics))
    rows = []
    for layer in layers:
        known = {json.dumps(name): matrix_of(layer, name) for name in terminals}
        rows.append([float(evaluate_layer(statistic, known)) for statistic in statistics])
    return np.array(rows)


class EvolvedProxy(Proxy):
    """Proxy of an expression over scores of other proxies and over tensors of the layers.

    Args:
        name: its name, without the prefix.
        expression: the expression.
        proxies: registered proxies by name, at least those that it reads.
        source: origin of the expression.
    """

    def __init__(
        self, name: str, expression: Expression, proxies: Mapping[str, Proxy], source: str = "archrank evolve"
    ) -> None:
        self.expression = expression
        self._read = {read: proxies[read] for read in sorted(expression.terminals & proxies.keys())}
        self._parts = [LayerExpression(part) for part in _layer_parts(expression)]
        self.reads = (*self._read.values(), *self._parts)
        norms = {proxy.info.batch_norm for proxy in self.reads} - {None}
        self.info = ProxyInfo(
            name=PREFIX + name,
            needs=frozenset(),
            batch_norm=norms.pop() if len(norms) == 1 else None,
            direction=1,
            cost=sum(proxy.info.cost for proxy in self._read.values()) + (LAYER_TENSORS_COST if self._parts else 0),
            source=source,
            version=f"{LANGUAGE_VERSION}.{self.hash[:12]}",
            default=False,
        )

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the expression and of the versions of the proxies that it reads."""
        versions = {name: proxy.info.version for name, proxy in self._read.items()}
        text = json.dumps([LANGUAGE_VERSION, self.expression.to_json(), versions], separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    @override
    def formula(self) -> Formula:
        from proxies.evolved.formula import describe  # sympy takes half a second to import

        return describe(self.expression)

    @override
    def compute(self, measured: Measured) -> float:
        known = {
            json.dumps(name): np.array([score_terminal(proxy.info, measured[name])])
            for name, proxy in self._read.items()
        }
        known |= {part.info.name: np.array([measured[part.info.name]]) for part in self._parts}
        return float(evaluate(self.expression, known)[0])


def _layer_parts(expression: Expression) -> list[Expression]:
    """Return the largest parts of an expression that are computed from the layers' tensors alone."""
    if expression.terminals and expression.terminals <= TENSORS.keys():
        return [expression]
    parts = [part for argument in expression.arguments for part in _layer_parts(argument)]
    return list({part.key: part for part in parts}.values())


def terminal_types(proxies: Mapping[str, Proxy]) -> dict[str, Type]:
    """Return the types of all terminals by name: of proxies, and of tensors of the layers."""
    return {name: Kind.SCALAR for name, proxy in proxies.items() if not proxy.reads} | dict(TENSORS)


def readable_proxies(proxies: Mapping[str, Proxy]) -> dict[str, Proxy]:
    """Return the proxies that expressions may read: those registered that are no expressions, and `num_layers`."""
    return {name: proxy for name, proxy in proxies.items() if not proxy.reads} | {NUM_LAYERS: NumLayers()}
