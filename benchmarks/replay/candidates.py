"""What a replayed search may train, and what it may know before."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ensemble import Benchmark, get_combiner
from ensemble.data.features import COST_BATCH_SIZE, COST_FRAMES, PROXY, FeatureTable
from ensemble.data.scores import ScoreTable
from ensemble.evaluation.cross_validation import held_out_predictions
from ensemble.evaluation.protocol import benchmark_features, structural_folds
from models import Architecture
from search import TableMoves

Array = NDArray[np.float64]
Rows = NDArray[np.int64]
Count = Callable[[], None]

BUDGET = 200
"""The most trainings of a search."""
FITTED = ("structure", "stacked", "ridge")
"""Combiners whose held-out predictions are guides; the first is what strategies are guided by."""
PROXIES = ("nwot", "synflow", "zen", "zico", "meco_opt", "params")
"""Proxies that are guides by themselves: the higher, the better."""


@dataclass(frozen=True)
class Candidates:
    """Trained architectures as a search meets them.

    Attributes:
        benchmark, rows: which of a benchmark's architectures may be trained.
        table: structural features of these, in the same order.
        guides: what is told of them before they are trained, by name, each (n,).
    """

    benchmark: Benchmark
    rows: Rows
    table: FeatureTable
    guides: Mapping[str, Array]

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def architectures(self) -> list[Architecture]:
        return [self.benchmark.architectures[row] for row in self.rows]

    @cached_property
    def place(self) -> dict[Architecture, int]:
        return {arch: i for i, arch in enumerate(self.architectures)}

    @cached_property
    def accuracy(self) -> Array:
        return self.benchmark.accuracy[self.rows]

    @cached_property
    def layers(self) -> Rows:
        return self.benchmark.strata[self.rows]

    @property
    def budget(self) -> int:
        """How many a search trains: where it may take nearly all, all searches find the same."""
        return min(BUDGET, 2 * len(self) // 3)

    @property
    def differ_in_depth(self) -> bool:
        return bool(np.ptp(self.layers) > 0)

    @cached_property
    def flops(self) -> Rows:
        space = self.benchmark.space
        shape = space.input_shape(COST_BATCH_SIZE, COST_FRAMES)
        return np.array([space.cost(arch, shape).flops for arch in self.architectures])

    @cached_property
    def moves(self) -> TableMoves:
        return TableMoves(self.benchmark.space, self.architectures)

    def half(self, seed: int) -> "Candidates":
        """A random half of them, with the same predictions."""
        kept = np.sort(np.random.default_rng(seed).permutation(len(self))[: len(self) // 2])
        return self.part(kept, self.guides)

    def part(self, kept: Rows, guides: Mapping[str, Array]) -> "Candidates":
        """Some of them, by their places, with guides that are given for all of them."""
        table = FeatureTable(self.table.names, self.table.values[kept])
        return Candidates(self.benchmark, self.rows[kept], table, {name: told[kept] for name, told in guides.items()})

    def guide(self, architectures: Sequence[Architecture]) -> list[float]:
        """What strategies are guided by: held-out predictions from structure."""
        told = self.guides[FITTED[0]]
        return [float(told[self.place[arch]]) for arch in architectures]


@dataclass(frozen=True)
class Known:
    """All that is predicted before any replay, each prediction by models that were fitted without that architecture.

    Attributes:
        held_out: by combiner, (repeats, n): K-fold cross-validated.
        halves: by combiner, (halves, n): fitted on a random half, NaN for that half.
        proxies: by proxy, (n,).
    """

    benchmark: Benchmark
    table: FeatureTable
    held_out: dict[str, Array]
    halves: dict[str, Array]
    proxies: dict[str, Array]

    @classmethod
    def predict(
        cls, benchmark: Benchmark, scores: ScoreTable, folds: int, repeats: int, halves: int, jobs: int, count: Count
    ) -> "Known":
        """`count` is called after each of `fits` fits."""
        table, y = benchmark_features(benchmark, scores), benchmark.accuracy
        infos = [get_combiner(name) for name in FITTED]
        splits = [structural_folds(table, y, folds, repeat) for repeat in range(repeats)]
        whole = held_out_predictions(infos, table, y, splits, jobs=jobs, progress=lambda *_: count())
        # A fold of two is a half to learn from and one to search in, either way round.
        pairs = [structural_folds(table, y, 2, half) for half in range(halves // 2)]
        cut = [[fold] for pair in pairs for fold in pair]
        half = held_out_predictions(infos[:1], table, y, cut, jobs=jobs, progress=lambda *_: count())
        return cls(
            benchmark,
            benchmark_features(benchmark, None),
            {name: one.accuracy for name, one in whole.items()},
            {name: one.accuracy for name, one in half.items()},
            {name: table.select([PROXY + name])[:, 0] for name in PROXIES},
        )

    def everything(self, seed: int) -> Candidates:
        """All architectures."""
        told = {name: repeats[seed % len(repeats)] for name, repeats in self.held_out.items()}
        return Candidates(self.benchmark, np.arange(len(self.benchmark)), self.table, {**told, **self.proxies})

    def of_depth(self, layers: int, seed: int) -> Candidates:
        """Those of so many layers, predicted by models that were fitted on other depths, too."""
        whole = self.everything(seed)
        return whole.part(np.flatnonzero(self.benchmark.strata == layers), whole.guides)

    def unseen_half(self, seed: int) -> Candidates:
        """The half that the predictor was not fitted on."""
        told = {name: halves[seed % len(halves)] for name, halves in self.halves.items()}
        return self.everything(seed).part(np.flatnonzero(~np.isnan(told[FITTED[0]])), told)


def fits(folds: int, repeats: int, halves: int) -> int:
    """How often `Known.predict` counts."""
    return folds * repeats + 2 * (halves // 2)
