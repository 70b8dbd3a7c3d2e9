"""Synthetic benchmark: accuracy depends on depth, modules and noise, and proxies correlate with it."""

import numpy as np
import pytest

from ensemble import Benchmark, Ensemble, Entry, FeatureTable, ScoreTable, combiner_infos
from ensemble.data.benchmark import ProxyScores
from ensemble.evaluation.protocol import benchmark_features
from models import get_space
from models.gcn_nas.batches import MotionBatchSpec

PROXIES = ("zen", "nwot", "grasp", "noise")
SIZE = 60
COMBINERS = tuple(info.name for info in combiner_infos() if not (info.needs_sources or info.needs_curve))
"""Names of the combiners of an ensemble without sources and training curves."""


@pytest.fixture(scope="session")
def benchmark() -> Benchmark:
    space, rng = get_space("gcn-nas"), np.random.default_rng(0)
    entries: dict[str, Entry] = {}
    while len(entries) < SIZE:
        arch = space.sample(rng)
        features = space.features(arch)
        accuracy = 0.90 + 0.004 * features["depth"] + 0.01 * features["slot9.L2"] + 0.002 * rng.normal()
        scores: ProxyScores = {
            "zen": features["depth"] + rng.normal(),
            "nwot": accuracy + 0.01 * rng.normal(),
            "grasp": -accuracy + 0.02 * rng.normal(),
            "noise": rng.normal(),
        }
        entries[arch.fingerprint] = Entry(arch, accuracy, 10.0, scores)
    return Benchmark("synthetic", space, tuple(entries[key] for key in sorted(entries)))


@pytest.fixture(scope="session")
def scores(benchmark: Benchmark) -> ScoreTable:
    table = ScoreTable.from_published(benchmark)
    spec = MotionBatchSpec(batch_size=2, frames=4)
    batch = {"batch": spec.model_dump(), "batch_fingerprint": spec.make(get_space("gcn-nas").task).fingerprint}
    return ScoreTable({**table.header, **batch, "seed": 0, "repeats": 1}, table.features)


@pytest.fixture(scope="session")
def table(benchmark: Benchmark, scores: ScoreTable) -> FeatureTable:
    return benchmark_features(benchmark, scores)


@pytest.fixture(scope="session")
def ensemble(benchmark: Benchmark, scores: ScoreTable) -> Ensemble:
    return Ensemble.fit(benchmark, scores, "test", folds=2, jobs=1, metrics={"spearman": 0.5})


@pytest.fixture(scope="session")
def plain(benchmark: Benchmark) -> Ensemble:
    """Ensemble fitted without scores, with metrics of its own cross-validation."""
    return Ensemble.fit(benchmark, combiners=["ridge", "vote"], folds=2, jobs=1)
