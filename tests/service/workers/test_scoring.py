"""What is made of memory that runs out, of a device that is lost, and of whatever else is raised."""

import json
from typing import Any

import pytest
import torch

from models.batches import ProbeBatch
from proxies import Score
from service.app import process_options
from service.settings import Settings
from service.workers import scoring
from service.workers.base import Outcome
from service.workers.scoring import Scorer, decode_batches, encode_batches
from tests.service.workers.conftest import task

SHORT = Score(None, None, "failed", 0.1, error="out of memory: Gradients needs more than there is")
FAILED = Score(None, None, "failed", 0.1, error="ValueError: no")
GOOD = Score(1.5, None, "ok", 0.1)


def outcome(monkeypatch: pytest.MonkeyPatch, batch: ProbeBatch, found: Any) -> Outcome:
    """Of a task whose scores are `found`, or raise it."""

    def score(*_: Any) -> Any:
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(scoring, "score", score)
    return Scorer({"small": batch}, torch.device("cpu"))(task())


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
def test_what_is_raised_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, small: ProbeBatch, error: Exception, kind: str
) -> None:
    found = outcome(monkeypatch, small, error)
    assert found.scores is None
    assert found.failure is not None
    assert found.failure.kind == kind
    assert found.failure.detail.startswith(type(error).__name__)
    assert "\n" not in found.failure.detail
    assert found.damage == (kind if kind == "out_of_memory" else None)


def test_scores_that_are_there_are_kept(monkeypatch: pytest.MonkeyPatch, small: ProbeBatch) -> None:
    some = outcome(monkeypatch, small, {"a": GOOD, "b": SHORT})
    assert some.scores is not None
    assert some.scores["a"]["value"] == 1.5
    assert (some.failure, some.damage) == (None, "out_of_memory")
    none = outcome(monkeypatch, small, {"a": SHORT, "b": SHORT})
    assert none.failure is not None
    assert (none.scores, none.failure.kind) == (None, "out_of_memory")
    failed = outcome(monkeypatch, small, {"a": FAILED})
    assert (failed.failure, failed.damage) == (None, None)


def test_no_score_of_a_lost_device_is_believed(monkeypatch: pytest.MonkeyPatch, small: ProbeBatch) -> None:
    monkeypatch.setattr(Scorer, "_lost", lambda _: "AcceleratorError: CUDA error: an illegal memory access")
    found = outcome(monkeypatch, small, {"a": GOOD})
    assert found.failure is not None
    assert (found.scores, found.failure.kind, found.damage) == (None, "device_error", "device_error")


def test_batches_reach_a_process_bit_by_bit(small: ProbeBatch) -> None:
    sent = json.dumps(encode_batches({"small": small, "strided": ProbeBatch(small.x.flip(0).mT.mT, small.y, "other")}))
    got = decode_batches(json.loads(sent))
    assert (got["small"].fingerprint, got["small"].source) == (small.fingerprint, small.source)
    assert (got["small"].x.dtype, got["small"].y.dtype) == (torch.float32, torch.int64)
    assert torch.equal(got["strided"].x, small.x.flip(0))


def test_several_processes_may_share_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    settings = Settings(num_workers=5, workers_per_gpu=2)
    assert process_options(settings, torch.device("cuda")).visible == ("0", "1", "0", "1")
    assert process_options(settings, torch.device("cpu")).visible == ("",) * 5
