"""Measurements of the benchmarks that proxies are evolved on."""

import csv
import io
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from common.atomic_files import write_atomically
from ensemble import Benchmark, ScoreTable, load_benchmark, load_scores, write_table
from ensemble.data.benchmark import as_finite
from evolution import Measurements, measure_architectures
from models import SearchSpace, get_space
from proxies import proxy_versions
from service.cli.score_benchmark import score_benchmark

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "docs" / "data" / "evolution"
"""Scores as CSV, and the report of each run."""
WORK = ROOT / "runs" / "evolution"
NB201_SCORES = DATA / "nas-bench-201-cifar10.csv"
NB201_ARCHITECTURES = 1000
CONFIRMATION_SCORES = DATA / "nas-bench-201-cifar10-confirmation.csv"
CONFIRMATION = 200
"""Number of cells that no expression was evolved or chosen on."""
GRAPH_SCORES = ROOT / "docs" / "data" / "nas-bench-graph-proxies"


def gcn_nas(benchmarks: Path) -> Measurements:
    """Return the shipped scores of the 593 architectures trained on NTU RGB+D."""
    benchmark = load_benchmark(benchmarks / "gcn-nas-ntu" / "data", "gcn-nas")
    table = load_scores(ROOT / "ensemble" / "data" / "gcn-nas-ntu.scores.jsonl")
    return _measured(benchmark, table, "gcn-nas")


def nas_bench_graph(benchmarks: Path, dataset: str) -> Measurements:
    """Return the scores of 500 architectures on a synthetic graph of one data set."""
    space = get_space("nas-bench-graph", dataset=dataset)
    benchmark = load_benchmark(benchmarks / "nas-bench-graph" / f"{dataset}.npz", space)
    return _measured(benchmark, _read(GRAPH_SCORES / f"{dataset}-synthetic.csv", space, "key"), dataset)


def nas_bench_201(benchmarks: Path, dataset: str = "cifar10") -> Measurements:
    """Return the scores of 1,000 random cells as networks for CIFAR-10, with accuracies on one data set."""
    space = get_space("nas-bench-201", dataset=dataset)
    benchmark = load_benchmark(benchmarks / "nas-bench-201" / "accuracy.csv", space)
    return _measured(benchmark, _read(NB201_SCORES, space, "digits"), dataset)


def score_nas_bench_201(benchmarks: Path, jobs: int) -> None:
    """Score 1,000 random cells as networks for CIFAR-10 at the default batch, and write the features as CSV.

    They are the first by fingerprint, which is a hash. An interrupted computation is continued.
    """
    space = get_space("nas-bench-201", dataset="cifar10")
    path = benchmarks / "nas-bench-201" / "accuracy.csv"
    table = WORK / "nas-bench-201-cifar10.jsonl"
    score_benchmark(path, table, jobs=jobs, limit=NB201_ARCHITECTURES, space=space, progress=_report)
    _write(load_scores(table), load_benchmark(path, space), NB201_SCORES)


def score_confirmation(benchmarks: Path, proxies: Sequence[str], jobs: int) -> None:
    """Score the cells that follow the 1,000 with some proxies, and write the features as CSV."""
    space = get_space("nas-bench-201", dataset="cifar10")
    whole = load_benchmark(benchmarks / "nas-bench-201" / "accuracy.csv", space)
    following = replace(whole, entries=whole.entries[NB201_ARCHITECTURES : NB201_ARCHITECTURES + CONFIRMATION])
    WORK.mkdir(parents=True, exist_ok=True)
    write_table(following, WORK / "confirmation.jsonl")
    table = WORK / "confirmation.scores.jsonl"
    score_benchmark(WORK / "confirmation.jsonl", table, proxies=proxies, jobs=jobs, space=space, progress=_report)
    _write(load_scores(table), following, CONFIRMATION_SCORES)


def confirmation(benchmarks: Path, dataset: str) -> Measurements:
    """Return the scores of the cells that follow the 1,000, with accuracies on one data set."""
    space = get_space("nas-bench-201", dataset=dataset)
    benchmark = load_benchmark(benchmarks / "nas-bench-201" / "accuracy.csv", space)
    return _measured(benchmark, _read(CONFIRMATION_SCORES, space, "digits"), dataset)


def _report(done: int, total: int) -> None:
    if done % 50 == 0 or done == total:
        sys.stderr.write(f"{done} of {total}\n")


def _write(scores: ScoreTable, benchmark: Benchmark, path: Path) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["digits", *scores.proxies])
    for architecture in benchmark.architectures:
        if (features := scores.features.get(architecture.fingerprint)) is not None:
            digits = "".join(map(str, architecture.ops))  # type: ignore[attr-defined]
            numbers = (features[name] for name in scores.proxies)
            writer.writerow([digits, *("" if number is None else f"{number:.7g}" for number in numbers)])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.getvalue().encode())


def _measured(benchmark: Benchmark, table: ScoreTable, name: str) -> Measurements:
    WORK.mkdir(parents=True, exist_ok=True)
    return replace(measure_architectures(benchmark, table, WORK / "measured"), name=name)


def _read(path: Path, space: SearchSpace[Any], column: str) -> ScoreTable:
    with path.open() as file:
        rows = list(csv.DictReader(file))
    names = [name for name in rows[0] if name != column]
    features = {
        space.parse({column: row[column]}).fingerprint: {
            name: as_finite(float(row[name])) if row[name] else None for name in names
        }
        for row in rows
    }
    header = {"space": space.name, "settings": space.settings, "proxies": proxy_versions(names)}
    return ScoreTable(header, features)
