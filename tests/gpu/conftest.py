"""The device of the tests in this folder. They need PyTorch, numpy and pytest alone: any machine with a GPU will do."""

import os

import pytest
import torch

from benchmarks.gpu.suite import DEVICE


@pytest.fixture(scope="session")
def device() -> str:
    """The GPU; the CPU where `benchmarks.gpu --device cpu` says so, to try the tests themselves."""
    chosen = os.environ.get(DEVICE, "cuda")
    if chosen == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device on this machine")
    return chosen
