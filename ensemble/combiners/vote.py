"""Majority vote of the proxies over pairs of architectures."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ensemble.combiners.base import Array, Combiner, spearman

CHUNK_ROWS = 512
"""Rows compared at once: limits the scratch memory to about 30 MB."""
NUM_TOP_SUBSETS = 10


class MajorityVote(Combiner):
    """Majority vote of a subset of the proxies on which of two architectures is better.

    A tie or a missing score is no vote. The direction of a proxy is the sign of its Spearman ρ on the training rows.
    The subset is the one with the highest pairwise accuracy on the training rows among all subsets (16,383 with 14
    proxies). After the `vote` of Abdelfattah et al. 2021 ("Zero-cost proxies for lightweight NAS"), where subset and
    directions are fixed by hand.

    Args:
        max_features: number of proxies that subsets are formed of, those with the largest absolute ρ; time doubles with
            each.
        max_pairs: number of training pairs above which the search uses a random sample of them.
        random_state: seed of that sample.

    Attributes:
        directions_: (p,), −1, 0 or 1.
        support_: (p,), mask of the best subset.
        top_supports_, top_accuracies_: masks of the best subsets, (k, p), and their pairwise accuracies, (k,).
        X_train_: (n, p), the training rows, which `predict` compares with.
    """

    fitted_arrays = ("directions_", "support_", "top_supports_", "top_accuracies_", "X_train_")
    index_arrays = ("support_", "top_supports_")
    accepts_missing = True

    directions_: Array
    support_: NDArray[np.bool_]
    top_supports_: NDArray[np.bool_]
    top_accuracies_: Array
    X_train_: Array

    def __init__(self, max_features: int = 14, max_pairs: int = 250_000, random_state: int = 0) -> None:
        self.max_features = max_features
        self.max_pairs = max_pairs
        self.random_state = random_state

    def fit(self, X: Array, y: Array) -> Self:
        """Find the directions and the best subset."""
        X, y = self._check_fit_input(X, y)
        rho = np.array([spearman(column, y) for column in X.T])
        self.directions_ = np.sign(rho)
        candidates = np.sort(np.argsort(-np.abs(rho), kind="stable")[: self.max_features])
        patterns, counts = self._agreement_patterns(X[:, candidates] * self.directions_[candidates], y)
        accuracy = subset_accuracies(patterns, counts)
        sizes = np.array([subset.bit_count() for subset in range(1, len(accuracy) + 1)])
        best = np.lexsort((sizes, -accuracy.round(12)))[:NUM_TOP_SUBSETS]
        self.top_supports_ = np.zeros((len(best), X.shape[1]), dtype=bool)
        self.top_supports_[:, candidates] = (best[:, None] + 1) >> np.arange(len(candidates)) & 1
        self.top_accuracies_ = accuracy[best]
        self.support_ = self.top_supports_[0]
        self.X_train_ = X
        return self

    @property
    def top_subsets_(self) -> list[tuple[tuple[int, ...], float]]:
        """The best subsets as column indices, with their pairwise accuracies on the training rows."""
        return [
            (tuple(int(i) for i in np.flatnonzero(support)), float(accuracy))
            for support, accuracy in zip(self.top_supports_, self.top_accuracies_, strict=True)
        ]

    def predict(self, X: Array) -> Array:
        """Fraction of the training rows that each row beats, (m,); ties count half."""
        X = self._check_input(X)
        chunks = range(0, len(X), CHUNK_ROWS)
        wins = np.concatenate([self._contests(X[i : i + CHUNK_ROWS], self.X_train_).mean(axis=1) for i in chunks])
        wins[np.isnan(X[:, self.support_]).all(axis=1)] = np.nan
        return wins

    def contests(self, X: Array) -> Array:
        """Contests between the rows of a set, (m, m): 1 if the row beats the column, ½ if undecided, else 0."""
        X = self._check_input(X)
        return self._contests(X, X)

    def ranking_scores(self, X: Array) -> Array:
        """Copeland scores within a set, (m,): contests won against the other rows; undecided ones count half."""
        return np.asarray(self.contests(X).sum(axis=1) - 0.5)

    def _contests(self, X: Array, others: Array) -> Array:
        votes = np.zeros((len(X), len(others)), dtype=np.int16)
        for k in np.flatnonzero(self.support_):
            votes += _compare(X[:, k, None] * self.directions_[k], others[None, :, k] * self.directions_[k])
        return np.asarray(0.5 + 0.5 * np.sign(votes))

    def _agreement_patterns(self, X: Array, y: Array) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
        """Agreement of each proxy with a pair: correct (1), wrong (−1) or none (0); distinct patterns, and counts."""
        first, second = np.triu_indices(len(y), k=1)
        if len(first) > self.max_pairs:
            kept = np.random.default_rng(self.random_state).choice(len(first), self.max_pairs, replace=False)
            first, second = first[kept], second[kept]
        order = np.sign(y[first] - y[second]).astype(np.int8)
        decided = order != 0
        first, second, order = first[decided], second[decided], order[decided]
        agreement = np.stack([_compare(column[first], column[second]) * order for column in X.T], axis=1)
        codes = (agreement.astype(np.int64) + 1) @ 3 ** np.arange(X.shape[1], dtype=np.int64)
        _, index, counts = np.unique(codes, return_index=True, return_counts=True)
        return agreement[index], counts


def subset_accuracies(patterns: NDArray[np.int8], counts: NDArray[np.int64]) -> Array:
    """Pairwise accuracy of the vote of every non-empty subset of p proxies.

    Args:
        patterns: (u, p), 1 if the proxy orders the pair correctly, −1 if wrongly, 0 if it has no vote.
        counts: (u,), number of pairs with the pattern.

    Returns:
        Accuracies, (2ᵖ − 1,); the bits of s + 1 are the members of subset s.
    """
    p = patterns.shape[1]
    subsets = (np.arange(1, 2**p) >> np.arange(p)[:, None] & 1).astype(np.float32)
    balance = np.zeros(subsets.shape[1])
    for i in range(0, len(patterns), CHUNK_ROWS):
        # Votes are small integers, so float32 products are exact, and clipping leaves their sign.
        votes = patterns[i : i + CHUNK_ROWS].astype(np.float32) @ subsets
        balance += counts[i : i + CHUNK_ROWS].astype(np.float32) @ np.clip(votes, -1, 1, out=votes)
    return 0.5 + 0.5 * balance / max(int(counts.sum()), 1)


def _compare(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.int8]:
    """sign(a − b), 0 if either is NaN; infinities of the same sign are ties."""
    return (a > b).astype(np.int8) - (a < b).astype(np.int8)
