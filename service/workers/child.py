"""What runs in a spawned process: say hello, then answer one task after the other. Each message is a line of JSON."""

import contextlib
import json
import logging
import os
import signal
from collections.abc import Callable
from importlib import import_module
from multiprocessing import connection, current_process, parent_process
from pathlib import Path
from socket import socket
from threading import Thread
from typing import TYPE_CHECKING, Any, TextIO

from service.observability import logs
from service.workers.base import Outcome, Task

if TYPE_CHECKING:
    from service.workers.scoring import Scorer

log = logging.getLogger(__name__)


def enter(entry: str, line: socket, visible: str, setup: str) -> None:
    """The first thing that runs in the process.

    Args:
        entry: `module:function`, which is called with `line` and the set-up.
        line: to the parent.
        visible: the GPU, as CUDA_VISIBLE_DEVICES names it; empty for the CPU.
        setup: JSON; what `main` reads.
    """
    os.environ["CUDA_VISIBLE_DEVICES"] = visible  # before PyTorch is imported
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # or a matrix product may differ from run to run
    for sign in (signal.SIGINT, signal.SIGTERM):  # these reach the whole group; the parent says when to end
        signal.signal(sign, signal.SIG_IGN)
    end_with_parent()
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")  # where memory runs out, not the server is to be killed
    read = json.loads(setup)
    if read["log"] is not None:
        logs.setup(*read["log"], process=current_process().name, pid=os.getpid())
    try:
        module, _, function = entry.partition(":")
        getattr(import_module(module), function)(line, read)
    except Exception as error:
        log.exception("the process ends")
        last_words = {"outcome": None, "memory_bytes": 0, "error": f"{type(error).__name__}: {error}"}
        with contextlib.suppress(OSError):
            line.sendall(json.dumps(last_words).encode() + b"\n")
        raise SystemExit(1) from None


def main(line: socket, setup: dict[str, Any]) -> None:
    """Score. `setup` is as in `make_scorer`."""
    serve(line, make_scorer(setup))


def make_scorer(setup: dict[str, Any]) -> "Scorer":
    """Whatever scores in this process, on its device.

    Args:
        setup: `threads`, `proxy_seconds` and `batches`, as `encode_batches` writes them.
    """
    import torch

    from proxies.memory import keep_freed_memory
    from service.workers.scoring import Scorer, decode_batches

    keep_freed_memory()
    torch.set_num_threads(setup["threads"])
    device = torch.device("cuda" if os.environ["CUDA_VISIBLE_DEVICES"] else "cpu")
    torch.zeros(1, device=device).item()  # a device that is not there is a failure to start, not a task's
    return Scorer(decode_batches(setup["batches"]), device, setup["proxy_seconds"])


def serve(line: socket, work: Callable[[Task], Outcome]) -> None:
    """Say that the process is ready, by a reply without an outcome; then answer tasks until the parent hangs up."""
    with line.makefile("rw", encoding="utf-8", newline="\n") as stream:
        _reply(stream, "null")
        for message in stream:
            task = Task.from_json(message)
            logs.bind(task=task.id)
            _reply(stream, work(task).to_json())


def _reply(stream: TextIO, outcome: str) -> None:
    stream.write(f'{{"outcome": {outcome}, "memory_bytes": {_memory_bytes()}}}\n')
    stream.flush()


def _memory_bytes() -> int:
    """Resident memory of this process; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def end_with_parent() -> None:
    """End this process when its parent is gone: one killed with SIGKILL ends nobody, and the cores would stay busy."""

    def watch() -> None:
        parent = parent_process()
        if parent is not None:
            connection.wait([parent.sentinel])
            os._exit(1)

    Thread(target=watch, name="end with parent", daemon=True).start()
