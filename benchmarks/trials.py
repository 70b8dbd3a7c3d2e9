"""What was tried for the prediction: models and features beside those that were kept, on the same folds.

    python benchmarks/trials.py --benchmark DIR [--repeats 3] [--only NAME …]

Prints a Markdown table: mean and standard deviation over the repeats of Spearman's ρ and of the mean ρ within depth.
The variants are fitted on the training rows of each fold, like all that is fitted; intervals are left out.
"""

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from joblib import Parallel, delayed  # type: ignore[import-untyped]
from rich.console import Console
from rich.progress import track
from xgboost import XGBRanker

from ensemble import FeatureTable, load_benchmark, load_scores
from ensemble.combiners.base import Array, Combiner, Standardiser
from ensemble.combiners.fitting import fitted
from ensemble.combiners.forest import Forest
from ensemble.combiners.process import SlotProcess
from ensemble.combiners.ranknet import RankNet
from ensemble.combiners.ridge import Ridge
from ensemble.combiners.stacked import Stacked
from ensemble.combiners.within import WithinDepth
from ensemble.combiners.xgboost import Boosting
from ensemble.evaluate import benchmark_features, structural_folds
from ensemble.features import PROXY
from ensemble.metrics import mean_and_sd, measure

SCORES = Path(__file__).resolve().parents[1] / "ensemble" / "data" / "gcn-nas-ntu.scores.jsonl"
WIDE = re.compile(r"network\.|(fixed|dynamic)\.slot|stage\d\.(fixed|dynamic)")
MEASURES = ("spearman", "within_depth")
Columns = list[str]


class ListMLE(Combiner):
    """Listwise ranking (Xia et al. 2008): the likelihood of the training rows' true order, of all and of each depth."""

    def __init__(self, depth: int = 0, hidden: int = 32, seeds: int = 5, steps: int = 60, decay: float = 5.0) -> None:
        self.depth, self.hidden, self.seeds, self.steps, self.decay = depth, hidden, seeds, steps, decay

    def fit(self, X: Array, y: Array) -> Self:
        X, y = self._training_data(X, y)
        self.standardise_ = Standardiser.of(X)
        Z = torch.tensor(self.standardise_(X), dtype=torch.float32)
        depths = X[:, self.depth]
        lists = [np.flatnonzero(depths == depth) for depth in np.unique(depths)] + [np.arange(len(y))]
        orders = [torch.tensor(rows[np.argsort(-y[rows], kind="stable")]) for rows in lists]
        self.networks_ = [self._trained(Z, orders, seed) for seed in range(self.seeds)]
        return self

    def predict(self, X: Array) -> Array:
        Z = torch.tensor(self.standardise_(self._data(X)), dtype=torch.float32)
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
        X, y = self._training_data(X, y)
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
        X = self._data(X)
        mean, spread, centre, scale = self.laid_[np.searchsorted(self.depths_, X[:, self.depth])].T
        # Half the spread: about what can be predicted of it.
        return np.asarray(mean + 0.5 * spread * (self.model_.predict(X) - centre) / scale)


class RankedProxies(Combiner):
    """A model that sees each proxy as its rank among the training rows of the same depth, 0 to 1."""

    def __init__(self, model: Combiner | None = None, depth: int = 0, proxies: tuple[int, ...] = ()) -> None:
        self.model, self.depth, self.proxies = model, depth, proxies

    def fit(self, X: Array, y: Array) -> Self:
        X, y = self._training_data(X, y)
        depths = X[:, self.depth]
        self.sorted_ = {
            depth: np.sort(X[depths == depth][:, list(self.proxies)], axis=0) for depth in np.unique(depths)
        }
        assert self.model is not None
        self.model.fit(self._ranked(X), y)
        return self

    def predict(self, X: Array) -> Array:
        assert self.model is not None
        return self.model.predict(self._ranked(self._data(X)))

    def _ranked(self, X: Array) -> Array:
        X = X.copy()
        for depth, columns in self.sorted_.items():
            rows = np.flatnonzero(X[:, self.depth] == depth)
            for column, values in zip(self.proxies, columns.T, strict=True):
                X[rows, column] = np.searchsorted(values, X[rows, column]) / len(values)
        return X


def _ranked(make: Callable[[Columns], Combiner]) -> Callable[[Columns], Combiner]:
    def made(columns: Columns) -> Combiner:
        proxies = tuple(i for i, name in enumerate(columns) if name.startswith(PROXY))
        return RankedProxies(make(columns), columns.index("depth"), proxies)

    return made


class Average(Combiner):
    """The plain mean of several models."""

    def __init__(self, models: tuple[Combiner, ...] = ()) -> None:
        self.models = models

    def fit(self, X: Array, y: Array) -> Self:
        X, y = self._training_data(X, y)
        self.models_ = [fitted(model, X, y) for model in self.models]
        return self

    def predict(self, X: Array) -> Array:
        return np.mean([model.predict(X) for model in self.models_], axis=0)


def _within(model: Combiner, columns: Columns) -> Combiner:
    return WithinDepth(model, columns.index("depth"))


def _extra(columns: Columns) -> Combiner:
    return _within(Forest(leaf=2, share=0.5, extra=True), columns)


def _forest(columns: Columns) -> Combiner:
    return _within(Forest(), columns)


