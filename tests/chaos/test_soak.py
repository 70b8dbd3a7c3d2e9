"""A short soak test: all kinds of requests at once, every response right, none lost."""

import json
import subprocess
import sys
from pathlib import Path

from tests.chaos.conftest import Tell


def test_mixed_load(tmp_path: Path, tell: Tell) -> None:
    figure = tmp_path / "soak.png"
    command = (sys.executable, "-m", "benchmarks.soak", "--seconds", "25", "--scored", "20", "--out", str(figure))
    completed = subprocess.run(command, capture_output=True, text=True, timeout=400)
    assert completed.returncode == 0, completed.stdout + completed.stderr
    report = json.loads(figure.with_suffix(".json").read_text())
    assert report["wrong"] == []
    assert report["requests"] > 50
    assert figure.read_bytes().startswith(b"\x89PNG")
    tell(str(report["requests"]), "requests in 25 s of mixed load, all answers right")
