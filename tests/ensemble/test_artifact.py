"""Saved ensembles: round trip, damage and invalid manifests."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ensemble import ArtifactError, Benchmark, Ensemble, ScoreTable
from ensemble.artifact import ARRAYS, COMPRESSED, MANIFEST, _manifest_hash, load_artifact, save_artifact
from ensemble.combiners import State

COMPRESSED_ARRAYS = ARRAYS + COMPRESSED
PARTS = (
    COMPRESSED_ARRAYS,
    "xgboost-estimator-estimator-booster.ubj.gz",
    "stacked-estimator-xgboost-estimator-booster.ubj.gz",
)


@pytest.fixture
def folder(ensemble: Ensemble, tmp_path: Path) -> Path:
    ensemble.save(tmp_path / "saved")
    return tmp_path / "saved"


def test_round_trip(ensemble: Ensemble, folder: Path, benchmark: Benchmark, scores: ScoreTable) -> None:
    loaded = Ensemble.load(folder)
    archs = benchmark.architectures
    rows = [scores.features[arch.fingerprint] for arch in archs]
    assert loaded.predict(archs, rows) == ensemble.predict(archs, rows)
    assert loaded.predict(archs) == ensemble.predict(archs)
    assert loaded.predict(archs, rows, "vote", ["x"]) == ensemble.predict(archs, rows, "vote", ["x"])
    for combiner in loaded.combiners:
        predictions = loaded.predict(archs, rows, combiner)
        probability = loaded.win_probability(archs, predictions)
        assert np.array_equal(probability, ensemble.win_probability(archs, predictions))
        assert loaded.explain(archs[0], rows[0], combiner) == ensemble.explain(archs[0], rows[0], combiner)
    assert loaded.suggest_mutations(archs[0]) == ensemble.suggest_mutations(archs[0]) != []
    outlier = benchmark.space.parse({"layers": [["S"]] * 4})
    assert loaded.predict([outlier]) == ensemble.predict([outlier])
    assert loaded.predict([outlier])[0].warnings
    assert (loaded.name, loaded.proxies, loaded.combiners) == ("test", ensemble.proxies, ensemble.combiners)
    assert {key: loaded.manifest[key] for key in ensemble.manifest} == ensemble.manifest
    assert loaded.manifest["benchmark"]["data_hash"] == benchmark.data_hash
    assert loaded.batch is not None
    assert loaded.batch.fingerprint == loaded.manifest["batch_fingerprint"] == scores.header["batch_fingerprint"]
    assert set(PARTS) <= {path.name for path in folder.iterdir()}
    assert [path.name for path in folder.parent.iterdir()] == ["saved"]


def test_saving_replaces_an_artifact_and_nothing_else(ensemble: Ensemble, folder: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    ensemble.save(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").touch()
    with pytest.raises(ArtifactError, match="not overwritten"):
        ensemble.save(tmp_path / "other")


def test_no_accuracy_of_the_benchmark_is_stored(folder: Path, benchmark: Benchmark) -> None:
    _, state = load_artifact(folder)
    for name, array in state.arrays.items():
        if np.issubdtype(array.dtype, np.floating):
            assert not np.isin(benchmark.accuracy, array).any(), name


def test_equal_arrays_are_stored_once(tmp_path: Path) -> None:
    large = np.random.default_rng(0).normal(size=5000)
    arrays = {"a/x": large, "b/x": large.copy(), "c/x": large[::-1], "d/x": large.reshape(50, 100)}
    arrays |= {"e/x": large.view(np.int64), "f/x": large[::-1][::-1], "g/zero": np.array(0.0), "h/zero": np.array(0.0)}
    save_artifact(tmp_path / "saved", {}, State(arrays))
    manifest, state = load_artifact(tmp_path / "saved")
    assert manifest["copies"] == {"b/x": "a/x", "f/x": "a/x", "h/zero": "g/zero"}, "bytes, shape and type are equal"
    size = (tmp_path / "saved" / COMPRESSED_ARRAYS).stat().st_size
    assert size < 4 * large.nbytes + 2000 < sum(array.nbytes for array in arrays.values())
    assert set(state.arrays) == set(arrays)
    for name, array in arrays.items():
        assert state.arrays[name].dtype == array.dtype
        assert np.array_equal(state.arrays[name], array), name


def test_common_estimators_of_stacks_are_stored_once(folder: Path) -> None:
    manifest, state = load_artifact(folder)
    assert any("estimator/extra_trees/" in name for name in manifest["copies"])
    assert (folder / COMPRESSED_ARRAYS).stat().st_size < 0.9 * sum(array.nbytes for array in state.arrays.values())


def test_a_part_is_named_once(ensemble: Ensemble, folder: Path) -> None:
    manifest, _ = load_artifact(folder)
    plain = b"another"
    (folder / ARRAYS).write_bytes(plain)
    manifest["parts"][ARRAYS] = {"sha256": hashlib.sha256(plain).hexdigest(), "bytes": len(plain)}
    manifest["manifest_sha256"] = _manifest_hash(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match="a part twice"):
        Ensemble.load(folder)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (flip, "altered"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "altered"),
        (lambda path: path.unlink(), "missing"),
    ],
    ids=["flipped", "cut", "removed"],
)
def test_damaged_parts_are_refused(folder: Path, part: str, damage: Callable[[Path], Any], reason: str) -> None:
    damage(folder / part)
    with pytest.raises(ArtifactError, match=reason):
        Ensemble.load(folder)


def test_a_fifo_is_not_waited_for(folder: Path) -> None:
    for name in (PARTS[0], MANIFEST):
        (folder / name).unlink()
        os.mkfifo(folder / name)
        with pytest.raises(ArtifactError, match="a regular file"):
            Ensemble.load(folder)


def test_a_folder_with_anything_else_is_not_replaced(ensemble: Ensemble, folder: Path, tmp_path: Path) -> None:
    (folder / "notes.txt").touch()
    with pytest.raises(ArtifactError, match=r"notes\.txt, which is no part of the artifact: not overwritten"):
        ensemble.save(folder)
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / MANIFEST).write_text('{"name": "a web page has one, too"}')
    with pytest.raises(ArtifactError, match="no artifact: not overwritten"):
        ensemble.save(tmp_path / "page")


@pytest.mark.parametrize("field", ["name", "proxies", "batch", "seed", "benchmark", "columns", "metrics", "created_by"])
def test_a_manifest_needs_its_fields(folder: Path, field: str) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    del manifest[field]
    manifest["manifest_sha256"] = _manifest_hash(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match="do not make an ensemble"):
        Ensemble.load(folder)


def test_numbers_of_another_type_are_refused(folder: Path) -> None:
    manifest, state = load_artifact(folder)
    names = sorted(n for n in state.arrays if not n.startswith("batch/") and not n.endswith("n_features_in_"))
    assert len(names) > 20
    for name in names[:: len(names) // 8]:
        array = state.arrays[name]
        changed = np.zeros_like(array, dtype=np.int64 if array.dtype.kind == "f" else np.float64)
        save_artifact(folder, manifest, State({**state.arrays, name: changed}, state.blobs))
        with pytest.raises(ArtifactError, match=f"{name.rsplit('/')[-1]} holds"):
            Ensemble.load(folder)


@pytest.mark.parametrize("content", [b"", b"{}", b"{L"], ids=str)
def test_models_of_other_libraries_that_are_broken(folder: Path, content: bytes) -> None:
    manifest, state = load_artifact(folder)
    save_artifact(folder, manifest, State(state.arrays, {**state.blobs, sorted(state.blobs)[0]: content}))
    with pytest.raises(ArtifactError, match="do not make an ensemble"):
        Ensemble.load(folder)


def test_additional_files_are_refused(folder: Path) -> None:
    (folder / "extra.pkl").touch()
    with pytest.raises(ArtifactError, match=r"does not name: extra\.pkl"):
        Ensemble.load(folder)


def rewrite(folder: Path, sign: bool, **changes: Any) -> None:
    manifest = json.loads((folder / MANIFEST).read_text()) | changes
    if sign:
        manifest["manifest_sha256"] = _manifest_hash(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("sign", "changes", "reason"),
    [
        (False, {"seed": 7}, "was altered"),
        (True, {"format": 3}, "format 3 is unknown"),
        (True, {"format": 5}, "format 5 is unknown"),
        (True, {"combiners": ["oracle"]}, "do not make an ensemble"),
        (True, {"combiners": 3}, "do not make an ensemble"),
        (True, {"space": "elsewhere"}, "do not make an ensemble"),
        (True, {"columns": ["depth"]}, "other features"),
        (True, {"feature_version": "0"}, "version 0 of the features of gcn-nas; this version computes 1"),
        (True, {"copies": {"x/a": "nowhere"}}, "cannot be read"),
        (True, {"copies": {"x/a": ["nowhere"]}}, "cannot be read"),
        (True, {"copies": ["x/a"]}, "cannot be read"),
        (True, {"copies": {}}, "do not make an ensemble"),
        (True, {"parts": {"../secret.txt": {}}}, "plain file names"),
        (True, {"parts": {COMPRESSED_ARRAYS: 1}}, "do not name|does not name"),
    ],
)
def test_manifests_that_do_not_fit(folder: Path, sign: bool, changes: dict[str, Any], reason: str) -> None:
    rewrite(folder, sign, **changes)
    with pytest.raises(ArtifactError, match=reason):
        Ensemble.load(folder)


@pytest.mark.parametrize("content", [None, "", "{", "[]", "{}"])
def test_no_manifest(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / MANIFEST).write_text(content)
    with pytest.raises(ArtifactError):
        Ensemble.load(tmp_path)
