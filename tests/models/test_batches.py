"""Probe batches: synthetic and recorded data; malformed files are refused."""

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models import BatchError, ProbeBatch, get_space
from models.gcn_nas.batches import MotionBatchSpec, npz_batch, ntu_batch, synthetic_batch


def test_synthetic_batch_is_seeded_and_class_structured(space: Any) -> None:
    batch = synthetic_batch(space.task, batch_size=8, frames=32, seed=5)
    again = synthetic_batch(space.task, batch_size=8, frames=32, seed=5)
    other = synthetic_batch(space.task, batch_size=8, frames=32, seed=6)
    assert batch.x.shape == (8, 3, 32, 25, 2)
    assert batch.y.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert batch.fingerprint == again.fingerprint != other.fingerprint
    space.task.check(batch)
    motion = (batch.x - batch.x.mean(2, keepdim=True)).flatten(1)
    similarity = torch.corrcoef(motion)
    same_class = similarity[torch.arange(0, 8, 2), torch.arange(1, 8, 2)].mean()
    other_class = similarity[torch.arange(0, 6), torch.arange(2, 8)].mean()
    assert same_class > other_class + 0.1


def test_synthetic_batch_fits_other_skeletons() -> None:
    kinect = get_space("gcn-nas", skeleton="kinect", num_persons=1, num_classes=2)
    batch = synthetic_batch(kinect.task, batch_size=6, frames=5)
    assert batch.x.shape == (6, 3, 5, 20, 1)
    assert batch.y.tolist() == [0, 0, 1, 1, 0, 0]


@pytest.mark.parametrize(
    ("field", "value"), [("batch_size", 0), ("batch_size", 10**9), ("frames", -1), ("frames", True)]
)
def test_synthetic_batch_refuses_sizes(space: Any, field: str, value: Any) -> None:
    with pytest.raises(BatchError, match=f"{field}: got"):
        synthetic_batch(space.task, **{"batch_size": 2, "frames": 4, field: value})


@pytest.fixture
def ntu_files(tmp_path: Path) -> tuple[Path, Path]:
    """Six sequences in the NTU layout with trailing zeros, labels 7 and 9 in turn."""
    data = np.random.default_rng(0).standard_normal((6, 3, 20, 25, 2)).astype(np.float32)
    data[:, :, 12:] = 0
    np.save(tmp_path / "data.npy", data)
    (tmp_path / "label.json").write_text(json.dumps([7, 9, 7, 9, 7, 9]))
    np.save(tmp_path / "label.npy", np.array([7, 9, 7, 9, 7, 9]))
    return tmp_path / "data.npy", tmp_path / "label.json"


def test_ntu_layout(space: Any, ntu_files: tuple[Path, Path]) -> None:
    data, labels = ntu_files
    batch = ntu_batch(space.task, data, labels, batch_size=4, frames=8, seed=1)
    assert batch.x.shape == (4, 3, 8, 25, 2)
    assert sorted(batch.y.tolist()) == [7, 7, 9, 9]
    assert bool((batch.x[:, :, -1] != 0).all()), "trailing zeros are removed"
    assert batch.fingerprint == ntu_batch(space.task, data, labels.with_suffix(".npy"), 4, 8, 1).fingerprint
    spec = MotionBatchSpec(source="ntu", batch_size=4, frames=8, seed=1, data=str(data), labels=str(labels))
    assert spec.make(space.task).fingerprint == batch.fingerprint


@pytest.mark.parametrize(
    ("source", "field"), [("synthetic", "data"), ("synthetic", "labels"), ("npz", "labels")], ids=lambda name: name
)
def test_paths_that_the_source_does_not_read_are_refused(space: Any, source: Any, field: str) -> None:
    spec = MotionBatchSpec.model_validate({"source": source, "data": "npz" if source == "npz" else None, field: "file"})
    with pytest.raises(BatchError, match=f"{field}: got 'file'; allowed: none with source '{source}'"):
        spec.make(space.task)


