"""A build on a local Ray cluster gives the table of one on processes, also if a node and the head are lost."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import active_children
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models import get_space
from service.workers import ray_training
from service.workers.ray_training import RayTrainingWorker, TrainingCluster
from tests.service.workers.fake_training_drivers import end, hang, refuse, train
from tests.service.workers.ray_clusters import cluster
from tests.waiting import PATIENCE_S
from training.benchmark.pool import WorkerTimeoutError

SETTINGS = {"skeleton": "kinect", "num_persons": 1, "num_classes": 3}


def start(data: Path, out: Path, *options: str, **environment: str) -> "subprocess.Popen[str]":
    settings = [word for name, value in SETTINGS.items() for word in ("--setting", f"{name}={value}")]
    sample = "--strata 4 --architectures 2 --repeat 0"
    chosen = f"--data-field frames=4 --split view {sample} --epochs 10 --threads 1 --workers 1"
    recipe = ("--recipe", "batch_size=4", "--recipe", "learning_rate=0.01")
    arguments = ["--space", "gcn-nas", *settings, "--data", str(data), "--out", str(out), *chosen.split(), *recipe]
    command = [sys.executable, "-m", "service.cli", "benchmark", "build", *arguments, *options]
    return subprocess.Popen(
        command, env=os.environ | {"OMP_NUM_THREADS": "1"} | environment, stderr=subprocess.PIPE, text=True
    )


def rows(out: Path) -> list[Any]:
    table = [json.loads(line) for line in (out / "table.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in table]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Twelve sequences of four frames, three classes, three views."""
    x = get_space("gcn-nas", **SETTINGS).task.synthetic_batch(0, batch_size=12, frames=4).x.numpy()
    path, numbers = tmp_path / "motion.npz", np.arange(12)
    frames = np.concatenate([sequence[..., 0].transpose(1, 2, 0) for sequence in x])
    np.savez(path, frames=frames, lengths=np.full(12, 4), label=1 + numbers // 4, view=1 + numbers % 3)
    return path


@pytest.mark.parametrize(
    ("driver", "problem"),
    [(end, "the process exited with code 1"), (hang, "the head does not answer"), (refuse, "no token")],
)
def test_loss_of_the_cluster_is_an_error_of_all_workers(
    driver: Any, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_training, "serve", driver)
    timeout = 0.5 if driver is hang else PATIENCE_S
    monkeypatch.setattr(ray_training, "HEAD_TIMEOUT_S", timeout)
    monkeypatch.setattr(ray_training, "DISCONNECT_TIMEOUT_S", timeout)
    cluster = TrainingCluster({})
    workers = [RayTrainingWorker(cluster, index) for index in range(2)]
    with ThreadPoolExecutor(2) as threads:
        futures = [threads.submit(worker.train, {}, lambda epochs: None) for worker in workers]
        errors = [str(future.exception(PATIENCE_S)) for future in futures]
    message = f"no connection to the Ray cluster: {problem}; the same command continues the build"
    assert errors == [message] * 2
    for worker in workers:
        worker.close()


def test_workers_share_a_process_that_ends_with_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_training, "serve", train)
    cluster, epochs = TrainingCluster({}), list[int]()
    first, second, unused = (RayTrainingWorker(cluster, index) for index in range(3))
    assert first.train({"result": {"accuracy": 0.5}}, epochs.append) == {"accuracy": 0.5}
    (process,) = processes()
    assert second.train({"result": None}, epochs.append) is None
    with pytest.raises(WorkerTimeoutError, match="too long"):
        first.train({"timeout": "too long"}, epochs.append)
    assert epochs == [2, 2, 2]
    first.close()
    assert processes() == [process]
    second.kill()
    assert second.train({}, epochs.append) is None
    second.close()
    unused.close()
    assert processes() == []


def processes() -> list[BaseProcess]:
    """Connected processes; those of other fixtures have other names."""
    return [process for process in active_children() if process.name == ray_training.PROCESS_NAME]


def finish(process: "subprocess.Popen[str]") -> None:
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, errors


def wait_for_checkpoint(process: "subprocess.Popen[str]", out: Path, newer_than: float = 0.0) -> None:
    """Wait until an epoch has ended after a time."""
    deadline = time.monotonic() + PATIENCE_S
    while not any(path.stat().st_mtime > newer_than for path in out.glob("checkpoints/*.safetensors")):
        assert time.monotonic() < deadline, "no checkpoint was written"
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)


def test_build_survives_the_loss_of_a_node_and_goes_on_after_that_of_the_head(data: Path, tmp_path: Path) -> None:
    finish(start(data, tmp_path / "here"))
    with cluster({"num_cpus": 1}, gcs_rpc_server_reconnect_timeout_s=5) as nodes:
        out, options = tmp_path / "cluster", {"ARCHRANK_RAY_ADDRESS": nodes.address}
        process = start(data, out, "--backend", "ray", **options)
        wait_for_checkpoint(process, out)
        nodes.remove_node(nodes.nodes[0])
        lost = time.time()
        node = nodes.add_node(num_cpus=1)
        wait_for_checkpoint(process, out, lost)
        node.send(signal.SIGSTOP)  # so that the build does not end before the head
        nodes.kill_head()
        _, errors = process.communicate(timeout=PATIENCE_S)
        node.send(signal.SIGKILL)
        *progress, error = errors.splitlines()
        assert process.returncode == 2, errors
        assert re.fullmatch("no connection to the Ray cluster: .*; the same command continues the build", error), errors
        assert all(" trainings" in line for line in progress), errors
        nodes.start_head()
        nodes.add_node(num_cpus=1)
        finish(start(data, out, "--backend", "ray", **options))
    assert rows(out) == rows(tmp_path / "here")
