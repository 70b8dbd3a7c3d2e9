"""A server whose workers are killed by the architecture in POISON: `python -m tests.chaos.poison`."""

import json
import os
import signal
from functools import partial
from socket import socket
from typing import Any


def run(channel: socket, setup: dict[str, Any]) -> None:
    """Entry point of the workers."""
    from service.workers.backend import Task, TaskOutcome
    from service.workers.worker_main import create_scorer, serve_tasks

    poison, scorer = json.loads(os.environ["POISON"]), create_scorer(setup)

    def score(task: Task) -> TaskOutcome:
        if task.architecture == poison:
            os.kill(os.getpid(), signal.SIGKILL)
        return scorer(task)

    serve_tasks(channel, score)


if __name__ == "__main__":
    from service import app, cli
    from service.workers.process_backend import WorkerOptions

    vars(app)["WorkerOptions"] = partial(WorkerOptions, entry_point="tests.chaos.poison:run")
    cli.app()
