"""Memory that runs out, and a GPU that refuses to go on: what can be scored is, and the next task goes well."""

import os
from collections.abc import Iterator
from socket import socket
from typing import Any

import torch

from benchmarks.gpu import memory
from benchmarks.gpu.agreement import TOLERANCE, difference
from benchmarks.gpu.backend import backend, outcomes, task
from benchmarks.gpu.checks import Check, Options, holds
from benchmarks.speed.scoring import architecture
from models import get_space
from models.batches import synthetic_batch
from proxies import score
from service.workers.backend import OUT_OF_MEMORY, Task, TaskOutcome
from service.workers.worker_main import create_scorer, serve_tasks

CHUNKED = "grad_sign"
"""Its pass takes samples one by one, so that the batch may be cut."""
TOGETHER, SMALLER = ("nwot", "grasp"), "nwot"
"""They share a pass, in which the one of them needs little memory by itself, the other much."""
FAULT_SEED = 13
"""Of a task at which the process of `main` loses its device."""


def run(options: Options) -> Iterator[Check]:
    """Chunks, then alone; then a process that is replaced."""
    yield from out_of_memory(options)
    yield from lost_device(options)


def out_of_memory(options: Options) -> Iterator[Check]:
    """With less memory than the batch takes, chunks; with less than two proxies take, each of them alone."""
    space = get_space("gcn-nas")
    batch = synthetic_batch(space, *((8, 16) if options.small else (8, 64)))
    network = space.build(architecture(4 if options.small else 10)).to(options.device)
    x, y = batch.x.to(options.device), batch.y.to(options.device)
    whole = score(network, x, y, [CHUNKED, *TOGETHER])  # libraries take what memory of their own they need, too
    most = memory.peak(lambda: score(network, x, y, [CHUNKED]), options.device)
    least = memory.peak(lambda: score(network, x[:1], y[:1], [CHUNKED]), options.device)
    with memory.at_most((least + most) // 2, options.device):
        chunked = score(network, x, y, [CHUNKED])[CHUNKED]
    apart = difference(whole[CHUNKED], chunked)
    good = "chunks" in (chunked.note or "") and apart <= TOLERANCE
    name = f"{CHUNKED} with {(least + most) / 2**21:.0f} MiB; it takes {most / 2**20:.0f}"
    yield holds(name, good, f"{chunked.note or chunked.error}; {apart:.1g} off", f"in chunks, {TOLERANCE:g}")

    little = memory.peak(lambda: score(network, x, y, [SMALLER]), options.device)
    much = memory.peak(lambda: score(network, x, y, TOGETHER), options.device)
    with memory.at_most((little + much) // 2, options.device):
        scores = score(network, x, y, TOGETHER)
    errors = {name: one.error or "" for name, one in scores.items()}
    alone = scores[SMALLER].status == "ok" and difference(whole[SMALLER], scores[SMALLER]) <= TOLERANCE
    short = all(error.startswith(OUT_OF_MEMORY) for name, error in errors.items() if name != SMALLER)
    name = f"{' and '.join(TOGETHER)} with {(little + much) / 2**21:.0f} MiB; they take {much / 2**20:.0f}"
    target = f"{SMALLER} alone has its score, the other is short of memory"
    yield holds(name, alone and short, "as it should be" if alone and short else str(errors), target, errors)
    after = score(network, x, y, TOGETHER)
    well = all(difference(whole[name], after[name]) <= TOLERANCE for name in TOGETHER)
    yield holds("the same with all memory again", well, "as before" if well else str(after), "as before")


def lost_device(options: Options) -> Iterator[Check]:
    """An error after which every call on the device fails; on the CPU a process that dies stands in for it."""
    batch = synthetic_batch(get_space("gcn-nas"), batch_size=2, frames=4)
    one = architecture(4)
    expected = "device_error" if options.device == "cuda" else "crash"
    with backend(options, batch, processes=1, entry_point=f"{__name__}:main") as scoring:
        before, lost, after = (
            outcome
            for seed in (0, FAULT_SEED, 0)
            for outcome in outcomes(scoring, [task(one, ["params", "nwot"], seed)], in_flight=1)
        )
        health = scoring.health().workers[0]
    kind = lost.failure.kind if lost.failure else "none"
    yield holds("a task that ends its process", kind == expected, f"{kind}, {lost.failure}", expected)
    yield holds("it was tried once more", lost.attempts == 2, f"{lost.attempts} times", "2 times")
    yield holds("the process was replaced", health.restarts == 2, f"{health.restarts} times", "2 times")
    alike = before.scores is not None and after.scores is not None and _values(before) == _values(after)
    yield holds("the next task", alike, "as before" if alike else str(after.failure), "as before")


def _values(outcome: TaskOutcome) -> list[Any]:
    return [one["value"] for one in (outcome.scores or {}).values()]


def main(line: socket, setup: dict[str, Any]) -> None:
    """As `service.workers.worker_main.run`, in a process that loses its device at a certain task."""
    scorer = create_scorer(setup)

    def work(task: Task) -> TaskOutcome:
        if task.seed == FAULT_SEED:
            _lose(scorer.device)
        return scorer(task)

    serve_tasks(line, work)


def _lose(device: torch.device) -> None:
    if device.type == "cpu":
        os._exit(3)
    torch.zeros(1, device=device)[torch.tensor([7], device=device)]  # an assertion on the GPU, seen at the next wait
