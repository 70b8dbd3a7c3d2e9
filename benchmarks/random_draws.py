"""Rankings by swap and vkdnw at several numbers of their random draws: the tables of docs/proxies.md.

    python -m benchmarks.random_draws --benchmarks $ARCHRANK_BENCHMARKS [--only swap] [--write]

swap counts patterns over random samples, and vkdnw reads the spectrum of random vectors in place of the Fisher
information. For each number of them: ρ of the scores of two seeds and ρ with a reference, both given depth, and ρ with
the accuracy. The reference of swap is the largest number with the other seed, that of vkdnw the Fisher information.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.markdown import insert_tables, markdown
from benchmarks.proxies_measured.populations import POPULATIONS, ROOT
from ensemble.evaluation.metrics import partial_spearman, spearman
from models import BuildableSpace, ProbeBatch, require
from proxies.base import Need
from proxies.passes import activation_patterns, exact, gradient_sign
from proxies.runner import measure
from proxies.swap import Swap
from proxies.vkdnw import Vkdnw

PAGE = ROOT / "docs" / "proxies.md"
SEEDS = (0, 1)
SAMPLES = (4, 8, 16, 32)
VECTORS = (8, 16, 32, 64)
FULL = "all"
Scores = Mapping[Any, float]
"""Score by number of draws."""


def swap_scores(network: nn.Module, batch: ProbeBatch, seed: int) -> dict[Any, float]:
    """Return swap of each number of samples. The batch has fewer than the least."""
    found: dict[Any, float] = {}
    for samples in SAMPLES:
        with mock.patch.object(activation_patterns, "MIN_SAMPLES", samples):
            patterns = measure(network, batch, Need.ACTIVATION_PATTERNS, seed)
        found[samples] = Swap().compute({Need.ACTIVATION_PATTERNS: patterns})
    return found


def vkdnw_scores(network: nn.Module, batch: ProbeBatch, seed: int) -> dict[Any, float]:
    """Return vkdnw of each number of random vectors, and with the first seed that of the whole Fisher information."""
    samples = len(batch.targets)
    vectors = fisher_vectors(network, batch, seed, max(VECTORS) // samples)
    found: dict[Any, float] = {number: Vkdnw().compute({Need.FISHER_VECTORS: vectors[:number]}) for number in VECTORS}
    if seed == SEEDS[0]:
        found[FULL] = Vkdnw().compute({Need.FISHER_VECTORS: fisher_root(network, batch)})
    return found


def fisher_vectors(network: nn.Module, batch: ProbeBatch, seed: int, number: int) -> Tensor:
    """Return random vectors of the Fisher information, `number` for each sample, (number · samples, entries)."""
    with mock.patch("proxies.passes.fisher.num_projections", return_value=number):
        vectors: Tensor = measure(network, batch, Need.FISHER_VECTORS, seed)
    return vectors


def fisher_root(network: nn.Module, batch: ProbeBatch) -> Tensor:
    """Return a matrix A whose AᵀA is in proportion to the Fisher information, of as many rows as that may have rank.

    The columns of Sᵀ·J take the place of random vectors. S has a row for each class, and rank one less.
    """

    def columns(batch: Any, outputs: int, seed: int) -> Iterator[Tensor]:
        for unit in torch.eye(outputs):
            yield unit.expand(len(batch.y), -1)

    with mock.patch.object(gradient_sign, "projections", columns), mock.patch.object(exact, "projections", columns):
        rows = measure(network, batch, Need.FISHER_VECTORS).double()
    classes = len(rows) // len(batch.targets)
    _, values, directions = torch.linalg.svd(rows, full_matrices=False)
    rank = min(len(batch.targets) * (classes - 1), len(values))
    root: Tensor = values[:rank, None] * directions[:rank]
    return root


class Case(NamedTuple):
    """Proxy on a search space.

    Attributes:
        scores: returns the scores of a network by number of draws, for a probe batch and a seed.
        population: the architectures.
        sizes: of the probe batch, where not the default.
        reference: number of draws that others are compared with.
        number: of architectures, the first ones that have a score of the proxy.
    """

    scores: Callable[[nn.Module, ProbeBatch, int], dict[Any, float]]
    population: str
    sizes: Mapping[str, int]
    reference: Any
    number: int


CASES: dict[str, dict[str, Case]] = {
    "swap": {
        "`gcn-nas`": Case(swap_scores, "gcn-nas-ntu", {"batch_size": 2}, SAMPLES[-1], 100),
        "`nas-bench-201`": Case(swap_scores, "nas-bench-201-cifar10", {"batch_size": 2}, SAMPLES[-1], 100),
    },
    "vkdnw": {"`nas-bench-201`": Case(vkdnw_scores, "nas-bench-201-cifar10", {}, FULL, 60)},
}


def rows_of(proxy: str, case: Case, benchmarks: Path) -> Iterator[list[str]]:
    """Score the architectures of a case, and yield the cells of each number of draws."""
    population = POPULATIONS[case.population]
    benchmark, features = population.load(benchmarks), population.features()
    space = require(benchmark.space, BuildableSpace)
    batch = space.task.synthetic_batch(**case.sizes)
    known = [features.get(arch.fingerprint, {}).get(proxy) is not None for arch in benchmark.architectures]
    rows = np.flatnonzero(known)[: case.number]
    scores: list[Sequence[Scores]] = []
    for arch in (benchmark.architectures[i] for i in rows):
        network = space.build(arch, seed=0)
        scores.append([case.scores(network, batch, seed) for seed in SEEDS])
        sys.stderr.write(f"\r{case.population}: {len(scores)} of {case.number}")
    accuracy, strata = benchmark.accuracy[rows], benchmark.strata[rows]
    reference = np.array(
        [[found[case.reference] for found in seeds if case.reference in found][-1] for seeds in scores]
    )
    for draws in scores[0][0]:
        columns = [np.array([seeds[i][draws] for seeds in scores]) for i in range(len(SEEDS)) if draws in scores[0][i]]
        yield [str(draws), *_cells(columns, reference, accuracy, strata)]


def _cells(
    columns: Sequence[NDArray[np.float64]], reference: Any, accuracy: NDArray[np.float64], strata: NDArray[Any]
) -> list[str]:
    between = partial_spearman(columns[0], columns[-1], strata) if len(columns) > 1 else None
    compared = [
        between,
        partial_spearman(columns[0], reference, strata),
        _mean([spearman(column, accuracy) for column in columns]),
        _mean([partial_spearman(column, accuracy, strata) for column in columns]),
    ]
    return [_text(value) for value in compared]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def _text(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}".replace("-", "−")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmarks", type=Path, required=True, help="folder of benchmarks")
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--write", action="store_true", help="renew the tables of docs/proxies.md")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for name in args.only:
        heads = [
            "space",
            "draws",
            "between two seeds",
            "with the reference",
            "with the accuracy",
            "the same given depth",
        ]
        rows = [heads, ["---", "---:", "---:", "---:", "---:", "---:"]]
        for space, case in CASES[name].items():
            rows += [[space, *cells] for cells in rows_of(name, case, args.benchmarks)]
        table = markdown(rows)
        if args.write:
            insert_tables(PAGE, {f"draws of {name}": table})
        print(table)  # noqa: T201


if __name__ == "__main__":
    main()
