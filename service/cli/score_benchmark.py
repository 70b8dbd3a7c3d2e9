"""Proxy scores of a whole benchmark, computed by several processes and resumable after a crash."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from common.processes import exit_with_parent
from ensemble.data.benchmark import Benchmark
from ensemble.data.loading import load_benchmark
from ensemble.data.scores import append_scores, drop_partial_row, load_scores, start_scores
from ensemble.errors import BenchmarkError
from models import Architecture, BuildableSpace, ProbeBatch, SearchSpace, get_space, require, space_names
from models.batch_spec import BatchSpec
from models.stack import StackableSpace
from proxies import proxy_versions
from proxies.memory import keep_freed_memory
from proxies.runner import DEFAULT_REPEATS, check_options
from proxies.stacked import MAX_STACK, by_stratum, score_architectures

Progress = Callable[[int, int], None]
"""Called with the number of finished rows and the total number of rows."""


def score_benchmark(
    benchmark_path: str | Path,
    out: str | Path,
    batch: BatchSpec | None = None,
    seed: int = 0,
    repeats: int = DEFAULT_REPEATS,
    proxies: Sequence[str] | None = None,
    jobs: int = 2,
    limit: int | None = None,
    device: str = "cpu",
    space: SearchSpace[Any] | None = None,
    progress: Progress = lambda done, total: None,
) -> int:
    """Compute the proxy scores of every architecture of a benchmark and append them to a table.

    An existing table is completed: its rows are kept, and a truncated last row is computed again.

    Args:
        benchmark_path: the benchmark, as `load_benchmark` reads it.
        out: the table, JSON Lines.
        batch: the probe batch; the task's default if None.
        seed: seed of the initial weights and of the proxies' random draws.
        repeats: number of random draws that zen averages.
        proxies: names of the proxies; the default ones if None.
        jobs: number of processes, which share the machine's cores or the GPU.
        limit: total number of rows to stop at; None for no limit.
        device: torch device.
        space: search space of the benchmark; the first one if None.
        progress: called after every row.

    Returns:
        Number of rows that were added.

    Raises:
        BenchmarkError: the benchmark is malformed, or `out` was computed with other settings or is in use.
        InputError: seed or repeats is out of range, or the batch cannot be made.
        UnknownNameError: no proxy has one of the names.
    """
    check_options(seed, repeats)
    benchmark = load_benchmark(benchmark_path, space or get_space(space_names()[0]))
    task, out = require(benchmark.space, BuildableSpace).task, Path(out)
    spec = batch or task.batch_spec()
    header = {
        "space": benchmark.space.name,
        "settings": benchmark.space.settings,
        "batch": spec.model_dump(),
        "batch_fingerprint": spec.make(task).fingerprint,
        "seed": seed,
        "repeats": repeats,
        "proxies": proxy_versions(proxies),
        "device": torch.device(device).type,
        "dtype": "float32",
    }
    with _locked(out):
        return _score_missing(benchmark, out, header, jobs, limit, device, progress)


def _score_missing(
    benchmark: Benchmark,
    out: Path,
    header: dict[str, Any],
    jobs: int,
    limit: int | None,
    device: str,
    progress: Progress,
) -> int:
    done = _open_table(out, header)
    missing = [arch for arch in benchmark.architectures if arch.fingerprint not in done]
    total = len(done) + len(missing) if limit is None else min(limit, len(done) + len(missing))
    missing = missing[: max(0, total - len(done))]
    added = 0
    threads = max(1, torch.get_num_threads() // jobs)
    with ProcessPoolExecutor(
        jobs, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(header, device, threads, jobs)
    ) as pool:
        for row in _rows(pool, _stacks(benchmark.space, missing, device), 2 * jobs):
            append_scores(out, row)
            added += 1
            progress(len(done) + added, total)
    return added


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Lock the table, as two writers would duplicate rows. Raise `BenchmarkError` where another process holds it."""
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out.with_name(f".{out.name}.lock"), blocking=False):
            yield
    except Timeout as error:
        raise BenchmarkError(str(out), "in use", "a table that no other process is writing to") from error


def _open_table(out: Path, header: dict[str, Any]) -> set[str]:
    """Return the fingerprints in an existing table of the same settings, or start a new one."""
    if not out.exists():
        start_scores(out, header)
        return set()
    table = load_scores(out)
    for field, value in header.items():
        if table.header.get(field) != value:
            raise BenchmarkError(f"{out.name}, {field}", table.header.get(field), f"{value!r}, as requested now")
    if table.truncated:
        drop_partial_row(out)
    return set(table.features)


def _stacks(
    space: SearchSpace[Any], architectures: Sequence[Architecture], device: str
) -> Iterator[list[dict[str, Any]]]:
    """Return what is scored together: architectures of one stratum on a GPU, one at a time elsewhere."""
    stacks: Iterable[Sequence[Architecture]] = ([arch] for arch in architectures)
    if isinstance(space, StackableSpace) and torch.device(device).type == "cuda":
        stacks = by_stratum(space, architectures, MAX_STACK)
    return ([space.to_json(arch) for arch in some] for some in stacks)


def _rows(
    pool: ProcessPoolExecutor, stacks: Iterator[list[dict[str, Any]]], max_pending: int
) -> Iterator[dict[str, Any]]:
    """Yield rows in order of completion, with at most `max_pending` stacks submitted at a time."""
    running: set[Future[list[dict[str, Any]]]] = {
        pool.submit(_score_architectures, some) for some in islice(stacks, max_pending)
    }
    while running:
        finished, running = wait(running, return_when=FIRST_COMPLETED)
        running |= {pool.submit(_score_architectures, some) for some in islice(stacks, len(finished))}
        for future in finished:
            yield from future.result()


class _Worker:
    """State of a scoring process."""

    header: dict[str, Any]
    batch: ProbeBatch
    device: str
    processes: int


def _start_worker(header: dict[str, Any], device: str, threads: int, processes: int) -> None:
    exit_with_parent()
    keep_freed_memory()
    torch.set_num_threads(threads)
    task = require(get_space(header["space"], **header["settings"]), BuildableSpace).task
    _Worker.header, _Worker.device, _Worker.processes = header, device, processes
    _Worker.batch = task.batch_spec(**header["batch"]).make(task)


def _score_architectures(architectures: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of architectures of one stratum."""
    header = _Worker.header
    space = require(get_space(header["space"], **header["settings"]), BuildableSpace)
    archs = [space.parse(architecture) for architecture in architectures]
    scored = score_architectures(
        space,
        archs,
        _Worker.batch,
        list(header["proxies"]),
        header["seed"],
        header["repeats"],
        device=_Worker.device,
        processes=_Worker.processes,
    )
    return [
        {
            "fingerprint": arch.fingerprint,
            "architecture": space.to_json(arch),
            "scores": {name: asdict(result) for name, result in scores.items()},
        }
        for arch, scores in zip(archs, scored, strict=True)
    ]
