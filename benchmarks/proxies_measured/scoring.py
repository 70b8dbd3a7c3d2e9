"""Computation of the proxy scores that are missing."""

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

from benchmarks.proxies_measured.populations import (
    FINGERPRINT,
    NUM_REPEATED,
    PROXIES,
    ROOT,
    Features,
    Population,
    read_features,
)
from common.atomic_files import write_atomically
from ensemble import Benchmark, load_scores, write_table
from service.cli.score_benchmark import score_benchmark

RUNS = ROOT / "runs" / "proxies_measured"
"""Tables of scores in progress, which an interrupted run continues."""


def lacking(population: Population, benchmark: Benchmark, seed: int) -> tuple[Benchmark, list[str]]:
    """Return the architectures that lack a proxy's score with a seed, and the proxies that one of them lacks."""
    features = population.features(seed)
    repeated = sorted(population.read(population.first_scores[0]))[:NUM_REPEATED]
    chosen = [entry for entry in benchmark.entries if entry.architecture.fingerprint in repeated]
    entries, names = [], set[str]()
    for entry in chosen if seed else benchmark.entries[: population.size]:
        row = features.get(entry.architecture.fingerprint, {})
        if missing := [name for name in PROXIES if name not in row]:
            entries.append(entry)
            names.update(missing)
    return replace(benchmark, entries=tuple(entries)), sorted(names)


def score_missing(population: Population, benchmarks: Path, datasets: Path, seed: int, jobs: int) -> None:
    """Compute the missing scores of a population with one seed of the initial weights, and add them to its file.

    Args:
        population: the population.
        benchmarks: folder of the benchmarks.
        datasets: folder of the published graphs.
        seed: seed of the initial weights and of the proxies' draws; the batch is the same for all.
        jobs: number of processes.
    """
    benchmark, names = lacking(population, population.load(benchmarks), seed)
    if not names:
        return
    table = RUNS / f"{population.file(seed).stem}.jsonl"
    architectures = table.with_suffix(".benchmark.jsonl")
    architectures.parent.mkdir(parents=True, exist_ok=True)
    write_table(benchmark, architectures)
    columns = (*Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(table.stem, total=len(benchmark))
        score_benchmark(
            architectures,
            table,
            population.batch(datasets),
            seed,
            proxies=names,
            jobs=jobs,
            space=benchmark.space,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    add_features(population.file(seed), load_scores(table).features, names)
    table.unlink()
    architectures.unlink()


def add_features(path: Path, features: Features, names: Sequence[str]) -> None:
    """Add features to a CSV file, which need not exist; an architecture without a value has an empty cell.

    Args:
        path: the file.
        features: the new features.
        names: names of their columns, also of those that no architecture has.
    """
    _, known = read_features(path)
    columns = [*dict.fromkeys((*(name for row in known.values() for name in row), *names))]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([FINGERPRINT, *columns])
    for key in sorted(known.keys() | features.keys()):
        row = known.get(key, {}) | features.get(key, {})
        writer.writerow([key, *(_text(row.get(name)) for name in columns)])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.getvalue().encode())


def _text(feature: float | None) -> str:
    return "" if feature is None else f"{feature:.9g}"
