"""Gaussian process with an additive kernel over the slots of a backbone."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

from ensemble.combiners.base import Array, Combiner, Standardizer, State
from ensemble.rowwise import exp, row_sums
from models import InputError

SLOT = re.compile(r"(slot\d+)\.(.+)")
DEPTH_LENGTH_SCALE = 4.0
"""Length scale of the depth, in layers: the effect of a slot's modules changes slowly with the depth."""
MEAN_VARIANCE = 10.0
"""Prior variance of the overall mean and of each depth's mean, in variances of the accuracy: practically flat."""
INITIAL_VARIANCE, INITIAL_NOISE = 0.02, 0.2
"""Initial variances of the components and of the noise, also the modes of their log-normal priors."""
PRIOR_PRECISION = 0.1
"""Precision of the priors of the log variances: weak, it only holds components that the data do not constrain."""
MAX_ABS_Z = 3.0
"""Standardized norms and proxies are clipped to this absolute value."""
PROXY_COMPONENT = "proxy"
CHUNK_ROWS = 128
"""Rows compared at once: limits the scratch memory to about 3 MB."""


@dataclass(frozen=True)
class Component:
    """Columns of one summand of the kernel.

    Attributes:
        name: of the slot, or `PROXY_COMPONENT`.
        columns: indices of all its columns.
        modules, counts, norms: indices of the columns of each kind.
        count_values: (counts,), number of fixed-graph modules that each column of `counts` indicates.
    """

    name: str
    columns: list[int]
    modules: list[int]
    counts: list[int]
    norms: list[int]
    count_values: Array

    @classmethod
    def from_names(cls, name: str, columns: list[int], feature_names: Sequence[str]) -> Self:
        """Sort columns into kinds by their names."""
        if name == PROXY_COMPONENT:
            return cls(name, columns, [], [], columns, np.empty(0))
        names = {i: feature_names[i].split(".", 1)[1] for i in columns}
        counts = [i for i in columns if "=" in names[i]]
        modules = [i for i in columns if "." not in names[i] and "=" not in names[i]]
        norms = [i for i in columns if "." in names[i]]
        return cls(name, columns, modules, counts, norms, np.array([float(names[i].split("=")[1]) for i in counts]))


@lru_cache(maxsize=16)
def _components(feature_names: tuple[str, ...]) -> tuple[Component, ...]:
    """One component for each slot, and one for the proxies."""
    groups: dict[str, list[int]] = {}
    for i, name in enumerate(feature_names):
        if match := SLOT.fullmatch(name):
            groups.setdefault(match[1], []).append(i)
        elif name.startswith("proxy."):
            groups.setdefault(PROXY_COMPONENT, []).append(i)
    return tuple(Component.from_names(name, columns, feature_names) for name, columns in groups.items())


@dataclass(frozen=True)
class ComponentFeatures:
    """Features of m rows that a component compares. Rows share few distinct graphs.

    Attributes:
        modules: (m, modules), indicators of the modules.
        present: (m,), whether the network has the slot.
        graph: (m,), index of the row's graph.
        count: (graphs,), number of fixed-graph modules.
        norms: (graphs, norms), standardized and clipped norms, or proxies.
    """

    modules: Array
    present: NDArray[np.bool_]
    graph: NDArray[np.int64]
    count: Array
    norms: Array


