"""Evolution of proxies on three benchmarks: the numbers, tables and figure of docs/evolution.md.

python -m benchmarks.evolution scores --benchmarks $ARCHRANK_BENCHMARKS
python -m benchmarks.evolution run --benchmarks $ARCHRANK_BENCHMARKS [--only gcn-nas …] [--jobs 2]
python -m benchmarks.evolution confirm --benchmarks $ARCHRANK_BENCHMARKS
python -m benchmarks.evolution seeds --benchmarks $ARCHRANK_BENCHMARKS
python -m benchmarks.evolution time --benchmarks $ARCHRANK_BENCHMARKS
python -m benchmarks.evolution show

`scores` computes the proxies of 1,000 random cells of NAS-Bench-201, in half an hour. `run` evolves proxies with outer
cross-validation and writes a report of each run; `confirm` scores 200 further cells and tests the final expression on
them; `seeds` scores 100 architectures with other initial weights. All can be interrupted and resumed. `time` measures
generations; `show` writes tables and figure.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from time import process_time
from typing import Any

from benchmarks.evolution import sources
from benchmarks.evolution.figure import write_figure
from benchmarks.evolution.levels import compare_levels, expression_parser
from benchmarks.evolution.seeds import compare_seeds
from benchmarks.evolution.tables import make_tables
from benchmarks.markdown import insert_tables
from common.atomic_files import write_atomically
from evolution import EvolutionSettings, Measurements, Objective, evolve
from evolution.comparison import HeldOut, difference, quality
from evolution.fitness import Fitness
from evolution.genetic_programming import run as run_generations
from proxies.evolved import Expression
from proxies.registry import proxies_by_name

CONFIRMED = (
    "nas-bench-201",
    "nas-bench-201-layers",
    "nas-bench-201-stratified",
    "nas-bench-201-stratified-layers",
)
CONFIRMATION = sources.DATA / "confirmation.json"
PAGE = sources.ROOT / "docs" / "evolution.md"
FIGURE = sources.ROOT / "docs" / "figures" / "evolution.svg"


Source = Callable[[Path, int], list[Measurements]]
"""Returns benchmarks, from the folder of benchmarks, with a number of processes that measure."""


@dataclass(frozen=True)
class Study:
    """Run on one benchmark.

    Attributes:
        train: training benchmarks.
        test: benchmarks to test on.
        objective: what expressions are selected by.
        population: number of expressions of a generation.
        scores_alone: for a study of the layers' tensors, the same study of scores alone, to compare with.
    """

    train: Source
    test: Source = lambda folder, jobs: []
    objective: Objective = "within_stratum"
    population: int = 200
    scores_alone: str | None = None


def _gcn_nas(folder: Path, jobs: int, layers: bool = False) -> list[Measurements]:
    return [sources.gcn_nas(folder, layers, jobs)]


def _nas_bench_graph(*datasets: str) -> Source:
    return lambda folder, jobs: [sources.nas_bench_graph(folder, name) for name in datasets]


def _nas_bench_201(*datasets: str, layers: bool = False) -> Source:
    return lambda folder, jobs: [sources.nas_bench_201(folder, name, layers, jobs) for name in datasets]


CELLS, OTHER_CELLS = _nas_bench_201("cifar10"), _nas_bench_201("cifar100", "imagenet16-120")
CELL_LAYERS = _nas_bench_201("cifar10", layers=True)
OTHER_CELL_LAYERS = _nas_bench_201("cifar100", "imagenet16-120", layers=True)
STUDIES: Mapping[str, Study] = {
    "gcn-nas": Study(_gcn_nas),
    "gcn-nas-layers": Study(partial(_gcn_nas, layers=True), scores_alone="gcn-nas"),
    "gcn-nas-layers-1000": Study(partial(_gcn_nas, layers=True), population=1000, scores_alone="gcn-nas"),
    "nas-bench-graph": Study(
        _nas_bench_graph("cora", "cs", "photo"), _nas_bench_graph("citeseer", "computers", "physics")
    ),
    "nas-bench-201": Study(CELLS, OTHER_CELLS),
    "nas-bench-201-layers": Study(CELL_LAYERS, OTHER_CELL_LAYERS, scores_alone="nas-bench-201"),
    "nas-bench-201-stratified": Study(CELLS, OTHER_CELLS, "stratified"),
    "nas-bench-201-stratified-layers": Study(
        CELL_LAYERS, OTHER_CELL_LAYERS, "stratified", scores_alone="nas-bench-201-stratified"
    ),
    "nas-bench-201-overall": Study(CELLS, OTHER_CELLS, "overall"),
    "gcn-nas-overall": Study(_gcn_nas, objective="overall"),
    "gcn-nas-overall-layers": Study(
        partial(_gcn_nas, layers=True), objective="overall", scores_alone="gcn-nas-overall"
    ),
}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("scores", "run", "confirm", "seeds", "time", "show"))
    parser.add_argument("--benchmarks", type=Path, help="folder of benchmarks")
    parser.add_argument("--only", nargs="*", choices=[*STUDIES], default=[*STUDIES])
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    if args.command != "show" and args.benchmarks is None:
        parser.error(f"{args.command} needs --benchmarks")
    if args.command == "scores":
        sources.score_nas_bench_201(args.benchmarks, args.jobs)
        return
    if args.command == "seeds":
        compare_seeds(args.benchmarks, args.jobs)
        return
    if args.command == "time":
        time_generations(args.benchmarks, args.jobs)
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
    settings = EvolutionSettings(objective=study.objective, population=study.population)

    def progress(part: str, generation: int, fitness: float, expression: str) -> None:
        if generation == settings.generations:
            sys.stderr.write(f"{name}, {part}: {fitness:.3f} {expression}\n")

    train, test = study.train(benchmarks, jobs), study.test(benchmarks, jobs)
    document = evolve(train, settings, test, sources.WORK / name, jobs, progress).document
    if study.scores_alone is not None:
        other = json.loads(_report_of(study.scores_alone).read_text())
        document["scores_alone"] = compare_levels([*train, *test], settings, document, other)
    write_atomically(_report_of(name), json.dumps(document, indent=1).encode() + b"\n")


def _report_of(name: str) -> Path:
    return sources.DATA / f"{name}.json"


def confirm(benchmarks: Path, jobs: int) -> None:
    """Compare the final expressions of NAS-Bench-201 with hand-written proxies on further cells.

    The hand-written proxies are those that the expressions read, and those that the folds chose.
    """
    reports = {name: json.loads(_report_of(name).read_text()) for name in CONFIRMED}
    parse = expression_parser()
    expressions = [
        parse(each)
        for report in reports.values()
        for each in (report["expression"], *(fold["hand_written"] for fold in report["folds"]))
    ]
    read = sorted(frozenset().union(*(each.terminals for each in expressions)) & proxies_by_name().keys())
    sources.score_confirmation(benchmarks, read, jobs)
    datasets = ("cifar10", "cifar100", "imagenet16-120")
    tests = {name: sources.confirmation(benchmarks, name, layers=True, jobs=jobs) for name in datasets}
    results = {
        name: {
            dataset: _compared(parse(report["expression"]), list(map(parse, read)), rows)
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


def time_generations(benchmarks: Path, jobs: int) -> None:
    """Print the processor time of a generation, the mean of eleven with the random one."""
    for name in ("gcn-nas", "gcn-nas-layers", "nas-bench-201", "nas-bench-201-layers"):
        settings = EvolutionSettings(objective=STUDIES[name].objective, generations=10)
        options = settings.objective, settings.parts, settings.penalty, settings.seed
        fitness, started = Fitness(STUDIES[name].train(benchmarks, jobs), *options), process_time()
        run_generations(fitness, settings, 0)
        seconds = (process_time() - started) / (settings.generations + 1)
        number = len(fitness.benchmarks[0])
        sys.stdout.write(f"{name}: {seconds:.2f} s for {settings.population} expressions, {number} architectures\n")


def read_reports() -> dict[str, Any]:
    """Return the reports of the finished studies by name."""
    paths = {name: _report_of(name) for name in STUDIES}
    return {name: json.loads(path.read_text()) for name, path in paths.items() if path.exists()}


if __name__ == "__main__":
    main()
