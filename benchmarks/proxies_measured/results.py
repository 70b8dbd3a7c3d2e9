"""Results of all populations: correlations, scatter and gains, as one JSON file that grows."""

import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.proxies_measured.correlations import KINDS, NUM_RESAMPLES, Material, bootstrap, interval
from benchmarks.proxies_measured.gains import ALL, DRAWS, MODELS, measure_gains
from benchmarks.proxies_measured.populations import FOLDER, PROXIES, SEEDS, Features, Population
from benchmarks.proxies_measured.scatter import agreement, relative_scatter
from common.atomic_files import write_atomically
from ensemble.evaluation.protocol import benchmark_features

RESULTS = FOLDER / "results.json"
MIN_SHARE = 0.95
"""Share of a population's architectures with a score, below which the gain of a proxy is not measured."""
STRATUM = "stratum"
"""Name of the stratum among the scores."""
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Scored:
    """Architectures of a population that have scores.

    Attributes:
        keys: fingerprints of the n architectures.
        names: names of the p proxies that at least one of them has a score of.
        scores: (n, p); NaN where an architecture has none.
        structure: structure and costs, (n, d).
        material: accuracies, strata, parameters and isomorphism classes.
        repeated_rows: rows of the m architectures that have scores of every seed; none in most populations.
        repeated: their scores, (seeds, m, p).
    """

    keys: tuple[str, ...]
    names: tuple[str, ...]
    scores: Array
    structure: Array
    material: Material
    repeated_rows: NDArray[np.int64]
    repeated: Array

    @classmethod
    def load(cls, population: Population, folder: Path) -> "Scored":
        """Read scores and accuracies.

        Args:
            population: the population.
            folder: folder of the benchmarks.
        """
        benchmark = population.load(folder)
        features = population.features()
        table = benchmark_features(benchmark, None)
        chosen = [(i, arch) for i, arch in enumerate(benchmark.architectures) if arch.fingerprint in features]
        rows = np.array([i for i, _ in chosen])
        keys = tuple(arch.fingerprint for _, arch in chosen)
        columns = {name: _column(features, keys, name) for name in PROXIES}
        names = tuple(name for name, column in columns.items() if not np.isnan(column).all())
        parameters = table.select(["cost.log_params"])[rows, 0]
        classes = [getattr(arch, "isomorphism_class", arch.fingerprint) for _, arch in chosen]
        groups = np.unique(classes, return_inverse=True)[1]
        material = Material(benchmark.accuracy[rows], benchmark.strata[rows], parameters, groups)
        scores = np.column_stack([columns[name] for name in names])
        seeds = [features, *(population.features(seed) for seed in SEEDS[1:])]
        common = np.array([i for i, key in enumerate(keys) if all(key in seed for seed in seeds)], dtype=np.int64)
        repeated = np.empty((len(SEEDS), len(common), len(names)))
        for seed, rows_of_seed in enumerate(seeds):
            for i, name in enumerate(names):
                repeated[seed, :, i] = _column(rows_of_seed, [keys[row] for row in common], name)
        return cls(keys, names, scores, table.values[rows], material, common, repeated)

    @property
    def counts(self) -> dict[str, int]:
        """Number of architectures with a score, by proxy."""
        counts = (~np.isnan(self.scores)).sum(axis=0)
        return {name: int(count) for name, count in zip(self.names, counts, strict=True)}

    def restrict(self, keys: Collection[str]) -> "Scored":
        """Leave out all architectures but some, given by fingerprint, and the repeated scores."""
        rows = np.array([i for i, key in enumerate(self.keys) if key in keys], dtype=np.int64)
        none = np.empty((len(SEEDS), 0, len(self.names)))
        kept = tuple(self.keys[i] for i in rows)
        structure, material = self.structure[rows], self.material.take(rows)
        return Scored(kept, self.names, self.scores[rows], structure, material, rows[:0], none)


