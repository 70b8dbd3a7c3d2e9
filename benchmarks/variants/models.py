"""Combiners that were tried and not kept."""

from typing import Self

import numpy as np
import torch
from xgboost import XGBRanker

from ensemble.combiners.base import Array, Combiner, Standardizer
from ensemble.combiners.fitting import fit_cached


class ListMLE(Combiner):
    """Listwise ranking (Xia et al. 2008): likelihood of the true order of all training rows and of each stratum."""

    def __init__(
        self,
        stratum_column: int = 0,
        hidden_units: int = 32,
        n_networks: int = 5,
        max_iter: int = 60,
        weight_decay: float = 5.0,
    ) -> None:
        self.stratum_column = stratum_column
        self.hidden_units = hidden_units
        self.n_networks = n_networks
        self.max_iter = max_iter
        self.weight_decay = weight_decay

    def fit(self, X: Array, y: Array) -> Self:
        X, y = self._check_fit_input(X, y)
        self.standardizer_ = Standardizer.fit(X)
        Z = torch.tensor(self.standardizer_.transform(X), dtype=torch.float32)
        strata = X[:, self.stratum_column]
        lists = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)] + [np.arange(len(y))]
        orders = [torch.tensor(rows[np.argsort(-y[rows], kind="stable")]) for rows in lists]
        self.networks_ = [self._train(Z, orders, seed) for seed in range(self.n_networks)]
        return self

    def predict(self, X: Array) -> Array:
        Z = torch.tensor(self.standardizer_.transform(self._check_input(X)), dtype=torch.float32)
        with torch.no_grad():
            return np.asarray(np.mean([network(Z)[:, 0].double().numpy() for network in self.networks_], axis=0))

    def _train(self, Z: torch.Tensor, orders: list[torch.Tensor], seed: int) -> torch.nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            network = torch.nn.Sequential(
                torch.nn.Linear(Z.shape[1], self.hidden_units), torch.nn.ReLU(), torch.nn.Linear(self.hidden_units, 1)
            )
        optimizer = torch.optim.AdamW(network.parameters(), lr=0.005, weight_decay=self.weight_decay)
        for _ in range(self.max_iter):
            optimizer.zero_grad()
            scores = network(Z)[:, 0]
            sorted_scores = [scores[order] for order in orders]
            losses = [(ranked.flip(0).logcumsumexp(0).flip(0) - ranked).mean() for ranked in sorted_scores]
            torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        return network


class PairwiseBoosting(Combiner):
    """XGBoost's `rank:pairwise` (Burges 2010, LambdaMART) within each stratum, rescaled to the stratum's accuracies."""

    def __init__(self, stratum_column: int = 0, n_estimators: int = 200, random_state: int = 0) -> None:
        self.stratum_column, self.n_estimators, self.random_state = stratum_column, n_estimators, random_state

    def fit(self, X: Array, y: Array) -> Self:
        X, y = self._check_fit_input(X, y)
        order = np.argsort(X[:, self.stratum_column], kind="stable")
        X, y = X[order], y[order]
        strata, group = np.unique(X[:, self.stratum_column], return_inverse=True)
        grades = np.zeros(len(y), dtype=np.int64)
        for i in range(len(strata)):
            rows = np.flatnonzero(group == i)
            grades[rows[np.argsort(y[rows])]] = np.arange(len(rows)) * 31 // len(rows)
        self.model_ = XGBRanker(
            objective="rank:pairwise", n_estimators=self.n_estimators, max_depth=3, learning_rate=0.05, subsample=0.8,
            colsample_bytree=0.3, min_child_weight=3, reg_lambda=3.0, n_jobs=1, random_state=self.random_state,
            lambdarank_pair_method="mean", lambdarank_num_pair_per_sample=8,
        ).fit(X, grades, qid=group)  # fmt: skip
        fitted = self.model_.predict(X)
        self.strata_ = strata
        self.scaling_ = np.array(
            [
                (y[g].mean(), y[g].std(), fitted[g].mean(), fitted[g].std())
                for g in (group == i for i in range(len(strata)))
            ]
        )
        return self

    def predict(self, X: Array) -> Array:
        X = self._check_input(X)
        mean, std, score_mean, score_std = self.scaling_[np.searchsorted(self.strata_, X[:, self.stratum_column])].T
        # Half the standard deviation: about the predictable part.
        return np.asarray(mean + 0.5 * std * (self.model_.predict(X) - score_mean) / score_std)


class RankedProxies(Combiner):
    """A model on proxies that are replaced by their ranks among the training rows of the stratum, 0 to 1."""

    def __init__(
        self, estimator: Combiner | None = None, stratum_column: int = 0, proxies: tuple[int, ...] = ()
    ) -> None:
        self.estimator, self.stratum_column, self.proxies = estimator, stratum_column, proxies

    def fit(self, X: Array, y: Array) -> Self:
        X, y = self._check_fit_input(X, y)
        strata = X[:, self.stratum_column]
        self.sorted_ = {
            stratum: np.sort(X[strata == stratum][:, list(self.proxies)], axis=0) for stratum in np.unique(strata)
        }
        assert self.estimator is not None
        self.estimator.fit(self._rank(X), y)
        return self

    def predict(self, X: Array) -> Array:
        assert self.estimator is not None
        return self.estimator.predict(self._rank(self._check_input(X)))

    def _rank(self, X: Array) -> Array:
        X = X.copy()
        for stratum, columns in self.sorted_.items():
            rows = np.flatnonzero(X[:, self.stratum_column] == stratum)
            for column, values in zip(self.proxies, columns.T, strict=True):
                X[rows, column] = np.searchsorted(values, X[rows, column]) / len(values)
        return X


class Average(Combiner):
    """Unweighted mean of several models."""

    def __init__(self, estimators: tuple[Combiner, ...] = ()) -> None:
        self.estimators = estimators

    def fit(self, X: Array, y: Array) -> Self:
        X, y = self._check_fit_input(X, y)
        self.models_ = [fit_cached(model, X, y) for model in self.estimators]
        return self

    def predict(self, X: Array) -> Array:
        return np.asarray(np.mean([model.predict(X) for model in self.models_], axis=0))
