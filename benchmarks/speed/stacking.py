"""Gain of several architectures in one pass, and its reasons; several one-thread processes beside it.

    python -m benchmarks.speed.stacking --out runs/stacking.json

The bound: a pass over K·N samples of one network does the arithmetic of K architectures of its depth in the calls of
one, and leaves out what stacking adds: masks, K weight gradients instead of one, batch norm by architecture. The real
thing: `score_stack` of K random architectures, networks built, against `score_batch` of each.
Times are CPU times in one thread, which other processes on the machine change least, and elapsed times in more threads.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch.profiler import ProfilerActivity, profile
from typing_extensions import override

from benchmarks.speed.machine import description
from benchmarks.speed.scoring import architecture, throughput
from models import get_space
from models.gcn_nas.batches import synthetic_batch
from proxies.memory import keep_freed_memory
from proxies.passes import PASSES, ProxyInput
from proxies.passes.batch import Batch
from proxies.passes.counting import FlopsPass, TopologyPass, WeightsPass
from proxies.runner import score_batch
from proxies.stacked import score_stack

BATCH_SIZE, FRAMES = 4, 8
RUNNING = tuple(p for p in PASSES if not isinstance(p, FlopsPass | TopologyPass | WeightsPass))
"""Passes that run a network."""
LONG_CALL_US = 20.0
"""Time of a call above which dispatch, a few microseconds, is not what it consists of."""


@dataclass(frozen=True)
class StackedBatch(Batch):
    """Batch of K·N samples, of which passes of a single sample take K."""

    number: int = 1

    @override
    def single(self) -> Batch:
        return self.part(slice(self.number))


def stacked_input(depth: int, number: int) -> ProxyInput:
    """Return a network at the default fidelity with the samples of `number` architectures."""
    space = get_space("gcn-nas")
    batch = synthetic_batch(space.task, BATCH_SIZE * number, FRAMES)
    return ProxyInput(space.build(architecture(depth)), StackedBatch((batch.x,), batch.y, number=number))


def bounds(depth: int, numbers: Sequence[int], repeats: int = 3) -> list[dict[str, Any]]:
    """Measure each pass over the samples of K architectures, and K times the time of one divided by it.

    Args:
        depth: number of layers.
        numbers: K, the first of them 1.
        repeats: rounds, in each of which all K take turns; the shortest time counts.
    """
    inputs = {number: stacked_input(depth, number) for number in numbers}
    times: dict[str, dict[int, float]] = {}
    for shared_pass in RUNNING:
        works = [partial(_run, shared_pass, inputs[number]) for number in numbers]
        times[type(shared_pass).__name__] = dict(zip(numbers, _shortest(works, repeats), strict=True))
    times["total"] = {number: sum(by_number[number] for by_number in times.values()) for number in numbers}
    return [
        {"depth": depth, "threads": torch.get_num_threads(), "pass": name, "seconds": by_number}
        | {"gain": {number: number * by_number[1] / by_number[number] for number in numbers}}
        | {"fixed_share": _fixed_share(by_number)}
        for name, by_number in times.items()
    ]


def _run(shared_pass: Any, inputs: ProxyInput) -> None:
    list(shared_pass.run(inputs, shared_pass.provides, 1))


def _shortest(works: Sequence[Callable[[], Any]], repeats: int) -> list[float]:
    """Return the shortest time of each; they take turns."""
    clock = thread_time if torch.get_num_threads() == 1 else perf_counter
    times: list[list[float]] = []
    for _ in range(repeats):
        times.append([])
        for work in works:
            started = clock()
            work()
            times[-1].append(clock() - started)
    return [min(of_work) for of_work in zip(*times, strict=True)]


def _fixed_share(seconds: dict[int, float]) -> float:
    """Return a/(a + b) of a + b·K fitted to the times, relative errors alike: what does not grow with the samples."""
    numbers, times = np.array(list(seconds)), np.array(list(seconds.values()))
    slope, fixed = np.polyfit(numbers, times, 1, w=1 / times)
    return float(fixed / (fixed + slope))


def call_lengths(depth: int) -> Iterator[dict[str, Any]]:
    """Yield the shares of each pass, one architecture, in long and in short calls of kernels; the rest is Python."""
    inputs = stacked_input(depth, 1)
    for shared_pass in RUNNING:
        _run(shared_pass, inputs)
        with profile(activities=[ProfilerActivity.CPU]) as profiled:
            _run(shared_pass, inputs)
        events = profiled.events()
        elapsed = max(event.time_range.end for event in events) - min(event.time_range.start for event in events)
        calls = [event.self_cpu_time_total for event in events if event.name.startswith("aten::")]
        long = sum(call for call in calls if call >= LONG_CALL_US)
        shares = {"long": long / elapsed, "short": (sum(calls) - long) / elapsed}
        yield {"depth": depth, "pass": type(shared_pass).__name__, "calls": len(calls), **shares}


def stacks(depth: int, numbers: Sequence[int], repeats: int = 3) -> Iterator[dict[str, Any]]:
    """Yield the gain of K random architectures, built and scored in shared passes, over one after the other."""
    space = get_space("gcn-nas")
    batch = synthetic_batch(space.task, BATCH_SIZE, FRAMES)
    for number in numbers:
        archs = [architecture(depth, i) for i in range(number)]
        alone, together = _shortest(
            [
                lambda archs=archs: [score_batch(space.build(arch), batch) for arch in archs],  # type: ignore[misc]
                lambda archs=archs: score_stack(space.build_stack(archs), batch),  # type: ignore[misc]
            ],
            repeats,
        )
        yield {
            "depth": depth,
            "threads": torch.get_num_threads(),
            "architectures": number,
            "seconds": together,
            "gain": alone / together,
        }


def throughputs(threads: int, rounds: int = 2, number: int = 8) -> dict[str, float]:
    """Measure architectures a second by one process of all threads and by as many processes of one, in turns."""
    shares = {f"1 process of {threads} threads": (1, threads), f"{threads} processes of 1 thread": (threads, 1)}
    rates = [{name: throughput(number, *share) for name, share in shares.items()} for _ in range(rounds)]
    return {name: max(of_round[name] for of_round in rates) for name in shares}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--depths", type=int, nargs="+", default=[4, 10])
    parser.add_argument("--numbers", type=int, nargs="+", default=[1, 2, 4, 8, 16], help="architectures, 1 first")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/stacking.json"))
    args = parser.parse_args()
    keep_freed_memory()
    measured: dict[str, Any] = {"machine": description()}
    console = Console(width=140)
    for name in args.parts:
        measure, table = PARTS[name]
        measured[name] = list(measure(args))
        console.print(table(measured[name]))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(measured, indent=1) + "\n")


def _each(args: argparse.Namespace) -> Iterator[int]:
    """Yield each number of layers with each number of threads set."""
    for threads in args.threads:
        torch.set_num_threads(threads)
        yield from args.depths


def _bound_rows(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    return chain.from_iterable(bounds(depth, args.numbers, args.repeats) for depth in _each(args))


def _stack_rows(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    return chain.from_iterable(stacks(depth, args.numbers[1:], args.repeats) for depth in _each(args))


def _call_rows(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    torch.set_num_threads(1)
    return chain.from_iterable(call_lengths(depth) for depth in args.depths)


def _process_rows(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    return ({"processes": name, "rate": rate} for name, rate in throughputs(max(args.threads)).items())


def _bound_table(rows: list[dict[str, Any]]) -> Table:
    numbers = list(rows[0]["gain"])
    table = Table("layers", "threads", "pass", "s", *(f"K = {k}" for k in numbers), "fixed", title="bound of the gain")
    for row in rows:
        gains = (f"{row['gain'][k]:.2f}" for k in numbers)
        fixed = f"{row['fixed_share']:.0%}"
        table.add_row(str(row["depth"]), str(row["threads"]), row["pass"], f"{row['seconds'][1]:.3f}", *gains, fixed)
    return table


def _stack_table(rows: list[dict[str, Any]]) -> Table:
    table = Table(
        "layers", "threads", "K", "s", "gain", title="all default proxies of K architectures in shared passes"
    )
    for row in rows:
        settings = (str(row[name]) for name in ("depth", "threads", "architectures"))
        table.add_row(*settings, f"{row['seconds']:.2f}", f"{row['gain']:.2f}")
    return table


def _call_table(rows: list[dict[str, Any]]) -> Table:
    title = f"share of a pass in calls of at least {LONG_CALL_US:.0f} µs, and in shorter ones"
    table = Table("layers", "pass", "calls", "long", "short", title=title)
    for row in rows:
        table.add_row(str(row["depth"]), row["pass"], str(row["calls"]), f"{row['long']:.0%}", f"{row['short']:.0%}")
    return table


def _process_table(rows: list[dict[str, Any]]) -> Table:
    table = Table("processes", "architectures a second", title="processes")
    for row in rows:
        table.add_row(row["processes"], f"{row['rate']:.2f}")
    return table


Rows = Iterator[dict[str, Any]]
PARTS: dict[str, tuple[Callable[[argparse.Namespace], Rows], Callable[[list[dict[str, Any]]], Table]]] = {
    "bounds": (_bound_rows, _bound_table),
    "stacks": (_stack_rows, _stack_table),
    "calls": (_call_rows, _call_table),
    "processes": (_process_rows, _process_table),
}
"""Measurement and table of each part, printed as soon as it is measured."""


if __name__ == "__main__":
    main()
