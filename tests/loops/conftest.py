"""A real server for all loops, and the Python environment with their tools."""

import ast
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.waiting import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]
FILES = {file.stem.removesuffix("_loop"): file for file in sorted((ROOT / "examples" / "loops").glob("*.py"))}
STUDIES = [name for name in FILES if name.endswith("_study")]
"""Loops with a study, which train architectures."""
LOOPS = [name for name in FILES if name not in STUDIES]


@dataclass(frozen=True)
class LoopResult:
    """One line that a loop printed."""

    accuracy: float
    flops: float | None
    architecture: Any


TRAINING = """\
def train(architecture):
    mask = architecture.get("mask")
    n_modules = [len(layer) for layer in architecture["layers"]] if mask is None else [sum(layer) for layer in mask]
    accuracy = 0.2 + 0.7 * sum(n_modules) / (8 * len(n_modules))
    return accuracy
"""
"""Module of a user that trains an architecture: the accuracy grows with the fraction of modules in use."""
RunLoop = Callable[[str, str], list[LoopResult]]


@pytest.fixture(scope="session")
def api(url: str) -> Iterator[httpx.Client]:
    """The server's HTTP API, used without the client."""
    with httpx.Client(base_url=url, timeout=PATIENCE_S, trust_env=False) as client:
        yield client


@pytest.fixture(scope="session")
def run_loop() -> Iterator[RunLoop]:
    """Runs a loop, by its name, against the server at a URL."""
    python = Path(os.environ.get("ARCHRANK_LOOPS_PYTHON", ROOT / ".venv" / "loops" / "bin" / "python"))
    if not python.is_file():
        pytest.skip(f"ARCHRANK_LOOPS_PYTHON is not set to a Python with the tools, and {python} does not exist")
    with tempfile.TemporaryDirectory(prefix="loops") as folder:  # a short path: Ray creates sockets in it

        def run(loop: str, url: str) -> list[LoopResult]:
            Path(folder, "my_training.py").write_text(TRAINING)
            env = {"PATH": os.environ["PATH"], "HOME": folder, "RAY_TMPDIR": folder, "ARCHRANK_URL": url}
            env["PYTHONPATH"] = folder
            command = [str(python), str(FILES[loop])]
            process = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=PATIENCE_S)
            assert process.returncode == 0, process.stderr[-5000:]
            return parse_output(process.stdout)

        yield run


def parse_output(text: str) -> list[LoopResult]:
    """Return the results of the last lines: an accuracy, FLOPs where the loop counts them, and an architecture."""
    results: list[LoopResult] = []
    for line in reversed(text.splitlines()):
        match = re.fullmatch(r"(0\.\d+) (?:(\S+) )?(\{.*\})", line)
        if match is None:
            break
        flops = None if match[2] is None else float(match[2])
        results.append(LoopResult(float(match[1]), flops, ast.literal_eval(match[3])))
    return results[::-1]
