"""Trained architectures that a replayed search may choose from, and the predictions it may use."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ensemble import Benchmark, get_combiner
from ensemble.data.columns import PROXY
from ensemble.data.features import FeatureTable
from ensemble.data.scores import ScoreTable
from ensemble.evaluation.cross_validation import held_out_predictions
from ensemble.evaluation.protocol import benchmark_features, structural_folds
from models import Architecture, CostedSpace, require
from search import TableDomain

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

MAX_BUDGET = 200
"""Maximum number of trainings of a search."""
COMBINERS = ("structure", "stacked", "ridge")
"""Combiners whose held-out predictions are surrogates; strategies use the first."""
PROXIES = ("nwot", "synflow", "zen", "zico", "meco_opt", "params")
"""Proxies that are surrogates by themselves; higher is better."""


@dataclass(frozen=True)
class Candidates:
    """Trained architectures that a search may choose from.

    Attributes:
        benchmark: benchmark of the architectures.
        rows: rows of the benchmark, (n,).
        table: structural features of these rows.
        surrogates: predictions by surrogate, each (n,); higher is better.
    """

    benchmark: Benchmark
    rows: Rows
    table: FeatureTable
    surrogates: Mapping[str, Array]

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def architectures(self) -> list[Architecture]:
        """Architectures of the rows."""
        return [self.benchmark.architectures[row] for row in self.rows]

    @cached_property
    def index(self) -> dict[Architecture, int]:
        """Index of each architecture among the candidates."""
        return {arch: i for i, arch in enumerate(self.architectures)}

    @cached_property
    def accuracy(self) -> Array:
        """Measured accuracies, (n,)."""
        return self.benchmark.accuracy[self.rows]

    @cached_property
    def depths(self) -> Rows:
        """Numbers of layers, (n,)."""
        return self.benchmark.strata[self.rows]

    @property
    def budget(self) -> int:
        """Trainings per search: at most two thirds of the candidates, as all searches find the same at the end."""
        return min(MAX_BUDGET, 2 * len(self) // 3)

    @property
    def differ_in_depth(self) -> bool:
        """True if the candidates have different numbers of layers."""
        return bool(np.ptp(self.depths) > 0)

    @cached_property
    def flops(self) -> Rows:
        """FLOPs, (n,)."""
        space = require(self.benchmark.space, CostedSpace)
        return np.array([space.cost(arch).flops for arch in self.architectures])

    @cached_property
    def domain(self) -> TableDomain:
        """Domain of strategies: the candidates as a table."""
        return TableDomain(self.benchmark.space, self.architectures)

    def random_half(self, seed: int) -> "Candidates":
        """Return a random half of the candidates, with the same predictions."""
        kept = np.sort(np.random.default_rng(seed).permutation(len(self))[: len(self) // 2])
        return self.subset(kept, self.surrogates)

    def subset(self, kept: Rows, surrogates: Mapping[str, Array]) -> "Candidates":
        """Return some of the candidates.

        Args:
            kept: indices of the candidates to keep.
            surrogates: predictions for all candidates, each (n,).
        """
        table = FeatureTable(self.table.columns, self.table.values[kept])
        predictions = {name: values[kept] for name, values in surrogates.items()}
        return Candidates(self.benchmark, self.rows[kept], table, predictions)

    def surrogate(self, architectures: Sequence[Architecture]) -> list[float]:
        """Return held-out predictions from structure: the surrogate of strategies."""
        predictions = self.surrogates[COMBINERS[0]]
        return [float(predictions[self.index[arch]]) for arch in architectures]


@dataclass(frozen=True)
class HeldOutPredictions:
    """Predictions for all architectures of a benchmark, by models that were fitted without the architecture.

    Attributes:
        benchmark: the benchmark, n architectures.
        table: structural features.
        cross_validated: K-fold cross-validated predictions by combiner, (repeats, n).
        halves: predictions by combiner fitted on a random half, (halves, n); NaN for that half.
        proxies: scores by proxy, (n,).
    """

    benchmark: Benchmark
    table: FeatureTable
    cross_validated: dict[str, Array]
    halves: dict[str, Array]
    proxies: dict[str, Array]

    @classmethod
    def fit(
        cls,
        benchmark: Benchmark,
        scores: ScoreTable,
        folds: int,
        repeats: int,
        halves: int,
        jobs: int,
        progress: Callable[[], None],
    ) -> "HeldOutPredictions":
        """Fit the combiners and predict.

        Args:
            benchmark: benchmark of trained architectures.
            scores: proxy scores of the architectures.
            folds: folds per cross-validation.
            repeats: number of cross-validations.
            halves: number of random halves.
            jobs: number of processes.
            progress: callback after each of `num_fits` fits.
        """
        table, y = benchmark_features(benchmark, scores), benchmark.accuracy
        infos = [get_combiner(name) for name in COMBINERS]
        splits = [structural_folds(table, y, folds, repeat) for repeat in range(repeats)]
        cross_validated = held_out_predictions(infos, table, y, splits, jobs=jobs, progress=lambda *_: progress())
        # Two folds are two halves: each is once the half to fit on and once the half to search in.
        pairs = [structural_folds(table, y, 2, half) for half in range(halves // 2)]
        half_splits = [[fold] for pair in pairs for fold in pair]
        half_predictions = held_out_predictions(
            infos[:1], table, y, half_splits, jobs=jobs, progress=lambda *_: progress()
        )
        return cls(
            benchmark,
            benchmark_features(benchmark, None),
            {name: predictions.accuracy for name, predictions in cross_validated.items()},
            {name: predictions.accuracy for name, predictions in half_predictions.items()},
            {name: table.select([PROXY + name])[:, 0] for name in PROXIES},
        )

    def all_candidates(self, seed: int) -> Candidates:
        """Return all architectures, with the predictions of the seed's cross-validation."""
        predictions = {name: repeats[seed % len(repeats)] for name, repeats in self.cross_validated.items()}
        return Candidates(self.benchmark, np.arange(len(self.benchmark)), self.table, {**predictions, **self.proxies})

    def of_depth(self, depth: int, seed: int) -> Candidates:
        """Return the architectures of one depth, predicted by models that were fitted on all depths."""
        candidates = self.all_candidates(seed)
        return candidates.subset(np.flatnonzero(self.benchmark.strata == depth), candidates.surrogates)

    def unseen_half(self, seed: int) -> Candidates:
        """Return the half that the predictor was not fitted on."""
        predictions = {name: halves[seed % len(halves)] for name, halves in self.halves.items()}
        unseen = np.flatnonzero(~np.isnan(predictions[COMBINERS[0]]))
        return self.all_candidates(seed).subset(unseen, predictions)


def num_fits(folds: int, repeats: int, halves: int) -> int:
    """Number of progress callbacks of `HeldOutPredictions.fit`."""
    return folds * repeats + 2 * (halves // 2)
