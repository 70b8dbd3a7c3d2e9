"""Gaussian process with an additive kernel over the parts of an architecture."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

from ensemble.combiners.base import Array, Combiner, Standardizer, State
from ensemble.data.columns import Columns
from ensemble.rowwise import exp, row_sums
from models import FeatureGroup, InputError

STRATUM_LENGTH_SCALE = 4.0
"""Length scale of the stratum: the effect of a part of the architecture changes slowly with the stratum."""
MEAN_VARIANCE = 10.0
"""Prior variance of the overall mean and of each stratum's mean, in variances of the accuracy: practically flat."""
INITIAL_VARIANCE, INITIAL_NOISE = 0.02, 0.2
"""Initial variances of the components and of the noise, also the modes of their log-normal priors."""
PRIOR_PRECISION = 0.1
"""Precision of the priors of the log variances: weak, it only holds components that the data do not constrain."""
MAX_ABS_Z = 3.0
"""Standardized measures and proxies are clipped to this absolute value."""
MAX_ROWS = 2000
"""Largest number of training rows. The time of a fit is cubic in it and the memory quadratic, and a stack fits the
process once for each of its folds and once to all rows (`benchmarks/speed/fitting.py`)."""
PROXY_COMPONENT, CURVE_COMPONENT = "proxy", "training curve"
CHUNK_ROWS = 128
"""Rows compared at once: limits the scratch memory to about 3 MB."""


@dataclass(frozen=True)
class Component:
    """Columns of one summand of the kernel.

    Attributes:
        name: of the group, `PROXY_COMPONENT` or `CURVE_COMPONENT`.
        columns: indices of all its columns, increasing.
        indicators, counts, measures: indices of the columns of each kind.
        count_values: (counts,), number that each column of `counts` indicates.
    """

    name: str
    columns: list[int]
    indicators: list[int]
    counts: list[int]
    measures: list[int]
    count_values: Array

    @classmethod
    def from_group(cls, group: FeatureGroup, columns: Columns) -> Self:
        """Find the columns of a group of features; features without a column are left out."""
        names = (group.indicators, tuple(group.counts), group.measures)
        indicators, counts, measures = (list(columns.indices(kind)) for kind in names)
        count_values = np.array([group.counts[columns.names[i]] for i in counts], dtype=np.float64)
        return cls(group.name, sorted(indicators + counts + measures), indicators, counts, measures, count_values)

    def present(self, X: Array) -> NDArray[np.bool_]:
        """Return which rows have the part of the architecture, (m,): those with a count, if the group has counts."""
        return np.asarray(X[:, self.counts].any(axis=1)) if self.counts else np.ones(len(X), dtype=bool)


def _components(columns: Columns) -> tuple[Component, ...]:
    """One component for the proxies, one for the training curve, and one for each group that has columns."""
    proxies = FeatureGroup(PROXY_COMPONENT, measures=columns.proxies)
    curve = FeatureGroup(CURVE_COMPONENT, measures=columns.curve)
    components = (Component.from_group(group, columns) for group in (proxies, curve, *columns.groups))
    return tuple(component for component in components if component.columns)


@dataclass(frozen=True)
class ComponentFeatures:
    """Features of m rows that a component compares. Rows share few distinct combinations of count and measures.

    Attributes:
        indicators: (m, indicators), 0 or 1.
        present: (m,), whether the architecture has the part.
        index: (m,), index of the row's count and measures.
        count: (distinct,), the number that the one-hot columns indicate.
        measures: (distinct, measures), standardized and clipped.
    """

    indicators: Array
    present: NDArray[np.bool_]
    index: NDArray[np.int64]
    count: Array
    measures: Array


