"""Mixed load on a real server, with every response checked.

    python -m benchmarks.soak --seconds 180

Exits with 1 if a response was wrong or missing. Writes a figure of the server's memory, and a JSON of the results.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import httpx
import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.soak import expected, memory
from benchmarks.soak.clients import Client, Record
from benchmarks.soak.expected import Known
from service.cli.demo import server

CLIENTS = 16
SAMPLE_INTERVAL_S = 0.5
SETTINGS = {
    "ARCHRANK_NUM_THREADS": "1",
    "ARCHRANK_NUM_WORKERS": "1",
    "ARCHRANK_CACHE_SIZE": "2048",
    "ARCHRANK_MAX_TASKS_PER_WORKER": "1000000",
}
"""Caches are full when the warm-up ends, and workers are not replaced, which would hide a slope."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=180.0, help="duration of the load")
    parser.add_argument("--scored", type=int, default=100, help="scored architectures")
    parser.add_argument("--out", type=Path, default=Path("runs/soak.png"), help="figure to write")
    args = parser.parse_args()
    console = Console()
    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task("computing the expected responses", total=expected.steps(args.scored))
        known = expected.known(2000, args.scored, lambda: progress.advance(bar))
        bar = progress.add_task("load", total=args.seconds)
        with server(SETTINGS) as url:
            record, samples = asyncio.run(
                load(url, known, args.seconds, lambda done: progress.update(bar, completed=done))
            )
    trend = memory.trend(samples)
    memory.draw(samples, trend, args.out)
    fit = {"mb_per_minute": trend.slope, "standard_error": trend.error}
    report = {"requests": sum(record.statuses.values()), "wrong": record.wrong, **fit, "memory": samples}
    args.out.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
    console.print(_table(record))
    console.print(f"{CLIENTS} clients, {args.seconds:g} s; {trend}; {args.out}")
    console.print(f"{len(record.wrong)} responses wrong or missing")
    for text in record.wrong[:20]:
        console.print(f"• {text}", markup=False)
    sys.exit(1 if record.wrong else 0)


async def load(
    url: str, known: dict[str, Known], seconds: float, on_progress: Callable[[float], None]
) -> tuple[Record, list[tuple[float, float]]]:
    """Run the clients; returns what they recorded, and samples of time in minutes and memory in MB."""
    record, started = Record(), perf_counter()
    samples: list[tuple[float, float]] = []
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=CLIENTS)
    async with httpx.AsyncClient(base_url=url, timeout=120, limits=limits, trust_env=False) as http:
        clients = [Client(i, http, known, record) for i in range(CLIENTS)]
        work = asyncio.gather(*(client.work(started + seconds) for client in clients))
        while not work.done():
            elapsed = perf_counter() - started
            samples.append((elapsed / 60, memory.descendants_mb()))
            on_progress(min(elapsed, seconds))
            await asyncio.wait((work,), timeout=SAMPLE_INTERVAL_S)
        await work
    return record, samples


def _table(record: Record) -> Table:
    table = Table("request", "number", "by status", "p50, ms", "p99, ms")
    for column in (1, 3, 4):
        table.columns[column].justify = "right"
    for kind, seconds in sorted(record.seconds.items()):
        statuses = {status: n for (name, status), n in sorted(record.statuses.items()) if name == kind}
        spread = (f"{1000 * np.percentile(seconds, share):.1f}" for share in (50, 99))
        table.add_row(kind, str(len(seconds)), ", ".join(f"{s}: {n}" for s, n in statuses.items()), *spread)
    return table


if __name__ == "__main__":
    main()
