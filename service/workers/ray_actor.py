"""Actor that scores in a Ray cluster. Arguments and results are JSON texts."""

import json
import os
from collections.abc import Callable
from importlib import import_module
from typing import Any

from service.observability import logs
from service.workers.backend import Task, TaskOutcome
from service.workers.ray_cluster import check_versions
from service.workers.worker_main import prepare_environment, reply_text


class ScoringActor:
    """Actor with one task at a time, in a process of its own.

    Args:
        setup: JSON text with the fields of `worker_main.create_scorer`, and `scorer` (`module:function` that creates
            the scorer from the set-up), `versions` (see `check_versions`), `num_gpus` and `log`.
    """

    def __init__(self, setup: str) -> None:
        self._setup: dict[str, Any] = json.loads(setup)
        self._score: Callable[[Task], TaskOutcome] | None = None

    def locate(self) -> str:
        """Return the process id, and the node's id and address."""
        import ray

        address = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
        return json.dumps({"pid": os.getpid(), "node": ray.get_runtime_context().get_node_id(), "address": address})

    def start(self) -> str:
        """Create the scorer, and return a reply without an outcome. Raises `ClusterError` if versions differ."""
        setup = self._setup
        # Ray sets the variable to the GPUs of the actor; without any, it leaves it alone.
        prepare_environment(os.environ.get("CUDA_VISIBLE_DEVICES", "") if setup["num_gpus"] else "")
        if setup["log"] is not None:
            logs.setup(*setup["log"], process="actor", pid=os.getpid())
        check_versions(setup["versions"])
        module, _, function = setup["scorer"].partition(":")
        self._score = getattr(import_module(module), function)(setup)
        return reply_text("null")

    def score(self, message: str) -> str:
        """Score a task, and return a reply with the outcome."""
        assert self._score is not None
        task = Task.from_json(message)
        logs.bind(task=task.id)
        return reply_text(self._score(task).to_json())
