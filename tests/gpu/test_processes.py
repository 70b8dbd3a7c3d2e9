"""A process that loses its GPU is replaced, and its task fails alone."""

import pytest

from benchmarks.gpu import faults
from benchmarks.gpu.checks import Options

pytestmark = pytest.mark.gpu


def test_a_process_that_loses_its_gpu_is_replaced(device: str) -> None:
    checks = list(faults.lost_device(Options(device, small=device == "cpu")))
    assert checks
    assert [check for check in checks if check.status != "pass"] == []
