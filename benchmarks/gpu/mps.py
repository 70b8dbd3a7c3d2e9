"""NVIDIA's Multi-Process Service (MPS), by which kernels of several processes run on a GPU at the same time."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from unittest.mock import patch


@contextmanager
def mps(device: str) -> Iterator[str | None]:
    """Start NVIDIA's Multi-Process Service for the processes that start meanwhile; give the reason where it cannot."""
    program = shutil.which("nvidia-cuda-mps-control")
    if device != "cuda" or program is None:
        yield "there is no nvidia-cuda-mps-control"
        return
    names = ("CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY")
    with TemporaryDirectory() as folder, patch.dict(os.environ, dict.fromkeys(names, folder)):
        started = subprocess.run([program, "-d"], capture_output=True, text=True, check=False, timeout=10)
        try:
            yield started.stdout + started.stderr if started.returncode else None
        finally:
            subprocess.run([program], input="quit\n", capture_output=True, text=True, check=False, timeout=30)
