"""Mean logarithm of the proxies' ranks."""

from typing import Self

import numpy as np

from ensemble.combiners.base import Array, Combiner
from ensemble.ranks import doubled_ranks
from ensemble.rowwise import row_sums


class LogRank(Combiner):
    """Mean over the proxies of log(rank / n), the rank among the n training rows, n that of the largest score.

    Source: AZ-NAS (Lee & Ham, CVPR 2024), whose sum over the proxies orders architectures alike. It learns from the
    scores of the training rows alone, not from their accuracies: a larger score counts as better, as in every proxy's
    paper. A low rank by one proxy outweighs high ranks by others. Equal scores share the mean of their ranks, a score
    between two others has the mean of theirs, and missing scores are left out.

    Attributes:
        scores_: (n, p), the scores of the training rows, each column in ascending order with NaN last.
        counts_: (p,), number of scores by proxy.
    """

    fitted_arrays = ("scores_", "counts_")
    accepts_missing = True

    scores_: Array
    counts_: Array

    def fit(self, X: Array, y: Array) -> Self:
        """Sort the scores; y is not used."""
        X, _ = self._check_fit_input(X, y)
        self.scores_ = np.sort(X, axis=0)
        self.counts_ = (~np.isnan(X)).sum(axis=0).astype(np.float64)
        return self

    def predict(self, X: Array) -> Array:
        """Mean logarithms, (m,), larger is better; NaN for a row without any score."""
        X = self._check_input(X)
        present = ~np.isnan(X) & (self.counts_ > 0)
        logs = np.log(np.arange(1, 2 * len(self.scores_) + 2))  # a table, as ranks are multiples of 1/2
        values = np.zeros(X.shape)
        for i, count in enumerate(self.counts_.astype(int).tolist()):
            column, known = self.scores_[:count, i], X[present[:, i], i]
            values[present[:, i], i] = logs[doubled_ranks(column, known)] - logs[2 * count - 1]
        total = row_sums(present.astype(np.float64))
        return np.asarray(np.divide(row_sums(values), total, where=total > 0, out=np.full(len(X), np.nan)))
