"""Predictors that learn from a few trained architectures, with and without the first epochs of the others."""

from collections.abc import Iterator
from functools import cache

import numpy as np
import torch

from benchmarks.nw_ucla.material import SOURCE, Array, Material
from benchmarks.nw_ucla.orders import EPOCHS, loss_order, loss_sum_order
from ensemble import FeatureTable, get_combiner
from ensemble.combiners.calibrated import Calibrated
from ensemble.combiners.ridge import Ridge
from ensemble.combiners.transfer import Transfer
from ensemble.data.features import as_number
from ensemble.evaluation.baselines import StratumMean
from ensemble.evaluation.metrics import prediction_metrics
from study import Observation, StudyDefinition, StudyPredictor
from study.predictor import reference_matrix

SIZES = (10, 25)
CURVE_SIZE = 25
"""Number of trained architectures of the predictors that use curves; a study uses them from 20 on."""
Result = tuple[str, int, int, float, float]
"""Method, number of trained architectures, of first epochs (0 for none), ρ over all others and mean within depth."""
Rows = np.ndarray


def measure_draw(draw: int) -> list[Result]:
    """Fit all methods to random architectures, and correlate their predictions for all others.

    Args:
        draw: seed of the order in which architectures are trained.
    """
    torch.set_num_threads(1)
    material = _material()
    order = np.random.default_rng(draw).permutation(len(material.benchmark))
    results = []
    for size in SIZES:
        train, test = np.sort(order[:size]), np.sort(order[size:])
        for method, predicted in _from_structure(material, train, test):
            results.append((method, size, 0, *_quality(material, test, predicted)))
        for epochs in EPOCHS if size == CURVE_SIZE else ():
            for method, predicted in _with_curves(material, train, test, epochs):
                results.append((method, size, epochs, *_quality(material, test, predicted)))
    return results


def _from_structure(material: Material, train: Rows, test: Rows) -> Iterator[tuple[str, Array]]:
    """Predictions for the test rows from structure, scores of the source and proxies."""
    table, y = material.structure, material.benchmark.accuracy
    yield "source", material.source_scores[test]
    depth = material.strata[:, None].astype(np.float64)
    yield "depth", StratumMean().fit(depth[train], y[train]).predict(depth[test])
    reference = _reference()
    X = np.column_stack([material.source_scores, table.values])
    yield "transfer", Transfer(1, reference=reference).fit(X[train], y[train]).predict(X[test])
    alone = Transfer(reference=reference[:, 1:]).fit(table.values[train], y[train])
    yield "transfer without source", alone.predict(table.values[test])
    yield "ridge", _combiner("ridge", table, y, train, test)
    if len(train) >= CURVE_SIZE:
        yield "structure", _combiner("structure", table, y, train, test)
        yield "stacked", _combiner("stacked", material.features(batch="synthetic"), y, train, test)


def _with_curves(material: Material, train: Rows, test: Rows, epochs: int) -> Iterator[tuple[str, Array]]:
    """Predictions for test rows whose first epochs are known."""
    y = material.benchmark.accuracy
    yield "validation loss", loss_order(material, epochs)[test]
    yield "training losses", loss_sum_order(material, epochs)[test]
    table = material.features(epochs)
    curve = table.select(table.columns.curve)
    yield "curve", Ridge().fit(curve[train], y[train]).predict(curve[test])
    yield "early_curve", _combiner("early_curve", table, y, train, test)
    yield "omni", _combiner("omni", material.features(epochs, "synthetic"), y, train, test)
    yield "study", _study(material, train, test, epochs)


def _combiner(name: str, table: FeatureTable, y: Array, train: Rows, test: Rows) -> Array:
    info = get_combiner(name)
    model = info.build(table.columns)
    model = model.base_estimator if isinstance(model, Calibrated) else model
    values = table.select(info.columns(table.names))
    return model.fit(values[train], y[train]).predict(values[test])


def _study(material: Material, train: Rows, test: Rows, epochs: int) -> Array:
    """Scores of a study whose trained architectures and running trainings have curves of the accuracy."""
    space, entries = material.benchmark.space, material.benchmark.entries
    curves = [entry.curve.accuracy if entry.curve is not None else () for entry in entries]
    observations = [Observation(entries[i].architecture, entries[i].accuracy, curve=curves[i]) for i in train]
    observations += [Observation(entries[i].architecture, None, curve=curves[i][:epochs]) for i in test]
    definition = StudyDefinition("nw-ucla", space.name, space.settings, sources=(SOURCE,))
    predictor = StudyPredictor.fit(definition, space, observations, material.sources)
    predictions = predictor.predict([entries[i].architecture for i in test])
    assert all(prediction.curve_length == epochs for prediction in predictions)
    return np.array([prediction.score for prediction in predictions])


def _quality(material: Material, test: Rows, predicted: Array) -> tuple[float, float]:
    metrics = prediction_metrics(predicted, material.benchmark.accuracy[test], material.strata[test], absolute=False)
    return as_number(metrics["spearman"]), as_number(metrics["within_stratum_spearman"])


@cache
def _material() -> Material:
    return Material.load()


@cache
def _reference() -> Array:
    material = _material()
    return reference_matrix(material.benchmark.space, material.sources)
