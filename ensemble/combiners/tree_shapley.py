"""Exact Shapley values of decision trees."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ensemble.rowwise import row_sums

Array = NDArray[np.float64]
Indices = NDArray[np.int32]
CHUNK_LEAVES = 4096
"""Leaves evaluated at once: limits the scratch memory to about 20 MB."""
NO_FEATURE = -1


@dataclass(frozen=True)
class DecisionPaths:
    """Conditions on the paths from the roots to the leaves, merged to one interval for each feature of a path.

    Attributes:
        feature: (leaves, longest path), `NO_FEATURE` beyond the end of a path.
        low, high: as `feature`; a row follows the path if low < value ≤ high.
        zero_fraction: as `feature`; fraction of the training rows that follow the path at the feature's splits; 1 for
            `NO_FEATURE`.
        value: (leaves,).
    """

    feature: Indices
    low: Array
    high: Array
    zero_fraction: Array
    value: Array

    @classmethod
    def from_nodes(
        cls,
        roots: Indices,
        feature: Indices,
        threshold: NDArray[np.floating[Any]],
        children_left: Indices,
        children_right: Indices,
        value: Array,
        n_node_samples: Array,
    ) -> Self:
        """Collect the paths of a table of nodes, level by level in all trees at once.

        Args:
            roots: (trees,), root node of each tree.
            feature: (nodes,), feature of the node's split.
            threshold: (nodes,), a row whose feature is at most the threshold goes left.
            children_left: (nodes,), left child; a leaf is its own child.
            children_right: (nodes,), right child.
            value: (nodes,), value of a leaf.
            n_node_samples: (nodes,), number of training rows that reach the node.
        """
        node = roots
        paths = cls(*_empty(len(node), 0), np.empty(0))
        finished: list[Self] = []
        while len(node):
            is_leaf = children_left[node] == node
            finished.append(paths._select(is_leaf, value[node[is_leaf]]))
            paths, node = paths._select(~is_leaf, np.empty(0)), node[~is_leaf]
            paths = paths._with_free_place()
            children = np.stack([children_left[node], children_right[node]], axis=1).ravel()
            paths = paths._select(np.repeat(np.arange(len(node)), 2), np.empty(0))
            parent = np.repeat(node, 2)
            goes_left = children == children_left[parent]
            fraction = n_node_samples[children] / n_node_samples[parent]
            paths._add_split(feature[parent], threshold[parent], goes_left, fraction)
            node = children
        longest = max(part.feature.shape[1] for part in finished)
        padded = [part._padded(longest) for part in finished]
        fields = ("feature", "low", "high", "zero_fraction", "value")
        return cls(*(np.concatenate([getattr(part, field) for part in padded]) for field in fields))

    def contributions(self, rows: NDArray[np.float32]) -> Array:
        """Shapley values of the features, summed over the leaves.

        Path-dependent as in TreeSHAP (Lundberg et al. 2020): an unknown feature takes both branches, weighted by the
        training rows. The value of feature j at a leaf, with one fraction o (1 if the row follows the path, else 0) and
        zero fraction z, is leaf·(o_j − z_j)·Σ over subsets S of the other features of |S|!(k−|S|−1)!/k!·Π_S o·Π_rest z.
        The weights are Beta integrals, so that the sum is ∫₀¹ Π_{i≠j} (z_i(1−u) + o_i·u) du, the integral of a
        polynomial, for which Gauss–Legendre quadrature is exact.

        Args:
            rows: (m, features).

        Returns:
            Shapley values, and in the last column the expected value, (m, features + 1).
        """
        result = np.zeros((len(rows), rows.shape[1] + 1))
        result[:, -1] = row_sums(self.value * self.zero_fraction.prod(axis=1))
        nodes, weights = np.polynomial.legendre.leggauss(max((self.feature.shape[1] + 1) // 2, 1))
        nodes, weights = (nodes + 1) / 2, weights / 2
        for i, row in enumerate(rows):
            for start in range(0, len(self.value), CHUNK_LEAVES):
                leaves = slice(start, start + CHUNK_LEAVES)
                result[i, :-1] += self._row_contributions(row, leaves, nodes, weights)
        return result

    def _row_contributions(self, row: NDArray[np.float32], leaves: slice, nodes: Array, weights: Array) -> Array:
        feature, zero_fraction = self.feature[leaves], self.zero_fraction[leaves]
        used = feature != NO_FEATURE
        x = row[feature]
        one_fraction = np.where(used, (self.low[leaves] < x) & (x <= self.high[leaves]), 1.0)
        integral = np.zeros_like(zero_fraction)
        for u, weight in zip(nodes, weights, strict=True):
            factors = zero_fraction * (1 - u) + one_fraction * u
            integral += weight * factors.prod(axis=1, keepdims=True) / factors
        values = self.value[leaves, None] * (one_fraction - zero_fraction) * integral
        return np.asarray(np.bincount(feature[used], values[used], minlength=len(row)), dtype=np.float64)

    def _select(self, paths: NDArray[np.bool_] | NDArray[np.int64], value: Array) -> Self:
        return type(self)(self.feature[paths], self.low[paths], self.high[paths], self.zero_fraction[paths], value)

    def _padded(self, length: int) -> Self:
        feature, low, high, zero_fraction = _empty(len(self.feature), length - self.feature.shape[1])
        return type(self)(
            np.hstack([self.feature, feature]),
            np.hstack([self.low, low]),
            np.hstack([self.high, high]),
            np.hstack([self.zero_fraction, zero_fraction]),
            self.value,
        )

    def _with_free_place(self) -> Self:
        """Extend the paths by one feature if one of them is full."""
        full = self.feature.shape[1] == 0 or bool((self.feature[:, -1] != NO_FEATURE).any())
        return self._padded(self.feature.shape[1] + 1) if full else self

    def _add_split(
        self, feature: Indices, threshold: NDArray[np.floating[Any]], goes_left: NDArray[np.bool_], fraction: Array
    ) -> None:
        """Add one split to every path, in the place of its feature or in the first free one."""
        same, free = self.feature == feature[:, None], self.feature == NO_FEATURE
        place = np.where(same.any(axis=1), same.argmax(axis=1), free.argmax(axis=1))
        at = (np.arange(len(feature)), place)
        self.feature[at] = feature
        self.low[at] = np.where(goes_left, self.low[at], np.maximum(self.low[at], threshold))
        self.high[at] = np.where(goes_left, np.minimum(self.high[at], threshold), self.high[at])
        self.zero_fraction[at] *= fraction


def _empty(paths: int, length: int) -> tuple[Indices, Array, Array, Array]:
    shape = (paths, length)
    return np.full(shape, NO_FEATURE, np.int32), np.full(shape, -np.inf), np.full(shape, np.inf), np.ones(shape)
