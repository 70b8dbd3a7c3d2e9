"""Populations: architectures with accuracies on one data set, and the probe that their proxies are computed on."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.evolution.sources import NB201_ARCHITECTURES, NB201_SCORES
from benchmarks.graph_proxies.__main__ import DATASETS
from benchmarks.graph_proxies.__main__ import GRAPHS as GRAPH_FILES
from benchmarks.graph_proxies.__main__ import SCORES as GRAPH_SCORES
from ensemble import Benchmark, load_benchmark, load_scores
from models import BuildableSpace, SearchSpace, get_space, require
from models.batch_spec import BatchSpec
from proxies.registry import BUILT_IN

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "data" / "proxies-measured"
"""Scores as CSV: `<population>.csv` those of seed 0 that no other file has, `<population>-seed-<seed>.csv` others."""
PROXIES = tuple(sorted(proxy.info.name for proxy in BUILT_IN))
SEEDS = (0, 1, 2, 3, 4)
NUM_REPEATED = 24
"""Architectures that are scored with every seed, the first of a population's first file."""
FINGERPRINT = "fingerprint"
Array = NDArray[np.float64]
Features = dict[str, dict[str, float | None]]
"""Feature of each proxy by fingerprint; None where it has none."""


@dataclass(frozen=True)
class Population:
    """Architectures of one space with accuracies on one data set.

    Attributes:
        name: name, also of its files.
        space: name of the search space.
        settings: settings of the space.
        benchmark: file or folder of the accuracies, relative to the folder of benchmarks.
        size: number of architectures with scores.
        first_scores: files with scores of the first eighteen proxies; where there are two, the first one has all of
            them and the batch, the second one further architectures.
        graph: published graph that probes, relative to the folder of data sets; None for the synthetic default.
        sizes: numbers of labels at which gains are measured; none for no gains.
        repeated: whether some architectures are scored with every seed.
    """

    name: str
    space: str
    benchmark: str
    size: int
    first_scores: tuple[Path, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    graph: str | None = None
    sizes: tuple[int, ...] = (25, 50, 100, 500)
    repeated: bool = False

    def load(self, folder: Path) -> Benchmark:
        """Read the accuracies of all architectures of the benchmark."""
        return load_benchmark(folder / self.benchmark, self._space())

    def batch(self, datasets: Path) -> BatchSpec:
        """Return the probe batch of the first eighteen proxies, which all scores are computed on."""
        task = require(self._space(), BuildableSpace).task
        if self.first_scores[0].suffix == ".jsonl":
            return task.batch_spec(**load_scores(self.first_scores[0]).header["batch"])
        fields = {} if self.graph is None else {"source": "graph", "data": str(datasets / self.graph)}
        return task.batch_spec(**fields)

    def file(self, seed: int) -> Path:
        """Return the CSV file of a seed of the initial weights."""
        return FOLDER / f"{self.name}{f'-seed-{seed}' if seed else ''}.csv"

    def features(self, seed: int = 0) -> Features:
        """Read the features of all proxies that are known for a seed, by fingerprint."""
        files = [self.read(path) for path in (self.file(seed), *(() if seed else self.first_scores))]
        keys = sorted(set[str]().union(*files))
        return {key: dict(chain.from_iterable(file.get(key, {}).items() for file in files)) for key in keys}

    def read(self, path: Path) -> Features:
        """Read a file of scores by fingerprint, whatever it names architectures by; none if there is no file."""
        if path.suffix == ".jsonl":
            return load_scores(path).features
        column, rows = read_features(path)
        if column == FINGERPRINT:
            return rows
        space = self._space()
        return {space.parse({column: name}).fingerprint: row for name, row in rows.items()}

    def _space(self) -> SearchSpace[Any]:
        return get_space(self.space, **self.settings)


def read_features(path: Path) -> tuple[str, Features]:
    """Read the features of a CSV file by its first column, and that column's name; none if there is no file."""
    if not path.exists():
        return FINGERPRINT, {}
    with path.open() as file:
        reader = csv.reader(file)
        column, *names = next(reader)
        return column, {
            key: {name: float(text) if text else None for name, text in zip(names, row, strict=True)}
            for key, *row in reader
        }


def _graph_population(dataset: str) -> Population:
    source = "graph" if dataset in GRAPH_FILES else "synthetic"
    return Population(
        f"nas-bench-graph-{dataset}",
        "nas-bench-graph",
        f"nas-bench-graph/{dataset}.npz",
        500,
        (GRAPH_SCORES / f"{dataset}-{source}.csv",),
        {"dataset": dataset},
        GRAPH_FILES.get(dataset),
        (25, 50, 100, 400) if source == "graph" else (),
        dataset == "photo",
    )


_DATA = ROOT / "ensemble" / "data"
POPULATIONS: dict[str, Population] = {
    population.name: population
    for population in (
        Population("gcn-nas-ntu", "gcn-nas", "gcn-nas-ntu", 593, (_DATA / "gcn-nas-ntu.scores.jsonl",), repeated=True),
        Population(
            "nas-bench-201-cifar10",
            "nas-bench-201",
            "nas-bench-201/accuracy.csv",
            NB201_ARCHITECTURES,
            (_DATA / "nas-bench-201-cifar10.scores.jsonl", NB201_SCORES),
            {"dataset": "cifar10"},
            repeated=True,
        ),
        *map(_graph_population, DATASETS),
    )
}
GRAPHS = "nas-bench-graph"
"""Name of the mean over the populations of `PUBLISHED_GRAPHS`."""
PUBLISHED_GRAPHS = tuple(name for name, population in POPULATIONS.items() if population.graph is not None)
"""Populations of the same architectures, one a data set, whose probe is a sample of the published graph."""
