"""Tasks of asyncio."""

import asyncio
from typing import Any


def retrieve_exception(task: asyncio.Task[Any]) -> None:
    """Retrieve the exception of a task that has ended; asyncio logs one that nobody retrieves as an error.

    Done callback of tasks whose result is of no interest any more once their caller has been cancelled.
    """
    if not task.cancelled():
        task.exception()
