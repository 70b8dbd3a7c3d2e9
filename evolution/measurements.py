"""Measurements of a benchmark's architectures: what expressions are evaluated on."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.errors import InputError
from ensemble import Benchmark, Entry, ScoreTable
from ensemble.data.benchmark import stratum_label
from evolution.layer_counts import layer_counts
from models import BuildableSpace, EncodedSpace
from proxies import ProxyInfo
from proxies.evolved.expression import Expression
from proxies.evolved.operators import Array, Segments
from proxies.evolved.terminals import NUM_LAYERS, NumLayers, score_terminal
from proxies.evolved.types import Kind
from proxies.registry import proxies_by_name

log = logging.getLogger(__name__)
MAX_MISSING_FRACTION = 0.1
"""Fraction of the architectures above which a terminal without their values is left out, not the architectures."""


@dataclass(frozen=True)
class Measurements:
    """Measurements of architectures of one benchmark.

    Attributes:
        name: name of the benchmark.
        groups: key of each architecture, equal for those that may not be on both sides of a split.
        accuracy: accuracies, shape (n,).
        strata: stratum of each architecture, shape (n,).
        terminals: expressions whose values are known.
        values: values by key of the expression: shape (n,), or (number of all layers,) for numbers of each layer.
        segments: layers of the architectures; None without numbers of each layer.
        stratum_label: the stratum in words; None in a space without strata.
        left_out: number of architectures without a value of one of the terminals.
    """

    name: str
    groups: tuple[str, ...]
    accuracy: Array
    strata: NDArray[np.int64]
    terminals: tuple[Expression, ...]
    values: Mapping[str, Array]
    segments: Segments | None = None
    stratum_label: str | None = None
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.accuracy)

    def take(self, rows: NDArray[np.int64]) -> "Measurements":
        """Return the measurements of some architectures."""
        segments, layers = self.segments, np.zeros(0, dtype=np.intp)
        if segments is not None and len(rows):
            lengths = segments.lengths[rows]
            layers = np.concatenate([np.arange(s, s + n) for s, n in zip(segments.starts[rows], lengths, strict=True)])
            segments = Segments.from_lengths(lengths.tolist())
        kinds = {terminal.key: terminal.type for terminal in self.terminals}
        return replace(
            self,
            groups=tuple(self.groups[i] for i in rows),
            accuracy=self.accuracy[rows],
            strata=self.strata[rows],
            values={key: value[layers if kinds[key] is Kind.LAYERS else rows] for key, value in self.values.items()},
            segments=segments,
        )

    def with_accuracy(self, accuracy: Array) -> "Measurements":
        """Return the measurements with other accuracies."""
        return replace(self, accuracy=accuracy)

    def restricted(self, keys: Sequence[str]) -> "Measurements":
        """Return the measurements with some of the terminals."""
        terminals = tuple(terminal for terminal in self.terminals if terminal.key in keys)
        return replace(
            self, terminals=terminals, values={terminal.key: self.values[terminal.key] for terminal in terminals}
        )


def measure_scores(
    benchmark: Benchmark,
    table: ScoreTable,
    cache: Path | None = None,
    jobs: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Measurements:
    """Return the scores of a benchmark's architectures as terminals, and their numbers of layers.

    A proxy without scores of more than a tenth of the architectures is left out; then the architectures without a score
    of another one.

    Args:
        benchmark: the benchmark.
        table: scores of its architectures. Those without a row are left out.
        cache: file of the numbers of layers, which is read and completed.
        jobs: number of processes that count layers.
        progress: called with the number of networks whose layers are counted and that of all.

    Raises:
        BenchmarkError: the table is of another space.
        InputError: fewer than two architectures, or no proxy, remain.
    """
    table.check_space(benchmark.space)
    entries = [entry for entry in benchmark.entries if entry.architecture.fingerprint in table.features]
    if len(entries) < 2:
        raise InputError("scores", f"scores of {len(entries)} architectures of {benchmark.name}", "at least 2")
    registered = proxies_by_name()
    names = [name for name in table.proxies if name in registered and not registered[name].reads]
    features = [table.features[entry.architecture.fingerprint] for entry in entries]
    columns = {
        name: np.array([_number(registered[name].info, row.get(name)) for row in features], dtype=np.float64)
        for name in names
    }
    space = benchmark.space
    if isinstance(space, BuildableSpace):
        architectures = [entry.architecture for entry in entries]
        counts = layer_counts(space, architectures, cache, jobs, progress)
        columns[NUM_LAYERS] = np.array([score_terminal(NumLayers.info, count) for count in counts])
    return measurements(benchmark, entries, columns)


def measurements(benchmark: Benchmark, entries: Sequence[Entry], columns: Mapping[str, Array]) -> Measurements:
    """Return measurements of architectures by their scores.

    Args:
        benchmark: benchmark of the architectures.
        entries: the architectures.
        columns: values of terminals by name, shape (n,), NaN where there is none.

    Raises:
        InputError: fewer than two architectures, or no terminal, remain.
    """
    missing = {name: float(np.isnan(column).mean()) for name, column in columns.items()}
    kept = [name for name in columns if missing[name] <= MAX_MISSING_FRACTION]
    for name in columns.keys() - kept:
        log.warning(
            "%s left out: %.0f %% of the architectures of %s lack it", name, 100 * missing[name], benchmark.name
        )
    if not kept:
        raise InputError(
            "scores", f"no proxy with scores of {benchmark.name}", "a table with scores of registered proxies"
        )
    rows = np.flatnonzero(~np.isnan([columns[name] for name in kept]).any(axis=0))
    chosen = [entries[i] for i in rows.tolist()]
    if len(rows) < 2:
        raise InputError("scores", f"all scores of {len(rows)} architectures of {benchmark.name}", "at least 2")
    architectures = [entry.architecture for entry in chosen]
    space = benchmark.space
    terminals = tuple(Expression(name, Kind.SCALAR) for name in kept)
    return Measurements(
        name=benchmark.name,
        groups=tuple(
            getattr(architecture, "isomorphism_class", architecture.fingerprint) for architecture in architectures
        ),
        accuracy=np.array([entry.accuracy for entry in chosen]),
        strata=space.strata(architectures) if isinstance(space, EncodedSpace) else np.zeros(len(rows), dtype=np.int64),
        terminals=terminals,
        values={terminal.key: columns[str(terminal.head)][rows] for terminal in terminals},
        stratum_label=stratum_label(space),
        left_out=len(entries) - len(rows),
    )


def _number(info: ProxyInfo, feature: float | None) -> float:
    return np.nan if feature is None else score_terminal(info, feature)
