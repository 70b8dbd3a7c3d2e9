"""The benchmark's architectures, scored on the GPU at N = 16, T = 64, for a comparison with smaller batches."""

import json
from collections.abc import Generator, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import torch

from benchmarks.gpu.backend import backend, outcomes, task
from benchmarks.gpu.checks import Check, Options, holds, skipped, stated
from common.errors import ArchrankError
from models import Architecture, get_space
from models.batches import ProbeBatch, synthetic_batch
from proxies import proxy_versions

SAMPLES, FRAMES = 16, 64
BYTES_PER_PROCESS = 20 << 30
"""Memory of the GPU that one process may need at that size, generously."""
SPARE_SECONDS = 15
"""Before the part has to be done: no more architectures are begun."""
MOST = 4


def run(options: Options) -> Iterator[Check]:
    """Append rows to a table, as `archrank benchmark score` writes it, as they come; the next run goes on."""
    try:
        wanted = architectures(options.architectures)
    except (OSError, ValueError, KeyError, TypeError, ArchrankError) as error:
        yield skipped("the benchmark's architectures", f"{options.architectures} does not name them: {error}")
        return
    batch_size, frames = (2, 4) if options.small else (SAMPLES, FRAMES)
    wanted = wanted[:3] if options.small else wanted
    space = get_space("gcn-nas")
    batch = synthetic_batch(space, batch_size, frames)
    head = header(space.settings, batch, options.device)
    try:
        done = resumed(options.scores, head)
    except ValueError as error:
        yield holds("the table of scores", False, f"{options.scores}: {error}", "goes on, or is new")
        return
    waiting = [one for one in wanted if one.fingerprint not in done]
    failed = yield from _score(options, batch, waiting)
    have = len(resumed(options.scores, head) & {one.fingerprint for one in wanted})
    more = "" if have == len(wanted) else "; run it again to go on"
    yield stated(f"scored at N = {batch_size}, T = {frames}", f"{have} of {len(wanted)} are in {options.scores}{more}")
    yield holds("proxies that failed", failed == 0, str(failed), "0")


def _score(options: Options, batch: ProbeBatch, waiting: list[Architecture]) -> Generator[Check, None, int]:
    """Score them while there is time; returns how many proxies failed."""
    failed, started, processes = 0, monotonic(), _processes(options)
    if not waiting:
        return 0
    tasks = [task(arch) for arch in waiting]
    of_task = {one.id: arch for one, arch in zip(tasks, waiting, strict=True)}
    in_time = (one for one in tasks if monotonic() < options.deadline - SPARE_SECONDS)
    with backend(options, batch, processes) as scoring, options.scores.open("a") as file:
        for number, outcome in enumerate(outcomes(scoring, in_time, processes), 1):
            arch = of_task[outcome.task]
            if outcome.scores is None:
                yield holds(f"architecture {arch.fingerprint}", False, str(outcome.failure), "scores")
                continue
            failed += sum(one["status"] != "ok" for one in outcome.scores.values())
            row = {"fingerprint": arch.fingerprint, "architecture": get_space(arch.space).to_json(arch)}
            file.write(_line({**row, "scores": outcome.scores}))
            file.flush()
            if number % 100 == 0:
                rate = number / (monotonic() - started)
                yield stated("so far", f"{number} of {len(waiting)}, {rate:.2g} a second")
    return failed


def architectures(path: Path) -> list[Architecture]:
    """Architectures named by the rows of a table, of scores or of a benchmark, each once."""
    space = get_space("gcn-nas")
    rows = (json.loads(line) for line in path.read_text().splitlines() if line)
    found = [space.parse(row["architecture"]) for row in rows if "architecture" in row]
    if not found:
        raise ValueError("no row names an architecture")
    return list({one.fingerprint: one for one in found}.values())


def header(settings: dict[str, Any], batch: ProbeBatch, device: str) -> dict[str, Any]:
    """First row of the table: what the scores are of."""
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
    """Fingerprints that the table holds; started where there is none, and cut where its last row is not whole.

    Raises `ValueError` where it holds other scores.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    text = path.read_text() if path.exists() else ""
    whole = text[: text.rfind("\n") + 1]
    first, *rows = [json.loads(line) for line in whole.splitlines()] or [head]
    if first != head:
        unlike = sorted(key for key in head if not isinstance(first, dict) or first.get(key) != head[key])
        raise ValueError(f"holds scores of another kind ({', '.join(unlike)})")
    if whole != text or not whole:
        path.write_text(whole or _line(head))
    return {row["fingerprint"] for row in rows}


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, separators=(",", ":"), allow_nan=False) + "\n"


def _processes(options: Options) -> int:
    if options.device == "cpu":
        return 1
    return min(MOST, max(1, torch.cuda.get_device_properties(0).total_memory // BYTES_PER_PROCESS))
