"""The table as it is compared: accuracies and curves of the first seed, and the seeds' differences."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ensemble import Benchmark, CurveFeatures, FeatureTable, ScoreTable, Source, load_benchmark, load_scores
from ensemble.evaluation.protocol import benchmark_features
from study import load_sources

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "data" / "nw-ucla"
BATCHES = ("synthetic", "recorded")
"""Probe batches of the proxies, one table `scores-<batch>.jsonl` each."""
SOURCE = "gcn-nas-ntu"
FIRST_SEED = 0
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Material:
    """The benchmark and what predicts it.

    Trainings of the same seed have effects of the seed in common. The mean over the seeds of the architectures that
    have two would not be comparable with the others: all accuracies and curves are those of the first seed.

    Attributes:
        benchmark: the architectures with their training of the first seed.
        scores: proxy scores by probe batch.
        sources: the shipped ensemble.
        accuracies: accuracy by seed of each architecture.
    """

    benchmark: Benchmark
    scores: dict[str, ScoreTable]
    sources: tuple[Source, ...]
    accuracies: tuple[dict[int, float], ...]

    @classmethod
    def load(cls, folder: Path = FOLDER) -> "Material":
        """Read table and scores of a folder.

        Args:
            folder: folder with `table.jsonl` and a table of scores for each of `BATCHES`.
        """
        table = load_benchmark(folder / "table.jsonl")
        entries, accuracies = [], []
        for entry in table.entries:
            trainings = {training.seed: training for training in entry.trainings}
            own = {seed: training.accuracy for seed, training in trainings.items()}
            accuracies.append({seed: value for seed, value in own.items() if seed is not None and value is not None})
            first = replace(entry, accuracy=accuracies[-1][FIRST_SEED], trainings=(trainings[FIRST_SEED],))
            entries.append(first)
        benchmark = replace(table, entries=tuple(entries))
        scores = {batch: load_scores(folder / f"scores-{batch}.jsonl") for batch in BATCHES}
        return cls(benchmark, scores, load_sources([SOURCE], table.space), tuple(accuracies))

    @cached_property
    def source_scores(self) -> Array:
        """Scores of the architectures by the shipped ensemble, (n,)."""
        return self.sources[0].scores(self.benchmark.architectures)

    @cached_property
    def structure(self) -> FeatureTable:
        """Structure and costs."""
        return benchmark_features(self.benchmark, None)

    def features(self, epochs: int | None = None, batch: str | None = None) -> FeatureTable:
        """Return structure, costs, the curve of the first epochs and the proxy scores of a batch, as far as asked."""
        curve = None
        if epochs is not None:
            curve = CurveFeatures.from_curves([entry.curve for entry in self.benchmark.entries], epochs)
        return benchmark_features(self.benchmark, None if batch is None else self.scores[batch], None, curve)

    @property
    def strata(self) -> NDArray[np.int64]:
        """Number of layers of each architecture, (n,)."""
        return self.benchmark.strata
