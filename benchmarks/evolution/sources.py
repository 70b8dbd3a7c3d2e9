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


def gcn_nas(benchmarks: Path, layers: bool = False, jobs: int = 1) -> Measurements:
    """Return the shipped scores of the 593 architectures trained on NTU RGB+D.

    Args:
        benchmarks: folder of benchmarks.
        layers: also return the statistics of the layers, which are measured where they are missing.
        jobs: number of processes that measure.
    """
    benchmark = load_benchmark(benchmarks / "gcn-nas-ntu" / "data", "gcn-nas")
    table = load_scores(ROOT / "ensemble" / "data" / "gcn-nas-ntu.scores.jsonl")
    return _measured(benchmark, table, "gcn-nas", layers, jobs)


def nas_bench_graph(benchmarks: Path, dataset: str) -> Measurements:
    """Return the scores of 500 architectures on a synthetic graph of one data set."""
    space = get_space("nas-bench-graph", dataset=dataset)
    benchmark = load_benchmark(benchmarks / "nas-bench-graph" / f"{dataset}.npz", space)
    return _measured(benchmark, _read(GRAPH_SCORES / f"{dataset}-synthetic.csv", space, "key"), dataset)


def nas_bench_201(
    benchmarks: Path, dataset: str = "cifar10", layers: bool = False, jobs: int = 1, scores: Path = NB201_SCORES
) -> Measurements:
    """Return the scores of cells as networks for CIFAR-10, with accuracies on one data set.

    Args:
        benchmarks: folder of benchmarks.
        dataset: data set of the accuracies.
        layers: also return the statistics of the layers, which are measured where they are missing.
        jobs: number of processes that measure.
        scores: CSV of the cells' scores, by default of 1,000 random cells.
    """
    networks = get_space("nas-bench-201", dataset="cifar10")
    path = benchmarks / "nas-bench-201" / "accuracy.csv"
    benchmark = replace(load_benchmark(path, get_space("nas-bench-201", dataset=dataset)), space=networks)
    return _measured(benchmark, _read(scores, networks, "digits"), dataset, layers, jobs)


def score_nas_bench_201(benchmarks: Path, jobs: int) -> None:
    """Score 1,000 random cells with the default proxies, see `_score_missing`.

    They are the first by fingerprint, which is a hash.
    """
    _score_missing(_cells(benchmarks, 0, NB201_ARCHITECTURES), [*proxy_versions(None)], NB201_SCORES, jobs)


def score_confirmation(benchmarks: Path, proxies: Sequence[str], jobs: int) -> None:
    """Score the cells that follow the 1,000 with some proxies, see `_score_missing`."""
    cells = _cells(benchmarks, NB201_ARCHITECTURES, NB201_ARCHITECTURES + CONFIRMATION)
    _score_missing(cells, proxies, CONFIRMATION_SCORES, jobs)


def _cells(benchmarks: Path, first: int, last: int) -> Benchmark:
    whole = load_benchmark(benchmarks / "nas-bench-201" / "accuracy.csv", get_space("nas-bench-201", dataset="cifar10"))
    return replace(whole, entries=whole.entries[first:last])


def _score_missing(cells: Benchmark, proxies: Sequence[str], path: Path, jobs: int) -> None:
    """Score cells as networks for CIFAR-10 at the default batch, and write the features as CSV.

    Proxies with a column in a file of all cells are not computed again. An interrupted computation is continued.
    """
    known = _read(path, cells.space, "digits") if path.exists() else None
    if known is None or not known.covers(cells):
        known = ScoreTable({"space": cells.space.name, "settings": cells.space.settings, "proxies": {}}, {})
    missing = [name for name in proxies if name not in known.proxies]
    if not missing:
        return
    WORK.mkdir(parents=True, exist_ok=True)
    table, scored = WORK / f"{path.stem}.jsonl", WORK / f"{path.stem}.scores.jsonl"
    write_table(cells, table)
    score_benchmark(table, scored, proxies=missing, jobs=jobs, space=cells.space, progress=_report)
    new = load_scores(scored).features
    features = {each.fingerprint: known.features.get(each.fingerprint, {}) for each in cells.architectures}
    together = {fingerprint: row | new[fingerprint] for fingerprint, row in features.items()}
    names = proxy_versions([*known.proxies, *missing])
    _write(replace(known, header=known.header | {"proxies": names}, features=together), cells, path)
    scored.unlink()


def confirmation(benchmarks: Path, dataset: str, layers: bool = False, jobs: int = 1) -> Measurements:
    """Return the scores of the cells that follow the 1,000, with accuracies on one data set."""
    return nas_bench_201(benchmarks, dataset, layers, jobs, CONFIRMATION_SCORES)


def _report(done: int, total: int) -> None:
    if done % 50 == 0 or done == total:
        sys.stderr.write(f"{done} of {total}\n")


def _report_networks(what: str, done: int, total: int) -> None:
    if what == "measuring layers":
        _report(done, total)


def _write(scores: ScoreTable, benchmark: Benchmark, path: Path) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["digits", *scores.proxies])
    for architecture in benchmark.architectures:
        features = scores.features[architecture.fingerprint]
        digits = "".join(map(str, architecture.ops))  # type: ignore[attr-defined]
        numbers = (features[name] for name in scores.proxies)
        writer.writerow([digits, *("" if number is None else f"{number:.7g}" for number in numbers)])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.getvalue().encode())


def _measured(benchmark: Benchmark, table: ScoreTable, name: str, layers: bool = False, jobs: int = 1) -> Measurements:
    cache = WORK / "measured"
    measured = measure_architectures(benchmark, table, cache, layers, jobs=jobs, progress=_report_networks)
    return replace(measured, name=name)


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
