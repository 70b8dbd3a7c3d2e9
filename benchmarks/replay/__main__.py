"""Replay searches on the trained architectures of a benchmark.

    python -m benchmarks.replay --benchmark DIR --out docs

Writes OUT/replay.json with every curve, the figures in OUT/figures, and the tables into OUT/search.md if it exists.
Takes about six minutes on two cores. The same seeds give the same numbers, whatever the number of jobs.
"""

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed, parallel_config
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

from benchmarks.replay import figures, tables
from benchmarks.replay.candidates import MAX_BUDGET, Candidates, HeldOutPredictions, Rows, num_fits
from benchmarks.replay.measures import (
    NUM_TRAININGS,
    best_so_far,
    hypervolume,
    mean_gain,
    regret,
    summarize,
    trainings_needed,
)
from benchmarks.replay.methods import METHODS, PARETO_METHODS, SEED_TEXTS, Method, sort_descending
from common.atomic_files import write_atomically
from ensemble import load_benchmark, load_scores

SCORES = Path(__file__).resolve().parents[2] / "ensemble" / "data" / "gcn-nas-ntu.scores.jsonl"
SETTINGS: dict[str, Callable[[HeldOutPredictions, int], Candidates]] = {
    "all": HeldOutPredictions.all_candidates,
    "unseen half": HeldOutPredictions.unseen_half,
    "10 layers": lambda predictions, seed: predictions.of_depth(10, seed),
}
MEASURES = ("regret", "surrogate_regret", "mean_gain", "hypervolume")
BASELINES = ("random", "deepest first")
"""Methods that train all candidates, so that they reach the accuracy of any other method."""


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmark", type=Path, required=True)
    parser.add_argument("--scores", type=Path, default=SCORES)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    parser.add_argument("--seeds", type=int, default=100, help="searches per method and setting")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3, help="cross-validations, used by the seeds in turn")
    parser.add_argument("--halves", type=int, default=30, help="random halves, used by the seeds in turn")
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    results = replay(**{name: value for name, value in vars(args).items() if name != "out"})
    args.out.mkdir(parents=True, exist_ok=True)
    write_atomically(args.out / "replay.json", (json.dumps(results, separators=(",", ":")) + "\n").encode())
    figures.write_figures(results, args.out / "figures")
    if (page := args.out / "search.md").exists():
        write_atomically(page, tables.insert_tables(page.read_text(), results).encode())


def replay(
    benchmark: Path, scores: Path, seeds: int, folds: int, repeats: int, halves: int, jobs: int
) -> dict[str, Any]:
    """Replay every method in every setting.

    Returns:
        The content of `replay.json`.
    """
    loaded = load_benchmark(benchmark)
    columns = (*Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("held-out predictions", total=num_fits(folds, repeats, halves))
        predictions = HeldOutPredictions.fit(
            loaded, load_scores(scores), folds, repeats, halves, jobs, partial(progress.advance, task)
        )
        task = progress.add_task("replays", total=seeds * len(SETTINGS))
        runs: dict[str, list[Any]] = {name: [] for name in SETTINGS}
        with parallel_config("loky", inner_max_num_threads=1):
            work = [(name, make(predictions, seed), seed) for seed in range(seeds) for name, make in SETTINGS.items()]
            outputs = Parallel(n_jobs=jobs, return_as="generator")(delayed(replay_seed)(*args) for _, *args in work)
            for (name, _, _), output in zip(work, outputs, strict=True):
                runs[name].append(output)
                progress.advance(task)
    return {
        "benchmark": loaded.summary,
        "method": {"seeds": seeds, "folds": folds, "repeats": repeats, "halves": halves, "budget": MAX_BUDGET},
        "num_trainings": list(NUM_TRAININGS),
        "settings": {name: combine_seeds(seed_runs) for name, seed_runs in runs.items()},
    }


def replay_seed(candidates: Candidates, seed: int) -> dict[str, Any]:
    """Replay every method on the same candidates, each with its own random generator."""

    def run(name: str, method: Method, budget: int) -> Rows:
        rng = np.random.default_rng([seed, *SEED_TEXTS.get(name, name).encode()])
        return method(candidates, rng, budget)

    orders = {
        name: run(name, method, len(candidates) if name in BASELINES else candidates.budget)
        for name, method in METHODS.items()
        if name != "deepest first" or candidates.differ_in_depth
    }
    best = {name: best_so_far(candidates, order) for name, order in orders.items()}
    pareto_orders = {name: run(name, method, candidates.budget) for name, method in PARETO_METHODS.items()}
    # A surrogate's order is deterministic, so the seeds differ by their candidates: a random half each.
    half = candidates.random_half(seed)
    surrogate_orders = _surrogate_orders(half, seed)
    return {
        "candidates": len(candidates),
        "best_accuracy": candidates.accuracy.max(),
        "distances": np.sort(candidates.domain.distances, axis=1)[:, [1, 20]].mean(axis=0),
        "best": best,
        "regret": {name: regret(candidates, values) for name, values in best.items()},
        "hypervolume": {name: hypervolume(candidates, order) for name, order in pareto_orders.items()},
        "surrogate_regret": {name: regret(half, best_so_far(half, order)) for name, order in surrogate_orders.items()},
        "mean_gain": {name: mean_gain(half, order) for name, order in surrogate_orders.items()},
    }


def _surrogate_orders(candidates: Candidates, seed: int) -> dict[str, Rows]:
    """Training orders by descending value of each surrogate."""
    surrogates = {"random": np.zeros(len(candidates)), **candidates.surrogates}
    if candidates.differ_in_depth:
        surrogates["depth"] = candidates.depths.astype(float)
    return {
        name: sort_descending(values, np.random.default_rng([seed, *name.encode()]))
        for name, values in surrogates.items()
    }


def combine_seeds(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Summarize the runs of a setting over the seeds."""

    def by_name(measure: str) -> dict[str, list[Any]]:
        return {name: [run[measure][name] for run in runs] for name in runs[0][measure]}

    best = by_name("best")
    return {
        "candidates": [min(run["candidates"] for run in runs), max(run["candidates"] for run in runs)],
        "best_accuracy": round(float(np.mean([run["best_accuracy"] for run in runs])), 6),
        "distances": [round(float(mean), 4) for mean in np.mean([run["distances"] for run in runs], axis=0)],
        **{key: {name: summarize(rows) for name, rows in by_name(key).items()} for key in MEASURES},
        "trainings_needed": trainings_needed(best, {name: best[name] for name in BASELINES if name in best}),
    }


if __name__ == "__main__":
    main()