class AdditiveGaussianProcess(Combiner):
    """Gaussian process regression with a kernel that is a sum over feature groups, the proxies and the curve.

    The component of a group describes one part of an architecture. It compares two architectures that both have the
    part: by their common indicators (linear), their counts (squared exponential, length scale 1) and their measures
    (squared exponential), all times a squared exponential in the stratum. The variances of the components and of the
    noise maximize the marginal likelihood (Rasmussen & Williams 2006, ch. 5) under a weak prior.

    Args:
        columns: columns of X. Those that are in no group and hold neither the stratum, a proxy nor the curve are
                ignored.
        max_iter: number of optimizer steps for the variances.

    Attributes:
        X_train_: (n, d) float32, the training rows.
        dual_coef_: (n,), coefficients of the training rows.
        mean_, scale_: (d,), standardization of the measures, proxies and curve, over the architectures that have the
            part.
        variances_: (components + 1,), of the components and, last, of the noise, relative to the accuracy's variance.
        y_mean_: mean accuracy of the training rows.
    """

    fitted_arrays = ("X_train_", "dual_coef_", "mean_", "scale_", "variances_", "y_mean_")
    additive = True
    max_rows = MAX_ROWS

    X_train_: NDArray[np.float32]
    dual_coef_: Array
    mean_: Array
    scale_: Array
    variances_: Array
    y_mean_: Array

    def __init__(self, columns: Columns | None = None, max_iter: int = 8) -> None:
        self.columns = columns
        self.max_iter = max_iter

    def fit(self, X: Array, y: Array) -> Self:
        """Fit the variances and the coefficients of the training rows."""
        X, y = self._check_fit_input(X, y)
        if len(self._columns.names) != X.shape[1]:
            raise InputError("columns", f"{len(self._columns.names)} names", f"{X.shape[1]}, one for each column of X")
        # All rows are rounded to float32, as the stored ones are, so that a training row equals itself.
        self.X_train_ = X.astype(np.float32)
        rows = self.X_train_.astype(np.float64)
        self.mean_, self.scale_ = self._standardization(rows)
        self._prepare()
        decay = self._stratum_kernel(self._train_strata)
        kernels = np.stack(
            [
                self._kernel(component, self._features(component, rows), train, decay)
                for component, train in self._train_features
            ]
        )
        mean_kernel = self._mean_kernel(self._train_strata)
        self.y_mean_ = np.array(y.mean())
        y_scale = y.std() or 1.0
        target = (y - y.mean()) / y_scale
        start = np.array([INITIAL_VARIANCE] * len(kernels) + [INITIAL_NOISE])
        self.variances_ = maximize_likelihood(kernels, mean_kernel, target, start, PRIOR_PRECISION, self.max_iter)
        covariance = mean_kernel + np.tensordot(self.variances_[:-1], kernels, 1)
        covariance[np.diag_indices(len(y))] += self.variances_[-1]
        self.dual_coef_ = y_scale * cho_solve(cho_factor(covariance, lower=True), target)
        return self

    def predict(self, X: Array) -> Array:
        """Posterior mean, (m,)."""
        return row_sums(self._component_means(self._check_input(X))) + self.y_mean_

    def contributions(self, X: Array) -> Array:
        """Posterior means of the components, (m, d + 1), each in the first of its columns.

        The process is a sum of its components, so that each mean is its own Shapley value up to a constant.
        """
        X = self._check_input(X)
        contributions = np.zeros((len(X), X.shape[1] + 1))
        first_columns = [component.columns[0] for component, _ in self._train_features]
        means = self._component_means(X)
        contributions[:, first_columns] = means[:, 1:]
        contributions[:, self._stratum_column or [-1]] += means[:, :1]
        contributions[:, -1] += self.y_mean_
        return contributions

    def set_state(self, state: State) -> Self:
        """Restore the fitted state."""
        super().set_state(state)
        width = len(self._columns.names)
        if self.X_train_.shape[1:] != (width,) or not len(self.mean_) == len(self.scale_) == width:
            raise ValueError("a process's training rows do not fit its columns")
        self._prepare()
        return self

    @property
    def _columns(self) -> Columns:
        return self.columns if self.columns is not None else Columns(())

    @property
    def _stratum_column(self) -> list[int]:
        """Index of the column of the stratum; empty without one."""
        return list(self._columns.indices([self._columns.stratum or ""]))

    def _strata(self, X: Array) -> Array:
        return np.asarray(X[:, self._stratum_column].sum(axis=1))

    def _prepare(self) -> None:
        """Compute the features of the training rows that every prediction needs."""
        rows = self.X_train_.astype(np.float64)
        self._train_strata = self._strata(rows)
        components = _components(self._columns)
        self._train_features = [(component, self._features(component, rows)) for component in components]

    def _component_means(self, X: Array) -> Array:
        """Posterior means of the stratum's mean and of each component, (m, 1 + components)."""
        X = X.astype(np.float32).astype(np.float64)
        strata, stratum_index = np.unique(self._strata(X), return_inverse=True)
        decay = self._stratum_kernel(strata)
        means = [row_sums(self._mean_kernel(strata) * self.dual_coef_)[stratum_index]]
        for variance, (component, train) in zip(self.variances_, self._train_features, strict=False):
            # The mean of a component depends on its columns and the stratum alone, and few combinations are distinct.
            distinct, inverse = _distinct_rows(X[:, [*self._stratum_column, *component.columns]])
            values = np.empty(len(distinct))
            for i in range(0, len(distinct), CHUNK_ROWS):
                rows = distinct[i : i + CHUNK_ROWS]
                kernel = self._kernel(component, self._features(component, X[rows]), train, decay[stratum_index[rows]])
                values[i : i + CHUNK_ROWS] = variance * row_sums(kernel * self.dual_coef_)
            means.append(values[inverse])
        return np.stack(means, axis=1)

    def _standardization(self, X: Array) -> tuple[Array, Array]:
        mean, scale = np.zeros(X.shape[1]), np.ones(X.shape[1])
        for component in _components(self._columns):
            present = component.present(X)
            if present.any():
                standardizer = Standardizer.fit(X[present][:, component.columns])
                mean[component.columns], scale[component.columns] = standardizer.mean, standardizer.scale
        return mean, scale

    def _mean_kernel(self, strata: Array) -> Array:
        """Prior covariance of the overall mean and the stratum's mean with those of the training rows, (m, n)."""
        return np.asarray(MEAN_VARIANCE + MEAN_VARIANCE * (strata[:, None] == self._train_strata))

    def _stratum_kernel(self, strata: Array) -> Array:
        """Squared exponential kernel between strata and those of the training rows, (m, n)."""
        return exp(-((strata[:, None] - self._train_strata) ** 2) / (2 * STRATUM_LENGTH_SCALE**2))

    def _features(self, component: Component, X: Array) -> ComponentFeatures:
        standardizer = Standardizer(self.mean_[component.measures], self.scale_[component.measures])
        distinct, index = _distinct_rows(X[:, component.counts + component.measures])
        measures = np.clip(standardizer.transform(X[distinct][:, component.measures]), -MAX_ABS_Z, MAX_ABS_Z)
        count = row_sums(X[distinct][:, component.counts] * component.count_values)
        return ComponentFeatures(X[:, component.indicators], component.present(X), index, count, measures)

    def _kernel(self, component: Component, a: ComponentFeatures, b: ComponentFeatures, decay: Array) -> Array:
        """Kernel matrix of one component, (rows of a, rows of b); `decay` is the stratum kernel of the same shape."""
        distance = np.zeros((len(a.measures), len(b.measures)))
        for measure, other in zip(a.measures.T, b.measures.T, strict=True):
            distance += (measure[:, None] - other) ** 2
        similarity = exp(-distance / (2 * max(len(component.measures), 1)))
        if component.name in (PROXY_COMPONENT, CURVE_COMPONENT):
            return similarity[a.index[:, None], b.index]
        similarity += exp(-((a.count[:, None] - b.count) ** 2) / 2)
        # The indicators are 0 or 1, so that this product is exact.
        common = a.indicators @ b.indicators.T / max(len(component.indicators), 1)
        kernel = similarity[a.index[:, None], b.index] + common
        # Two architectures that lack a part, all zeros there, must not match.
        return np.where(np.outer(a.present, b.present), kernel, 0.0) * decay


