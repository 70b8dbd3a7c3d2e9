"""Correlations of zero-cost proxies with accuracy on NAS-Bench-Graph: the numbers and tables of docs/graphs.md.

python -m benchmarks.graph_proxies score --benchmarks $ARCHRANK_BENCHMARKS [--graphs $ARCHRANK_DATASETS] [--only cora …]
python -m benchmarks.graph_proxies correlate --benchmarks $ARCHRANK_BENCHMARKS
python -m benchmarks.graph_proxies show

`score` computes all proxies of 500 random architectures, the same on every data set, on a synthetic graph and, with
`--graphs`, on a sample of the published one; it can be interrupted and resumed. `correlate` computes Spearman's ρ with
the published test accuracy, over all architectures, within effective depth, and given depth (partial), each with a
95 % bootstrap interval, and writes the tables of docs/graphs.md with a figure, as `show` does.
"""

import argparse
import csv
import io
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from benchmarks.graph_proxies.figure import write_figure
from benchmarks.markdown import insert_tables, markdown
from common.atomic_files import write_atomically
from ensemble import Benchmark, load_benchmark, load_scores
from ensemble.evaluation.metrics import partial_spearman, rows_by_stratum, spearman
from models import Architecture, BuildableSpace, get_space, require
from models.batch_spec import BatchSpec
from models.nas_bench_graph import NasBenchGraphArchitecture
from service.cli.score_benchmark import score_benchmark

ROOT = Path(__file__).resolve().parents[2]
SCORES = ROOT / "docs" / "data" / "nas-bench-graph-proxies"
"""Scores as CSV, one file for each data set and graph: key, then the feature of each proxy."""
RESULTS = ROOT / "docs" / "data" / "nas-bench-graph-proxies.json"
PAGE = ROOT / "docs" / "graphs.md"
FIGURE = ROOT / "docs" / "figures" / "nas-bench-graph-proxies.svg"
SPACE = "nas-bench-graph"
DATASETS = ("cora", "citeseer", "pubmed", "cs", "physics", "photo", "computers", "arxiv", "proteins")
GRAPHS = {
    **{name: f"graphs/{name}.npz" for name in ("cs", "physics", "photo", "computers")},
    "cora": "planetoid",
    "citeseer": "planetoid",
}
"""Published graphs, relative to the folder of data sets; those of the other data sets are not available."""
NUM_ARCHITECTURES = 500
BOOTSTRAP_REPEATS, BOOTSTRAP_SEED = 1000, 0
KINDS = ("spearman", "within_stratum_spearman", "partial_spearman")
Array = NDArray[np.float64]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("score", "correlate", "show"))
    parser.add_argument("--benchmarks", type=Path, help="folder with nas-bench-graph/<data set>.npz")
    parser.add_argument("--graphs", type=Path, help="folder with graphs/<data set>.npz and planetoid/")
    parser.add_argument("--only", nargs="*", choices=DATASETS, default=list(DATASETS))
    parser.add_argument("--number", type=int, default=NUM_ARCHITECTURES)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    if args.command != "show" and args.benchmarks is None:
        parser.error(f"{args.command} needs --benchmarks")
    if args.command == "score":
        for dataset in args.only:
            score(dataset, args.benchmarks, None, args.number, args.jobs)
            if args.graphs is not None and dataset in GRAPHS:
                score(dataset, args.benchmarks, args.graphs / GRAPHS[dataset], args.number, args.jobs)
        return
    if args.command == "correlate":
        correlate(args.benchmarks)
    results = json.loads(RESULTS.read_text())
    write_figure(results, FIGURE)
    insert_tables(PAGE, make_tables(results))


def correlate(benchmarks: Path) -> None:
    """Correlate all scores in `SCORES`, and write the results."""
    results = {
        path.stem: correlations(path, _benchmark(benchmarks, path.stem.partition("-")[0]))
        for path in sorted(SCORES.glob("*.csv"))
    }
    write_atomically(RESULTS, json.dumps(results, indent=1, sort_keys=True).encode() + b"\n")


