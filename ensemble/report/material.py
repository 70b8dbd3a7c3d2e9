"""What a report is written from, brought into one form and checked to be about the same architectures."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensemble.data.benchmark import Benchmark, Scores
from ensemble.data.features import PROXY, FeatureTable, as_number
from ensemble.data.scores import ScoreTable
from ensemble.errors import BenchmarkError
from ensemble.evaluation.evaluate import benchmark_features, score_measures
from ensemble.evaluation.metrics import Metrics, measure
from ensemble.report.palette import THEME

Array = NDArray[np.float64]

SOURCES = {"published": THEME.published, "ours": THEME.ours}
"""Where scores come from, and the colour that stands for it."""
LAYERS, PARAMETERS = "number of layers", "parameters"


@dataclass(frozen=True)
class Material:
    """Everything that sections are written from.

    Attributes:
        benchmark: the trained architectures.
        evaluation: the report of `evaluate`.
        proxies: by source, the proxies' columns, a row an architecture of the benchmark.
        structure: the columns of structure and cost.
        header: how our scores were computed.
        by_epoch: by training epoch, the proxies' columns that were published for it.
        seconds: by source and proxy, seconds of scoring, (n,).
    """

    benchmark: Benchmark
    evaluation: Mapping[str, Any]
    proxies: Mapping[str, FeatureTable]
    structure: FeatureTable
    header: Mapping[str, Any]
    by_epoch: Mapping[int, FeatureTable]
    seconds: Mapping[str, Mapping[str, Array]]

    @classmethod
    def of(
        cls,
        benchmark: Benchmark,
        scores: ScoreTable | None,
        evaluation: Mapping[str, Any],
        by_epoch: Mapping[int, Benchmark],
        seconds: Mapping[str, Mapping[str, Array]],
    ) -> "Material":
        """Raises `BenchmarkError` where the parts are about different architectures or accuracies."""
        about = evaluation.get("benchmark", {}).get("data_hash", benchmark.data_hash)
        if about != benchmark.data_hash:
            allowed = f"{benchmark.data_hash!r}, that of {benchmark.name}: evaluate this benchmark"
            raise BenchmarkError("evaluation, benchmark.data_hash", about, allowed)
        for epoch, other in by_epoch.items():
            if other.data_hash != benchmark.data_hash:
                raise BenchmarkError(f"by_epoch[{epoch}]", other.data_hash, "the architectures of the benchmark")
        for source, columns in seconds.items():
            for proxy, column in columns.items():
                if column.shape != (len(benchmark),):
                    allowed = f"one number for each of the {len(benchmark)} architectures"
                    raise BenchmarkError(f"seconds, {source}, {proxy}", column.shape, allowed)
        proxies = {}
        if benchmark.proxies:
            proxies["published"] = _proxy_columns(benchmark, ScoreTable.published(benchmark))
        if scores is not None:
            proxies["ours"] = _proxy_columns(benchmark, scores)
        return cls(
            benchmark,
            evaluation,
            proxies,
            benchmark_features(benchmark, None),
            scores.header if scores is not None else {},
            {epoch: _proxy_columns(other, ScoreTable.published(other)) for epoch, other in sorted(by_epoch.items())},
            {source: columns for source, columns in seconds.items() if columns},
        )

    @cached_property
    def measures(self) -> dict[str, dict[str, Metrics]]:
        """By source and proxy, how well the score orders the benchmark."""
        return {source: score_measures(self.benchmark, table) for source, table in self.proxies.items()}

    @cached_property
    def baselines(self) -> dict[str, Metrics]:
        """The same for what needs no proxy."""
        columns = {LAYERS: self.benchmark.depths.astype(float), PARAMETERS: self._structure("cost.log_params")}
        return {
            name: measure(column, self.benchmark.accuracy, self.benchmark.depths, absolute=False)
            for name, column in columns.items()
        }

    @cached_property
    def names(self) -> list[str]:
        """Every proxy that has scores, the largest |ρ| of any source first."""
        largest: dict[str, float] = {}
        for rows in self.measures.values():
            for name, row in rows.items():
                largest[name] = max(largest.get(name, 0.0), abs(row["spearman"] or 0.0))
        return sorted(largest, key=lambda name: (-largest[name], name))

    @cached_property
    def depths(self) -> list[int]:
        """The numbers of layers that there are."""
        return [int(depth) for depth in np.unique(self.benchmark.depths)]

    def depth_colour(self, depth: int) -> str:
        """From the ramp's one end for the fewest layers to its other for the most."""
        place = self.depths.index(depth) / max(len(self.depths) - 1, 1)
        return THEME.depth[round(place * (len(THEME.depth) - 1))]

    def column(self, source: str, proxy: str) -> Array | None:
        """A proxy's scores, (n,); None where the source has none."""
        table = self.proxies.get(source)
        if table is None or PROXY + proxy not in table.names:
            return None
        return table.select([PROXY + proxy])[:, 0]

    def _structure(self, name: str) -> Array:
        return self.structure.select([name])[:, 0]


def _proxy_columns(benchmark: Benchmark, scores: ScoreTable) -> FeatureTable:
    """The proxies' columns alone; a missing row of scores is a row of missing scores."""
    none: Scores = {}
    rows = [scores.features.get(arch.fingerprint, none) for arch in benchmark.architectures]
    values = np.array([[as_number(row.get(proxy)) for proxy in scores.proxies] for row in rows])
    return FeatureTable(tuple(PROXY + proxy for proxy in scores.proxies), values.reshape(len(rows), -1))
