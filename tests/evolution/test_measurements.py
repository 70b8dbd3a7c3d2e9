"""Measurements of a benchmark, and that evolution and the proxy compute the same numbers."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.errors import InputError
from ensemble import Benchmark, Entry, ScoreTable
from evolution import Measurements, measure_architectures
from evolution.fitness import values_of
from evolution.layer_statistics import HEADER, measure_layers, statistics
from models import get_space
from proxies import proxy_versions, score, score_batch
from proxies.evolved.expression import parse_expression
from proxies.evolved.proxy import EvolvedProxy, readable_proxies, terminal_types
from proxies.registry import proxies_by_name
from proxies.runner import DEFAULT_REPEATS

SPACE: Any = get_space("nas-bench-201")
NAMES = ("flops", "l2_norm", "params")
ARCHITECTURES = {
    "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_1x1~2|": 0.8,
    "|nor_conv_1x1~0|+|skip_connect~0|nor_conv_1x1~1|+|none~0|none~1|avg_pool_3x3~2|": 0.7,
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|none~0|skip_connect~1|skip_connect~2|": 0.9,
}
GRADIENTS = ["mean", ["log", ["norm", ["mul", "weight", "data.weight_gradient"]]]]
EXPRESSION = ["add", ["sub", "l2_norm", "num_layers"], GRADIENTS]


@pytest.fixture(scope="module")
def benchmark() -> Benchmark:
    entries = [Entry(SPACE.parse(text), accuracy) for text, accuracy in ARCHITECTURES.items()]
    return Benchmark("three", SPACE, tuple(sorted(entries, key=lambda entry: entry.architecture.fingerprint)))


@pytest.fixture(scope="module")
def table(benchmark: Benchmark) -> ScoreTable:
    batch = SPACE.task.synthetic_batch()
    features = {}
    for architecture in benchmark.architectures:
        scores = score_batch(SPACE.build(architecture), batch, NAMES)
        features[architecture.fingerprint] = {name: result.feature for name, result in scores.items()}
    return ScoreTable({"space": SPACE.name, "settings": SPACE.settings, "proxies": proxy_versions(NAMES)}, features)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("measured")


@pytest.fixture(scope="module")
def measured(benchmark: Benchmark, table: ScoreTable, cache: Path) -> Measurements:
    return measure_architectures(benchmark, table, cache, layers=True)


def test_evolution_and_proxy_compute_the_same_numbers(
    benchmark: Benchmark, measured: Measurements, monkeypatch: pytest.MonkeyPatch
) -> None:
    readable = readable_proxies(proxies_by_name())
    expression = parse_expression(EXPRESSION, terminal_types(readable))
    proxy = EvolvedProxy("mine", expression, readable)
    values = values_of(expression, measured)
    assert values is not None
    monkeypatch.setattr("proxies.runner.get_proxies", lambda names: [proxy])
    batch = SPACE.task.synthetic_batch()
    for architecture, value in zip(benchmark.architectures, values, strict=True):
        result = score(SPACE.build(architecture), batch.inputs, batch.targets, repeats=DEFAULT_REPEATS)["evolved:mine"]
        assert result.value == pytest.approx(value, rel=1e-4)


def test_terminals_are_scores_counts_and_statistics(measured: Measurements, benchmark: Benchmark) -> None:
    assert [str(each.head) for each in measured.terminals[:4]] == [*NAMES, "num_layers"]
    assert measured.terminals[4:] == statistics()
    assert measured.accuracy.tolist() == [entry.accuracy for entry in benchmark.entries]
    assert measured.strata.tolist() == [SPACE.stratum(architecture) for architecture in benchmark.architectures]
    assert measured.segments is not None
    convolutions = np.expm1(measured.values['"num_layers"'])
    assert convolutions.min() > 0
    # every layer but the unused ones has tensors
    assert (measured.segments.lengths <= np.round(convolutions)).all()


def test_measured_networks_are_not_measured_again(benchmark: Benchmark, cache: Path, measured: Measurements) -> None:
    folder = next(path for path in cache.iterdir() if path.is_dir())
    calls: list[int] = []
    again = measure_layers(SPACE, benchmark.architectures, folder, progress=lambda done, total: calls.append(done))
    assert not calls
    assert all(isinstance(values, np.memmap) for values in again.values())
    with pytest.raises(InputError, match="remove it to measure anew"):
        measure_layers(SPACE, benchmark.architectures, folder, seed=1)
    assert json.loads((folder / HEADER).read_text())["seed"] == 0


def test_missing_scores_leave_out_terminals_then_architectures(
    benchmark: Benchmark, table: ScoreTable, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *_ = table.features
    sparse = {name: (None if name == "params" else value) for name, value in table.features[first].items()}
    partly = replace(table, features={**table.features, first: sparse})
    assert '"params"' not in measure_architectures(benchmark, partly, cache).values
    monkeypatch.setattr("evolution.measurements.MAX_MISSING_FRACTION", 0.5)
    left = measure_architectures(benchmark, partly, cache)
    assert (len(left), left.left_out) == (2, 1)
    with pytest.raises(InputError, match="at least 2"):
        measure_architectures(benchmark, replace(table, features={first: table.features[first]}), cache)


def test_a_limit_draws_evenly_from_the_strata(table: ScoreTable, benchmark: Benchmark, cache: Path) -> None:
    assert len(measure_architectures(benchmark, table, cache, limit=2)) == 2
