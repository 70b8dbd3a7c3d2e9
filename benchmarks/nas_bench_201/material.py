"""Populations of trained architectures, splits into training and test rows, and the ceiling of any predictor."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from ensemble.data.benchmark import Benchmark
from ensemble.data.features import FeatureTable, feature_table
from ensemble.data.loading import load_benchmark
from ensemble.data.scores import ScoreTable
from models import get_space

Rows = NDArray[np.int64]
Array = NDArray[np.float64]
NUM_BINS = 10
"""Bins of equal width that a stratified test draws from."""
MIN_PROXY_SHARE = 0.99
"""Share of the architectures with a score, below which a published proxy is not used."""


@dataclass(frozen=True)
class Population:
    """Table that architectures are drawn from.

    Attributes:
        title: name in the documentation.
        file: file with the published proxy scores.
        datasets: data sets with published scores of these architectures.
        sizes: numbers of training rows.
        num_test: rows of a random test.
        per_bin: most rows that a stratified test draws from a bin of the accuracy.
    """

    title: str
    file: str
    datasets: tuple[str, ...]
    sizes: tuple[int, ...]
    num_test: int
    per_bin: int


POPULATIONS = {
    "9445": Population(
        "the 9,445 without an operation that has no effect",
        "proxies_9445.csv",
        ("cifar10", "imagenet16-120"),
        (50, 100, 200, 400, 900, 1000, 3000, 7556),
        1889,
        30,
    ),
    "1104": Population(
        "1,104 of all 15,625",
        "proxies.csv",
        ("cifar10", "cifar100", "imagenet16-120"),
        (50, 100, 200, 400, 900),
        204,
        20,
    ),
}


@dataclass(frozen=True)
class Material:
    """Architectures of a population on one data set, with features and accuracies."""

    benchmark: Benchmark
    table: FeatureTable

    @property
    def accuracy(self) -> Array:
        """Test accuracies, (n,)."""
        return self.benchmark.accuracy

    @cached_property
    def classes(self) -> Rows:
        """Number of the isomorphism class of each architecture, (n,)."""
        names = [arch.isomorphism_class for arch in self.benchmark.architectures]  # type: ignore[attr-defined]
        return np.unique(names, return_inverse=True)[1]


@lru_cache(maxsize=2)
def load_material(folder: Path, population: str, dataset: str) -> Material:
    """Read a population with its published proxy scores.

    Args:
        folder: folder of the published tables.
        population: key of `POPULATIONS`.
        dataset: name of the data set.
    """
    benchmark = load_benchmark(folder / POPULATIONS[population].file, get_space("nas-bench-201", dataset=dataset))
    scores = ScoreTable.from_published(benchmark)
    rows = [scores.features[arch.fingerprint] for arch in benchmark.architectures]
    known = {name: np.mean([row[name] is not None for row in rows]) for name in benchmark.proxies}
    proxies = [name for name, share in known.items() if share >= MIN_PROXY_SHARE]
    return Material(benchmark, feature_table(benchmark.space, benchmark.architectures, rows, proxies))


Split = Callable[[Material, Population, np.random.Generator], Rows]
"""Selects the test rows."""


def random_test(material: Material, population: Population, rng: np.random.Generator) -> Rows:
    """Draw test rows at random; twins of them may be training rows."""
    return rng.permutation(len(material.benchmark))[: population.num_test]


def stratified_test(material: Material, population: Population, rng: np.random.Generator) -> Rows:
    """Draw about as many test rows from each of ten bins of the accuracy."""
    accuracy = material.accuracy
    edges = np.linspace(accuracy.min(), accuracy.max(), NUM_BINS + 1)[1:-1]
    order = rng.permutation(len(accuracy))
    bins = np.digitize(accuracy[order], edges)
    return np.concatenate([order[bins == number][: population.per_bin] for number in range(NUM_BINS)])


def grouped_test(material: Material, population: Population, rng: np.random.Generator) -> Rows:
    """Draw whole isomorphism classes, so that no test row has a twin among the training rows."""
    order = rng.permutation(material.classes.max() + 1)
    sizes = np.bincount(material.classes)[order].cumsum()
    drawn = order[: int(np.searchsorted(sizes, population.num_test)) + 1]
    return np.flatnonzero(np.isin(material.classes, drawn))


SPLITS: dict[str, Split] = {"random": random_test, "stratified": stratified_test, "grouped": grouped_test}


def split_rows(material: Material, population: Population, split: str, draw: int) -> tuple[Rows, Rows]:
    """Return all training rows, in random order, and the test rows of one draw."""
    rng = np.random.default_rng([draw, *split.encode()])
    test = SPLITS[split](material, population, rng)
    train = np.setdiff1d(np.arange(len(material.benchmark)), test)
    return rng.permutation(train), test


def twin_ceiling(folder: Path, dataset: str, draws: int = 20) -> dict[str, float]:
    """Rank correlation of the accuracies of two isomorphic cells that were trained apart.

    Args:
        folder: folder of the published tables.
        dataset: name of the data set.
        draws: number of random choices of two cells of each class.

    Returns:
        Kendall's τ, mean over the draws, and the number of classes with two cells, among those without an operation
        that has no effect.
    """
    material = load_benchmark(folder / "accuracy.csv", get_space("nas-bench-201", dataset=dataset))
    members: dict[str, list[float]] = {}
    for entry in material.entries:
        arch = entry.architecture
        if len(arch.live_edges) == sum(op != 0 for op in arch.ops):  # type: ignore[attr-defined]
            members.setdefault(arch.isomorphism_class, []).append(entry.accuracy)  # type: ignore[attr-defined]
    twins = [group for group in members.values() if len(group) > 1]
    rng = np.random.default_rng(0)
    pairs = [np.array([rng.choice(group, 2, replace=False) for group in twins]) for _ in range(draws)]
    return {"kendall": float(np.mean([kendalltau(*pair.T).statistic for pair in pairs])), "pairs": float(len(twins))}