def _distinct_rows(rows: Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of the k distinct rows, (k,), and for each row the position of its equal among them, (m,)."""
    keys = [row.tobytes() for row in np.ascontiguousarray(rows)]
    last = {key: i for i, key in enumerate(keys)}
    position = {key: i for i, key in enumerate(last)}
    return np.array(list(last.values())), np.array([position[key] for key in keys])


def maximize_likelihood(
    kernels: Array, mean_kernel: Array, target: Array, start: Array, prior_precision: float, max_iter: int
) -> Array:
    """Variances of the components and the noise that maximize the marginal likelihood times the prior.

    Args:
        kernels: (components, n, n), kernel matrices of the components.
        mean_kernel: (n, n), kernel matrix of the means.
        target: (n,), standardized accuracies.
        start: (components + 1,), initial variances, the noise's last; also the modes of their log-normal priors.
        prior_precision: precision of the priors of the log variances.
        max_iter: number of optimizer steps.

    Returns:
        Variances, (components + 1,).
    """
    log_start = np.log(start)
    n = len(target)

    def loss(log_variances: Array) -> tuple[float, Array]:
        variances = np.exp(log_variances)
        covariance = mean_kernel + np.tensordot(variances[:-1], kernels, 1)
        covariance[np.diag_indices(n)] += variances[-1]
        factor = cho_factor(covariance, lower=True)
        inverse = cho_solve(factor, np.eye(n))
        dual = inverse @ target
        value = 0.5 * target @ dual + np.log(np.diag(factor[0])).sum()
        curvature = inverse - np.outer(dual, dual)
        slope = np.append(np.einsum("kij,ij->k", kernels, curvature), np.trace(curvature))
        offset = log_variances - log_start
        return float(
            value + 0.5 * prior_precision * offset @ offset
        ), 0.5 * slope * variances + prior_precision * offset

    bounds = [(-9.0, 3.0)] * len(kernels) + [(-5.0, 2.0)]
    result = minimize(loss, log_start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": max_iter})
    return np.asarray(np.exp(result.x))
