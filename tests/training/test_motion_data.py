"""Recorded motion: splits, frames, normalisation and augmentation."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from common.errors import InputError
from models import get_space
from models.gcn_nas import GcnNas
from models.gcn_nas.batches import npz_batch
from training import load_training_data
from training.data import TrainingData
from training.data.motion import MotionData
from training.data.normalisation import normalise, rotate, rotation_onto


def load(space: GcnNas, path: Path, split: str | None = None, **fields: Any) -> MotionData:
    data = load_training_data(space, path, split, frames=4, **fields)
    assert isinstance(data, MotionData)
    return data


def test_views_and_subjects_are_held_out(kinect: GcnNas, motion_file: Path) -> None:
    data = load(kinect, motion_file, "view")
    assert (data.size("training"), data.size("validation"), data.size("test")) == (16, 8, 0)
    assert data.samples["validation"][1].tolist() == [n // 2 % 3 for n in range(24) if n % 3 == 2]
    assert data.description["split"] == {"rule": "view", "held_out": [3]}
    subjects = load(kinect, motion_file, "subject", held_out=[1, 4])
    assert (subjects.size("training"), subjects.size("validation")) == (12, 12)
    json.dumps(data.description)


def test_random_split_is_seeded(kinect: GcnNas, motion_file: Path) -> None:
    data, again, other = (load(kinect, motion_file, "random", fraction=0.25, split_seed=seed) for seed in (0, 0, 1))
    assert (data.size("training"), data.size("validation")) == (18, 6)
    held_out = [part.samples["validation"][0] for part in (data, again, other)]
    assert torch.equal(held_out[0], held_out[1])
    assert not torch.equal(held_out[0], held_out[2])


def test_frames_are_those_of_probe_batches(kinect: GcnNas, motion_file: Path) -> None:
    data = load(kinect, motion_file, "view", normalisation="none")
    samples = torch.cat([x for x, _ in data.samples.values()])
    batch = npz_batch(kinect.task, motion_file, batch_size=24, frames=4)
    assert {tuple(x.flatten().tolist()) for x in samples} == {tuple(x.flatten().tolist()) for x in batch.x}


def test_training_order_is_seeded_and_held_out_order_fixed(motion: TrainingData) -> None:
    def labels(split: Any, seed: int) -> list[Any]:
        return [batch.targets.tolist() for batch in motion.batches(split, 6, seed)]

    assert [len(part) for part in labels("training", 0)] == [6, 6, 4]
    assert labels("training", 0) == labels("training", 0) != labels("training", 1)
    assert labels("validation", 0) == labels("validation", 1)
    assert [len(part) for part in labels("validation", 0)] == [6, 2]
    motion.task.check(next(motion.batches("training", None, 0)))


def test_rotation_augments_training_samples_only(kinect: GcnNas, motion_file: Path, motion: TrainingData) -> None:
    data = load(kinect, motion_file, "view", augmentation="rotation")
    first, again, other = (next(data.batches("training", None, seed)).x for seed in (0, 0, 1))
    plain = next(motion.batches("training", None, 0)).x
    assert torch.equal(first, again)
    assert not torch.allclose(first, plain)
    torch.testing.assert_close(first.norm(dim=1), plain.norm(dim=1))
    assert first.shape == other.shape
    assert torch.equal(next(data.batches("validation", None, 0)).x, next(motion.batches("validation", None, 0)).x)
    assert data.description["augmentation"] == "rotation"


def test_pose_is_normalised(rng: np.random.Generator) -> None:
    sequence = rng.normal(size=(3, 6, 20, 2)).astype(np.float32)
    sequence[..., 1] = 0  # no second person
    sequence[:, 4] = 0  # an empty frame
    result = normalise(sequence)
    assert np.abs(result[:, :, 1, 0]).max() == 0
    shoulders = result[:, 0, 8, 0] - result[:, 0, 4, 0]
    np.testing.assert_allclose(shoulders / np.linalg.norm(shoulders), [1, 0, 0], atol=1e-6)
    assert not result[..., 1].any()
    assert not result[:, 4].any()
    before, after = (np.linalg.norm(x[:, 2, :, None, 0] - x[:, 2, None, :, 0], axis=0) for x in (sequence, result))
    np.testing.assert_allclose(before, after, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("vector", [(0, 0, 2), (0, 0, -3), (1, 2, 3), (-1e-9, 0, -1)])
def test_rotation_onto_an_axis(vector: tuple[float, ...]) -> None:
    bone, axis = np.array(vector, dtype=np.float64), np.array([0.0, 0.0, 1.0])
    rotation = rotation_onto(bone, axis)
    np.testing.assert_allclose(rotation @ bone, np.linalg.norm(bone) * axis, atol=1e-6)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(rotation) == pytest.approx(1)


def test_no_direction_is_no_rotation() -> None:
    np.testing.assert_array_equal(rotation_onto(np.zeros(3), np.array([0.0, 0.0, 1.0])), np.eye(3))


def test_rotations_are_proper(rng: np.random.Generator) -> None:
    basis = torch.eye(3)[None, :, :, None, None].expand(8, 3, 3, 1, 1)  # one vector a frame
    rotations = rotate(basis, rng)[..., 0, 0]
    torch.testing.assert_close(torch.linalg.det(rotations), torch.ones(8))
    assert float(rotations.diagonal(dim1=1, dim2=2).min()) > np.cos(0.3) ** 2 - np.sin(0.3) ** 3


@pytest.fixture
def arrays(tmp_path: Path) -> Path:
    data = np.random.default_rng(0).standard_normal((6, 3, 9, 25, 2)).astype(np.float32)
    np.save(tmp_path / "data.npy", data)
    np.save(tmp_path / "labels.npy", np.array([7, 9] * 3))
    return tmp_path


def test_ntu_arrays(arrays: Path) -> None:
    space = get_space("gcn-nas")
    files = {"labels": str(arrays / "labels.npy")}
    data = load(space, arrays / "data.npy", None, fraction=0.5, **files)
    assert (data.size("training"), data.size("validation")) == (3, 3)
    assert data.description["normalisation"] == "none"
    held_out = {"validation_data": str(arrays / "data.npy"), "validation_labels": str(arrays / "labels.npy")}
    both = load(space, arrays / "data.npy", "files", **files, **held_out)
    assert (both.size("training"), both.size("validation")) == (6, 6)
    assert torch.equal(both.samples["training"][0], both.samples["validation"][0])


@pytest.mark.parametrize(
    ("split", "fields", "message"),
    [
        ("camera", {}, "split: got 'camera'; allowed: view or subject or random"),
        ("files", {}, "split: got 'files'"),
        ("subject", {}, "held_out: got None"),
        ("subject", {"held_out": [9]}, r"held_out: got \(9,\); allowed: some, not all, of 1, 2, 3, 4"),
        ("view", {"held_out": [1, 2, 3]}, "held_out"),
        ("random", {"held_out": [1]}, "held_out"),
        ("random", {"fraction": 0.001}, "fraction"),
        ("random", {"fraction": 1.5}, "fraction"),
        ("view", {"frame": 4}, "data: got 'frame'; allowed: one of frames, labels"),
        ("view", {"labels": "x.npy"}, "labels"),
        ("view", {"augmentation": "flip"}, "augmentation"),
    ],
)
def test_errors_name_the_field(
    kinect: GcnNas, motion_file: Path, split: str, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        load(kinect, motion_file, split, **fields)


def test_data_have_to_fit_the_task(motion_file: Path) -> None:
    with pytest.raises(InputError, match="y: got"):
        load(get_space("gcn-nas", skeleton="kinect", num_persons=1, num_classes=2), motion_file, "random")
    with pytest.raises(InputError, match="frames"):
        load(get_space("gcn-nas"), motion_file, "random")
    links = [[n, n - 1] for n in range(2, 21)]
    custom = get_space("gcn-nas", skeleton={"name": "chain", "joints": 20, "links": links}, num_persons=1)
    with pytest.raises(InputError, match="normalisation: got 'pose'; allowed: none with the skeleton chain"):
        load(custom, motion_file, "random")
    assert load(custom, motion_file, "random", normalisation="none").size("training") == 19


def test_northwestern_ucla(datasets_folder: Path) -> None:
    space = get_space("gcn-nas", skeleton="kinect", num_persons=1, num_classes=10)
    data = load(space, datasets_folder / "nw-ucla.npz", "view")
    assert (data.size("training"), data.size("validation")) == (1020, 464)
    assert torch.bincount(data.samples["validation"][1]).min() > 20
