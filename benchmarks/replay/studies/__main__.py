"""Replay searches that train, with a study behind them: the curves and tables of docs/search.md.

    python -m benchmarks.replay.studies --benchmarks $ARCHRANK_BENCHMARKS [--seeds 100] [--only cora …] [--show]

Each data set of NAS-Bench-Graph is the new one in turn, and the others are the sources; on `gcn-nas` there is none.
Every run is appended to docs/data/replay-studies.jsonl, seed by seed, and a second call computes those that are
missing. Then the tables of the page and the figure are written, from the seeds that all methods have; `--show` does
only this.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks.markdown import insert_tables
from benchmarks.replay.studies import report
from benchmarks.replay.studies.candidates import SKELETONS, Candidates, graph_candidates, skeleton_candidates
from benchmarks.replay.studies.methods import METHODS, NEED_SOURCES, run_method
from benchmarks.transfer.sources import DATASETS
from common.atomic_files import json_line, write_atomically

ROOT = Path(__file__).resolve().parents[3]
RESULTS = ROOT / "docs" / "data" / "replay-studies.jsonl"
PAGE, FIGURE = ROOT / "docs" / "search.md", ROOT / "docs" / "figures" / "replay-studies.svg"
CACHE = ROOT / "runs" / "replay-studies"
TABLES = (*DATASETS, SKELETONS)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmarks", type=Path, help="folder with nas-bench-graph/ and gcn-nas-ntu/")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--only", nargs="*", choices=TABLES, default=list(TABLES))
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder of the sources' scores")
    parser.add_argument("--show", action="store_true", help="write tables and figure from the results so far")
    args = parser.parse_args()
    if not args.show:
        if args.benchmarks is None:
            parser.error("--benchmarks is missing")
        torch.set_num_threads(1)
        _replay(args.benchmarks, args.only, args.seeds, args.results, args.cache)
    runs = report.load_runs(args.results)
    insert_tables(PAGE, report.make_tables(runs))
    report.write_figure(runs, FIGURE)


def _replay(benchmarks: Path, names: list[str], seeds: int, results: Path, cache: Path) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    if results.is_file():  # without the incomplete last line of a killed run
        content = results.read_bytes()
        write_atomically(results, content[: content.rfind(b"\n") + 1])
    done = {report.key(run) for run in report.load_runs(results)}
    tables: dict[str, Candidates] = {}
    for name, method, seed in _tasks(names, seeds):
        if (name, method, seed) in done:
            continue
        if name not in tables:
            graph = name in DATASETS
            tables[name] = graph_candidates(benchmarks, name, cache) if graph else skeleton_candidates(benchmarks)
        half = tables[name].random_half(seed)
        run: dict[str, Any] = {"table": name, "method": method, "seed": seed, "possible": float(half.accuracy.max())}
        with results.open("ab") as file:
            file.write(json_line({**run, "best": run_method(method, half, seed)}))
        sys.stderr.write(f"{json.dumps(run)}\n")


def _tasks(names: list[str], seeds: int) -> Iterator[tuple[str, str, int]]:
    """Runs, seed by seed."""
    for seed in range(seeds):
        for name in names:
            for method in METHODS:
                if name in DATASETS or method not in NEED_SOURCES:
                    yield name, method, seed


if __name__ == "__main__":
    main()
