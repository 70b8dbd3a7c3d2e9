"""`archrank benchmark build`: real worker processes, an interrupt, a study's architectures, refused commands."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from archrank_client import Client
from typer.testing import CliRunner, Result

from models import get_space
from service.cli import app
from tests.service.workers.ray_clusters import skip_without_ray
from tests.waiting import PATIENCE_S

SPACE = get_space("gcn-nas", skeleton="kinect", num_persons=1, num_classes=3)
SETTINGS = ("--setting", "skeleton=kinect", "--setting", "num_persons=1", "--setting", "num_classes=3")
WITH_SIGINT = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("service.cli", run_name="__main__")
"""
"""Restores SIGINT, which background processes of a shell ignore, and their children with them."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve sequences of four frames, three classes, three views."""
    x = SPACE.task.synthetic_batch(0, batch_size=12, frames=4).x.numpy()
    path, numbers = tmp_path_factory.mktemp("data") / "motion.npz", np.arange(12)
    frames = np.concatenate([sequence[..., 0].transpose(1, 2, 0) for sequence in x])
    np.savez(path, frames=frames, lengths=np.full(12, 4), label=1 + numbers // 4, view=1 + numbers % 3)
    return path


def arguments(data: Path, out: Path, *further: str) -> list[str]:
    fixed = ["--split", "view", "--data-field", "frames=4", "--strata", "4", "--threads", "1", "--workers", "1"]
    recipe = ["--recipe", "batch_size=4", "--recipe", "learning_rate=0.01"]
    options = ["--data", str(data), "--out", str(out), *fixed, *recipe, *further]
    return ["benchmark", "build", "--space", "gcn-nas", *SETTINGS, *options]


def archrank(*arguments: str) -> Result:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture(scope="module")
def built(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "out"
    options = ("--architectures", "3", "--epochs", "2", "--repeat", "0.3")
    probes = ("--proxies", "params", "--probe-epochs", "0,1")
    result = archrank(*arguments(data, out, *options, *probes))
    assert result.exit_code == 0, result.stderr
    assert "training noise" in result.stdout.lower()
    assert "5 of 5 trainings" in result.stderr
    return out


def test_folder_of_a_build(built: Path) -> None:
    rows = [json.loads(line) for line in (built / "table.jsonl").read_text().splitlines()]
    assert sorted(len(row["trainings"]) for row in rows) == [1, 2, 2]
    assert all(len(training["curve"]["training_loss"]) == 2 for row in rows for training in row["trainings"])
    assert rows[0]["trainings"][0]["scores"].keys() == {"0", "1"}
    document = json.loads((built / "build.json").read_text())
    assert document["recipe"]["epochs"] == 2
    assert document["recipe"]["milestones"] == [1]  # scaled
    assert len(document["data"]["sha256"]) == 64
    assert document["data"]["normalisation"] == "pose"
    assert document["versions"].keys() >= {"archrank", "torch"}
    assert not list((built / "checkpoints").iterdir())


def test_study_suggests_the_architectures(data: Path, tmp_path: Path) -> None:
    folder = ("--folder", str(tmp_path))
    archrank("study", "create", "mine", "--space", "gcn-nas", *SETTINGS, "--no-sources", *folder)
    command = arguments(data, tmp_path / "out", "--epochs", "1", "--study", str(tmp_path / "mine"))
    result = archrank(*command, "--architectures", "1", "--strata", "")
    assert result.exit_code == 0, result.stderr
    assert len((tmp_path / "out" / "table.jsonl").read_text().splitlines()) == 1


def test_ctrl_c_stops_after_the_epoch(data: Path, tmp_path: Path) -> None:
    out, options = tmp_path / "out", ("--architectures", "1", "--epochs", "1000", "--repeat", "0")
    command = [sys.executable, "-c", WITH_SIGINT, *arguments(data, out, *options)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    deadline = time.monotonic() + PATIENCE_S
    while not list(out.glob("checkpoints/*.safetensors")):
        assert time.monotonic() < deadline, "no checkpoint was written"
        assert process.poll() is None, "the process ended before the interrupt"
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, errors
    assert "interrupted after 0 of 1 trainings; the same command continues the build" in errors
    assert len(list(out.glob("checkpoints/*.safetensors"))) == 1


LAYERS = [["L2", "S"], ["T"], ["L", "ST"]]
REFUSALS = {
    "--architectures 9 --from {list}": "at most 2, those of list.jsonl",
    "--architectures 0": "Invalid value for '--architectures'",
    "--backend ray": "no authentication token of the Ray cluster",
    "--batch seed=1": "nothing without --proxies",
    "--budget 99999999999d": "budget: got '99999999999d'",
    "--budget soon": "budget: got 'soon'",
    "--data {list}": "data: got",
    "--data nowhere.npz": "nowhere.npz",
    "--data-field held_out=[9]": "held_out: got",
    "--data-field speed=3": "data: got 'speed'",
    "--device cuda": "device: got 'cuda'",
    "--fix depth=99": "depth",
    "--from {list} --study {list}": "study: got",
    "--from nowhere.jsonl": "nowhere.jsonl",
    "--max-flops inf": "Invalid value for '--max-flops'",
    "--max-params 1": "max_params: got 1",
    "--max-params nan": "Invalid value for '--max-params'",
    "--probe-epochs 5 --proxies params": "probe_epochs: got 5",
    "--proxies speed": "proxies[0]: got 'speed'",
    "--proxies params --probe-epochs 0 --batch source=npz --batch data=nowhere.npz": "nowhere.npz",
    "--recipe gamma=-1": "recipe.gamma: got -1",
    "--recipe precision=bfloat16": "recipe.precision: got 'bfloat16'",
    "--recipe speed=3": "recipe: got 'speed'",
    "--repeat 2": "repeat: got 2.0",
    "--seed -1": "seed: got -1",
    "--seeds 1": "seeds: got 1",
    "--setting speed=3": "speed",
    "--space darts": "space: got 'darts'",
    "--split moon": "split: got 'moon'",
    "--strata 4,4": "strata: got [4, 4]",
    "--strata 4,5": "gave no further one of stratum 5",
    "--study http://127.0.0.1:1/v1/studies/mine": "http://127.0.0.1:1",
    "--study nowhere": "the folder of a study",
    "--timeout 0": "Invalid value for '--timeout'",
    "--timeout 3e6": "Invalid value for '--timeout'",
    "--timeout nan": "Invalid value for '--timeout'",
}
"""Error of each refused command: mistakes in the specification, missing data, device, servers and clusters."""


@pytest.mark.parametrize("options", REFUSALS)
def test_a_refused_command_writes_nothing(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str
) -> None:
    monkeypatch.setattr("training.benchmark.sampling.MAX_DRAWS", 200)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("archrank_client.Client", partial(Client, max_retry_time=0))
    given = tmp_path / "list.jsonl"
    given.write_text("".join(json.dumps({"layers": [*LAYERS, [last]]}) + "\n" for last in ("S", "T")))
    words = options.format(list=given).split()
    if "ray" in words:
        skip_without_ray()
        for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "ARCHRANK_RAY_ALLOW_OPEN"):
            monkeypatch.delenv(name, raising=False)
    without = [] if {"--from", "--study"}.isdisjoint(words) else ["--strata", ""]
    command = arguments(data, tmp_path / "out", "--architectures", "2", "--epochs", "1", *without, *words)
    result = archrank(*command)
    assert result.exit_code == 2, result.output
    assert REFUSALS[options] in " ".join(result.stderr.split())
    assert [path.name for path in tmp_path.iterdir()] == ["list.jsonl"]
