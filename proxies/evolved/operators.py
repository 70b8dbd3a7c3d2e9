"""Operators of expressions: protected, so that finite numbers give finite numbers, and deterministic.

A matrix is a float64 array (rows, columns) of one layer, a number of each layer an array over all layers of all
networks, a number of the network an array over the networks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from proxies.evolved.types import Kind, Matrix, Type

Array = NDArray[np.float64]
MAX_SPECTRUM = 1024
"""Largest shorter side of a matrix whose singular values are computed."""
MAX_PRODUCT = 2**24
"""Largest number of elements of a matrix product."""


@dataclass(frozen=True)
class Segments:
    """Rows of an array over the layers of several networks.

    Attributes:
        starts: index of each network's first layer, increasing, the first 0.
        total: number of layers of all networks.
    """

    starts: NDArray[np.intp]
    total: int

    @property
    def lengths(self) -> NDArray[np.intp]:
        """Number of layers of each network."""
        return np.diff(self.starts, append=self.total)

    @classmethod
    def from_lengths(cls, lengths: Sequence[int]) -> "Segments":
        """Make segments of the networks' numbers of layers, each at least 1."""
        ends = np.cumsum(lengths, dtype=np.intp)
        return cls(ends - np.asarray(lengths, dtype=np.intp), int(ends[-1]) if len(ends) else 0)


@dataclass(frozen=True)
class Operator:
    """Operator of expressions.

    Attributes:
        name: its name in JSON.
        arity: number of arguments.
        words: the result in words, with `{0}` and `{1}` for the arguments.
        kind: `elementwise` operators take any type and give it, `matrix` ones take and give matrices, `reduction` ones
            take a matrix and give a number of each layer, or a number of each layer and give one of the network.
        elements: function of arrays, for elementwise operators and of matrices.
        by_layer: function of a matrix, for a reduction of matrices.
        by_network: function of numbers of each layer and their segments, for a reduction of layers.
    """

    name: str
    arity: int
    words: str
    kind: Literal["elementwise", "matrix", "reduction"]
    elements: Callable[..., Array] | None = None
    by_layer: Callable[[Array], float] | None = None
    by_network: Callable[[Array, Segments], Array] | None = None

    def result(self, arguments: Sequence[Type]) -> Type | None:
        """Return the type of the result; None where the operator does not take such arguments."""
        if self.kind == "elementwise":
            types: set[Type] = {type_ for type_ in arguments if type_ is not Kind.CONSTANT}
            return next(iter(types), Kind.CONSTANT) if len(types) < 2 else None
        if self.kind == "matrix":
            return _matrix_result(self.name, arguments)
        if isinstance(arguments[0], Matrix):
            return None if self.by_layer is None else Kind.LAYERS
        return Kind.SCALAR if arguments[0] is Kind.LAYERS and self.by_network is not None else None


def _matrix_result(name: str, arguments: Sequence[Type]) -> Matrix | None:
    matrices = [argument for argument in arguments if isinstance(argument, Matrix)]
    if len(matrices) < len(arguments):
        return None
    first, last = matrices[0], matrices[-1]
    if name == "transpose":
        return Matrix(first.columns, first.rows)
    if name == "gram":
        return Matrix(first.rows, first.rows)
    return Matrix(first.rows, last.columns) if first.columns == last.rows else None


def _quotient(a: Array, b: Array) -> Array:
    """Analytic quotient (Ni, Drieberg & Rockett, IEEE TEVC 2013), defined and smooth everywhere."""
    return np.asarray(a / np.sqrt(1 + b * b))


def _matmul(a: Array, b: Array) -> Array:
    _check_size(len(a) * b.shape[1])
    return np.asarray(a @ b)


def _gram(a: Array) -> Array:
    _check_size(len(a) ** 2)
    return np.asarray(a @ a.T)


def _check_size(elements: int) -> None:
    if elements > MAX_PRODUCT:
        raise ValueError(f"a product of {elements} elements, more than {MAX_PRODUCT}")


def _singular_values(matrix: Array) -> Array:
    """Singular values, increasing, from the eigenvalues of the smaller Gram matrix."""
    side = min(matrix.shape)
    if side > MAX_SPECTRUM:
        raise ValueError(f"singular values of a matrix with a shorter side of {side}, more than {MAX_SPECTRUM}")
    gram = matrix @ matrix.T if len(matrix) == side else matrix.T @ matrix
    values = np.linalg.eigvalsh(gram)
    return np.asarray(np.sqrt(np.maximum(values, 0)), dtype=np.float64)


