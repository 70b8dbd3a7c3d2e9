"""Mixed load on a real server for some minutes, with every answer checked.

    python -m benchmarks.soak --seconds 180

Ends with exit code 1 where an answer was wrong or lost. The figure of the server's memory is written beside the table's
JSON.
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
SAMPLE_SECONDS = 0.5
SETTINGS = {
    "ARCHRANK_NUM_THREADS": "1",
    "ARCHRANK_NUM_WORKERS": "1",
    "ARCHRANK_CACHE_SIZE": "2048",
    "ARCHRANK_MAX_TASKS_PER_WORKER": "1000000",
}
"""Caches are small, so that they are full when the warm-up ends; no process is replaced, which would hide a slope."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=180.0, help="of load")
    parser.add_argument("--scored", type=int, default=100, help="architectures of which scores are asked")
    parser.add_argument("--out", type=Path, default=Path("runs/soak.png"))
    args = parser.parse_args()
    console = Console()
    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task("computing what is to be expected", total=expected.steps(args.scored))
        known = expected.known(2000, args.scored, lambda: progress.advance(bar))
        bar = progress.add_task("load", total=args.seconds)
        with server(SETTINGS) as url:
            record, samples = asyncio.run(
                load(url, known, args.seconds, lambda done: progress.update(bar, completed=done))
            )
    line = memory.trend(samples)
    memory.draw(samples, line, args.out)
    fit = {"megabytes_a_minute": line.slope, "standard_error": line.error}
    report = {"requests": sum(record.statuses.values()), "wrong": record.wrong, **fit, "memory": samples}
    args.out.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
    console.print(_table(record))
    console.print(f"{CLIENTS} clients, {args.seconds:g} s; {line}; {args.out}")
    console.print(f"{len(record.wrong)} answers wrong or lost")
    for text in record.wrong[:20]:
        console.print(f"• {text}", markup=False)
    sys.exit(1 if record.wrong else 0)


async def load(
    url: str, known: dict[str, Known], seconds: float, tell: Callable[[float], None]
) -> tuple[Record, list[tuple[float, float]]]:
    """What the clients saw, and the memory in MB by the minute."""
    record, started, samples = Record(), perf_counter(), []
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=CLIENTS)
    async with httpx.AsyncClient(base_url=url, timeout=120, limits=limits, trust_env=False) as http:
        clients = [Client(i, http, known, record) for i in range(CLIENTS)]
        work = asyncio.gather(*(client.work(started + seconds) for client in clients))
        while not work.done():
            passed = perf_counter() - started
            samples.append((passed / 60, memory.started_megabytes()))
            tell(min(passed, seconds))
            await asyncio.wait((work,), timeout=SAMPLE_SECONDS)
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
