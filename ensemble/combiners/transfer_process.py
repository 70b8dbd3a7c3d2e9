"""Gaussian process over the scores of sources and the structure, whose prior mean is the sources' mean."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular

from ensemble.combiners.base import Array, Combiner, Standardizer, State
from ensemble.combiners.gaussian_process import maximize_likelihood
from ensemble.rowwise import exp, row_sums

PRIOR_SLOPE = 0.6
"""Prior mean of the target's slope on the sources' mean, about its correlation with that of another data set."""
MEAN_VARIANCE = 10.0
"""Prior variance of the overall mean, in variances of the target: practically flat."""
INITIAL_VARIANCES = (0.1, 0.03, 0.1, 0.1, 0.1, 0.3)
"""Initial variances of the kernel's parts and, last, of the noise, also the modes of their log-normal priors."""
PRIOR_PRECISION = 0.5
"""Precision of the priors of the log variances."""
MAX_VARIANCE_ROWS = 500
"""Rows of the likelihood that the variances maximize: its time is cubic in their number."""
MAX_ITER = 25
REDUNDANCY_SHRINKAGE = 0.3
"""Added to the diagonal of the sources' correlations, so that nearly equal sources get nearly equal weights."""
RELEVANCE_PENALTY = 0.02
"""Penalty of the ridge regression of the sources on the structure, for each reference row."""
MIN_RELEVANCE = 0.1
"""Added to the relevance of each structural column, in multiples of the mean relevance."""
RESOLUTION, MAX_ABS = 2.0**-12, 64.0
"""Inputs are rounded to multiples of `RESOLUTION` and clipped: sums of their products are then exact in float64, so
that a matrix product yields the same bits for a row in any batch (`ensemble.rowwise`)."""
MAX_ROWS = 2000
"""Largest number of training rows; of more, a random part is used. The time of a fit is cubic in it."""
CHUNK_ROWS = 256
"""Rows compared at once: limits the scratch memory to about 30 MB."""


@dataclass(frozen=True)
class Inputs:
    """Rows as the kernel compares them.

    Attributes:
        mean: (m,), weighted mean of the sources.
        sources: (m, J), standardized scores of the sources.
        structure: (m, d), standardized structural columns and costs, scaled by their relevance.
    """

    mean: Array
    sources: Array
    structure: Array

    def take(self, number: int) -> "Inputs":
        """Select the first rows."""
        return Inputs(self.mean[:number], self.sources[:number], self.structure[:number])


