"""Faults: out of memory, and a lost GPU. Other proxies keep their scores, and the next task succeeds."""

import copy
import os
from collections.abc import Iterator
from socket import socket
from typing import Any

import torch
from torch import nn

from benchmarks.gpu import memory
from benchmarks.gpu.agreement import TOLERANCE, difference
from benchmarks.gpu.backend import backend, outcomes, task
from benchmarks.gpu.checks import Check, Options, holds
from benchmarks.speed.scoring import architecture
from models import ProbeBatch, get_space
from models.gcn_nas.batches import synthetic_batch
from proxies import score
from service.workers.backend import OUT_OF_MEMORY, Task, TaskOutcome
from service.workers.worker_main import create_scorer, serve_tasks

CHUNKED = "grad_sign"
"""Proxy with a chunkable pass."""
TOGETHER, SMALLER = ("nwot", "grasp"), "nwot"
"""Two proxies that share a pass, and the one of them that needs less memory."""
FAULT_SEED = 13
"""Seed of a task in which the process of `main` loses its device."""


def run(options: Options) -> Iterator[Check]:
    """Check chunks and single needs out of memory, and the replacement of a process."""
    yield from out_of_memory(options)
    yield from lost_device(options)


def out_of_memory(options: Options) -> Iterator[Check]:
    """Check that too little memory for a batch gives chunks, and too little for two proxies runs each alone."""
    space = get_space("gcn-nas")
    batch = synthetic_batch(space.task, *((8, 16) if options.small else (8, 64)))
    network = space.build(architecture(4 if options.small else 10)).to(options.device)
    yield _chunks(options, network, batch)
    x, y = batch.x.to(options.device), batch.y.to(options.device)
    whole = score(network, x, y, TOGETHER)  # libraries allocate their memory, too

    smaller = memory.peak(lambda: score(network, x, y, [SMALLER]), options.device)
    together = memory.peak(lambda: score(network, x, y, TOGETHER), options.device)
    with memory.at_most((smaller + together) // 2, options.device):
        scores = score(network, x, y, TOGETHER)
    errors = {name: result.error or "" for name, result in scores.items()}
    alone = scores[SMALLER].status == "ok" and difference(whole[SMALLER], scores[SMALLER]) <= TOLERANCE
    failed = all(message.startswith(OUT_OF_MEMORY) for name, message in errors.items() if name != SMALLER)
    name = f"{' and '.join(TOGETHER)} with {(smaller + together) / 2**21:.0f} MiB; they take {together / 2**20:.0f}"
    target = f"{SMALLER} alone has its score, the other runs out of memory"
    yield holds(name, alone and failed, "as it should be" if alone and failed else str(errors), target, errors)
    after = score(network, x, y, TOGETHER)
    same = all(difference(whole[name], after[name]) <= TOLERANCE for name in TOGETHER)
    yield holds("the same with all memory again", same, "as before" if same else str(after), "as before")


def _chunks(options: Options, network: nn.Module, batch: ProbeBatch) -> Check:
    """Lower the limit on memory until a pass takes chunks, and compare their score with that of the whole batch.

    A limit below the peak may have no effect: convolutions then use algorithms with less working memory. Their rounding
    differs, so the comparison is in float64.
    """
    network, y = copy.deepcopy(network).double(), batch.y.to(options.device)
    x = batch.x.to(options.device).double()
    whole = score(network, x, y, [CHUNKED])[CHUNKED]
    needed = limit = memory.peak(lambda: score(network, x, y, [CHUNKED]), options.device)
    chunked = whole
    while chunked.status == "ok" and chunked.note is None:
        limit = limit * 4 // 5
        with memory.at_most(limit, options.device):
            chunked = score(network, x, y, [CHUNKED])[CHUNKED]
    error = difference(whole, chunked)
    good = "chunks" in (chunked.note or "") and error <= TOLERANCE
    name = f"{CHUNKED} in float64 with {limit / 2**20:.0f} MiB; it takes {needed / 2**20:.0f}"
    return holds(name, good, f"{chunked.note or chunked.error}; {error:.1g} off", f"in chunks, {TOLERANCE:g}")


def lost_device(options: Options) -> Iterator[Check]:
    """Check an error after which every call on the device fails; on the CPU the process ends instead."""
    batch = synthetic_batch(get_space("gcn-nas").task, batch_size=2, frames=4)
    arch = architecture(4)
    expected = "device_error" if options.device == "cuda" else "crash"
    with backend(options, batch, processes=1, entry_point=f"{__name__}:main") as scoring:
        before, lost, after = (
            outcome
            for seed in (0, FAULT_SEED, 0)
            for outcome in outcomes(scoring, [task(arch, ["params", "nwot"], seed)], in_flight=1)
        )
        health = scoring.health().workers[0]
    kind = lost.failure.kind if lost.failure else "none"
    yield holds("a task that ends its process", kind == expected, f"{kind}, {lost.failure}", expected)
    yield holds("it was tried once more", lost.attempts == 2, f"{lost.attempts} times", "2 times")
    yield holds("the process was replaced", health.restarts == 2, f"{health.restarts} times", "2 times")
    alike = before.scores is not None and after.scores is not None and _values(before) == _values(after)
    yield holds("the next task", alike, "as before" if alike else str(after.failure), "as before")


def _values(outcome: TaskOutcome) -> list[Any]:
    return [result["value"] for result in (outcome.scores or {}).values()]


def main(line: socket, setup: dict[str, Any]) -> None:
    """Run `service.workers.worker_main.run` in a process that loses its device in the task with `FAULT_SEED`."""
    scorer = create_scorer(setup)

    def work(task: Task) -> TaskOutcome:
        if task.seed == FAULT_SEED:
            _lose(scorer.device)
        return scorer(task)

    serve_tasks(line, work)


def _lose(device: torch.device) -> None:
    if device.type == "cpu":
        os._exit(3)
    torch.zeros(1, device=device)[
        torch.tensor([7], device=device)
    ]  # an assertion on the GPU, raised at the next synchronisation
