"""The real server, but the architecture in POISON kills the process that scores it: `python -m tests.chaos.poison`."""

import json
import os
import signal
from functools import partial
from socket import socket
from typing import Any


def main(line: socket, setup: dict[str, Any]) -> None:
    """What runs in the scoring process instead of `child.main`."""
    from service.workers import child, scoring
    from service.workers.base import Outcome, Task

    poison = json.loads(os.environ["POISON"])

    class Scorer(scoring.Scorer):
        def __call__(self, task: Task) -> Outcome:
            if task.architecture == poison:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().__call__(task)

    scoring.Scorer = Scorer  # type: ignore[misc]
    child.main(line, setup)


if __name__ == "__main__":
    from service import app, cli
    from service.workers.processes import ProcessOptions

    app.ProcessOptions = partial(ProcessOptions, entry="tests.chaos.poison:main")  # type: ignore[misc,assignment]
    cli.app()
