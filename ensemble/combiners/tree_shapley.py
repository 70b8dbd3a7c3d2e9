"""Exact Shapley values of trees, from a table of nodes."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ensemble.rowwise import row_sums

Array = NDArray[np.float64]
Numbers = NDArray[np.int32]
CHUNK = 4096
"""Leaves worked on at once: keeps the scratch memory near 20 MB a row."""
NONE = -1


@dataclass(frozen=True)
class Paths:
    """What leads to each leaf: for each column on the way, the interval that it has to lie in.

    Attributes:
        column: (leaves, longest path), NONE where the path is shorter.
        low, high: as column; a row goes on where low < value ≤ high.
        share: as column; of the training rows that come to the column's splits, the share that goes on. 1 where NONE.
        value: (leaves,).
    """

    column: Numbers
    low: Array
    high: Array
    share: Array
    value: Array

    @classmethod
    def of(
        cls,
        roots: Numbers,
        column: Numbers,
        threshold: NDArray[np.floating[Any]],
        left: Numbers,
        right: Numbers,
        value: Array,
        cover: Array,
    ) -> Self:
        """The paths of a node table as `Forest` keeps it: level by level down all trees at once."""
        node = roots
        path = cls(*_empty(len(node), 0), np.empty(0))
        leaves: list[Self] = []
        while len(node):
            ends = left[node] == node
            leaves.append(path._taken(ends, value[node[ends]]))
            path, node = path._taken(~ends, np.empty(0)), node[~ends]
            path = path._longer()
            children = np.stack([left[node], right[node]], axis=1).ravel()
            path = path._taken(np.repeat(np.arange(len(node)), 2), np.empty(0))
            parent = np.repeat(node, 2)
            path._narrow(column[parent], threshold[parent], children == left[parent], cover[children] / cover[parent])
            node = children
        longest = max(part.column.shape[1] for part in leaves)
        whole = [part._padded(longest) for part in leaves]
        fields = ("column", "low", "high", "share", "value")
        return cls(*(np.concatenate([getattr(part, field) for part in whole]) for field in fields))

    def contributions(self, rows: NDArray[np.float32]) -> Array:
        """Shapley values of each column, summed over the leaves, (m, columns + 1); last the expected value.

        Path-dependent, as TreeSHAP (Lundberg et al. 2020): a column that is not known goes both ways, by the training
        rows' shares. Of a leaf's column j with indicator o and share z the value is leaf·(o_j − z_j)·Σ over subsets S
        of the others of |S|!(k−|S|−1)!/k!·Π_S o·Π_rest z. The weights are Beta integrals, so that the sum is
        ∫₀¹ Π_{i≠j} (z_i(1−u) + o_i·u) du: a polynomial, on which Gauss–Legendre quadrature is exact.
        """
        result = np.zeros((len(rows), rows.shape[1] + 1))
        result[:, -1] = row_sums(self.value * self.share.prod(axis=1))
        points, weights = np.polynomial.legendre.leggauss(max((self.column.shape[1] + 1) // 2, 1))
        points, weights = (points + 1) / 2, weights / 2
        for i, row in enumerate(rows):
            for start in range(0, len(self.value), CHUNK):
                part = slice(start, start + CHUNK)
                result[i, :-1] += self._one(row, part, points, weights)
        return result

    def _one(self, row: NDArray[np.float32], part: slice, points: Array, weights: Array) -> Array:
        column, share = self.column[part], self.share[part]
        there = column != NONE
        x = row[column]
        inside = np.where(there, (self.low[part] < x) & (x <= self.high[part]), 1.0)
        total = np.zeros_like(share)
        for point, weight in zip(points, weights, strict=True):
            factors = share * (1 - point) + inside * point
            total += weight * factors.prod(axis=1, keepdims=True) / factors
        values = self.value[part, None] * (inside - share) * total
        return np.asarray(np.bincount(column[there], values[there], minlength=len(row)), dtype=np.float64)

    def _taken(self, which: NDArray[np.bool_] | NDArray[np.int64], value: Array) -> Self:
        return type(self)(self.column[which], self.low[which], self.high[which], self.share[which], value)

    def _padded(self, longest: int) -> Self:
        column, low, high, share = _empty(len(self.column), longest - self.column.shape[1])
        return type(self)(
            np.hstack([self.column, column]),
            np.hstack([self.low, low]),
            np.hstack([self.high, high]),
            np.hstack([self.share, share]),
            self.value,
        )

    def _longer(self) -> Self:
        """With room for one more column, where a path is full."""
        full = self.column.shape[1] == 0 or bool((self.column[:, -1] != NONE).any())
        return self._padded(self.column.shape[1] + 1) if full else self

    def _narrow(
        self, column: Numbers, threshold: NDArray[np.floating[Any]], left: NDArray[np.bool_], share: Array
    ) -> None:
        """Add one split to every path: to the place of its column, or to the first free one."""
        same, free = self.column == column[:, None], self.column == NONE
        place = np.where(same.any(axis=1), same.argmax(axis=1), free.argmax(axis=1))
        at = (np.arange(len(column)), place)
        self.column[at] = column
        self.low[at] = np.where(left, self.low[at], np.maximum(self.low[at], threshold))
        self.high[at] = np.where(left, np.minimum(self.high[at], threshold), self.high[at])
        self.share[at] *= share


def _empty(leaves: int, length: int) -> tuple[Numbers, Array, Array, Array]:
    shape = (leaves, length)
    return np.full(shape, NONE, np.int32), np.full(shape, -np.inf), np.full(shape, np.inf), np.ones(shape)
