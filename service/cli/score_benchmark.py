"""Our own proxy scores for a whole benchmark: several processes, resumable after a kill, each row written once."""

import fcntl
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from ensemble.data.benchmark import Benchmark, load_benchmark
from ensemble.data.scores import append_scores, drop_partial_row, load_scores, start_scores
from ensemble.errors import BenchmarkError
from models import Architecture, SearchSpace, get_space
from models.batches import BatchSpec, ProbeBatch
from proxies import proxy_versions, score
from proxies.memory import keep_freed_memory
from proxies.runner import DEFAULT_REPEATS, check_options
from service.workers.worker_main import exit_with_parent

Progress = Callable[[int, int], None]
"""Called with the number of rows done and the number of all rows."""


def score_benchmark(
    directory: str | Path,
    out: str | Path,
    batch: BatchSpec | None = None,
    seed: int = 0,
    repeats: int = DEFAULT_REPEATS,
    proxies: Sequence[str] | None = None,
    jobs: int = 2,
    limit: int | None = None,
    device: str = "cpu",
    space: SearchSpace[Architecture] | None = None,
    progress: Progress = lambda done, total: None,
) -> int:
    """Score every architecture of a benchmark into a table of scores, and return how many rows were added.

    Where `out` exists, its rows are kept and only missing ones are computed; a half-written last row is computed again.

    Args:
        directory: the benchmark, as `load_benchmark` reads it.
        out: the table, JSON Lines.
        batch: the probe batch, the same for every architecture.
        seed: for the initial weights and for the proxies that draw.
        repeats: number of random draws that zen averages.
        proxies: names; all where None.
        jobs: processes, which share the machine's cores; on a GPU they share the device.
        limit: stop after that many rows in all.
        device: torch device.
        space: search space of the benchmark; `gcn-nas` on NTU's skeleton where None.
        progress: told after every row.

    Raises:
        BenchmarkError: the benchmark is malformed, `out` holds scores of another kind or is being written to.
        InputError: seed or repeats is out of range, or the batch cannot be made.
        UnknownNameError: no proxy has that name.
    """
    check_options(seed, repeats)
    benchmark = load_benchmark(directory, space or get_space("gcn-nas"))
    spec, out = batch or BatchSpec(), Path(out)
    header = {
        "space": benchmark.space.name,
        "settings": benchmark.space.settings,
        "batch": spec.model_dump(),
        "batch_fingerprint": spec.make(benchmark.space).fingerprint,
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
    done = _resume(out, header)
    waiting = [arch for arch in benchmark.architectures if arch.fingerprint not in done]
    total = len(done) + len(waiting) if limit is None else min(limit, len(done) + len(waiting))
    jobs_left = iter(waiting[: max(0, total - len(done))])
    added = 0
    threads = max(1, torch.get_num_threads() // jobs)
    with ProcessPoolExecutor(
        jobs, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(header, device, threads)
    ) as pool:
        for row in _rows(pool, (benchmark.space.to_json(arch) for arch in jobs_left), 2 * jobs):
            append_scores(out, row)
            added += 1
            progress(len(done) + added, total)
    return added


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Hold the table for this process, or raise `BenchmarkError`: two writers would write rows twice."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.with_name(f".{out.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BenchmarkError(str(out), "in use", "a table that no other process is writing to") from error
        yield


def _resume(out: Path, header: dict[str, Any]) -> set[str]:
    """Fingerprints that `out` holds already; starts the table where there is none."""
    if not out.exists():
        start_scores(out, header)
        return set()
    table = load_scores(out)
    for field, value in header.items():
        if table.header.get(field) != value:
            raise BenchmarkError(f"{out.name}, {field}", table.header.get(field), f"{value!r}, as asked for now")
    if table.truncated:
        drop_partial_row(out)
    return set(table.features)


def _rows(pool: ProcessPoolExecutor, architectures: Iterator[dict[str, Any]], ahead: int) -> Iterator[dict[str, Any]]:
    """Finished rows as they come, never more than `ahead` architectures handed out."""
    running: set[Future[dict[str, Any]]] = {pool.submit(_score_one, arch) for arch in islice(architectures, ahead)}
    while running:
        finished, running = wait(running, return_when=FIRST_COMPLETED)
        running |= {pool.submit(_score_one, arch) for arch in islice(architectures, len(finished))}
        for future in finished:
            yield future.result()


class _Worker:
    """What one scoring process holds."""

    header: dict[str, Any]
    batch: ProbeBatch
    device: str


def _start_worker(header: dict[str, Any], device: str, threads: int) -> None:
    exit_with_parent()
    keep_freed_memory()
    torch.set_num_threads(threads)
    space = get_space(header["space"], **header["settings"])
    _Worker.header, _Worker.device = header, device
    _Worker.batch = BatchSpec(**header["batch"]).make(space)


def _score_one(architecture: dict[str, Any]) -> dict[str, Any]:
    header, batch = _Worker.header, _Worker.batch
    space = get_space(header["space"], **header["settings"])
    arch = space.parse(architecture)
    network = space.build(arch, seed=header["seed"]).to(_Worker.device)
    scores = score(network, batch.x, batch.y, list(header["proxies"]), seed=header["seed"], repeats=header["repeats"])
    return {
        "fingerprint": arch.fingerprint,
        "architecture": space.to_json(arch),
        "scores": {name: asdict(result) for name, result in scores.items()},
    }