def test_pickled_labels_are_refused_with_a_command_to_convert_them(space: Any, ntu_files: tuple[Path, Path]) -> None:
    data, labels = ntu_files
    pickled = labels.with_suffix(".pkl")
    pickled.write_bytes(pickle.dumps((["a"] * 6, [7, 9, 7, 9, 7, 9])))
    with pytest.raises(BatchError, match=r"convert yours once with: python -c"):
        ntu_batch(space.task, data, pickled, batch_size=4, frames=8)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("[1, 2]", "labels \\(length\\)"),
        ("[1, 2, 3, 4, 5, 600]", "labels from 0 to 59"),
        ("[1, 2, 3, 4, 5, 0.5]", "whole numbers"),
        ('{"a": 1}', "whole numbers"),
        ("not json", "readable .json"),
        ("[" * 100_000, "readable .json"),
    ],
)
def test_malformed_labels_are_refused(space: Any, ntu_files: tuple[Path, Path], labels: str, message: str) -> None:
    data, path = ntu_files
    path.write_text(labels)
    with pytest.raises(BatchError, match=message):
        ntu_batch(space.task, data, path, batch_size=6, frames=8)


def test_malformed_arrays_are_refused(space: Any, ntu_files: tuple[Path, Path], tmp_path: Path) -> None:
    data, labels = ntu_files
    with pytest.raises(BatchError, match="batch_size: got 7"):
        ntu_batch(space.task, data, labels, batch_size=7, frames=8)
    np.save(data, np.zeros((6, 3, 20, 20, 2), dtype=np.float32))
    with pytest.raises(BatchError, match=r"data \(shape\)"):
        ntu_batch(space.task, data, labels, batch_size=2, frames=8)
    np.save(data, np.full((6, 3, 20, 25, 2), np.nan, dtype=np.float32))
    with pytest.raises(BatchError, match="finite"):
        ntu_batch(space.task, data, labels, batch_size=2, frames=8)
    np.save(data, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(BatchError, match=r"readable \.npy"):
        ntu_batch(space.task, data, labels, batch_size=2, frames=8)
    data.write_bytes(b"")
    with pytest.raises(BatchError, match=r"readable \.npy"):
        ntu_batch(space.task, data, labels, batch_size=2, frames=8)
    with pytest.raises(BatchError, match=r"a \.npy file"):
        ntu_batch(space.task, tmp_path / "data.csv", labels, batch_size=2, frames=8)


def test_ragged_npz(tmp_path: Path) -> None:
    kinect = get_space("gcn-nas", skeleton="kinect", num_persons=2, num_classes=2)
    lengths = np.array([3, 1, 5, 4])
    frames = np.random.default_rng(0).standard_normal((13, 20, 3)).astype(np.float16)
    path = tmp_path / "data.npz"
    np.savez(path, frames=frames, lengths=lengths, label=np.array([1, 2, 1, 2]))
    batch = npz_batch(kinect.task, path, batch_size=4, frames=6)
    assert batch.x.shape == (4, 3, 6, 20, 2)
    assert sorted(batch.y.tolist()) == [0, 0, 1, 1]
    assert not bool(batch.x[..., 1].any())
    np.savez(path, frames=frames, lengths=lengths + 1, label=np.array([1, 2, 1, 2]))
    with pytest.raises(BatchError, match="lengths"):
        npz_batch(kinect.task, path, batch_size=4, frames=6)
    np.savez(path, frames=frames, label=np.array([1, 2, 1, 2]))
    with pytest.raises(BatchError, match="frames, lengths and label"):
        npz_batch(kinect.task, path, batch_size=4, frames=6)
    with pytest.raises(BatchError, match=r"missing\.npz.*an existing file"):
        npz_batch(kinect.task, tmp_path / "missing.npz", batch_size=4, frames=6)


def test_recorded_kinect_data(datasets_folder: Path) -> None:
    kinect = get_space("gcn-nas", skeleton="kinect", num_persons=1, num_classes=10)
    batch = npz_batch(kinect.task, datasets_folder / "nw-ucla.npz", batch_size=6, frames=16, seed=3)
    assert batch.x.shape == (6, 3, 16, 20, 1)
    assert batch.y.bincount().max() == 2


def test_check_batch_names_the_malformed_field(space: Any, batch: ProbeBatch) -> None:
    with pytest.raises(BatchError, match=r"x \(shape\)"):
        space.task.check(replace(batch, inputs=(batch.x[..., 0],)))
    with pytest.raises(BatchError, match="y \\(shape\\)"):
        space.task.check(replace(batch, targets=batch.y[:2]))
    with pytest.raises(BatchError, match="labels from 0 to 0"):
        get_space("gcn-nas", num_classes=1).task.check(batch)