def _stack(columns: Columns, *makes: Callable[[Columns], Combiner]) -> Combiner:
    everything = tuple(range(len(columns)))
    return Stacked(tuple((str(i), make(columns), everything) for i, make in enumerate(makes)))


def _process(columns: Columns) -> Combiner:
    return SlotProcess(columns)


def _boosting(columns: Columns) -> Combiner:
    return _within(Boosting(), columns)


def _structure(name: str) -> bool:
    return not name.startswith(PROXY)


def _narrow(name: str) -> bool:
    return _structure(name) and not WIDE.match(name)


def _everything(name: str) -> bool:
    return True


Variant = tuple[Callable[[Columns], Combiner], Callable[[str], bool]]
VARIANTS: dict[str, Variant] = {
    "ridge": (lambda _: Ridge(), _structure),
    "slot process": (_process, _structure),
    "slot process, with proxies": (_process, _everything),
    "slot process, with proxies ranked within depth": (_ranked(_process), _everything),
    "extra trees within depth, with proxies ranked within depth": (_ranked(_extra), _everything),
    "random forest": (lambda _: Forest(), _structure),
    "random forest within depth": (_forest, _structure),
    "extra trees": (lambda _: Forest(leaf=2, share=0.5, extra=True), _structure),
    "extra trees within depth": (_extra, _structure),
    "extra trees within depth, without counts": (_extra, _narrow),
    "extra trees within depth, with proxies": (_extra, _everything),
    "XGBoost": (lambda _: Boosting(), _structure),
    "XGBoost within depth": (_boosting, _structure),
    "XGBoost within depth, without counts": (_boosting, _narrow),
    "XGBoost within depth, with proxies": (_boosting, _everything),
    "XGBoost `rank:pairwise`": (lambda c: PairwiseBoosting(c.index("depth")), _structure),
    "RankNet": (lambda _: RankNet(), _structure),
    "ListMLE": (lambda c: ListMLE(c.index("depth")), _structure),
    "stack as kept": (lambda c: _stack(c, _process, _extra, _boosting), _structure),
    "stack without the process": (lambda c: _stack(c, _extra, _boosting), _structure),
    "stack without extra trees": (lambda c: _stack(c, _process, _boosting), _structure),
    "stack without XGBoost": (lambda c: _stack(c, _process, _extra), _structure),
    "stack, with a forest": (lambda c: _stack(c, _process, _extra, _boosting, _forest), _structure),
    "equal weights": (lambda c: Average((_process(c), _extra(c), _boosting(c))), _structure),
    "equal weights, with a forest": (lambda c: Average((_process(c), _extra(c), _boosting(c), _forest(c))), _structure),
    "stack, with a ridge": (lambda c: _stack(c, _process, _extra, _boosting, lambda _: Ridge()), _structure),
    "stack, with `rank:pairwise`": (
        lambda c: _stack(c, _process, _extra, _boosting, lambda c: PairwiseBoosting(c.index("depth"))),
        _structure,
    ),
    "stack, trees with proxies too": (lambda c: _stack(c, _process, _extra, _boosting), _everything),
    "stack, without counts": (lambda c: _stack(c, _process, _extra, _boosting), _narrow),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--benchmark", type=Path, required=True)
    parser.add_argument("--scores", type=Path, default=SCORES)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", nargs="*", choices=VARIANTS, default=list(VARIANTS), metavar="NAME")
    arguments = parser.parse_args()
    benchmark = load_benchmark(arguments.benchmark)
    table = benchmark_features(benchmark, load_scores(arguments.scores))
    y, depths = benchmark.accuracy, benchmark.depths
    splits = [structural_folds(table, y, arguments.folds, 100 + repeat) for repeat in range(arguments.repeats)]
    tasks = [(repeat, train, test) for repeat, folds in enumerate(splits) for train, test in folds]
    predicted = {name: np.empty((arguments.repeats, len(y))) for name in arguments.only}
    answers = Parallel(n_jobs=arguments.jobs, return_as="generator")(
        delayed(_predicted)(arguments.only, table, y, train, test) for _, train, test in tasks
    )
    for (repeat, _, test), fold in zip(
        tasks, track(answers, total=len(tasks), console=Console(stderr=True)), strict=True
    ):
        for name, answer in fold.items():
            predicted[name][repeat, test] = answer
    sys.stdout.write("| variant | ρ | ρ within depth |\n|---|---|---|\n")
    for name, rows in predicted.items():
        measured = mean_and_sd([measure(row, y, depths) for row in rows])
        cells = [f"{one['mean']:.3f} ± {one['sd']:.3f}" for key in MEASURES if (one := measured[key])]
        sys.stdout.write(f"| {name} | {' | '.join(cells)} |\n")


def _predicted(names: Sequence[str], table: FeatureTable, y: Array, train: Array, test: Array) -> dict[str, Array]:
    """All variants in one fold, so that members which several have in common are fitted once."""
    torch.set_num_threads(1)
    predictions = {}
    for name in names:
        make, wanted = VARIANTS[name]
        columns = [column for column in table.names if wanted(column)]
        X = table.select(columns)
        predictions[name] = fitted(make(columns), X[train], y[train]).predict(X[test])
    return predictions


if __name__ == "__main__":
    main()
