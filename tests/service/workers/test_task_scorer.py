"""Failures of tasks: lack of memory, lost devices and other exceptions."""

import json
from typing import Any

import pytest
import torch

from models import ProbeBatch
from proxies import Score
from service.app import worker_options
from service.settings import Settings
from service.workers import task_scorer
from service.workers.backend import TaskOutcome
from service.workers.task_scorer import TaskScorer, decode_batches, encode_batches
from tests.service.workers.conftest import task

SHORT = Score(None, None, "failed", 0.1, error="out of memory: Gradients needs more than there is")
FAILED = Score(None, None, "failed", 0.1, error="ValueError: no")
GOOD = Score(1.5, None, "ok", 0.1)


def score_task(monkeypatch: pytest.MonkeyPatch, batch: ProbeBatch, result: Any) -> TaskOutcome:
    """Score a task with `proxies.score` patched to return or raise `result`."""

    def score(*_: Any) -> Any:
        if isinstance(result, Exception):
            raise result
        return result

    monkeypatch.setattr(task_scorer, "score_batch", score)
    return TaskScorer({"small": batch}, torch.device("cpu"))(task())


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError(), "out_of_memory"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), "out_of_memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "out_of_memory"),
        (RuntimeError("shapes\ndiffer"), "error"),
        (RecursionError(), "error"),
    ],
)
def test_exceptions_are_failures(
    monkeypatch: pytest.MonkeyPatch, small: ProbeBatch, error: Exception, kind: str
) -> None:
    outcome = score_task(monkeypatch, small, error)
    assert outcome.scores is None
    assert outcome.failure is not None
    assert outcome.failure.kind == kind
    assert outcome.failure.detail.startswith(type(error).__name__)
    assert "\n" not in outcome.failure.detail
    assert outcome.damage == (kind if kind == "out_of_memory" else None)


def test_remaining_scores_are_kept(monkeypatch: pytest.MonkeyPatch, small: ProbeBatch) -> None:
    some = score_task(monkeypatch, small, {"a": GOOD, "b": SHORT})
    assert some.scores is not None
    assert some.scores["a"]["value"] == 1.5
    assert (some.failure, some.damage) == (None, "out_of_memory")
    none = score_task(monkeypatch, small, {"a": SHORT, "b": SHORT})
    assert none.failure is not None
    assert (none.scores, none.failure.kind) == (None, "out_of_memory")
    failed = score_task(monkeypatch, small, {"a": FAILED})
    assert (failed.failure, failed.damage) == (None, None)


def test_scores_of_a_lost_device_are_discarded(monkeypatch: pytest.MonkeyPatch, small: ProbeBatch) -> None:
    monkeypatch.setattr(TaskScorer, "_device_error", lambda _: "AcceleratorError: CUDA error: an illegal memory access")
    outcome = score_task(monkeypatch, small, {"a": GOOD})
    assert outcome.failure is not None
    assert (outcome.scores, outcome.failure.kind, outcome.damage) == (None, "device_error", "device_error")


def test_batches_are_serialised_exactly(small: ProbeBatch) -> None:
    strided = ProbeBatch((small.x.flip(0).mT.mT,), small.y, "other")
    text = json.dumps(encode_batches({"small": small, "strided": strided}))
    decoded = decode_batches(json.loads(text))
    assert (decoded["small"].fingerprint, decoded["small"].source) == (small.fingerprint, small.source)
    assert (decoded["small"].x.dtype, decoded["small"].y.dtype) == (torch.float32, torch.int64)
    assert torch.equal(decoded["strided"].x, small.x.flip(0))


def test_several_workers_may_share_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    settings = Settings(num_workers=5, workers_per_gpu=2)
    assert worker_options(settings, torch.device("cuda")).visible_devices == ("0", "1", "0", "1")
    assert worker_options(settings, torch.device("cpu")).visible_devices == ("",) * 5