class AdditiveGaussianProcess(Combiner):
    """Gaussian process regression with a kernel that is a sum over slots, plus one component for the proxies.

    The component of a slot compares two networks that both have the slot: by their common modules there (linear), their
    number of fixed-graph modules (squared exponential, length scale 1) and the norms of the slot's summed polynomials
    (squared exponential), all times a squared exponential in the depth. The variances of the components and of the
    noise maximize the marginal likelihood (Rasmussen & Williams 2006, ch. 5) under a weak prior.

    Args:
        feature_names: names of the columns of X: `depth`, those of slots, `proxy.*`; others are ignored.
        max_iter: number of optimizer steps for the variances.

    Attributes:
        X_train_: (n, d) float32, the training rows.
        dual_coef_: (n,), coefficients of the training rows.
        mean_, scale_: (d,), standardization of the norms and proxies, over the networks that have the slot.
        variances_: (components + 1,), of the components and, last, of the noise, relative to the accuracy's variance.
        y_mean_: mean accuracy of the training rows.
    """

    fitted_arrays = ("X_train_", "dual_coef_", "mean_", "scale_", "variances_", "y_mean_")
    additive = True

    X_train_: NDArray[np.float32]
    dual_coef_: Array
    mean_: Array
    scale_: Array
    variances_: Array
    y_mean_: Array

    def __init__(self, feature_names: Sequence[str] = (), max_iter: int = 8) -> None:
        self.feature_names = feature_names
        self.max_iter = max_iter

    def fit(self, X: Array, y: Array) -> Self:
        """Fit the variances and the coefficients of the training rows."""
        X, y = self._check_fit_input(X, y)
        if len(self.feature_names) != X.shape[1] or "depth" not in self.feature_names:
            raise InputError("feature_names", list(self.feature_names), f"{X.shape[1]} names, among them depth")
        # All rows are rounded to float32, as the stored ones are, so that a training row equals itself.
        self.X_train_ = X.astype(np.float32)
        rows = self.X_train_.astype(np.float64)
        self.mean_, self.scale_ = self._standardization(rows)
        self._prepare()
        decay = self._depth_kernel(self._train_depths)
        kernels = np.stack(
            [
                self._kernel(component, self._features(component, rows), train, decay)
                for component, train in self._train_features
            ]
        )
        mean_kernel = self._mean_kernel(self._train_depths)
        self.y_mean_ = np.array(y.mean())
        y_scale = y.std() or 1.0
        target = (y - y.mean()) / y_scale
        self.variances_ = _maximize_likelihood(kernels, mean_kernel, target, self.max_iter)
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
        contributions[:, [self._depth_column, *first_columns]] = self._component_means(X)
        contributions[:, -1] = self.y_mean_
        return contributions

    def set_state(self, state: State) -> Self:
        """Restore the fitted state."""
        super().set_state(state)
        width = len(self.feature_names)
        if self.X_train_.shape[1:] != (width,) or not len(self.mean_) == len(self.scale_) == width:
            raise ValueError("a process's training rows do not fit its columns")
        self._prepare()
        return self

    def _prepare(self) -> None:
        """Compute the features of the training rows that every prediction needs."""
        rows = self.X_train_.astype(np.float64)
        self._depth_column = list(self.feature_names).index("depth")
        self._train_depths = rows[:, self._depth_column]
        self._train_features = [
            (component, self._features(component, rows)) for component in _components(tuple(self.feature_names))
        ]

    def _component_means(self, X: Array) -> Array:
        """Posterior means of the depth's mean and of each component, (m, 1 + components)."""
        X = X.astype(np.float32).astype(np.float64)
        depths, depth_index = np.unique(X[:, self._depth_column], return_inverse=True)
        decay = self._depth_kernel(depths)
        means = [row_sums(self._mean_kernel(depths) * self.dual_coef_)[depth_index]]
        for variance, (component, train) in zip(self.variances_, self._train_features, strict=False):
            # The mean of a component depends on its columns and the depth alone, and few combinations are distinct.
            distinct, inverse = _distinct_rows(X[:, [self._depth_column, *component.columns]])
            values = np.empty(len(distinct))
            for i in range(0, len(distinct), CHUNK_ROWS):
                rows = distinct[i : i + CHUNK_ROWS]
                kernel = self._kernel(component, self._features(component, X[rows]), train, decay[depth_index[rows]])
                values[i : i + CHUNK_ROWS] = variance * row_sums(kernel * self.dual_coef_)
            means.append(values[inverse])
        return np.stack(means, axis=1)

    def _standardization(self, X: Array) -> tuple[Array, Array]:
        mean, scale = np.zeros(X.shape[1]), np.ones(X.shape[1])
        for component in _components(tuple(self.feature_names)):
            present = X[:, component.columns].any(axis=1) | (component.name == PROXY_COMPONENT)
            if present.any():
                standardizer = Standardizer.fit(X[present][:, component.columns])
                mean[component.columns], scale[component.columns] = standardizer.mean, standardizer.scale
        return mean, scale

    def _mean_kernel(self, depths: Array) -> Array:
        """Prior covariance of the overall mean and the depth's mean with those of the training rows, (m, n)."""
        return np.asarray(MEAN_VARIANCE + MEAN_VARIANCE * (depths[:, None] == self._train_depths))

    def _depth_kernel(self, depths: Array) -> Array:
        """Squared exponential kernel between depths and those of the training rows, (m, n)."""
        return exp(-((depths[:, None] - self._train_depths) ** 2) / (2 * DEPTH_LENGTH_SCALE**2))

    def _features(self, component: Component, X: Array) -> ComponentFeatures:
        standardizer = Standardizer(self.mean_[component.norms], self.scale_[component.norms])
        graphs, graph = _distinct_rows(X[:, component.counts + component.norms])
        norms = np.clip(standardizer.transform(X[graphs][:, component.norms]), -MAX_ABS_Z, MAX_ABS_Z)
        count = row_sums(X[graphs][:, component.counts] * component.count_values)
        present = np.asarray(X[:, component.columns].any(axis=1))
        return ComponentFeatures(X[:, component.modules], present, graph, count, norms)

    def _kernel(self, component: Component, a: ComponentFeatures, b: ComponentFeatures, decay: Array) -> Array:
        """Kernel matrix of one component, (rows of a, rows of b); `decay` is the depth kernel of the same shape."""
        distance = np.zeros((len(a.norms), len(b.norms)))
        for norm, other in zip(a.norms.T, b.norms.T, strict=True):
            distance += (norm[:, None] - other) ** 2
        graphs = exp(-distance / (2 * max(len(component.norms), 1)))
        if component.name == PROXY_COMPONENT:
            return graphs[a.graph[:, None], b.graph]
        graphs += exp(-((a.count[:, None] - b.count) ** 2) / 2)
        # The indicators are 0 or 1, so that this product is exact.
        kernel = graphs[a.graph[:, None], b.graph] + a.modules @ b.modules.T / max(len(component.modules), 1)
        # Two networks that lack a slot, all zeros there, must not match.
        return np.where(np.outer(a.present, b.present), kernel, 0.0) * decay


