"""Quality of predictors from structure on NAS-Bench-Graph: the numbers and tables of docs/graphs.md.

python -m benchmarks.nas_bench_graph --benchmarks $ARCHRANK_BENCHMARKS [--only cora …]

Each result is written as soon as it is known; a second run computes those that are missing. With all of them, the
tables of the page are written. Training rows are drawn at
random, all other rows are the test rows:

- learning curves of `rank_trees`, and of the baselines, by the number of training rows, mean of 5 draws (2 for other
  numbers than 500),
- coverage and width of 90 % intervals with 500 training rows, one draw: the calibration to accuracies does not change
  an order, so that all other fits do without,
- ρ with nine tenths of all rows for training, one draw.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed

from benchmarks.markdown import insert_tables
from benchmarks.nas_bench_graph.measuring import ALL, CALIBRATED_SIZE, COMBINER, measure
from benchmarks.nas_bench_graph.tables import DATASETS, DRAWS, OTHER_DRAWS, SIZES, make_tables
from common.atomic_files import write_atomically

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "nas-bench-graph-predictors.json"
PAGE = RESULTS.with_name("graphs.md")
Task = tuple[str, int, int]
"""Data set, number of training rows and number of the draw."""


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmarks", type=Path, required=True, help="folder with nas-bench-graph/<data set>.npz")
    parser.add_argument("--only", nargs="*", choices=DATASETS, default=list(DATASETS))
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    results: dict[str, Any] = json.loads(args.results.read_text()) if args.results.is_file() else {}
    args.results.parent.mkdir(parents=True, exist_ok=True)
    missing = [task for task in _tasks(args.only) if _key(task) not in results.get(task[0], {})]
    outputs = Parallel(n_jobs=args.jobs, return_as="generator")(
        delayed(measure)(args.benchmarks / "nas-bench-graph", *task) for task in missing
    )
    for task, numbers in zip(missing, outputs, strict=True):
        results.setdefault(task[0], {})[_key(task)] = numbers
        write_atomically(args.results, json.dumps(results, indent=1, sort_keys=True).encode() + b"\n")
        sys.stderr.write(f"{task}: {numbers[COMBINER]['spearman']:.3f}\n")
    if all(_key(task) in results.get(task[0], {}) for task in _tasks(DATASETS)):
        insert_tables(PAGE, make_tables(results))


def _tasks(datasets: Sequence[str]) -> Iterator[Task]:
    """Measurements, those that take longest last."""
    for sizes in ((CALIBRATED_SIZE,), (25, 50, 100, 200), (1000, 2000), (ALL,)):
        for dataset, size in product(datasets, sizes):
            draws = DRAWS if size == CALIBRATED_SIZE else 1 if size == ALL else OTHER_DRAWS
            if not (dataset == "proteins" and size == max(SIZES)):  # which has 1,622 rows
                yield from ((dataset, size, draw) for draw in range(draws))


def _key(task: Task) -> str:
    _, size, draw = task
    return f"{size}/{draw}"


if __name__ == "__main__":
    main()
