"""Models that were tried beside those that were kept; see trials.py."""

from typing import Self

import numpy as np
import torch
from xgboost import XGBRanker

from ensemble.combiners.base import Array, Combiner, Standardizer
from ensemble.combiners.fitting import fit_cached


class ListMLE(Combiner):
    """Listwise ranking (Xia et al. 2008): the likelihood of the training rows' true order, of all and of each depth."""

    def __init__(self, depth: int = 0, hidden: int = 32, seeds: int = 5, steps: int = 60, decay: float = 5.0) -> None:
        self.depth, self.hidden, self.seeds, self.steps, self.decay = depth, hidden, seeds, steps, decay

    def fit(self, X: Array, y: Array) -> Self:
        X, y = self._check_fit_input(X, y)
        self.standardizer_ = Standardizer.fit(X)
        Z = torch.tensor(self.standardizer_.transform(X), dtype=torch.float32)
        depths = X[:, self.depth]
        lists = [np.flatnonzero(depths == depth) for depth in np.unique(depths)] + [np.arange(len(y))]
        orders = [torch.tensor(rows[np.argsort(-y[rows], kind="stable")]) for rows in lists]
        self.networks_ = [self._trained(Z, orders, seed) for seed in range(self.seeds)]
        return self

    def predict(self, X: Array) -> Array:
        Z = torch.tensor(self.standardizer_.transform(self._check_input(X)), dtype=torch.float32)
        with torch.no_grad():
            return np.mean([network(Z)[:, 0].double().numpy() for network in self.networks_], axis=0)

    def _trained(self, Z: torch.Tensor, orders: list[torch.Tensor], seed: int) -> torch.nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            network = torch.nn.Sequential(
                torch.nn.Linear(Z.shape[1], self.hidden), torch.nn.ReLU(), torch.nn.Linear(self.hidden, 1)
            )
        optimiser = torch.optim.AdamW(network.parameters(), lr=0.005, weight_decay=self.decay)
        for _ in range(self.steps):
            optimiser.zero_grad()
            scores = network(Z)[:, 0]
            sorted_scores = [scores[order] for order in orders]
            loss = torch.stack([(one.flip(0).logcumsumexp(0).flip(0) - one).mean() for one in sorted_scores]).sum()
            loss.backward()
            optimiser.step()
        return network


class PairwiseBoosting(Combiner):
    """XGBoost's `rank:pairwise` (Burges 2010, LambdaMART) within each depth, laid around the depth's mean accuracy."""

    def __init__(self, depth: int = 0, trees: int = 200, seed: int = 0) -> None:
        self.depth, self.trees, self.seed = depth, trees, seed

    def fit(self, X: Array, y: Array) -> Self:
        X, y = self._check_fit_input(X, y)
        order = np.argsort(X[:, self.depth], kind="stable")
        X, y = X[order], y[order]
        depths, group = np.unique(X[:, self.depth], return_inverse=True)
        grades = np.zeros(len(y), dtype=np.int64)
        for i in range(len(depths)):
            rows = np.flatnonzero(group == i)
            grades[rows[np.argsort(y[rows])]] = np.arange(len(rows)) * 31 // len(rows)
        self.model_ = XGBRanker(
            objective="rank:pairwise", n_estimators=self.trees, max_depth=3, learning_rate=0.05, subsample=0.8,
            colsample_bytree=0.3, min_child_weight=3, reg_lambda=3.0, n_jobs=1, random_state=self.seed,
            lambdarank_pair_method="mean", lambdarank_num_pair_per_sample=8,
        ).fit(X, grades, qid=group)  # fmt: skip
        fitted = self.model_.predict(X)
        self.depths_ = depths
        self.laid_ = np.array(
            [
                (y[g].mean(), y[g].std(), fitted[g].mean(), fitted[g].std())
                for g in (group == i for i in range(len(depths)))
            ]
        )
        return self

    def predict(self, X: Array) -> Array:
        X = self._check_input(X)
        mean, spread, centre, scale = self.laid_[np.searchsorted(self.depths_, X[:, self.depth])].T
        # Half the spread: about what can be predicted of it.
        return np.asarray(mean + 0.5 * spread * (self.model_.predict(X) - centre) / scale)


class RankedProxies(Combiner):
    """A model that sees each proxy as its rank among the training rows of the same depth, 0 to 1."""

    def __init__(self, model: Combiner | None = None, depth: int = 0, proxies: tuple[int, ...] = ()) -> None:
        self.model, self.depth, self.proxies = model, depth, proxies

    def fit(self, X: Array, y: Array) -> Self:
        X, y = self._check_fit_input(X, y)
        depths = X[:, self.depth]
        self.sorted_ = {
            depth: np.sort(X[depths == depth][:, list(self.proxies)], axis=0) for depth in np.unique(depths)
        }
        assert self.model is not None
        self.model.fit(self._ranked(X), y)
        return self

    def predict(self, X: Array) -> Array:
        assert self.model is not None
        return self.model.predict(self._ranked(self._check_input(X)))

    def _ranked(self, X: Array) -> Array:
        X = X.copy()
        for depth, columns in self.sorted_.items():
            rows = np.flatnonzero(X[:, self.depth] == depth)
            for column, values in zip(self.proxies, columns.T, strict=True):
                X[rows, column] = np.searchsorted(values, X[rows, column]) / len(values)
        return X


class Average(Combiner):
    """The plain mean of several models."""

    def __init__(self, models: tuple[Combiner, ...] = ()) -> None:
        self.models = models

    def fit(self, X: Array, y: Array) -> Self:
        X, y = self._check_fit_input(X, y)
        self.models_ = [fit_cached(model, X, y) for model in self.models]
        return self

    def predict(self, X: Array) -> Array:
        return np.mean([model.predict(X) for model in self.models_], axis=0)