def _distinct_rows(rows: Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of the k distinct rows, (k,), and for each row the position of its equal among them, (m,)."""
    keys = [row.tobytes() for row in np.ascontiguousarray(rows)]
    last = {key: i for i, key in enumerate(keys)}
    position = {key: i for i, key in enumerate(last)}
    return np.array(list(last.values())), np.array([position[key] for key in keys])


def _maximize_likelihood(kernels: Array, mean_kernel: Array, target: Array, max_iter: int) -> Array:
    """Variances of the components and the noise that maximize the marginal likelihood times the prior.

    Args:
        kernels: (components, n, n), kernel matrices of the components.
        mean_kernel: (n, n), kernel matrix of the means.
        target: (n,), standardized accuracies.
        max_iter: number of optimizer steps.

    Returns:
        Variances, (components + 1,).
    """
    start = np.log(np.array([INITIAL_VARIANCE] * len(kernels) + [INITIAL_NOISE]))
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
        offset = log_variances - start
        return float(
            value + 0.5 * PRIOR_PRECISION * offset @ offset
        ), 0.5 * slope * variances + PRIOR_PRECISION * offset

    bounds = [(-9.0, 3.0)] * len(kernels) + [(-5.0, 2.0)]
    result = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": max_iter})
    return np.asarray(np.exp(result.x))
