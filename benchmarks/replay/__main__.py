"""What a search would have found after k trainings, replayed on the trained architectures of a benchmark.

    python -m benchmarks.replay --benchmark DIR --out docs

Writes OUT/replay.json with every curve, the figures in OUT/figures, and the tables into OUT/search.md where that is.
About six minutes on two cores. The same seeds give the same numbers, whatever the number of jobs.
"""

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed, parallel_config  # type: ignore[import-untyped]
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

from benchmarks.replay import figures, tables
from benchmarks.replay.candidates import BUDGET, Candidates, Known, Rows, fits
from benchmarks.replay.measures import POINTS, best_so_far, curve, lead, regret, saved, volume
from benchmarks.replay.methods import COSTED, METHODS, Method, highest_first
from common.atomic_files import write_atomically
from ensemble import load_benchmark, load_scores

SCORES = Path(__file__).resolve().parents[2] / "ensemble" / "data" / "gcn-nas-ntu.scores.jsonl"
SETTINGS: dict[str, Callable[[Known, int], Candidates]] = {
    "all": Known.everything,
    "unseen half": Known.unseen_half,
    "10 layers": lambda known, seed: known.of_depth(10, seed),
}
CURVES = ("regret", "guides", "lead", "volume")
WHOLE = ("random", "deepest first")
"""Run to the end, so that it is known when they reach what others reach."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmark", type=Path, required=True)
    parser.add_argument("--scores", type=Path, default=SCORES)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    parser.add_argument("--seeds", type=int, default=100, help="searches by each method in each setting")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3, help="cross-validations that seeds take turns with")
    parser.add_argument("--halves", type=int, default=30, help="halves that seeds take turns with")
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    measured = measure(**{name: value for name, value in vars(args).items() if name != "out"})
    args.out.mkdir(parents=True, exist_ok=True)
    write_atomically(args.out / "replay.json", (json.dumps(measured, separators=(",", ":")) + "\n").encode())
    figures.write(measured, args.out / "figures")
    if (page := args.out / "search.md").exists():
        write_atomically(page, tables.inserted(page.read_text(), measured).encode())


def measure(
    benchmark: Path, scores: Path, seeds: int, folds: int, repeats: int, halves: int, jobs: int
) -> dict[str, Any]:
    """Everything, as plain data."""
    loaded = load_benchmark(benchmark)
    columns = (*Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("held-out predictions", total=fits(folds, repeats, halves))
        known = Known.predict(
            loaded, load_scores(scores), folds, repeats, halves, jobs, partial(progress.advance, task)
        )
        task = progress.add_task("replays", total=seeds * len(SETTINGS))
        replayed: dict[str, list[Any]] = {name: [] for name in SETTINGS}
        with parallel_config("loky", inner_max_num_threads=1):
            work = [(name, make(known, seed), seed) for seed in range(seeds) for name, make in SETTINGS.items()]
            answers = Parallel(n_jobs=jobs, return_as="generator")(delayed(_replay)(*one) for _, *one in work)
            for (name, _, _), answer in zip(work, answers, strict=True):
                replayed[name].append(answer)
                progress.advance(task)
    return {
        "benchmark": loaded.summary,
        "method": {"seeds": seeds, "folds": folds, "repeats": repeats, "halves": halves, "budget": BUDGET},
        "trainings": list(POINTS),
        "settings": {name: _together(runs) for name, runs in replayed.items()},
    }


def _replay(candidates: Candidates, seed: int) -> dict[str, Any]:
    """All methods on the same candidates, each with a generator of its own."""

    def order(name: str, method: Method, budget: int) -> Rows:
        return method(candidates, np.random.default_rng([seed, *name.encode()]), budget)

    orders = {
        name: order(name, method, len(candidates) if name in WHOLE else candidates.budget)
        for name, method in METHODS.items()
        if name != "deepest first" or candidates.differ_in_depth
    }
    best = {name: best_so_far(candidates, one) for name, one in orders.items()}
    costed = {name: order(name, method, candidates.budget) for name, method in COSTED.items()}
    # The order by a guide is no matter of chance, but which candidates there are is: so of a random half.
    half = candidates.half(seed)
    guides = _guides(half, seed)
    return {
        "candidates": len(candidates),
        "top": candidates.accuracy.max(),
        "steps": np.sort(candidates.moves.distances, axis=1)[:, [1, 20]].mean(axis=0),
        "best": best,
        "regret": {name: regret(candidates, one) for name, one in best.items()},
        "volume": {name: volume(candidates, one) for name, one in costed.items()},
        "guides": {name: regret(half, best_so_far(half, one)) for name, one in guides.items()},
        "lead": {name: lead(half, one) for name, one in guides.items()},
    }


def _guides(candidates: Candidates, seed: int) -> dict[str, Rows]:
    """The orders in which each guide would have them trained."""
    guides = {"random": np.zeros(len(candidates)), **candidates.guides}
    if candidates.differ_in_depth:
        guides["depth"] = candidates.layers.astype(float)
    return {
        name: highest_first(values, np.random.default_rng([seed, *name.encode()])) for name, values in guides.items()
    }


def _together(runs: list[dict[str, Any]]) -> dict[str, Any]:
    def by_name(measure: str) -> dict[str, list[Any]]:
        return {name: [run[measure][name] for run in runs] for name in runs[0][measure]}

    best = by_name("best")
    return {
        "candidates": [min(run["candidates"] for run in runs), max(run["candidates"] for run in runs)],
        "top": round(float(np.mean([run["top"] for run in runs])), 6),
        "steps": [round(float(one), 4) for one in np.mean([run["steps"] for run in runs], axis=0)],
        **{key: {name: curve(rows) for name, rows in by_name(key).items()} for key in CURVES},
        "saved": saved(best, {name: best[name] for name in WHOLE if name in best}),
    }


if __name__ == "__main__":
    main()
