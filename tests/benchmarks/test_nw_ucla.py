"""Benchmark on the table of Northwestern-UCLA: correlations, and predictions that know no label of a test row."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from benchmarks.nw_ucla import learning, orders, tables
from benchmarks.nw_ucla.learning import CURVE_SIZE, SIZES
from benchmarks.nw_ucla.material import BATCHES, Material
from benchmarks.nw_ucla.noise import training_noise
from benchmarks.nw_ucla.orders import EPOCHS, correlate, plain_orders, proxy_orders


@pytest.fixture(scope="module")
def material() -> Material:
    return Material.load()


def with_accuracies(material: Material, accuracies: np.ndarray) -> Material:
    """Return the benchmark with other accuracies, the curves as they are."""
    entries = [
        replace(entry, accuracy=float(value))
        for entry, value in zip(material.benchmark.entries, accuracies, strict=True)
    ]
    return replace(material, benchmark=replace(material.benchmark, entries=tuple(entries)))


def test_accuracies_are_those_of_the_first_seed(material: Material) -> None:
    assert len(material.benchmark) == 64
    assert sum(len(accuracies) > 1 for accuracies in material.accuracies) == 8
    for entry, accuracies in zip(material.benchmark.entries, material.accuracies, strict=True):
        assert [training.seed for training in entry.trainings] == [0]
        assert entry.accuracy == entry.trainings[0].accuracy == accuracies[0]


def test_noise_of_a_depth_is_less_than_that_of_its_seed(material: Material) -> None:
    own, shared, _, rho, _ = (estimate.value for _, estimate in training_noise(material))
    assert own == pytest.approx(0.0223, abs=1e-4)
    assert shared > own
    assert 0 < rho < 1


def test_correlations_of_known_orders(material: Material) -> None:
    y, strata = material.benchmark.accuracy, material.strata
    perfect = correlate(material, "perfect", y)
    assert perfect.spearman == perfect.within_kendall == pytest.approx((1.0, 1.0, 1.0))
    depth = correlate(material, "depth", -strata.astype(np.float64))
    assert depth.within_spearman is None
    assert depth.spearman[1] < depth.spearman[0] < depth.spearman[2]
    noise = correlate(material, "noise", np.random.default_rng(0).normal(size=64))
    assert noise.within_spearman is not None
    assert noise.within_spearman[1] < 0 < noise.within_spearman[2]


def test_no_prediction_knows_the_accuracy_of_a_test_row(material: Material, monkeypatch: pytest.MonkeyPatch) -> None:
    order = np.random.default_rng(0).permutation(64)
    train, test = np.sort(order[:CURVE_SIZE]), np.sort(order[CURVE_SIZE:])
    accuracies = material.benchmark.accuracy.copy()
    accuracies[test] = accuracies[test][::-1]
    shuffled = with_accuracies(material, accuracies)
    for predictions in (learning._from_structure, partial(learning._with_curves, epochs=3)):
        for (name, known), (_, other) in zip(
            predictions(material, train, test), predictions(shuffled, train, test), strict=True
        ):
            np.testing.assert_array_equal(known, other, err_msg=name)


def test_tables_and_figure(material: Material, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "NUM_RESAMPLES", 10)
    assert "| number of layers |" in tables.order_table(plain_orders(material))
    proxies = tables.proxy_table([proxy_orders(material, batch) for batch in BATCHES])
    assert proxies.count("\n") == 2 + 18
    draws = [
        [(method, size, 0, 0.5, 0.2 + 0.1 * draw) for method in tables.METHODS for size in SIZES]
        + [(method, CURVE_SIZE, k, 0.5, 0.4) for method in tables.CURVE_METHODS for k in EPOCHS]
        for draw in range(2)
    ]
    assert "| `ridge` | 0.500 ± 0.000 | 0.250 ± 0.050 |" in tables.learning_table(draws)
    assert "| `omni`, with proxies of the synthetic batch | 0.400 ± 0.000 (+0.150 ± 0.050) |" in tables.curve_table(
        draws
    )
    assert tables.figure(material).startswith("<svg")
