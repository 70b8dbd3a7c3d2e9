"""Measurements of a benchmark's architectures: what expressions are evaluated on."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.errors import InputError
from ensemble import Benchmark, Entry, ScoreTable
from ensemble.data.benchmark import stratum_label
from evolution.layer_counts import layer_counts
from evolution.layer_statistics import Measure, in_processes, measure_layers
from evolution.layer_statistics import statistics as layer_terminals
from models import BuildableSpace, EncodedSpace, require
from proxies import ProxyInfo
from proxies.evolved.expression import Expression
from proxies.evolved.operators import Array, Segments
from proxies.evolved.terminals import NUM_LAYERS, NumLayers, score_terminal
from proxies.evolved.types import Kind
from proxies.registry import proxies_by_name

log = logging.getLogger(__name__)
Progress = Callable[[str, int, int], None]
"""Called with what is measured, the number of measured networks and that of all."""
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


def measure_architectures(
    benchmark: Benchmark,
    table: ScoreTable,
    cache: Path,
    layers: bool = False,
    limit: int | None = None,
    jobs: int = 1,
    progress: Progress = lambda what, done, total: None,
    measure_networks: Measure | None = None,
) -> Measurements:
    """Return what expressions read of a benchmark's architectures: scores and, if asked for, statistics of layers.

    A proxy without scores of more than a tenth of the architectures is left out; then the architectures without a score
    of another one, or whose layers cannot be measured.

    Args:
        benchmark: the benchmark.
        table: scores of its architectures. Those without a row are left out.
        cache: folder of what is measured of the networks, which is read and completed.
        layers: also measure the layers of the networks.
        limit: number of architectures, drawn evenly from the strata; None for all.
        jobs: number of processes that measure networks.
        progress: called with what is measured, the number of measured networks and that of all.
        measure_networks: measures the layers of networks elsewhere than in these processes, as in a cluster.

    Raises:
        BenchmarkError: the table is of another space.
        CapabilityError: layers are asked for in a space without networks.
        InputError: fewer than two architectures, or no proxy, remain; or the cache is of other settings.
    """
    table.check_space(benchmark.space)
    entries = [entry for entry in benchmark.entries if entry.architecture.fingerprint in table.features]
    entries = entries if limit is None else _evenly_drawn(benchmark, entries, limit)
    if len(entries) < 2:
        raise InputError("scores", f"scores of {len(entries)} architectures of {benchmark.name}", "at least 2")
    columns = _scores(entries, table)
    space, architectures = benchmark.space, [entry.architecture for entry in entries]
    cache.mkdir(parents=True, exist_ok=True)
    label = "-".join([benchmark.name, *map(str, space.settings.values())])
    if isinstance(space, BuildableSpace):
        file = cache / f"{label}.layers.json"
        counts = layer_counts(space, architectures, file, jobs, partial(progress, "counting layers"))
        columns[NUM_LAYERS] = np.array([score_terminal(NumLayers.info, count) for count in counts])
    statistics = None
    if layers:
        folder, report = cache / f"{label}.layers", partial(progress, "measuring layers")
        measure = measure_networks or in_processes(jobs)
        statistics = measure_layers(require(space, BuildableSpace), architectures, folder, 0, measure, report)
    return _combined(benchmark, entries, columns, statistics)


def _scores(entries: Sequence[Entry], table: ScoreTable) -> dict[str, Array]:
    """Values of the terminals of registered proxies by name, NaN where there is none."""
    registered = proxies_by_name()
    names = [name for name in table.proxies if name in registered and not registered[name].reads]
    features = [table.features[entry.architecture.fingerprint] for entry in entries]
    return {
        name: np.array([_number(registered[name].info, row.get(name)) for row in features], dtype=np.float64)
        for name in names
    }


def _number(info: ProxyInfo, feature: float | None) -> float:
    return np.nan if feature is None else score_terminal(info, feature)


def _evenly_drawn(benchmark: Benchmark, entries: Sequence[Entry], limit: int) -> list[Entry]:
    """Draw architectures evenly from the strata, in the order of their fingerprints, which are hashes."""
    strata = _strata(benchmark, entries).tolist()
    seen: Counter[int] = Counter()
    turns = []
    for i, stratum in enumerate(strata):
        turns.append((seen[stratum], i))
        seen[stratum] += 1
    return [entries[i] for i in sorted(i for _, i in sorted(turns)[:limit])]


def _strata(benchmark: Benchmark, entries: Sequence[Entry]) -> NDArray[np.int64]:
    space = benchmark.space
    if not isinstance(space, EncodedSpace):
        return np.zeros(len(entries), dtype=np.int64)
    return space.strata([entry.architecture for entry in entries])


def _combined(
    benchmark: Benchmark,
    entries: Sequence[Entry],
    columns: Mapping[str, Array],
    statistics: Mapping[str, Array] | None,
) -> Measurements:
    """Leave out terminals, then architectures, with missing values, and put the rest together."""
    missing = {name: float(np.isnan(column).mean()) for name, column in columns.items()}
    kept = [name for name in columns if missing[name] <= MAX_MISSING_FRACTION]
    for name in columns.keys() - kept:
        log.warning(
            "%s left out: %.0f %% of the architectures of %s lack it", name, 100 * missing[name], benchmark.name
        )
    if not set(kept) - {NUM_LAYERS}:
        allowed = "a table with scores of registered proxies"
        raise InputError("scores", f"no proxy with scores of {benchmark.name}", allowed)
    complete = ~np.any([np.isnan(columns[name]) for name in kept], axis=0)
    if statistics is not None:
        complete &= np.array([len(statistics[entry.architecture.fingerprint]) > 0 for entry in entries])
    rows = np.flatnonzero(complete)
    if len(rows) < 2:
        raise InputError("scores", f"all scores of {len(rows)} architectures of {benchmark.name}", "at least 2")
    chosen = [entries[i] for i in rows.tolist()]
    terminals = [Expression(name, Kind.SCALAR) for name in kept]
    values = {terminal.key: columns[str(terminal.head)][rows] for terminal in terminals}
    segments = None
    if statistics is not None:
        arrays = [statistics[entry.architecture.fingerprint] for entry in chosen]
        segments = Segments.from_lengths([len(array) for array in arrays])
        terminals += layer_terminals()
        values |= dict(zip((each.key for each in layer_terminals()), np.concatenate(arrays).T, strict=True))
    return Measurements(
        name=benchmark.name,
        groups=tuple(
            getattr(entry.architecture, "isomorphism_class", entry.architecture.fingerprint) for entry in chosen
        ),
        accuracy=np.array([entry.accuracy for entry in chosen]),
        strata=_strata(benchmark, chosen),
        terminals=tuple(terminals),
        values=values,
        segments=segments,
        stratum_label=stratum_label(benchmark.space),
        left_out=len(entries) - len(rows),
    )
