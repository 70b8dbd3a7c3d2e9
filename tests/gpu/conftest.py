"""Device of the tests in this folder, which need PyTorch, numpy and pytest alone."""

import os

import pytest
import torch

from benchmarks.gpu.suite import DEVICE


@pytest.fixture(scope="session")
def device() -> str:
    """The GPU; the CPU in a dry run by `benchmarks.gpu --device cpu`."""
    chosen = os.environ.get(DEVICE, "cuda")
    if chosen == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device on this machine")
    return chosen
