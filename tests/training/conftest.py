"""Small data that a training learns from within seconds."""

from pathlib import Path

import numpy as np
import pytest
import torch

from models import get_space
from models.gcn_nas import GcnNas
from models.gcn_nas.architecture import GcnNasArchitecture
from models.nas_bench_graph import NasBenchGraph
from training import Recipe, load_training_data
from training.data import TrainingData
from training.data.graph import FullGraph

CLASSES, SEQUENCES = 3, 24


@pytest.fixture(scope="session")
def kinect() -> GcnNas:
    return get_space("gcn-nas", skeleton="kinect", num_persons=1, num_classes=CLASSES)


@pytest.fixture(scope="session")
def motion_file(kinect: GcnNas, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ragged sequences of 5 to 12 frames, three classes numbered from 1, views 1 to 3 and subjects 1 to 4 in turn."""
    x = kinect.task.synthetic_batch(0, batch_size=SEQUENCES, frames=12).x.numpy()
    numbers, lengths = np.arange(SEQUENCES), 5 + np.arange(SEQUENCES) % 8
    frames = [sequence[:, :length, :, 0].transpose(1, 2, 0) for sequence, length in zip(x, lengths, strict=True)]
    path = tmp_path_factory.mktemp("motion") / "motion.npz"
    label = 1 + numbers // 2 % CLASSES
    np.savez(
        path, frames=np.concatenate(frames), lengths=lengths, label=label, view=1 + numbers % 3, subject=1 + numbers % 4
    )
    return path


@pytest.fixture(scope="session")
def motion(kinect: GcnNas, motion_file: Path) -> TrainingData:
    return load_training_data(kinect, motion_file, "view", frames=4)


@pytest.fixture(scope="session")
def architecture(kinect: GcnNas) -> GcnNasArchitecture:
    return kinect.parse([["L2", "S"], ["T"], ["L", "ST"], ["S"]])


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    return Recipe(epochs=3, batch_size=6, learning_rate=0.002, milestones=(2,), warm_up=1)


@pytest.fixture(scope="session")
def cora() -> NasBenchGraph:
    return NasBenchGraph("cora")


@pytest.fixture(scope="session")
def graph(cora: NasBenchGraph) -> FullGraph:
    """Synthetic graph of 56 nodes, whose labeled half is divided in three."""
    batch = cora.task.synthetic_batch(0, num_nodes=56)
    assert batch.rows is not None
    labels = torch.zeros(56, dtype=torch.int64).index_put((batch.rows,), batch.targets)
    x, edges = batch.inputs
    nodes = {"training": batch.rows[::2], "validation": batch.rows[1::4], "test": batch.rows[3::4]}
    return FullGraph(cora.task, (x, edges), labels, nodes, {"data": "synthetic"})  # type: ignore[arg-type]
