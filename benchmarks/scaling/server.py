"""A server without HTTP: the runner of jobs on a store, with a simulated backend.

    python -m benchmarks.scaling.server URL WORKERS TASK_SECONDS

Prints a line when it is ready, and its CPU seconds so far for every line of its standard input.
"""

import asyncio
import sys
import time
from datetime import timedelta

from benchmarks.scaling.simulated_backend import SimulatedBackend
from service.api.documents import stored_item
from service.app import make_context
from service.inference.registry import EnsembleRegistry
from service.jobs.runner import JobRunner
from service.settings import Settings
from service.storage import Store


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def serve(url: str, workers: int, task_seconds: float) -> None:
    """Process jobs until the standard input ends."""
    settings = Settings(device="cpu")
    backend = SimulatedBackend(workers, task_seconds)
    backend.start()
    with Store.open(url) as store:
        context = make_context(settings, EnsembleRegistry.load(settings), backend, store)
        runner = JobRunner(
            context, store, timedelta(seconds=settings.result_retention), settings.heartbeat_timeout, stored_item
        )
        await runner.start()
        _say("ready")
        while await asyncio.to_thread(sys.stdin.readline):
            _say(str(time.process_time()))
        await runner.stop(1.0)
        await context.scorer.flush()
        context.close()
    backend.stop()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