def _effective_rank(matrix: Array) -> float:
    """Effective rank (Roy & Vetterli, EUSIPCO 2007): exp of the entropy of the singular values over their sum.

    0 for a matrix of zeros.
    """
    values = _singular_values(matrix)
    total = values.sum()
    if not total:
        return 0.0
    shares = values[values > 0] / total
    return float(np.exp(-(shares * np.log(shares)).sum()))


def _log_determinant(matrix: Array) -> float:
    return float(np.log1p(_singular_values(matrix) ** 2).sum())


def _sum(values: Array, segments: Segments) -> Array:
    return np.add.reduceat(values, segments.starts)


def _mean(values: Array, segments: Segments) -> Array:
    return np.asarray(_sum(values, segments) / segments.lengths)


def _std(values: Array, segments: Segments) -> Array:
    centred = values - np.repeat(_mean(values, segments), segments.lengths)
    return np.asarray(np.sqrt(_mean(centred * centred, segments)))


def _first(values: Array, segments: Segments) -> Array:
    return values[segments.starts]


def _last(values: Array, segments: Segments) -> Array:
    return np.asarray(values[segments.starts + segments.lengths - 1])


def _least_step(values: Array, segments: Segments) -> Array:
    """Smallest difference between a layer and the one before; NaN for a network with one layer."""
    steps = np.diff(values, prepend=np.inf)
    steps[segments.starts] = np.inf
    least = np.minimum.reduceat(steps, segments.starts)
    return np.where(segments.lengths > 1, least, np.nan)


def _elementwise(name: str, arity: int, words: str, function: Callable[..., Array]) -> Operator:
    return Operator(name, arity, words, "elementwise", elements=function)


def _reduction(
    name: str,
    words: str,
    by_layer: Callable[[Array], Any] | None = None,
    by_network: Callable[[Array, Segments], Array] | None = None,
) -> Operator:
    return Operator(name, 1, words, "reduction", by_layer=by_layer, by_network=by_network)


_OPERATORS = (
    _elementwise("add", 2, "({0} + {1})", np.add),
    _elementwise("sub", 2, "({0} − {1})", np.subtract),
    _elementwise("mul", 2, "({0} × {1})", np.multiply),
    _elementwise("div", 2, "({0} divided by the root of 1 + {1} squared)", _quotient),
    _elementwise("min", 2, "the smaller of {0} and {1}", np.minimum),
    _elementwise("max", 2, "the larger of {0} and {1}", np.maximum),
    _elementwise("neg", 1, "minus {0}", np.negative),
    _elementwise("abs", 1, "the absolute value of {0}", np.abs),
    _elementwise("sign", 1, "the sign of {0}", np.sign),
    _elementwise("square", 1, "the square of {0}", np.square),
    _elementwise("sqrt", 1, "the root of the absolute value of {0}", lambda a: np.sqrt(np.abs(a))),
    _elementwise("log", 1, "the logarithm of 1 + the absolute value of {0}", lambda a: np.log1p(np.abs(a))),
    _elementwise("tanh", 1, "the hyperbolic tangent of {0}", np.tanh),
    Operator("transpose", 1, "the transpose of {0}", "matrix", elements=np.transpose),
    Operator("matmul", 2, "the matrix product of {0} and {1}", "matrix", elements=_matmul),
    Operator("gram", 1, "the products of all pairs of rows of {0}", "matrix", elements=_gram),
    _reduction("sum", "the sum of {0}", np.sum, _sum),
    _reduction("mean", "the mean of {0}", np.mean, _mean),
    _reduction("std", "the standard deviation of {0}", np.std, _std),
    _reduction("least", "the least of {0}", np.min, lambda a, s: np.minimum.reduceat(a, s.starts)),
    _reduction("most", "the greatest of {0}", np.max, lambda a, s: np.maximum.reduceat(a, s.starts)),
    _reduction("positive", "the fraction above 0 of {0}", lambda a: np.mean(a > 0)),
    _reduction("norm", "the Frobenius norm of {0}", lambda a: np.sqrt((a * a).sum())),
    _reduction("spectral_norm", "the largest singular value of {0}", lambda a: _singular_values(a)[-1]),
    _reduction("nuclear_norm", "the sum of the singular values of {0}", lambda a: _singular_values(a).sum()),
    _reduction("effective_rank", "the effective rank of {0}", _effective_rank),
    _reduction("log_determinant", "the log-determinant of 1 + the Gram matrix of {0}", _log_determinant),
    _reduction("first", "{0} in the first layer", by_network=_first),
    _reduction("last", "{0} in the last layer", by_network=_last),
    _reduction("least_step", "the least change from a layer to the next of {0}", by_network=_least_step),
)
OPERATORS = {operator.name: operator for operator in _OPERATORS}
"""Operators by name."""
