"""Transfer between the data sets of NAS-Bench-Graph: the numbers, tables and figure of docs/transfer.md.

python -m benchmarks.transfer --benchmarks $ARCHRANK_BENCHMARKS --cache /tmp/transfer [--draws 3]

Each data set in turn is the new one, of which n labels are known; the sources are fitted to the labels of the seven
others. The sources' scores go to the folder `--cache`, each result to `--results` as soon as it is known; a second run
computes those that are missing. Page and figure are written when all are there.
"""

import argparse
import json
import sys
from itertools import product
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed

from benchmarks.markdown import insert_tables
from benchmarks.transfer.measuring import load_tables, measure
from benchmarks.transfer.sources import DATASETS, source_scores
from benchmarks.transfer.tables import SIZES, make_figure, make_tables
from common.atomic_files import write_atomically

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "transfer.json"
PAGE = RESULTS.with_name("transfer.md")
FIGURE = RESULTS.parent / "figures" / "transfer.svg"
DRAWS = 5


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmarks", type=Path, required=True, help="folder with nas-bench-graph/<data set>.npz")
    parser.add_argument("--cache", type=Path, required=True, help="folder for the sources' scores")
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    results: dict[str, Any] = json.loads(args.results.read_text()) if args.results.is_file() else {}
    for draw in range(args.draws):
        Parallel(n_jobs=args.jobs)(
            delayed(source_scores)(load_tables(args.benchmarks), dataset, draw, args.cache) for dataset in DATASETS
        )
        tasks = [
            (dataset, size)
            for dataset, size in product(DATASETS, SIZES)
            if f"{size}/{draw}" not in results.get(dataset, {})
        ]
        outputs = Parallel(n_jobs=args.jobs, return_as="generator")(
            delayed(measure)(args.benchmarks, args.cache, dataset, draw, size) for dataset, size in tasks
        )
        for (dataset, size), numbers in zip(tasks, outputs, strict=True):
            results.setdefault(dataset, {})[f"{size}/{draw}"] = numbers
            write_atomically(args.results, json.dumps(results, indent=1, sort_keys=True).encode() + b"\n")
            sys.stderr.write(f"{dataset}, n = {size}, draw {draw}: {numbers['transfer']:.3f}\n")
    if args.results == RESULTS:
        insert_tables(PAGE, make_tables(results))
        write_atomically(FIGURE, make_figure(results).encode())


if __name__ == "__main__":
    main()
