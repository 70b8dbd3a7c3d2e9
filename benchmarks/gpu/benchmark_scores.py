"""Scores of the benchmark's architectures on the GPU at N = 16, T = 64, for a comparison with smaller batches."""

import json
from collections.abc import Generator, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import torch

from benchmarks.gpu.backend import backend, outcomes, task
from benchmarks.gpu.checks import Check, Options, holds, skipped, stated
from common.errors import ArchrankError
from models import Architecture, ProbeBatch, get_space
from models.gcn_nas.batches import synthetic_batch
from proxies import proxy_versions

BATCH_SIZE, FRAMES = 16, 64
BYTES_PER_PROCESS = 20 << 30
"""Upper bound of the memory of the GPU that one process needs at that size."""
RESERVE_S = 15
"""Time before the deadline from which no more architectures are started."""
MAX_PROCESSES = 4


def run(options: Options) -> Iterator[Check]:
    """Append rows to a table as `archrank benchmark score` writes it; the next run resumes it."""
    try:
        wanted = architectures(options.architectures)
    except (OSError, ValueError, KeyError, TypeError, ArchrankError) as error:
        yield skipped("the benchmark's architectures", f"{options.architectures} does not name them: {error}")
        return
    batch_size, frames = (2, 4) if options.small else (BATCH_SIZE, FRAMES)
    wanted = wanted[:3] if options.small else wanted
    space = get_space("gcn-nas")
    batch = synthetic_batch(space.task, batch_size, frames)
    head = header(space.settings, batch, options.device)
    try:
        done = resumed(options.scores, head)
    except ValueError as error:
        yield holds("the table of scores", False, f"{options.scores}: {error}", "goes on, or is new")
        return
    missing = [arch for arch in wanted if arch.fingerprint not in done]
    failed = yield from _score(options, batch, missing)
    scored = len(resumed(options.scores, head) & {arch.fingerprint for arch in wanted})
    hint = "" if scored == len(wanted) else "; run it again to resume"
    yield stated(
        f"scored at N = {batch_size}, T = {frames}", f"{scored} of {len(wanted)} are in {options.scores}{hint}"
    )
    yield holds("proxies that failed", failed == 0, str(failed), "0")


def _score(options: Options, batch: ProbeBatch, missing: list[Architecture]) -> Generator[Check, None, int]:
    """Score architectures until the deadline; return the number of failed proxies."""
    failed, started, processes = 0, monotonic(), _processes(options)
    if not missing:
        return 0
    tasks = [task(arch) for arch in missing]
    by_task = {scoring_task.id: arch for scoring_task, arch in zip(tasks, missing, strict=True)}
    in_time = (scoring_task for scoring_task in tasks if monotonic() < options.deadline - RESERVE_S)
    with backend(options, batch, processes) as scoring, options.scores.open("a") as file:
        for number, outcome in enumerate(outcomes(scoring, in_time, processes), 1):
            arch = by_task[outcome.task]
            if outcome.scores is None:
                yield holds(f"architecture {arch.fingerprint}", False, str(outcome.failure), "scores")
                continue
            failed += sum(result["status"] != "ok" for result in outcome.scores.values())
            row = {"fingerprint": arch.fingerprint, "architecture": get_space(arch.space).to_json(arch)}
            file.write(_line({**row, "scores": outcome.scores}))
            file.flush()
            if number % 100 == 0:
                rate = number / (monotonic() - started)
                yield stated("so far", f"{number} of {len(missing)}, {rate:.2g} per second")
    return failed


def architectures(path: Path) -> list[Architecture]:
    """Read the architectures in the rows of a table, of scores or of a benchmark, each once."""
    space = get_space("gcn-nas")
    rows = (json.loads(line) for line in path.read_text().splitlines() if line)
    parsed = [space.parse(row["architecture"]) for row in rows if "architecture" in row]
    if not parsed:
        raise ValueError("no row names an architecture")
    return list({arch.fingerprint: arch for arch in parsed}.values())


def header(settings: dict[str, Any], batch: ProbeBatch, device: str) -> dict[str, Any]:
    """Return the first row of the table: the space, the batch and the proxies of the scores."""
    batch_size, frames = len(batch.x), batch.x.shape[2]
    spec = {"source": "synthetic", "batch_size": batch_size, "frames": frames, "seed": 0, "data": None, "labels": None}
    return {
        "space": "gcn-nas",
        "settings": settings,
        "batch": spec,
        "batch_fingerprint": batch.fingerprint,
        "seed": 0,
        "repeats": 1,
        "proxies": proxy_versions(),
        "device": device,
        "dtype": "float32",
    }


def resumed(path: Path, head: dict[str, Any]) -> set[str]:
    """Return the fingerprints in the table; start the table if there is none, and drop an incomplete last row.

    Raises:
        ValueError: the table holds scores of another kind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    text = path.read_text() if path.exists() else ""
    complete = text[: text.rfind("\n") + 1]
    first, *rows = [json.loads(line) for line in complete.splitlines()] or [head]
    if first != head:
        different = sorted(key for key in head if not isinstance(first, dict) or first.get(key) != head[key])
        raise ValueError(f"holds scores of another kind ({', '.join(different)})")
    if complete != text or not complete:
        path.write_text(complete or _line(head))
    return {row["fingerprint"] for row in rows}


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, separators=(",", ":"), allow_nan=False) + "\n"


def _processes(options: Options) -> int:
    if options.device == "cpu":
        return 1
    return min(MAX_PROCESSES, max(1, torch.cuda.get_device_properties(0).total_memory // BYTES_PER_PROCESS))
