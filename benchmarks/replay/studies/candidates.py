"""Candidates of the replays: architectures whose training means looking up their accuracy."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.graph_proxies.__main__ import SCORES as GRAPH_SCORES
from benchmarks.replay.__main__ import SCORES as SKELETON_SCORES
from benchmarks.replay.candidates import PROXIES
from benchmarks.transfer.sources import DATASETS, Tables, features
from ensemble import get_combiner, load_benchmark, load_scores
from ensemble.combiners.calibrated import Calibrated
from ensemble.data.columns import PROXY, Columns
from ensemble.data.features import feature_table
from ensemble.evaluation.protocol import benchmark_features
from models import Architecture, CapabilityError, EditableSpace, SearchSpace, get_space, require
from models.nas_bench_graph import NasBenchGraphArchitecture
from search import SearchDomain, TableDomain

Array = NDArray[np.float64]
Rows = NDArray[np.int64]
NUM_CANDIDATES, SPLIT_SEED = 10_000, 0
MAX_CROSSOVERS = 200
SOURCE = "rank_trees"
SKELETONS = "gcn-nas"
"""Name of the table of the 593 architectures of `gcn-nas`."""


@dataclass(frozen=True)
class Candidates:
    """Architectures that a search may train, n in number.

    Attributes:
        name: name of the table.
        space: search space.
        architectures: the architectures.
        accuracy: accuracy after training, (n,).
        features: structure and costs, (n, d).
        sources: scores by sources that have not seen the label of any candidate on any data set, (n, s).
        depths: numbers of layers, (n,); those on the longest path in `nas-bench-graph`.
        proxies: scores by proxy, (n, p); NaN in the rows of architectures that were not scored.
    """

    name: str
    space: SearchSpace[Any]
    architectures: Sequence[Architecture]
    accuracy: Array
    features: Array
    sources: Array
    depths: Array
    proxies: Array

    def __len__(self) -> int:
        return len(self.architectures)

    @cached_property
    def index(self) -> dict[Architecture, int]:
        """Row of each architecture."""
        return {arch: i for i, arch in enumerate(self.architectures)}

    @cached_property
    def domain(self) -> SearchDomain:
        """Domain of evolution: mutations of the space where the table is dense in it, else near rows of the table."""
        if self.name == SKELETONS:
            return TableDomain(self.space, self.architectures)
        return SubsetDomain(self.space, self.architectures)

    def random_half(self, seed: int) -> "Candidates":
        """Return a random half of the candidates."""
        kept = np.sort(np.random.default_rng(seed).permutation(len(self))[: len(self) // 2])
        return Candidates(
            self.name,
            self.space,
            [self.architectures[i] for i in kept.tolist()],
            self.accuracy[kept],
            self.features[kept],
            self.sources[kept],
            self.depths[kept],
            self.proxies[kept],
        )


class SubsetDomain:
    """Some architectures of a space, with the mutations and crossovers that lead to one of them.

    Args:
        space: search space.
        architectures: the architectures.
    """

    def __init__(self, space: SearchSpace[Any], architectures: Sequence[Architecture]) -> None:
        self.space, self.architectures = space, architectures
        self._members = set(architectures)
        self._neighbors: dict[Architecture, list[Architecture]] = {}

    def check_editable(self) -> None:
        """Raise `CapabilityError` if the space has no mutations."""
        require(self.space, EditableSpace)

    def check_costed(self) -> None:
        """Raise `CapabilityError`: the costs are not known."""
        raise CapabilityError(self.space.name, "costs in this table")

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Return a random architecture."""
        return self.architectures[int(rng.integers(len(self.architectures)))]

    def mutate(self, arch: Architecture, rng: np.random.Generator) -> Architecture:
        """Return a random neighbor among the architectures; a random one of them if there is none."""
        neighbors = self._known_neighbors(arch)
        return neighbors[int(rng.integers(len(neighbors)))] if neighbors else self.sample(rng)

    def neighbors(self, arch: Architecture) -> Iterator[Architecture]:
        """Iterate over the neighbors among the architectures."""
        return iter(self._known_neighbors(arch))

    def crossover(self, first: Architecture, second: Architecture, rng: np.random.Generator) -> Architecture:
        """Return a random crossover among the architectures; the first parent if none is found."""
        for _ in range(MAX_CROSSOVERS):
            child: Architecture = require(self.space, EditableSpace).crossover(first, second, rng)
            if child in self._members:
                return child
        return first

    def _known_neighbors(self, arch: Architecture) -> list[Architecture]:
        if arch not in self._neighbors:
            neighbors = require(self.space, EditableSpace).neighbors(arch)
            self._neighbors[arch] = [other for other in neighbors if other in self._members]
        return self._neighbors[arch]