class TransferProcess(Combiner):
    """Gaussian process regression that starts from the sources and departs from them as far as the rows ask for.

    The prior mean is `PRIOR_SLOPE` times the sources' mean. The kernel is a sum of five parts: linear in the sources'
    mean, linear in each source's deviation from it, squared exponential in the sources, linear and squared exponential
    in the structure. The variances of the parts and of the noise maximize the marginal likelihood (Rasmussen & Williams
    2006, ch. 5) under a weak prior: with few rows the sources decide, with many the structure.

    Reference rows, which need no label, show the sources' scores over the search space. From them are learned

    - weights of the sources in their mean, (R + λI)⁻¹ 1 for their correlations R, without negative ones: the best
      linear predictor of a task that correlates with every source alike, in which two similar sources share a weight,
    - relevance of the structural columns: the mean square over the sources of its coefficient in a ridge regression of
      the source's scores on the structure. Distances between architectures count relevant columns more.

    Args:
        num_sources: number J of sources; their scores are the first columns of X.
        random_state: seed of the rows that are used, or that the variances are fitted to, where there are too many.

    Attributes:
        mean_, scale_: (J + d,), standardization of the columns; a structural column's scale is divided by the square
            root of its relevance.
        source_weights_: (J,), weights of the sources in their mean, which has standard deviation 1.
        X_train_: (n, J + d), standardized training rows, at most `MAX_ROWS`.
        variances_: (6,), variances of the kernel's parts and of the noise.
        dual_coef_: (n,), coefficients of the training rows.
        held_out_: (n,), leave-one-out predictions of the training rows.
    """

    fitted_arrays = ("mean_", "scale_", "source_weights_", "X_train_", "variances_", "dual_coef_")

    mean_: Array
    scale_: Array
    source_weights_: Array
    X_train_: NDArray[np.float32]
    variances_: Array
    dual_coef_: Array
    held_out_: Array

    def __init__(self, num_sources: int = 0, random_state: int = 0) -> None:
        self.num_sources = num_sources
        self.random_state = random_state

    def fit(self, X: Array, y: Array, reference: Array | None = None) -> Self:
        """Fit to n ≥ 0 rows.

        Args:
            X: (n, J + d), scores of the sources, then the structure.
            y: (n,), the target, with mean 0 and standard deviation 1.
            reference: (r, J + d), rows of random architectures; the training rows by default.
        """
        self.n_features_in_ = X.shape[1]
        reference = X if reference is None else reference
        self._fit_reference(reference[np.lexsort(reference.T)])
        order = np.lexsort((y, *X.T))
        order = np.random.default_rng(self.random_state).permutation(order)
        rows, rest = order[:MAX_ROWS], order[MAX_ROWS:]
        self.X_train_ = self._standardized(X[rows])
        self._prepare()
        self.held_out_ = np.empty(len(y))
        self.held_out_[rows] = self._fit_rows(y[rows])
        if len(rest):
            self.held_out_[rest] = self.predict(X[rest])
        return self

    def predict(self, X: Array) -> Array:
        """Posterior mean, (m,)."""
        X = self._check_input(X)
        chunks = [self._predict_chunk(X[i : i + CHUNK_ROWS]) for i in range(0, len(X), CHUNK_ROWS)]
        return np.concatenate([np.empty(0), *chunks])

    def set_state(self, state: State) -> Self:
        """Restore the fitted state."""
        super().set_state(state)
        width = self.n_features_in_
        shapes = [self.X_train_.shape, self.mean_.shape, self.scale_.shape, self.source_weights_.shape]
        expected = [(len(self.dual_coef_), width), (width,), (width,), (self.num_sources,)]
        if shapes != expected or self.variances_.shape != (len(INITIAL_VARIANCES),) or self.dual_coef_.ndim != 1:
            raise ValueError("a process's training rows do not fit its columns")
        self._prepare()
        return self

    def source_means(self, X: Array) -> Array:
        """Weighted means of the sources' scores, (m,): standard normal over the reference rows; 0 without sources."""
        return self._inputs(self._standardized(X)).mean

    def _fit_reference(self, reference: Array) -> None:
        J = self.num_sources
        if len(reference) < 2:  # the scores of sources are standard normal already
            self.mean_, self.scale_ = np.zeros(self.n_features_in_), np.ones(self.n_features_in_)
            self.source_weights_ = np.full(J, 1 / max(J, 1))
            return
        standardizer = Standardizer.fit(reference)
        Z = standardizer.transform(reference)
        self.mean_, self.scale_ = standardizer.mean, standardizer.scale
        self.source_weights_ = _source_weights(Z[:, :J])
        self.scale_[J:] = self.scale_[J:] / np.sqrt(_relevance(Z[:, J:], Z[:, :J]))

    def _fit_rows(self, y: Array) -> Array:
        """Fit the variances and the coefficients; leave-one-out predictions, (n,)."""
        self.variances_, self.dual_coef_ = np.array(INITIAL_VARIANCES), np.zeros(len(y))
        prior = PRIOR_SLOPE * self._train.mean
        if len(y) < 2:
            return prior
        residuals, first = y - prior, self._train.take(MAX_VARIANCE_ROWS)
        self.variances_ = maximize_likelihood(
            np.stack(list(self._kernels(first, first))),
            np.full((len(first.mean), len(first.mean)), MEAN_VARIANCE),
            residuals[: len(first.mean)],
            np.array(INITIAL_VARIANCES),
            PRIOR_PRECISION,
            MAX_ITER,
        )
        covariance = self._covariance(self._train)
        covariance[np.diag_indices(len(y))] += self.variances_[-1]
        factor = cholesky(covariance, lower=True)
        inverse_factor = solve_triangular(factor, np.eye(len(y)), lower=True)
        self.dual_coef_ = inverse_factor.T @ (inverse_factor @ residuals)
        # Rasmussen & Williams 2006, eq. 5.12
        return np.asarray(y - self.dual_coef_ / (inverse_factor**2).sum(axis=0))

    def _predict_chunk(self, X: Array) -> Array:
        inputs = self._inputs(self._standardized(X))
        return np.asarray(PRIOR_SLOPE * inputs.mean + row_sums(self._covariance(inputs) * self.dual_coef_))

    def _covariance(self, inputs: Inputs) -> Array:
        """Prior covariance with the training rows, (m, n), without the noise."""
        covariance = np.full((len(inputs.mean), len(self._train.mean)), MEAN_VARIANCE)
        for variance, kernel in zip(self.variances_, self._kernels(inputs, self._train), strict=False):
            covariance += variance * kernel
        return covariance

    def _kernels(self, a: Inputs, b: Inputs) -> Iterator[Array]:
        """Kernel matrices of the parts, (rows of a, rows of b)."""
        J = max(self.num_sources, 1)
        d = max(int(np.isfinite(self.scale_[self.num_sources :]).sum()), 1)
        yield a.mean[:, None] * b.mean
        yield _rounded(a.sources - a.mean[:, None]) @ _rounded(b.sources - b.mean[:, None]).T
        yield exp(-_squared_distances(a.sources, b.sources) / (2 * J))
        yield a.structure @ b.structure.T / d
        yield exp(-_squared_distances(a.structure, b.structure) / (2 * d))

    def _prepare(self) -> None:
        """Arrange the training rows for the kernel."""
        self._train = self._inputs(self.X_train_)

    def _standardized(self, X: Array) -> NDArray[np.float32]:
        # 18 bits, so that float32 is exact.
        return _rounded((X - self.mean_) / self.scale_).astype(np.float32)

    def _inputs(self, standardized: NDArray[np.float32]) -> Inputs:
        Z = standardized.astype(np.float64)
        sources = Z[:, : self.num_sources]
        return Inputs(row_sums(sources * self.source_weights_), sources, Z[:, self.num_sources :])


