"""Evolution of proxies on three benchmarks: the numbers, tables and figure of docs/evolution.md.

python -m benchmarks.evolution scores --benchmarks $ARCHRANK_BENCHMARKS
python -m benchmarks.evolution run --benchmarks $ARCHRANK_BENCHMARKS [--only gcn-nas …] [--jobs 2]
python -m benchmarks.evolution confirm --benchmarks $ARCHRANK_BENCHMARKS
python -m benchmarks.evolution show

`scores` computes the proxies of 1,000 random cells of NAS-Bench-201, in half an hour. `run` evolves proxies with outer
cross-validation and writes a report of each run; `confirm` scores 200 further cells and tests the final expression on
them. All can be interrupted and resumed. `show` writes tables and figure.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.evolution import sources
from benchmarks.evolution.figure import write_figure
from benchmarks.evolution.tables import make_tables
from benchmarks.markdown import insert_tables
from common.atomic_files import write_atomically
from evolution import EvolutionSettings, Measurements, Objective, evolve
from evolution.comparison import HeldOut, difference, quality
from proxies.evolved import Expression, parse_expression
from proxies.evolved.proxy import readable_proxies, terminal_types
from proxies.registry import proxies_by_name

CONFIRMED = ("nas-bench-201", "nas-bench-201-stratified")
CONFIRMATION = sources.DATA / "confirmation.json"
PAGE = sources.ROOT / "docs" / "evolution.md"
FIGURE = sources.ROOT / "docs" / "figures" / "evolution.svg"


@dataclass(frozen=True)
class Study:
    """Run on one benchmark.

    Attributes:
        train: returns the training benchmarks from the folder of benchmarks.
        test: returns the benchmarks to test on.
        objective: what expressions are selected by.
    """

    train: Callable[[Path], list[Measurements]]
    test: Callable[[Path], list[Measurements]]
    objective: Objective = "within_stratum"


def _nas_bench_201(folder: Path) -> list[Measurements]:
    return [sources.nas_bench_201(folder)]


def _others_of_nas_bench_201(folder: Path) -> list[Measurements]:
    return [sources.nas_bench_201(folder, dataset) for dataset in ("cifar100", "imagenet16-120")]


STUDIES: Mapping[str, Study] = {
    "gcn-nas": Study(lambda folder: [sources.gcn_nas(folder)], lambda folder: []),
    "nas-bench-graph": Study(
        lambda folder: [sources.nas_bench_graph(folder, name) for name in ("cora", "cs", "photo")],
        lambda folder: [sources.nas_bench_graph(folder, name) for name in ("citeseer", "computers", "physics")],
    ),
    "nas-bench-201": Study(_nas_bench_201, _others_of_nas_bench_201),
    "nas-bench-201-stratified": Study(_nas_bench_201, _others_of_nas_bench_201, "stratified"),
    "nas-bench-201-overall": Study(_nas_bench_201, _others_of_nas_bench_201, "overall"),
    "gcn-nas-overall": Study(lambda folder: [sources.gcn_nas(folder)], lambda folder: [], "overall"),
}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("scores", "run", "confirm", "show"))
    parser.add_argument("--benchmarks", type=Path, help="folder of benchmarks")
    parser.add_argument("--only", nargs="*", choices=[*STUDIES], default=[*STUDIES])
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    if args.command != "show" and args.benchmarks is None:
        parser.error(f"{args.command} needs --benchmarks")
    if args.command == "scores":
        sources.score_nas_bench_201(args.benchmarks, args.jobs)
        return
    if args.command == "confirm":
        confirm(args.benchmarks, args.jobs)
    if args.command == "run":
        for name in args.only:
            run(name, args.benchmarks, args.jobs)
    reports = read_reports()
    write_figure(reports, FIGURE)
    confirmation = json.loads(CONFIRMATION.read_text()) if CONFIRMATION.exists() else None
    insert_tables(PAGE, make_tables(reports, confirmation))


def run(name: str, benchmarks: Path, jobs: int) -> None:
    """Run a study, and write its report."""
    study = STUDIES[name]
    settings = EvolutionSettings(objective=study.objective)

    def progress(part: str, generation: int, fitness: float, expression: str) -> None:
        if generation == settings.generations:
            sys.stderr.write(f"{name}, {part}: {fitness:.3f} {expression}\n")

    checkpoints = sources.WORK / name
    report = evolve(study.train(benchmarks), settings, study.test(benchmarks), checkpoints, jobs, progress)
    write_atomically(sources.DATA / f"{name}.json", json.dumps(report.document, indent=1).encode() + b"\n")


def confirm(benchmarks: Path, jobs: int) -> None:
    """Compare the final expressions of NAS-Bench-201 with hand-written proxies on further cells.

    The hand-written proxies are those that the expressions read, and those that the folds chose.
    """
    reports = {name: json.loads((sources.DATA / f"{name}.json").read_text()) for name in CONFIRMED}
    parse = partial(parse_expression, terminals=terminal_types(readable_proxies(proxies_by_name())))
    first = reports[CONFIRMED[0]]
    read = parse(first["expression"]).terminals.union(
        *(parse(fold["hand_written"]).terminals for fold in first["folds"])
    )
    sources.score_confirmation(benchmarks, sorted(read), jobs)
    tests = {name: sources.confirmation(benchmarks, name) for name in ("cifar10", "cifar100", "imagenet16-120")}
    results = {
        name: {
            dataset: _compared(parse(report["expression"]), list(map(parse, sorted(read))), rows)
            for dataset, rows in tests.items()
        }
        for name, report in reports.items()
    }
    write_atomically(CONFIRMATION, json.dumps(results, indent=1).encode() + b"\n")


def _compared(evolved: Expression, hand_written: Sequence[Expression], rows: Measurements) -> dict[str, Any]:
    """Return the quality of an expression, and by name that of proxies with the difference from it."""
    compared = {}
    for proxy in hand_written:
        pair = [HeldOut(rows, evolved, proxy)]
        differences = {metric: difference(pair, metric, 0) for metric in ("within_stratum_spearman", "kendall")}
        compared[str(proxy.head)] = {
            "quality": quality(proxy, rows),
            "difference": {key: None if value is None else asdict(value) for key, value in differences.items()},
        }
    return {"architectures": len(rows), "evolved": quality(evolved, rows), "hand_written": compared}


def read_reports() -> dict[str, Any]:
    """Return the reports of the finished studies by name."""
    paths = {name: sources.DATA / f"{name}.json" for name in STUDIES}
    return {name: json.loads(path.read_text()) for name, path in paths.items() if path.exists()}


if __name__ == "__main__":
    main()
