"""A build on a local Ray cluster gives the table of one on processes, also if a node is lost."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models import get_space
from tests.service.workers.ray_clusters import LocalCluster, cluster

WAIT_S = 240.0
SETTINGS = {"skeleton": "kinect", "num_persons": 1, "num_classes": 3}


def start(data: Path, out: Path, *options: str, **environment: str) -> "subprocess.Popen[str]":
    settings = [word for name, value in SETTINGS.items() for word in ("--setting", f"{name}={value}")]
    sample = "--strata 4 --architectures 2 --repeat 0"
    chosen = f"--data-field frames=4 --split view {sample} --epochs 4 --threads 1 --workers 1"
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


def finish(process: "subprocess.Popen[str]") -> None:
    _, errors = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, errors


def test_build_survives_the_loss_of_a_node(data: Path, tmp_path: Path) -> None:
    finish(start(data, tmp_path / "here"))
    with cluster({"num_cpus": 1}) as nodes:
        process = start(data, tmp_path / "cluster", "--backend", "ray", ARCHRANK_RAY_ADDRESS=nodes.address)
        lose_a_node(nodes, process, tmp_path / "cluster")
        finish(process)
    assert rows(tmp_path / "cluster") == rows(tmp_path / "here")


def lose_a_node(nodes: LocalCluster, process: "subprocess.Popen[str]", out: Path) -> None:
    """Kill the only node after the first checkpoint, then add another."""
    deadline = time.monotonic() + WAIT_S
    while not list(out.glob("checkpoints/*.safetensors")):
        assert time.monotonic() < deadline, "no checkpoint was written"
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    nodes.remove_node(nodes.nodes[0])
    nodes.add_node(num_cpus=1)
