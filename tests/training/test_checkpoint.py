"""Interrupted trainings go on as if they had not been interrupted."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from common.errors import InputError
from models.gcn_nas import GcnNas
from models.gcn_nas.architecture import GcnNasArchitecture
from models.nas_bench_graph import NasBenchGraph
from tests.training.records import reproducible
from training import EpochRecord, Recipe, train
from training.data import TrainingData
from training.data.graph import FullGraph


class StopError(Exception):
    """End of a training from outside."""


def stop_at(epoch: int, record: EpochRecord) -> None:
    if record.epoch == epoch:
        raise StopError


def same_tensors(first: Path, second: Path) -> bool:
    a, b = load_file(first), load_file(second)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_resumed_training_equals_one_without_interruption(
    kinect: GcnNas, architecture: GcnNasArchitecture, motion: TrainingData, recipe: Recipe, tmp_path: Path
) -> None:
    def run(checkpoint: Path, stop: int = -1) -> object:
        return reproducible(
            train(
                kinect,
                architecture,
                motion,
                recipe,
                0,
                checkpoint=checkpoint,
                proxies=("nwot",),
                probe_epochs=(0, 2),
                on_epoch=lambda record: stop_at(stop, record),
            )
        )

    whole = run(tmp_path / "whole")
    for stop in (0, 1):
        with pytest.raises(StopError):
            run(tmp_path / "parts", stop)
    assert run(tmp_path / "parts") == whole
    assert same_tensors(tmp_path / "parts", tmp_path / "whole")
    assert run(tmp_path / "parts") == whole  # a completed training is not repeated
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["parts", "whole"]


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_resumed_training_with_dropout(cora: NasBenchGraph, graph: FullGraph, tmp_path: Path, optimizer: str) -> None:
    recipe = Recipe.parse(
        {"epochs": 6, "batch_size": None, "optimizer": optimizer, "learning_rate": 0.01, "milestones": [2, 4]}
    )
    architecture = cora.parse("88811")
    whole = train(cora, architecture, graph, recipe, 0, checkpoint=tmp_path / "whole")
    for stop in (0, 2, 4):
        with pytest.raises(StopError):
            train(
                cora,
                architecture,
                graph,
                recipe,
                0,
                checkpoint=tmp_path / "parts",
                on_epoch=lambda record, stop=stop: stop_at(stop, record),  # type: ignore[misc]
            )
    resumed = train(cora, architecture, graph, recipe, 0, checkpoint=tmp_path / "parts")
    assert reproducible(resumed) == reproducible(whole)
    assert same_tensors(tmp_path / "parts", tmp_path / "whole")


def test_checkpoints_of_other_trainings_are_refused(cora: NasBenchGraph, graph: FullGraph, tmp_path: Path) -> None:
    recipe = Recipe(epochs=1, batch_size=None)
    path = tmp_path / "checkpoint"
    train(cora, cora.parse("88811"), graph, recipe, 0, checkpoint=path)
    content = path.read_bytes()
    for key, other, seed in (("88810", recipe, 0), ("88811", replace(recipe, epochs=2), 0), ("88811", recipe, 1)):
        with pytest.raises(InputError, match=r"checkpoint: got .*; allowed: a checkpoint of the same training"):
            train(cora, cora.parse(key), graph, other, seed, checkpoint=path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"\x00" * 64])
def test_malformed_checkpoints_are_refused(
    cora: NasBenchGraph, graph: FullGraph, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "checkpoint"
    path.write_bytes(content)
    with pytest.raises(InputError, match="checkpoint: got"):
        train(cora, cora.parse("88811"), graph, Recipe(epochs=1, batch_size=None), 0, checkpoint=path)