def _rounded(values: Array) -> Array:
    return np.clip(np.rint(values / RESOLUTION) * RESOLUTION, -MAX_ABS, MAX_ABS)


def _squared_distances(a: Array, b: Array) -> Array:
    """Squared distances between rows of two arrays of rounded values, exact."""
    return np.asarray((a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1) - 2 * (a @ b.T))


def _source_weights(Z: Array) -> Array:
    """Weights, (J,), of standardized sources, (r, J), in a mean of standard deviation 1."""
    if not Z.shape[1]:
        return np.empty(0)
    correlations = Z.T @ Z / len(Z) + REDUNDANCY_SHRINKAGE * np.eye(Z.shape[1])
    weights = np.maximum(np.linalg.solve(correlations, np.ones(Z.shape[1])), 0)
    return np.asarray(weights / ((Z @ weights).std() or 1.0))


def _relevance(structure: Array, sources: Array) -> Array:
    """Relevance of standardized structural columns, (d,), with mean 1 + `MIN_RELEVANCE`; equal without sources."""
    penalty = RELEVANCE_PENALTY * len(structure) * np.eye(structure.shape[1])
    coef = np.linalg.solve(structure.T @ structure + penalty, structure.T @ sources)
    relevance = (coef**2).sum(axis=1)
    return np.asarray(relevance / relevance.mean() + MIN_RELEVANCE) if relevance.any() else np.ones(len(relevance))