def graph_candidates(folder: Path, dataset: str, cache: Path) -> Candidates:
    """Candidates of a data set of NAS-Bench-Graph: those with proxy scores, and random ones up to `NUM_CANDIDATES`.

    They are the same on every data set, and hidden from all sources.

    Args:
        folder: folder with `nas-bench-graph/<data set>.npz`.
        dataset: the new data set; the other ones are the sources.
        cache: folder of the features and of the sources' scores, which are computed where they are missing.
    """
    tables = Tables.load(folder)
    scores = _graph_scores(dataset)
    rows = _candidate_rows(tables)
    architectures = [tables.architectures[row] for row in rows]
    others = [name for name in DATASETS if name != dataset]
    unscored = np.full(len(next(iter(scores.values()))), np.nan)
    space = get_space("nas-bench-graph", dataset=dataset)
    return Candidates(
        dataset,
        space,
        architectures,
        tables.accuracy[rows, DATASETS.index(dataset)],
        features(tables, dataset, cache)[rows],
        np.column_stack([source_scores(tables, name, cache)[rows] for name in others]),
        feature_table(space, architectures).strata.astype(float),
        np.stack([scores.get(_digits(arch), unscored) for arch in architectures]),
    )


def source_scores(tables: Tables, dataset: str, cache: Path) -> Array:
    """Standardized scores of all architectures by `rank_trees`, fitted to all labels but those of candidates, (N,).

    Args:
        tables: labels of N architectures.
        dataset: data set of the source.
        cache: folder of the scores, which are computed if they are missing.
    """
    path = cache / f"replay-source-{dataset}.npy"
    if not path.is_file():
        X, y = features(tables, dataset, cache), tables.accuracy[:, DATASETS.index(dataset)]
        known = ~np.isnan(y)
        known[_candidate_rows(tables)] = False
        estimator = get_combiner(SOURCE).build(Columns.from_space(get_space("nas-bench-graph", dataset=dataset)))
        assert isinstance(estimator, Calibrated)
        scores = estimator.base_estimator.fit(X[known], y[known]).predict(X)
        partial = path.with_suffix(".partial.npy")
        np.save(partial, (scores - scores.mean()) / scores.std())
        partial.replace(path)
    return np.asarray(np.load(path))


def _candidate_rows(tables: Tables) -> Rows:
    """Rows of the candidates: architectures with proxy scores, then random ones, labelled on every data set."""
    labelled = np.flatnonzero(~np.isnan(tables.accuracy).any(axis=1))
    scored = _graph_scores(DATASETS[0])
    has_scores = np.array([_digits(tables.architectures[row]) in scored for row in labelled])
    shuffled = np.random.default_rng(SPLIT_SEED).permutation(labelled[~has_scores])
    rows = np.concatenate([labelled[has_scores], shuffled[: NUM_CANDIDATES - has_scores.sum()]])
    return np.sort(rows)


def _graph_scores(dataset: str) -> dict[str, Array]:
    """Scores of the proxies by digits; on the published graph where it was available, else on the synthetic one."""
    paths = (GRAPH_SCORES / f"{dataset}-{source}.csv" for source in ("graph", "synthetic"))
    with next(path for path in paths if path.is_file()).open() as file:
        head, *rows = csv.reader(file)
    values = {row[0]: np.array([float(text or "nan") for text in row[1:]]) for row in rows}
    complete = ~np.isnan(np.stack(list(values.values()))).any(axis=0)
    assert len(head) == len(complete) + 1
    return {digits: scores[complete] for digits, scores in values.items()}


def _digits(arch: Architecture) -> str:
    assert isinstance(arch, NasBenchGraphArchitecture)
    return arch.digits


def skeleton_candidates(folder: Path) -> Candidates:
    """Candidates of `gcn-nas`: the 593 trained architectures. There is no second data set that could be a source.

    Args:
        folder: folder with `gcn-nas-ntu`.
    """
    benchmark = load_benchmark(folder / "gcn-nas-ntu")
    scores = benchmark_features(benchmark, load_scores(SKELETON_SCORES))
    return Candidates(
        SKELETONS,
        benchmark.space,
        benchmark.architectures,
        benchmark.accuracy,
        benchmark_features(benchmark, None).values,
        np.empty((len(benchmark), 0)),
        benchmark.strata.astype(float),
        scores.select([PROXY + name for name in PROXIES]),
    )
