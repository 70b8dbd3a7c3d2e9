"""Majority vote of the proxies over pairs of architectures."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ensemble.combiners.base import Array, Combiner, spearman

CHUNK = 512
"""Rows worked on at once: keeps the scratch memory near 30 MB."""


class MajorityVote(Combiner):
    """Each proxy of a subset votes which of two architectures is better; ties and missing scores are no votes.

    The direction of a proxy is the sign of its Spearman ρ on the training rows. The subset is the one with the highest
    pairwise accuracy on the training rows, out of all subsets: with 14 proxies, 16,383. As in Abdelfattah et al. 2021
    ("Zero-cost proxies for lightweight NAS", `vote`), which fixes subset and directions by hand.

    Args:
        search: how many proxies to search over at most, those with the largest absolute ρ; time doubles with each.
        max_pairs: above this many pairs of training rows a seeded sample of them is used for the search.
        random_state: seed of that sample.

    Attributes:
        directions_: (p,), −1, 0 or 1.
        members_: (p,), whether the proxy is in the best subset.
        top_members_, top_accuracy_: the best subsets, (k, p), and their pairwise accuracies, (k,).
        reference_: (n, p), the training rows: the population that `predict` compares with.
    """

    fitted_arrays = ("directions_", "members_", "top_members_", "top_accuracy_", "reference_")
    index_arrays = ("members_", "top_members_")
    accepts_missing = True

    directions_: Array
    members_: NDArray[np.bool_]
    top_members_: NDArray[np.bool_]
    top_accuracy_: Array
    reference_: Array

    def __init__(self, search: int = 14, max_pairs: int = 250_000, random_state: int = 0) -> None:
        self.search = search
        self.max_pairs = max_pairs
        self.random_state = random_state

    def fit(self, X: Array, y: Array) -> Self:
        X, y = self._training_data(X, y)
        rho = np.array([spearman(column, y) for column in X.T])
        self.directions_ = np.sign(rho)
        searched = np.sort(np.argsort(-np.abs(rho), kind="stable")[: self.search])
        patterns, counts = self._patterns(X[:, searched] * self.directions_[searched], y)
        accuracy = subset_accuracies(patterns, counts)
        sizes = np.array([subset.bit_count() for subset in range(1, len(accuracy) + 1)])
        best = np.lexsort((sizes, -accuracy.round(12)))[:10]
        self.top_members_ = np.zeros((len(best), X.shape[1]), dtype=bool)
        self.top_members_[:, searched] = (best[:, None] + 1) >> np.arange(len(searched)) & 1
        self.top_accuracy_ = accuracy[best]
        self.members_ = self.top_members_[0]
        self.reference_ = X
        return self

    @property
    def subsets_(self) -> list[tuple[tuple[int, ...], float]]:
        """The ten best subsets as column numbers, with their pairwise accuracy on the training rows."""
        return [
            (tuple(int(i) for i in np.flatnonzero(members)), float(accuracy))
            for members, accuracy in zip(self.top_members_, self.top_accuracy_, strict=True)
        ]

    def predict(self, X: Array) -> Array:
        """Share of the training rows that each row beats, ties counting half, shape (m,)."""
        X = self._data(X)
        chunks = [self._contests(X[i : i + CHUNK], self.reference_).mean(axis=1) for i in range(0, len(X), CHUNK)]
        shares = np.concatenate(chunks)
        shares[np.isnan(X[:, self.members_]).all(axis=1)] = np.nan
        return shares

    def pairwise(self, X: Array) -> Array:
        """Contests inside a set, shape (m, m): 1 where the row beats the column, ½ where undecided, else 0."""
        X = self._data(X)
        return self._contests(X, X)

    def ranking_scores(self, X: Array) -> Array:
        """Copeland scores inside a set, shape (m,): contests won against the others, undecided ones counting half."""
        return np.asarray(self.pairwise(X).sum(axis=1) - 0.5)

    def _contests(self, X: Array, others: Array) -> Array:
        votes = np.zeros((len(X), len(others)), dtype=np.int16)
        for k in np.flatnonzero(self.members_):
            votes += _signs(X[:, k, None] * self.directions_[k], others[None, :, k] * self.directions_[k])
        return np.asarray(0.5 + 0.5 * np.sign(votes))

    def _patterns(self, X: Array, y: Array) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
        """Which proxies are right (1), wrong (−1) or silent (0) about a pair: distinct patterns and their counts."""
        first, second = np.triu_indices(len(y), k=1)
        if len(first) > self.max_pairs:
            kept = np.random.default_rng(self.random_state).choice(len(first), self.max_pairs, replace=False)
            first, second = first[kept], second[kept]
        truth = np.sign(y[first] - y[second]).astype(np.int8)
        decided = truth != 0
        first, second, truth = first[decided], second[decided], truth[decided]
        agreement = np.stack([_signs(column[first], column[second]) * truth for column in X.T], axis=1)
        codes = (agreement.astype(np.int64) + 1) @ 3 ** np.arange(X.shape[1], dtype=np.int64)
        _, index, counts = np.unique(codes, return_index=True, return_counts=True)
        return agreement[index], counts


def subset_accuracies(patterns: NDArray[np.int8], counts: NDArray[np.int64]) -> Array:
    """Pairwise accuracy of every non-empty subset of p proxies, shape (2ᵖ − 1,); subset s is the bits of s + 1.

    Args:
        patterns: (u, p), 1 where the proxy is right about the pair, −1 where wrong, 0 where silent.
        counts: (u,), how many pairs have the pattern.
    """
    p = patterns.shape[1]
    subsets = (np.arange(1, 2**p) >> np.arange(p)[:, None] & 1).astype(np.float32)
    balance = np.zeros(subsets.shape[1])
    for i in range(0, len(patterns), CHUNK):
        # Votes are small whole numbers, so float32 products are exact and clipping leaves their sign.
        votes = patterns[i : i + CHUNK].astype(np.float32) @ subsets
        balance += counts[i : i + CHUNK].astype(np.float32) @ np.clip(votes, -1, 1, out=votes)
    return 0.5 + 0.5 * balance / max(int(counts.sum()), 1)


def _signs(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.int8]:
    """sign(a − b), 0 where either is NaN; infinities of the same sign are ties."""
    return (a > b).astype(np.int8) - (a < b).astype(np.int8)