def score(dataset: str, benchmarks: Path, graph: Path | None, number: int, jobs: int) -> None:
    """Score the architectures on one graph; write the table of scores to `runs/` and its features to `SCORES`."""
    benchmark = _benchmark(benchmarks, dataset)
    space = require(benchmark.space, BuildableSpace)
    source = "synthetic" if graph is None else "graph"
    spec: BatchSpec = space.task.batch_spec(**({} if graph is None else {"source": "graph", "data": str(graph)}))
    table = ROOT / "runs" / "graph_proxies" / f"{dataset}-{source}.jsonl"

    def progress(done: int, total: int) -> None:
        if done % 50 == 0 or done == total:
            sys.stderr.write(f"{dataset}, {source}: {done} of {total}\n")

    path = benchmarks / SPACE / f"{dataset}.npz"
    score_benchmark(path, table, spec, jobs=jobs, limit=number, space=space, progress=progress)
    scores = load_scores(table)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["key", *scores.proxies])
    for arch in benchmark.architectures:
        if (features := scores.features.get(arch.fingerprint)) is not None:
            writer.writerow([_digits(arch), *(_text(features[name]) for name in scores.proxies)])
    SCORES.mkdir(parents=True, exist_ok=True)
    write_atomically(SCORES / f"{dataset}-{source}.csv", text.getvalue().encode())


def correlations(path: Path, benchmark: Benchmark) -> dict[str, Any]:
    """Correlate the scores of a CSV file with accuracy: for each proxy and kind `[ρ, low, high]`, and of the depth."""
    with path.open() as file:
        rows = list(csv.DictReader(file))
    index = {_digits(arch): i for i, arch in enumerate(benchmark.architectures)}
    known = [row for row in rows if row["key"] in index]
    where = [index[row["key"]] for row in known]
    accuracy, strata = benchmark.accuracy[where], benchmark.strata[where]
    columns = {"depth": strata.astype(np.float64)}
    columns |= {name: np.array([float(row[name] or "nan") for row in known]) for name in known[0] if name != "key"}
    return {name: _with_intervals(values, accuracy, strata) for name, values in columns.items()}


def _with_intervals(values: Array, accuracy: Array, strata: NDArray[np.int64]) -> dict[str, Any]:
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    present = ~np.isnan(values)
    values, accuracy, strata = values[present], accuracy[present], strata[present]
    samples = [rng.integers(len(values), size=len(values)) for _ in range(BOOTSTRAP_REPEATS)]
    result: dict[str, Any] = {"n": len(values)}
    for kind in KINDS:
        draws = [_correlation(kind, values[rows], accuracy[rows], strata[rows]) for rows in samples]
        finite = [draw for draw in draws if draw is not None]
        central = _correlation(kind, values, accuracy, strata)
        bounds = np.quantile(finite, [0.025, 0.975]).tolist() if central is not None and finite else [None, None]
        result[kind] = [central, *bounds]
    return result


def _correlation(kind: str, values: Array, accuracy: Array, strata: NDArray[np.int64]) -> float | None:
    if kind == "spearman":
        return spearman(values, accuracy)
    if kind == "partial_spearman":
        return partial_spearman(values, accuracy, strata)
    within = [spearman(values[rows], accuracy[rows]) for rows in rows_by_stratum(strata).values()]
    known = [rho for rho in within if rho is not None]
    return float(np.mean(known)) if known else None


def make_tables(results: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Markdown tables by name, one for each kind of graph: ρ overall / within depth / given depth, by proxy."""
    made = {}
    for source, title in (("synthetic", "proxies, synthetic graphs"), ("graph", "proxies, published graphs")):
        names = [name for name in DATASETS if f"{name}-{source}" in results]
        proxies = sorted({proxy for name in names for proxy in results[f"{name}-{source}"]} - {"depth"})
        rows = [["proxy", *names], ["---"] * (len(names) + 1)]
        rows += [
            [f"`{proxy}`", *(_cell(results[f"{name}-{source}"].get(proxy)) for name in names)]
            for proxy in ("depth", *proxies)
        ]
        made[title] = markdown(rows)
    return made


def _cell(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "–"
    return " / ".join("–" if row[kind][0] is None else _rounded(row[kind][0]) for kind in KINDS)


def _rounded(rho: float) -> str:
    text = f"{rho:.2f}".replace("0.", ".", 1)
    return ".00" if text == "-.00" else text.replace("-", "−")


def _benchmark(folder: Path, dataset: str) -> Benchmark:
    return load_benchmark(folder / SPACE / f"{dataset}.npz", get_space(SPACE, dataset=dataset))


def _digits(arch: Architecture) -> str:
    return cast(NasBenchGraphArchitecture, arch).digits


def _text(feature: float | None) -> str:
    return "" if feature is None else f"{feature:.7g}"


if __name__ == "__main__":
    main()
