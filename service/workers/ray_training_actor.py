"""Actor of a Ray cluster with one training at a time. Arguments and results are JSON texts.

The nodes read the data and write the checkpoints by the paths of the process that builds: they share its file system.
"""

import json
import os
from pathlib import Path
from threading import Event
from typing import Any

from common.errors import describe_error
from service.workers.ray_cluster import check_versions
from training.benchmark.task_trainer import TaskTrainer


class TrainingActor:
    """Actor with one training at a time. Two threads serve it, so that it answers during a training.

    Args:
        setup: JSON text: see `TaskTrainer.create`, with `versions` (see `check_versions`) and `folder`, of the build.
    """

    def __init__(self, setup: str) -> None:
        self._setup: dict[str, Any] = json.loads(setup)
        self._trainer: TaskTrainer | None = None
        self._stopped = Event()
        self._epochs_done = 0

    def start(self) -> str:
        """Load the data; returns the id of the node, and the error if there is one."""
        import ray

        error = None
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # makes matrix products deterministic
        try:
            check_versions(self._setup["versions"])
            if not Path(self._setup["folder"]).is_dir():
                error = f"{self._setup['folder']} does not exist on the node: it has to be on a shared file system"
            else:
                self._trainer = TaskTrainer.create(self._setup)
        except Exception as problem:
            error = describe_error(problem)
        return json.dumps({"node": ray.get_runtime_context().get_node_id(), "error": error})

    def train(self, task: str) -> str:
        """Train; see `TaskTrainer.train`."""
        assert self._trainer is not None
        self._epochs_done = 0
        return json.dumps(self._trainer.train(json.loads(task), self._set_epochs_done, self._stopped.is_set))

    def epochs_done(self) -> int:
        """Return the number of completed epochs."""
        return self._epochs_done

    def stop(self) -> None:
        """Stop after the current epoch."""
        self._stopped.set()

    def _set_epochs_done(self, number: int) -> None:
        self._epochs_done = number
