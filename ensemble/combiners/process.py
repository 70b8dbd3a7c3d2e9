"""Gaussian process over the backbone's slots: the combiner that tells architectures of one depth apart."""

import re
from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

from ensemble.combiners.base import Array, Combiner, Standardiser
from models import InputError

SLOT = re.compile(r"(slot\d+)\.(.+)")
DEPTH_LENGTH = 4.0
"""Length scale of the depth, in layers: what a slot's modules do changes slowly with the depth around it."""
WIDE = 10.0
"""Prior variance of the overall level and of each depth's own, in variances of the accuracy: as good as free."""
START, START_NOISE = 0.02, 0.2
"""Where the search for the components' variances starts, and where their log-normal prior has its mode."""
PRIOR = 0.1
"""Precision of that prior on the logarithms: weak, it only holds components that the data say nothing about."""
CLIP = 3.0
CHUNK = 2048
"""Rows predicted at once: keeps the scratch memory near 100 MB."""


class SlotProcess(Combiner):
    """Gaussian process regression whose kernel is a sum over slots, and one component for the proxies.

    A slot's component compares two networks that both have the slot: by the modules that they share there (linear),
    by their number of fixed-graph modules (squared exponential, length 1) and by the norms of the slot's summed
    polynomials (squared exponential), all times a squared exponential in the depth. Each component's variance, and the
    noise, maximise the marginal likelihood (Rasmussen & Williams 2006, ch. 5) under a weak prior.

    Args:
        columns: names of the columns of X: `depth`, those of slots, `proxy.*`; any others are not looked at.
        iterations: steps of the search for the variances.

    Attributes:
        rows_: (n, d) float32, the training rows that the kernel compares with.
        dual_: (n,), weights of the training rows.
        mean_, scale_: (d,), standardisation of the norms and proxies; over the networks that have the slot.
        variances_: (components + 1,), of each component, the noise last, relative to the accuracy's variance.
        centre_: mean accuracy of the training rows.
    """

    fitted_arrays = ("rows_", "dual_", "mean_", "scale_", "variances_", "centre_")
    additive = True

    rows_: NDArray[np.float32]
    dual_: Array
    mean_: Array
    scale_: Array
    variances_: Array
    centre_: Array

    def __init__(self, columns: Sequence[str] = (), iterations: int = 8) -> None:
        self.columns = columns
        self.iterations = iterations

    def fit(self, X: Array, y: Array) -> Self:
        X, y = self._training_data(X, y)
        if len(self.columns) != X.shape[1] or "depth" not in self.columns:
            raise InputError("columns", list(self.columns), f"{X.shape[1]} names, among them depth")
        self.rows_ = X.astype(np.float32)
        self.mean_, self.scale_ = self._standardisation(self.rows_.astype(np.float64))
        components = np.stack(self._components(X, X))
        wide = self._wide(X, X)
        self.centre_ = np.array(y.mean())
        spread = y.std() or 1.0
        target = (y - y.mean()) / spread
        self.variances_ = _most_likely(components, wide, target, self.iterations)
        covariance = wide + np.tensordot(self.variances_[:-1], components, 1)
        covariance[np.diag_indices(len(y))] += self.variances_[-1]
        self.dual_ = spread * cho_solve(cho_factor(covariance, lower=True), target)
        return self

    def predict(self, X: Array) -> Array:
        X = self._data(X)
        rows = self.rows_.astype(np.float64)
        parts = [self._predicted(X[i : i + CHUNK], rows) for i in range(0, len(X), CHUNK)]
        return np.concatenate(parts) + self.centre_

    def contributions(self, X: Array) -> Array:
        """A component's whole contribution stands in the first of its columns. The process is a sum of its components,
        so that each is its own Shapley value, up to a constant."""
        X = self._data(X)
        parts = np.zeros((len(X), X.shape[1] + 1))
        columns = [list(self.columns).index("depth"), *(group[0] for group in self._groups().values())]
        parts[:, columns] = self._parts(X, self.rows_.astype(np.float64)).T
        parts[:, -1] = self.centre_
        return parts

    def _predicted(self, X: Array, rows: Array) -> Array:
        return np.asarray(self._parts(X, rows).sum(axis=0))

    def _parts(self, X: Array, rows: Array) -> Array:
        """What the level and each component add, (1 + components, m)."""
        components = zip(self.variances_, self._components(X, rows), strict=False)
        return np.stack([self._wide(X, rows) @ self.dual_, *(v * (part @ self.dual_) for v, part in components)])

    def _groups(self) -> dict[str, list[int]]:
        """Column numbers by slot, and under `proxy` those of the proxies."""
        groups: dict[str, list[int]] = {}
        for i, name in enumerate(self.columns):
            if match := SLOT.fullmatch(name):
                groups.setdefault(match[1], []).append(i)
            elif name.startswith("proxy."):
                groups.setdefault("proxy", []).append(i)
        return groups

    def _standardisation(self, X: Array) -> tuple[Array, Array]:
        mean, scale = np.zeros(X.shape[1]), np.ones(X.shape[1])
        for name, group in self._groups().items():
            there = X[:, group].any(axis=1) | (name == "proxy")
            if there.any():
                standardise = Standardiser.of(X[there][:, group])
                mean[group], scale[group] = standardise.mean, standardise.scale
        return mean, scale

    def _depth(self, X: Array) -> Array:
        return np.asarray(X[:, list(self.columns).index("depth")])

    def _wide(self, A: Array, B: Array) -> Array:
        return np.asarray(WIDE + WIDE * (self._depth(A)[:, None] == self._depth(B)[None]))

    def _components(self, A: Array, B: Array) -> list[Array]:
        """Each component's kernel matrix between rows A and B, (a, b)."""
        # Stored rows are float32: both sides are rounded alike, so that a training row meets itself.
        A, B = A.astype(np.float32).astype(np.float64), B.astype(np.float32).astype(np.float64)
        by_depth = np.exp(-((self._depth(A)[:, None] - self._depth(B)[None]) ** 2) / (2 * DEPTH_LENGTH**2))
        return [
            self._alike(A, B, group) if name == "proxy" else self._slot(A, B, group) * by_depth
            for name, group in self._groups().items()
        ]

    def _slot(self, A: Array, B: Array, group: list[int]) -> Array:
        names = {i: self.columns[i].split(".", 1)[1] for i in group}
        modules = [i for i, name in names.items() if "." not in name and "=" not in name]
        numbers = [i for i, name in names.items() if "=" in name]
        coded = np.array([float(names[i].split("=")[1]) for i in numbers])
        norms = [i for i, name in names.items() if "." in name]
        kernel = A[:, modules] @ B[:, modules].T / max(len(modules), 1)
        kernel += np.exp(-(((A[:, numbers] @ coded)[:, None] - (B[:, numbers] @ coded)[None]) ** 2) / 2)
        kernel += self._alike(A, B, norms)
        # A slot that a network does not have is all zeros: it says nothing about the network, and must not match.
        return np.asarray(np.where(np.outer(A[:, group].any(axis=1), B[:, group].any(axis=1)), kernel, 0.0))

    def _alike(self, A: Array, B: Array, columns: list[int]) -> Array:
        """Squared exponential of the mean square distance between standardised, clipped columns."""
        standardise = Standardiser(self.mean_[columns], self.scale_[columns])
        a, b = (np.clip(standardise(rows[:, columns]), -CLIP, CLIP) for rows in (A, B))
        distance = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None] - 2 * a @ b.T
        return np.asarray(np.exp(-np.maximum(distance, 0) / (2 * max(len(columns), 1))))


def _most_likely(components: Array, wide: Array, target: Array, iterations: int) -> Array:
    """Variances of the components and of the noise that maximise the marginal likelihood times the prior."""
    start = np.log(np.array([START] * len(components) + [START_NOISE]))
    n = len(target)

    def loss(logs: Array) -> tuple[float, Array]:
        variances = np.exp(logs)
        covariance = wide + np.tensordot(variances[:-1], components, 1)
        covariance[np.diag_indices(n)] += variances[-1]
        factor = cho_factor(covariance, lower=True)
        inverse = cho_solve(factor, np.eye(n))
        dual = inverse @ target
        value = 0.5 * target @ dual + np.log(np.diag(factor[0])).sum()
        curvature = inverse - np.outer(dual, dual)
        slope = np.append(np.einsum("kij,ij->k", components, curvature), np.trace(curvature))
        away = logs - start
        return float(value + 0.5 * PRIOR * away @ away), 0.5 * slope * variances + PRIOR * away

    bounds = [(-9.0, 3.0)] * len(components) + [(-5.0, 2.0)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": iterations})
    return np.asarray(np.exp(found.x))
