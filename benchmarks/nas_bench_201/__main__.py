"""Combiners and proxies on NAS-Bench-201.

    python -m benchmarks.nas_bench_201 --benchmarks $ARCHRANK_BENCHMARKS --out docs

Fits every combiner to n architectures with published proxy scores and measures Kendall's τ on others, for two
populations, three kinds of test, and several draws; compares our proxy scores with the published ones; writes
`nas-bench-201.jsonl` (one line a fit; an interrupted run goes on where it ended), and the tables of `nas-bench-201.md`
and the figure beside it.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn
from scipy.stats import kendalltau

from benchmarks.markdown import insert_tables
from benchmarks.nas_bench_201 import agreement, figure, tables
from benchmarks.nas_bench_201.material import POPULATIONS, SPLITS, Material, load_material, split_rows, twin_ceiling
from common.atomic_files import json_line
from ensemble.combiners.registry import BUILT_IN, CombinerInfo
from ensemble.data.scores import drop_partial_row
from models.nas_bench_201.macro import DATASETS

ROOT = Path(__file__).parents[2]
SCORES = ROOT / "ensemble" / "data" / "nas-bench-201-cifar10.scores.jsonl"
OTHER_SEED = ROOT / "docs" / "data" / "nas-bench-201-cifar10-seed-1.scores.jsonl"
MAX_ROWS = {"ranknet": 1000}
"""Largest number of training rows of a combiner whose time grows fast."""
SLOW = ("stacked", "structure", "ranknet")
"""Combiners with fewer draws, which are also computed last."""


class Fit(NamedTuple):
    """One fit of one combiner."""

    population: str
    dataset: str
    split: str
    rows: int
    draw: int
    combiner: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmarks", type=Path, default=Path("../shared/benchmarks"), help="folder of benchmarks")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="folder of page, results and figure")
    parser.add_argument("--draws", type=int, default=3, help="draws of training and test rows")
    parser.add_argument("--tables-only", action="store_true", help="write tables and figure of the finished fits")
    args = parser.parse_args()
    folder = args.benchmarks / "nas-bench-201"
    results = args.out / "nas-bench-201.jsonl"
    if not args.tables_only:
        run(folder, results, args.draws)
    fits = read_results(results)
    ceilings = {dataset: twin_ceiling(folder, dataset) for dataset in DATASETS}
    made = tables.make_tables(fits, ceilings) | {"agreement": agreement.make_table(folder, SCORES, OTHER_SEED)}
    insert_tables(args.out / "nas-bench-201.md", made)
    figure.write_figure(fits, ceilings, args.out / "figures")


def run(folder: Path, results: Path, draws: int) -> None:
    """Compute the missing fits, one process, and append each to the results."""
    if results.exists():
        drop_partial_row(results)
    done = {Fit(**{name: row[name] for name in Fit._fields}) for row in read_results(results)}
    work = sorted((fit for fit in planned(draws) if fit not in done), key=_order)
    columns = (*Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress, results.open("ab") as file:
        for fit in progress.track(work, description="fits"):
            material = load_material(folder, fit.population, fit.dataset)
            file.write(json_line(fit._asdict() | evaluate(material, fit)))
            file.flush()


def planned(draws: int) -> Iterator[Fit]:
    """All fits of the tables; one draw of a slow combiner, and of sizes above 1,000 rows."""
    for name, population in POPULATIONS.items():
        for dataset in population.datasets:
            for split in SPLITS:
                for rows in population.sizes:
                    for info in BUILT_IN:
                        few = info.name in SLOW or rows > 1000
                        if rows <= MAX_ROWS.get(info.name, rows):
                            for draw in range(1 if few else draws):
                                yield Fit(name, dataset, split, rows, draw, info.name)


def _order(fit: Fit) -> tuple[Any, ...]:
    return fit.combiner in SLOW, fit.draw, fit.combiner in SLOW and fit.rows, fit.population, fit.dataset


def evaluate(material: Material, fit: Fit) -> dict[str, Any]:
    """Fit a combiner and measure Kendall's τ of its ranking of the test rows.

    A combiner that ranks is not calibrated, which does not change the ranking. Rows without all scores that a combiner
    needs are left out.
    """
    info: CombinerInfo = next(info for info in BUILT_IN if info.name == fit.combiner)
    train, test = split_rows(material, POPULATIONS[fit.population], fit.split, fit.draw)
    names = info.columns(material.table.names)
    X, y = material.table.select(names), material.accuracy
    usable = np.array([info.accepts_missing or bool(np.isfinite(row).all()) for row in X])
    train, test = train[: fit.rows], test[usable[test]]
    train = train[usable[train]]
    started = time.perf_counter()
    estimator = info.factory(material.table.columns.select(names), fit.draw).fit(X[train], y[train])
    ranking = estimator.ranking_scores(X[test])
    known = ~np.isnan(ranking)
    return {
        "train": len(train),
        "test": int(known.sum()),
        "kendall": round(float(kendalltau(ranking[known], y[test][known]).statistic), 5),
        "seconds": round(time.perf_counter() - started, 2),
    }


def read_results(path: Path) -> list[dict[str, Any]]:
    """Read the finished fits; none if there is no file."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


if __name__ == "__main__":
    main()
