"""Input of a report in one form, checked for consistency."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensemble.data.benchmark import Benchmark, ProxyScores, stratum_label
from ensemble.data.columns import PROXY, Columns
from ensemble.data.features import FeatureTable, as_number
from ensemble.data.scores import ScoreTable
from ensemble.errors import BenchmarkError
from ensemble.evaluation.baselines import PARAMS_COLUMN
from ensemble.evaluation.metrics import Metrics, prediction_metrics
from ensemble.evaluation.protocol import benchmark_features, proxy_metrics
from ensemble.report.blocks import LegendEntry
from ensemble.report.palette import THEME

Array = NDArray[np.float64]

SOURCE_COLORS = {"published": THEME.published, "ours": THEME.ours}
"""Sources of proxy scores and their colors."""
PARAMETERS = "parameters"


@dataclass(frozen=True)
class ReportData:
    """Input of the sections of a report.

    Attributes:
        benchmark: n trained architectures.
        evaluation: result of `evaluate`.
        proxies: proxy scores by source, one row per architecture of the benchmark.
        structure: features of structure and cost.
        header: settings that our scores were computed with.
        by_epoch: published proxy scores by training epoch.
        seconds: scoring time by source and proxy, each of shape (n,).
    """

    benchmark: Benchmark
    evaluation: Mapping[str, Any]
    proxies: Mapping[str, FeatureTable]
    structure: FeatureTable
    header: Mapping[str, Any]
    by_epoch: Mapping[int, FeatureTable]
    seconds: Mapping[str, Mapping[str, Array]]

    @classmethod
    def from_parts(
        cls,
        benchmark: Benchmark,
        scores: ScoreTable | None,
        evaluation: Mapping[str, Any],
        by_epoch: Mapping[int, Benchmark],
        seconds: Mapping[str, Mapping[str, Array]],
    ) -> "ReportData":
        """Combine the parts of a report.

        Args:
            benchmark: n trained architectures.
            scores: our proxy scores; None without.
            evaluation: result of `evaluate`.
            by_epoch: by training epoch, the benchmark with the scores of that epoch.
            seconds: scoring time by source and proxy, each of shape (n,).

        Raises:
            BenchmarkError: the parts belong to different architectures or accuracies.
        """
        evaluated_hash = evaluation.get("benchmark", {}).get("data_hash", benchmark.data_hash)
        if evaluated_hash != benchmark.data_hash:
            allowed = f"{benchmark.data_hash!r}, that of {benchmark.name}: evaluate this benchmark"
            raise BenchmarkError("evaluation, benchmark.data_hash", evaluated_hash, allowed)
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
            proxies["published"] = _proxy_columns(benchmark, ScoreTable.from_published(benchmark))
        if scores is not None:
            proxies["ours"] = _proxy_columns(benchmark, scores)
        return cls(
            benchmark,
            evaluation,
            proxies,
            benchmark_features(benchmark, None),
            scores.header if scores is not None else {},
            {
                epoch: _proxy_columns(other, ScoreTable.from_published(other))
                for epoch, other in sorted(by_epoch.items())
            },
            {source: columns for source, columns in seconds.items() if columns},
        )

    @cached_property
    def metrics(self) -> dict[str, dict[str, Metrics]]:
        """Metrics of the scores without any fitting, by source and proxy."""
        return {source: proxy_metrics(self.benchmark, table) for source, table in self.proxies.items()}

    @cached_property
    def baselines(self) -> dict[str, Metrics]:
        """Metrics of the stratum and, in a costed space, of the number of parameters, without any fitting."""
        columns = {self.stratum: self.benchmark.strata.astype(float)}
        if PARAMS_COLUMN in self.structure.names:
            columns[PARAMETERS] = self.structure.select([PARAMS_COLUMN])[:, 0]
        return {
            name: prediction_metrics(column, self.benchmark.accuracy, self.benchmark.strata, absolute=False)
            for name, column in columns.items()
        }

    @cached_property
    def names(self) -> list[str]:
        """Names of all proxies with scores, by decreasing |ρ| of their best source."""
        largest: dict[str, float] = {}
        for rows in self.metrics.values():
            for name, row in rows.items():
                largest[name] = max(largest.get(name, 0.0), abs(row["spearman"] or 0.0))
        return sorted(largest, key=lambda name: (-largest[name], name))

    @cached_property
    def strata(self) -> list[int]:
        """Strata of the benchmark, increasing."""
        return [int(stratum) for stratum in np.unique(self.benchmark.strata)]

    @property
    def strata_sizes(self) -> list[str]:
        """Number of architectures of each stratum, as phrases."""
        sizes = ((stratum, int((self.benchmark.strata == stratum).sum())) for stratum in self.strata)
        return [f"{size} with {self.stratum_title(stratum)}" for stratum, size in sizes]

    @property
    def stratum(self) -> str:
        """The stratum in words."""
        return stratum_label(self.benchmark.space) or "stratum"

    def stratum_title(self, stratum: int) -> str:
        """Return the name of a stratum."""
        return f"{self.stratum} {stratum}"

    @property
    def strata_legend(self) -> list[LegendEntry]:
        """Legend of the strata's colors."""
        return [LegendEntry(self.stratum_title(stratum), self.stratum_color(stratum)) for stratum in self.strata]

    def stratum_color(self, stratum: int) -> str:
        """Return the color of a stratum on the sequential ramp."""
        position = self.strata.index(stratum) / max(len(self.strata) - 1, 1)
        return THEME.ramp[round(position * (len(THEME.ramp) - 1))]

    def column(self, source: str, proxy: str) -> Array | None:
        """Return the scores of a proxy, shape (n,); None where the source has none."""
        table = self.proxies.get(source)
        if table is None or PROXY + proxy not in table.names:
            return None
        return table.select([PROXY + proxy])[:, 0]


def _proxy_columns(benchmark: Benchmark, scores: ScoreTable) -> FeatureTable:
    """Make the table of proxy scores alone; an architecture without a row has missing scores."""
    no_scores: ProxyScores = {}
    rows = [scores.features.get(arch.fingerprint, no_scores) for arch in benchmark.architectures]
    values = np.array([[as_number(row.get(proxy)) for proxy in scores.proxies] for row in rows])
    return FeatureTable(Columns(tuple(PROXY + proxy for proxy in scores.proxies)), values.reshape(len(rows), -1))
