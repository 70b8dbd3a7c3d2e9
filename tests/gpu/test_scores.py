"""Every registered proxy on a GPU: agreement with the CPU, equal bits in repeated runs, any settings of the caller."""

import logging
import math
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch

from benchmarks.gpu import faults
from benchmarks.gpu.agreement import STATED, difference, tolerance
from benchmarks.gpu.checks import Options
from models import ProbeBatch
from proxies import Score, proxy_names, score

pytestmark = [
    pytest.mark.gpu,
    # The first matrix product of a process may be that of a backward pass, in a thread of autograd.
    pytest.mark.filterwarnings("ignore:Attempting to run cuBLAS, but there was no current CUDA context"),
]
SIX_LAYERS = [["L2", "S", "T", "ST"]] * 6


@pytest.fixture(scope="module")
def on_device(space: Any, batch: ProbeBatch, device: str) -> Mapping[str, Score]:
    return score(space.build(space.parse(SIX_LAYERS)).to(device), batch.x, batch.y, proxy_names())


@pytest.fixture(scope="module")
def on_cpu(space: Any, batch: ProbeBatch) -> Mapping[str, Score]:
    return score(space.build(space.parse(SIX_LAYERS)), batch.x, batch.y, proxy_names())


@pytest.mark.parametrize("name", proxy_names())
def test_a_gpu_agrees_with_the_cpu(
    name: str, on_cpu: Mapping[str, Score], on_device: Mapping[str, Score], device: str
) -> None:
    assert on_device[name].status == "ok", on_device[name].error
    if name in STATED:
        value = on_device[name].value
        assert value is not None
        assert math.isfinite(value)
    else:
        assert difference(on_cpu[name], on_device[name]) <= tolerance(name)


@pytest.mark.parametrize("name", proxy_names())
def test_a_score_has_the_same_bits_twice(
    name: str, space: Any, batch: ProbeBatch, on_device: Mapping[str, Score], device: str
) -> None:
    network = space.build(space.parse(SIX_LAYERS)).to(device)
    first, second = (score(network, batch.x, batch.y, [name])[name] for _ in range(2))
    assert (first.value, first.log) == (second.value, second.log)
    assert difference(on_device[name], first) <= tolerance(name)


@pytest.fixture(params=["high", "tf32", "ieee"])
def precision(request: pytest.FixtureRequest) -> Iterator[str]:
    """Set the caller's precision by the legacy or the newer setting, and restore it."""
    if request.param == "high":
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high")
        yield request.param
        torch.set_float32_matmul_precision(before)
    else:
        backends: Any = torch.backends
        backends.fp32_precision = request.param
        yield request.param
        backends.fp32_precision = "none"


def test_a_callers_precision_changes_no_score(
    precision: str, space: Any, batch: ProbeBatch, on_device: Mapping[str, Score], device: str
) -> None:
    scores = score(space.build(space.parse(SIX_LAYERS)).to(device), batch.x, batch.y, proxy_names())
    assert {name: s.value for name, s in scores.items()} == {name: s.value for name, s in on_device.items()}


def test_random_state_of_the_gpu_stays(space: Any, batch: ProbeBatch, device: str) -> None:
    before = torch.cuda.get_rng_state() if device == "cuda" else torch.get_rng_state()
    score(space.build(space.parse(SIX_LAYERS)).to(device), batch.x, batch.y, ["zen", "meco", "nwot"])
    after = torch.cuda.get_rng_state() if device == "cuda" else torch.get_rng_state()
    assert torch.equal(before, after)


def test_out_of_memory_takes_chunks_and_then_one_proxy_alone(device: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "proxies")  # pytest keeps log records, whose errors would keep memory
    checks = list(faults.out_of_memory(Options(device, small=device == "cpu")))
    assert checks
    assert [check for check in checks if check.status != "pass"] == []
