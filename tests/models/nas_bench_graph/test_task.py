"""Task of nas-bench-graph: metric, specification of probe batches, refused batches."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from common.errors import BatchError, UnknownNameError
from models.nas_bench_graph.datasets import get_dataset
from models.nas_bench_graph.task import GraphTask
from models.task import ProbeBatch

CORA, PROTEINS = GraphTask(get_dataset("cora")), GraphTask(get_dataset("proteins"))


def test_tasks_name_metric_and_outputs() -> None:
    assert (CORA.name, CORA.metric.name, CORA.num_outputs, CORA.sample_axis) == ("cora", "accuracy", 7, None)
    assert (PROTEINS.name, PROTEINS.num_outputs) == ("proteins", 112)
    assert (PROTEINS.metric.name, PROTEINS.metric.label) == ("roc_auc", "ROC-AUC")


def test_specifications_are_complete_and_make_the_task_s_batch() -> None:
    spec = CORA.batch_spec()
    assert spec.model_dump() == {"source": "synthetic", "seed": 0, "num_nodes": 64, "data": None}
    assert spec.make(CORA).fingerprint == CORA.synthetic_batch().fingerprint
    assert spec.shapes(CORA) == CORA.input_shapes()
    larger = CORA.batch_spec(num_nodes=100, seed=2)
    assert larger.make(CORA).fingerprint == CORA.synthetic_batch(seed=2, num_nodes=100).fingerprint
    assert larger.shapes(CORA) == larger.make(CORA).shapes
    assert GraphTask(get_dataset("arxiv")).batch_spec().make(GraphTask(get_dataset("arxiv"))).x.shape == (160, 128)


@pytest.mark.parametrize(
    ("fields", "error", "field"),
    [
        ({"frames": 8}, UnknownNameError, "batch"),
        ({"source": "npz"}, BatchError, "source"),
        ({"num_nodes": -1}, BatchError, "num_nodes"),
        ({"num_nodes": "many"}, BatchError, "num_nodes"),
        ({"seed": -1}, BatchError, "seed"),
    ],
)
def test_fields_are_checked(fields: dict[str, Any], error: type[Exception], field: str) -> None:
    with pytest.raises(error, match=f"^{field}"):
        CORA.batch_spec(**fields)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"source": "graph"}, "data"),
        ({"data": "file"}, "data"),
        ({"source": "graph", "data": "no such file"}, "data"),
        ({"num_nodes": 0}, "num_nodes"),
        ({"num_nodes": 5000}, "num_nodes"),
    ],
)
def test_data_are_checked(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(BatchError, match=f"^{field}"):
        CORA.batch_spec(**fields).make(CORA)


def test_unknown_sizes_are_refused() -> None:
    with pytest.raises(BatchError, match="sizes: got"):
        CORA.synthetic_batch(batch_size=4)


def changed(batch: ProbeBatch, **changes: Any) -> ProbeBatch:
    x, edges = batch.inputs
    inputs = changes.pop("inputs", (changes.pop("x", x), changes.pop("edges", edges)))
    return replace(batch, inputs=inputs, **changes)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda b: {"inputs": (b.x,)}, "x"),
        (lambda b: {"x": b.x[:, 1:]}, "x"),
        (lambda b: {"x": b.x[:0]}, "x"),
        (lambda b: {"x": b.x / 0}, "x"),
        (lambda b: {"x": b.x.long()}, "x"),
        (lambda b: {"edges": b.inputs[1].int()}, "edges"),
        (lambda b: {"edges": b.inputs[1].T}, "edges"),
        (lambda b: {"edges": b.inputs[1] + 1}, "edges"),
        (lambda b: {"edges": b.inputs[1] - 1}, "edges"),
        (lambda b: {"edges": b.inputs[1][:, 1:]}, "edges"),
        (lambda b: {"edges": b.inputs[1].repeat(1, 2)}, "edges"),
        (lambda b: {"edges": torch.zeros(2, 1, dtype=torch.int64)}, "edges"),
        (lambda b: {"targets": b.targets + 6}, "y"),
        (lambda b: {"targets": b.targets.float()}, "y"),
        (lambda b: {"targets": torch.zeros(len(b.targets), 7)}, "y"),
        (lambda b: {"targets": b.targets[1:]}, "rows"),
        (lambda b: {"rows": b.rows + 64}, "rows"),
        (lambda b: {"rows": b.rows - 1 - b.rows.min()}, "rows"),
        (lambda b: {"rows": None, "targets": b.targets.repeat(3)}, "rows"),
        (lambda b: {"rows": b.rows[:0], "targets": b.targets[:0]}, "batch"),
        (lambda b: {"sample_axis": 0}, "batch"),
    ],
)
def test_batches_that_do_not_fit_are_refused(change: Any, field: str) -> None:
    batch = CORA.synthetic_batch()
    CORA.check(batch)
    with pytest.raises(BatchError, match=f"^{field}"):
        CORA.check(changed(batch, **change(batch)))


def test_targets_of_proteins_are_independent() -> None:
    batch = PROTEINS.synthetic_batch()
    PROTEINS.check(batch)
    assert batch.targets.dtype == torch.float32
    with pytest.raises(BatchError, match=r"^y"):
        PROTEINS.check(replace(batch, targets=batch.targets[:, 0].long()))
    with pytest.raises(BatchError, match=r"^y"):
        PROTEINS.check(replace(batch, targets=batch.targets + 0.5))