class Correlated(NamedTuple):
    """Correlations of p scores with the accuracy.

    Attributes:
        names: names of the scores.
        values: a row for each kind, (4, p).
        resampled: the same of r resamples, (r, 4, p).
    """

    names: tuple[str, ...]
    values: Array
    resampled: Array

    @classmethod
    def measure(cls, scored: Scored, resamples: int = NUM_RESAMPLES) -> "Correlated":
        """Correlate stratum and proxies of a population."""
        columns = np.column_stack([scored.material.strata.astype(np.float64), scored.scores])
        return cls((STRATUM, *scored.names), *bootstrap(columns, scored.material, resamples))

    @classmethod
    def mean(cls, populations: Sequence["Correlated"]) -> "Correlated":
        """Mean over populations of the same architectures, of the scores that all of them have."""
        names = tuple(name for name in populations[0].names if all(name in other.names for other in populations))
        indices = [[other.names.index(name) for name in names] for other in populations]
        pairs = list(zip(populations, indices, strict=True))
        values = np.mean([other.values[:, index] for other, index in pairs], axis=0)
        return cls(names, values, np.mean([other.resampled[:, :, index] for other, index in pairs], axis=0))

    @property
    def rows(self) -> dict[str, Any]:
        """`[ρ, low, high]` by name and kind, as plain data."""
        tables = (self.values, *interval(self.resampled))
        return {
            name: {kind: [as_json(table[row, i]) for table in tables] for row, kind in enumerate(KINDS)}
            for i, name in enumerate(self.names)
        }


def measure_scatter(scored: Scored) -> dict[str, Any]:
    """Scatter over the seeds: the number of architectures, and by proxy `[relative scatter, agreement]`."""
    strata = scored.material.strata[scored.repeated_rows]
    found = {}
    for i, name in enumerate(scored.names if len(strata) else ()):
        column = scored.repeated[:, :, i : i + 1]
        if not np.isnan(column).any():
            found[name] = [as_json(measure(column, strata)[0]) for measure in (relative_scatter, agreement)]
    return {"n": len(strata), "proxies": found}


def add_gains(scored: Scored, sizes: tuple[int, ...], gains: dict[str, Any], save: Callable[[], None]) -> None:
    """Measure the gains that are missing.

    Args:
        scored: the population.
        sizes: numbers of labels.
        gains: `{"<model>/<size>": {"base": ρ, "proxies": {name: [gain, error]}}}`, which is completed.
        save: called after each model and size.
    """
    known = [name for name, count in scored.counts.items() if count >= MIN_SHARE * len(scored.keys)]
    columns = {name: scored.scores[:, [scored.names.index(name)]] for name in known}
    for model, size in product(MODELS, sizes):
        row = gains.setdefault(f"{model}/{size}", {"base": None, "proxies": {}})
        missing = [name for name in known if name not in row["proxies"]]
        if not missing:
            continue
        inputs = [*(columns[name] for name in missing), np.hstack(list(columns.values()))]
        gain = measure_gains(model, scored.structure, inputs, scored.material, size, DRAWS[model])
        row["base"] = round(gain.base, 5)
        for name, mean, error in zip([*missing, ALL], gain.mean, gain.error, strict=True):
            row["proxies"][name] = [round(float(mean), 5), round(float(error), 5)]
        save()


def read_results() -> dict[str, Any]:
    """Read the results; none if there is no file."""
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    return results


def write_results(results: Mapping[str, Any]) -> None:
    """Write the results."""
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(RESULTS, json.dumps(results, indent=1, sort_keys=True).encode() + b"\n")


def as_json(value: float) -> float | None:
    """Round to four digits; None for a number that is not finite."""
    return round(float(value), 4) if math.isfinite(value) else None


def _column(features: Features, keys: list[str] | tuple[str, ...], name: str) -> Array:
    values = [features[key].get(name) for key in keys]
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)
