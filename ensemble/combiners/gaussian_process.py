"""Gaussian process over the backbone's slots: the combiner that tells architectures of one depth apart."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

from ensemble.combiners.base import Array, Combiner, Standardiser, State
from ensemble.rowwise import exp, row_sums
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
PROXIES = "proxy"
CHUNK = 128
"""Rows compared at once: keeps the scratch memory near 3 MB."""


@dataclass(frozen=True)
class Component:
    """Columns of one summand of the kernel.

    Attributes:
        name: the slot's, or `proxy`.
        own: numbers of its columns.
        modules, counts, norms: numbers of those of each kind.
        counted: the number of fixed-graph modules that each of `counts` stands for.
    """

    name: str
    own: list[int]
    modules: list[int]
    counts: list[int]
    norms: list[int]
    counted: Array

    @classmethod
    def of(cls, name: str, own: list[int], columns: Sequence[str]) -> Self:
        """Sorts the columns by what their names say."""
        if name == PROXIES:
            return cls(name, own, [], [], own, np.empty(0))
        names = {i: columns[i].split(".", 1)[1] for i in own}
        counts = [i for i in own if "=" in names[i]]
        modules = [i for i in own if "." not in names[i] and "=" not in names[i]]
        norms = [i for i in own if "." in names[i]]
        return cls(name, own, modules, counts, norms, np.array([float(names[i].split("=")[1]) for i in counts]))


@lru_cache(maxsize=16)
def _components(columns: tuple[str, ...]) -> tuple[Component, ...]:
    """By slot, and one for the proxies."""
    groups: dict[str, list[int]] = {}
    for i, name in enumerate(columns):
        if match := SLOT.fullmatch(name):
            groups.setdefault(match[1], []).append(i)
        elif name.startswith("proxy."):
            groups.setdefault(PROXIES, []).append(i)
    return tuple(Component.of(name, own, columns) for name, own in groups.items())


@dataclass(frozen=True)
class Seen:
    """What a component compares of m rows.

    Attributes:
        modules: (m, modules), which modules are there.
        there: (m,), whether the network has the slot.
        graph: (m,), numbers of the rows' graphs, of which there are few.
        count: (graphs,), number of fixed-graph modules.
        norms: (graphs, norms), standardised and clipped; or the proxies.
    """

    modules: Array
    there: NDArray[np.bool_]
    graph: NDArray[np.int64]
    count: Array
    norms: Array


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
        # Stored rows are float32: whoever is compared is rounded alike, so that a training row meets itself.
        self.rows_ = X.astype(np.float32)
        rows = self.rows_.astype(np.float64)
        self.mean_, self.scale_ = self._standardisation(rows)
        self._remember()
        decay = self._decay(self._depths)
        components = np.stack([self._kernel(part, self._seen(part, rows), known, decay) for part, known in self._known])
        wide = self._wide(self._depths)
        self.centre_ = np.array(y.mean())
        spread = y.std() or 1.0
        target = (y - y.mean()) / spread
        self.variances_ = _most_likely(components, wide, target, self.iterations)
        covariance = wide + np.tensordot(self.variances_[:-1], components, 1)
        covariance[np.diag_indices(len(y))] += self.variances_[-1]
        self.dual_ = spread * cho_solve(cho_factor(covariance, lower=True), target)
        return self

    def predict(self, X: Array) -> Array:
        return row_sums(self._parts(self._data(X))) + self.centre_

    def contributions(self, X: Array) -> Array:
        """A component's whole contribution stands in the first of its columns. The process is a sum of its components,
        so that each is its own Shapley value, up to a constant.
        """
        X = self._data(X)
        parts = np.zeros((len(X), X.shape[1] + 1))
        parts[:, [self._depth_column, *(part.own[0] for part, _ in self._known)]] = self._parts(X)
        parts[:, -1] = self.centre_
        return parts

    def set_state(self, state: State) -> Self:
        super().set_state(state)
        width = len(self.columns)
        if self.rows_.shape[1:] != (width,) or not len(self.mean_) == len(self.scale_) == width:
            raise ValueError("a process's training rows do not fit its columns")
        self._remember()
        return self

    def _remember(self) -> None:
        """What every prediction needs of the training rows, beside what is stored."""
        rows = self.rows_.astype(np.float64)
        self._depth_column = list(self.columns).index("depth")
        self._depths = rows[:, self._depth_column]
        self._known = [(part, self._seen(part, rows)) for part in _components(tuple(self.columns))]

    def _parts(self, X: Array) -> Array:
        """Contributions of the level and of each component, (m, 1 + components)."""
        X = X.astype(np.float32).astype(np.float64)
        depths, depth = np.unique(X[:, self._depth_column], return_inverse=True)
        decay = self._decay(depths)
        parts = [row_sums(self._wide(depths) * self.dual_)[depth]]
        for variance, (part, known) in zip(self.variances_, self._known, strict=False):
            # Few rows are left: what a slot adds depends on nothing but the slot and the depth.
            chosen, place = _distinct(X[:, [self._depth_column, *part.own]])
            added = np.empty(len(chosen))
            for i in range(0, len(chosen), CHUNK):
                rows = chosen[i : i + CHUNK]
                kernel = self._kernel(part, self._seen(part, X[rows]), known, decay[depth[rows]])
                added[i : i + CHUNK] = variance * row_sums(kernel * self.dual_)
            parts.append(added[place])
        return np.stack(parts, axis=1)

    def _standardisation(self, X: Array) -> tuple[Array, Array]:
        mean, scale = np.zeros(X.shape[1]), np.ones(X.shape[1])
        for part in _components(tuple(self.columns)):
            there = X[:, part.own].any(axis=1) | (part.name == PROXIES)
            if there.any():
                standardise = Standardiser.of(X[there][:, part.own])
                mean[part.own], scale[part.own] = standardise.mean, standardise.scale
        return mean, scale

    def _wide(self, depths: Array) -> Array:
        """Prior covariance of the level, and of a depth's own, with the training rows', (m, n)."""
        return np.asarray(WIDE + WIDE * (depths[:, None] == self._depths))

    def _decay(self, depths: Array) -> Array:
        """How much slots at these depths have in common with those of the training rows, (m, n)."""
        return exp(-((depths[:, None] - self._depths) ** 2) / (2 * DEPTH_LENGTH**2))

    def _seen(self, part: Component, X: Array) -> Seen:
        standardise = Standardiser(self.mean_[part.norms], self.scale_[part.norms])
        graphs, graph = _distinct(X[:, part.counts + part.norms])
        norms = np.clip(standardise(X[graphs][:, part.norms]), -CLIP, CLIP)
        count = row_sums(X[graphs][:, part.counts] * part.counted)
        return Seen(X[:, part.modules], np.asarray(X[:, part.own].any(axis=1)), graph, count, norms)

    def _kernel(self, part: Component, a: Seen, b: Seen, decay: Array) -> Array:
        """Kernel matrix of one component, (a's rows, b's rows); `decay`, of the same shape, is by their depths."""
        distance = np.zeros((len(a.norms), len(b.norms)))
        for own, other in zip(a.norms.T, b.norms.T, strict=True):
            distance += (own[:, None] - other) ** 2
        graphs = exp(-distance / (2 * max(len(part.norms), 1)))
        if part.name == PROXIES:
            return graphs[a.graph[:, None], b.graph]
        graphs += exp(-((a.count[:, None] - b.count) ** 2) / 2)
        # Modules are there (1) or not (0): this product is exact.
        kernel = graphs[a.graph[:, None], b.graph] + a.modules @ b.modules.T / max(len(part.modules), 1)
        # A slot that a network does not have is all zeros: it says nothing about the network, and must not match.
        return np.where(np.outer(a.there, b.there), kernel, 0.0) * decay


def _distinct(rows: Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of rows that together are all that there are, (k,), and which of those k each row is equal to, (m,)."""
    texts = [row.tobytes() for row in np.ascontiguousarray(rows)]
    last = {text: i for i, text in enumerate(texts)}
    place = {text: i for i, text in enumerate(last)}
    return np.array(list(last.values())), np.array([place[text] for text in texts])


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
