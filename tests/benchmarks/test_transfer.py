"""Benchmark of transfer on the published tables, with sources that are fitted quickly."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.transfer import measuring, sources, tables
from benchmarks.transfer.sources import DATASETS, NUM_TEST, POOL_SIZE, Tables
from tests.conftest import data_folder


@pytest.fixture(scope="module")
def folder() -> Path:
    path = data_folder("ARCHRANK_BENCHMARKS", "benchmarks")
    if not all((path / "nas-bench-graph" / f"{name}.npz").is_file() for name in DATASETS):
        pytest.skip(f"{path} lacks a table of NAS-Bench-Graph")
    return path


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def labels(folder: Path) -> Tables:
    return measuring.load_tables(folder)


def test_split_is_labelled_everywhere_and_disjoint(labels: Tables) -> None:
    test, pool = labels.split(0)
    assert (len(test), len(pool)) == (NUM_TEST, POOL_SIZE)
    assert not set(test) & set(pool)
    assert not np.isnan(labels.accuracy[np.concatenate([test, pool])]).any()
    assert set(test) != set(labels.split(1)[0])


def test_labels_of_test_and_pool_do_not_reach_a_source(
    labels: Tables, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "SOURCE", "ridge")
    hidden = np.concatenate(labels.split(0))
    other = labels.accuracy.copy()
    other[hidden] = np.random.default_rng(0).random((len(hidden), len(DATASETS)))
    scores = sources.source_scores(labels, "photo", 0, cache)
    path = cache / "scores-0-photo.npy"
    path.unlink()
    changed = sources.source_scores(Tables(labels.architectures, other), "photo", 0, cache)
    path.unlink()
    np.testing.assert_array_equal(scores, changed)


def test_transfer_gains_from_sources(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "SOURCE", "ridge")
    none, few = (measuring.measure(folder, cache, "cora", 0, size) for size in (0, 25))
    assert none.keys() == {"transfer", "sources alone"}
    assert few.keys() == {"transfer", "without sources"}
    assert few["transfer"] > few["without sources"] + 0.05
    assert few["transfer"] > none["transfer"]


def test_tables_and_figure() -> None:
    numbers = {"transfer": 0.5, "without sources": 0.4, "rank_trees": 0.45}
    results = {name: {f"{size}/0": numbers for size in tables.SIZES} for name in DATASETS}
    results["cora"] |= {"25/1": {**numbers, "transfer": 0.7}}
    made = tables.make_tables(results)
    assert "| cora | 0.500 | 0.600 |" in made["transfer"]
    assert "| mean of the sources' scores | – |" in made["methods"]
    assert "| cora | +0.100 |" in made["gains"]
    assert tables.make_figure(results).startswith("<svg")
