"""Main function of worker processes. Messages to and from the parent are lines of JSON."""

import contextlib
import gc
import json
import logging
import os
import signal
from collections.abc import Callable
from importlib import import_module
from multiprocessing import current_process
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING, Any, TextIO

from common.processes import collect_rarely, exit_with_parent
from service.observability import logs
from service.workers.backend import Task, TaskOutcome

if TYPE_CHECKING:
    from service.workers.task_scorer import TaskScorer

log = logging.getLogger(__name__)
OOM_SCORE_ADJUSTMENT = "500"
"""Makes the kernel kill workers rather than the server if memory runs out."""


def bootstrap(entry_point: str, channel: socket, visible_devices: str, setup: str) -> None:
    """Prepare the process, then call its entry point.

    Args:
        entry_point: `module:function`, called with `channel` and the deserialised set-up.
        channel: connection to the parent.
        visible_devices: the GPU, as in CUDA_VISIBLE_DEVICES; empty for the CPU.
        setup: JSON text; see `run`.
    """
    prepare_environment(visible_devices)
    for number in (signal.SIGINT, signal.SIGTERM):  # they reach the whole process group; the parent ends workers
        signal.signal(number, signal.SIG_IGN)
    exit_with_parent()
    collect_rarely()
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE_ADJUSTMENT)
    options = json.loads(setup)
    if options["log"] is not None:
        logs.setup(*options["log"], process=current_process().name, pid=os.getpid())
    try:
        module, _, function = entry_point.partition(":")
        getattr(import_module(module), function)(channel, options)
    except Exception as error:
        log.exception("the worker exits")
        reply = {"outcome": None, "memory_bytes": 0, "error": f"{type(error).__name__}: {error}"}
        with contextlib.suppress(OSError):
            channel.sendall(json.dumps(reply).encode() + b"\n")
        raise SystemExit(1) from None


def prepare_environment(visible_devices: str) -> None:
    """Choose the GPU of this process. Called before PyTorch is imported."""
    os.environ["CUDA_VISIBLE_DEVICES"] = visible_devices
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # makes matrix products deterministic


def run(channel: socket, setup: dict[str, Any]) -> None:
    """Score tasks until the parent closes the connection. The default entry point.

    Args:
        channel: connection to the parent.
        setup: see `create_scorer`.
    """
    serve_tasks(channel, create_scorer(setup))


def create_scorer(setup: dict[str, Any]) -> "TaskScorer":
    """Create the scorer of this process, on its device.

    Args:
        setup: `num_threads`, `score_timeout` and `probe_batches`, the latter by `encode_batches`.
    """
    import torch

    from proxies.memory import keep_freed_memory
    from service.workers.task_scorer import TaskScorer, decode_batches

    keep_freed_memory()
    torch.set_num_threads(setup["num_threads"])
    device = torch.device("cuda" if os.environ["CUDA_VISIBLE_DEVICES"] else "cpu")
    torch.zeros(1, device=device).item()  # a missing device is a failure of the start, not of a task
    scorer = TaskScorer(decode_batches(setup["probe_batches"]), device, setup["score_timeout"])
    gc.freeze()  # loaded objects are never garbage, and collections traverse them in every task
    return scorer


def serve_tasks(channel: socket, score: Callable[[Task], TaskOutcome]) -> None:
    """Report that the worker is ready, by a reply without an outcome, then score tasks until the connection closes."""
    with channel.makefile("rw", encoding="utf-8", newline="\n") as stream:
        _reply(stream, "null")
        for message in stream:
            task = Task.from_json(message)
            logs.bind(task=task.id)
            _reply(stream, score(task).to_json())


def reply_text(outcome: str) -> str:
    """Serialise a reply to one line.

    Args:
        outcome: outcome in JSON; `null` of a process that is ready.
    """
    return f'{{"outcome": {outcome}, "memory_bytes": {_resident_bytes()}}}'


def _reply(stream: TextIO, outcome: str) -> None:
    stream.write(reply_text(outcome) + "\n")
    stream.flush()


def _resident_bytes() -> int:
    """Return the resident memory of this process; 0 if it is unknown."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
