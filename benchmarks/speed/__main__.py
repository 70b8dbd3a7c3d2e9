"""Measure speed in one run of a few minutes; print tables and write JSON.

    python -m benchmarks.speed --out runs/speed.json

Compare ratios within one run: a machine may be shared, and seconds differ between machines.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress

from benchmarks import serving, start
from benchmarks.speed import predicting, scoring, stacking
from benchmarks.speed.machine import description, rates
from benchmarks.speed.tables import tables
from proxies.memory import keep_freed_memory

DEFAULT = {"batch_size": 4, "frames": 8}
RICH = {"batch_size": 8, "frames": 64}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=Path("runs/speed.json"))
    args = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(args.threads)
    started = perf_counter()
    measured: dict[str, Any] = {"machine": description()}
    steps = _steps(args.threads)
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=len(steps))
        for name, step in steps.items():
            progress.update(task, description=name)
            measured[name] = step()
            progress.advance(task)
    measured["minutes"] = (perf_counter() - started) / 60
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(measured, indent=1) + "\n")
    console = Console(width=160)
    for table in tables(measured):
        console.print(table)
    console.print(f"{measured['minutes']:.1f} minutes; details in {args.out}")


def _steps(threads: int) -> dict[str, Callable[[], Any]]:
    """Return the measurements by name; those in other processes come last."""
    return {
        "rates": rates,
        "fourteen": lambda: [scoring.measure(depth, **RICH, proxies=scoring.STUDY, repeats=2) for depth in (10, 4)],
        "all": lambda: [scoring.measure(depth, **DEFAULT, proxies=None) for depth in (4, 6, 8, 10)],
        "batch_size": lambda: [scoring.measure(10, batch_size, 8, None, repeats=1) for batch_size in (2, 4, 8, 16)],
        "frames": lambda: [scoring.measure(10, 4, frames, None, repeats=1) for frames in (8, 16, 32)],
        "structure": predicting.structure_only,
        "cached": predicting.cached,
        "peak_gib": lambda: {batch_size: scoring.peak(10, batch_size, 8) for batch_size in (4, 8, 16)},
        "scored_per_s": lambda: {
            f"{number} by {processes} of {threads // processes} threads": scoring.throughput(
                number, processes, threads // processes
            )
            for number, processes in ((4, threads), (16, 1), (16, threads), (64, threads))
        },
        "stacking": lambda: {"4 layers, K = 4": stacking.bounds(4, (1, 4), repeats=2)[-1]["gain"][4]},
        "http": lambda: serving.measure(seconds=4),
        "start": start.measure,
    }


if __name__ == "__main__":
    main()
