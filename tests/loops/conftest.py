"""A real server for all loops, and the environment that they run in: that of the tools, not of the server."""

import ast
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.real_server import Server, serving

ROOT = Path(__file__).resolve().parents[2]
LOOPS = {file.stem.removesuffix("_loop"): file for file in sorted((ROOT / "examples" / "loops").glob("*.py"))}
TIMEOUT = 300
"""Seconds; Ray's start takes most of a minute on a busy machine."""


@dataclass(frozen=True)
class Found:
    """What a loop printed in one line."""

    accuracy: float
    flops: float | None
    architecture: Any


Run = Callable[[str, str], list[Found]]


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.fixture(scope="package")
def run() -> Iterator[Run]:
    """Runs a loop, by its name, against the server at a URL."""
    python = Path(os.environ.get("ARCHRANK_LOOPS_PYTHON", ROOT / ".venv" / "loops" / "bin" / "python"))
    if not python.is_file():
        pytest.skip(f"ARCHRANK_LOOPS_PYTHON is not set to a Python with the tools, and {python} does not exist")
    with tempfile.TemporaryDirectory(prefix="loops") as folder:  # short: Ray puts sockets in there

        def run(loop: str, url: str) -> list[Found]:
            env = {"PATH": os.environ["PATH"], "HOME": folder, "RAY_TMPDIR": folder, "ARCHRANK_URL": url}
            command = [str(python), str(LOOPS[loop])]
            done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=TIMEOUT)
            assert done.returncode == 0, done.stderr[-5000:]
            return printed(done.stdout)

        yield run


def printed(text: str) -> list[Found]:
    """The last lines, as far as they hold an accuracy, operations where the loop counts them, and an architecture."""
    found: list[Found] = []
    for line in reversed(text.splitlines()):
        parts = re.fullmatch(r"(0\.\d+) (?:(\S+) )?(\{.*\})", line)
        if parts is None:
            break
        flops = None if parts[2] is None else float(parts[2])
        found.append(Found(float(parts[1]), flops, ast.literal_eval(parts[3])))
    return found[::-1]
