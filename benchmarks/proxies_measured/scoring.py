"""Computation of the proxy scores that are missing."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

from benchmarks.proxies_measured.populations import NUM_REPEATED, PROXIES, ROOT, Features, Population, read_features
from common.atomic_files import write_atomically
from ensemble import Benchmark, load_scores
from service.cli.score_benchmark import score_benchmark

RUNS = ROOT / "runs" / "proxies_measured"
"""Tables of scores in progress, which an interrupted run continues."""


def missing_proxies(population: Population, benchmark: Benchmark, seed: int) -> list[str]:
    """Names of the proxies that an architecture lacks, which a seed is to have the scores of."""
    features = population.features(benchmark, seed)
    rows = [
        features.get(arch.fingerprint, {}) for arch in benchmark.architectures[: num_architectures(population, seed)]
    ]
    return [name for name in PROXIES if any(name not in row for row in rows)]


def num_architectures(population: Population, seed: int) -> int:
    """Return the number of architectures that are scored with a seed, the first ones of the benchmark."""
    return NUM_REPEATED if seed else population.size


def score_missing(population: Population, benchmarks: Path, datasets: Path, seed: int, jobs: int) -> None:
    """Compute the missing scores of a population with one seed of the initial weights, and add them to its file.

    Args:
        population: the population.
        benchmarks: folder of the benchmarks.
        datasets: folder of the published graphs.
        seed: seed of the initial weights and of the proxies' draws; the batch is the same for all.
        jobs: number of processes.
    """
    benchmark = population.load(benchmarks)
    names = missing_proxies(population, benchmark, seed)
    if not names:
        return
    table = RUNS / f"{population.file(seed).stem}.jsonl"
    columns = (*Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        limit = num_architectures(population, seed)
        task = progress.add_task(table.stem, total=limit)
        score_benchmark(
            benchmarks / population.benchmark,
            table,
            population.batch(datasets),
            seed,
            proxies=names,
            jobs=jobs,
            limit=limit,
            space=benchmark.space,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    add_features(population.file(seed), load_scores(table).features, names)
    table.unlink()


def add_features(path: Path, features: Features, names: Sequence[str]) -> None:
    """Add columns to a CSV file, which need not exist; an architecture without a value has an empty cell.

    Args:
        path: the file.
        features: the new features.
        names: names of their columns, also of those that no architecture has.
    """
    known = read_features(path)
    columns = [*dict.fromkeys((*(name for row in known.values() for name in row), *names))]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["fingerprint", *columns])
    for key in sorted(known.keys() | features.keys()):
        row = known.get(key, {}) | features.get(key, {})
        writer.writerow([key, *(_text(row.get(name)) for name in columns)])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.getvalue().encode())


def _text(feature: float | None) -> str:
    return "" if feature is None else f"{feature:.9g}"
