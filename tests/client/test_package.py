"""The package works alone: it needs neither torch nor NumPy nor the server's packages."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.imports import imported_packages
from tests.waiting import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "client" / "archrank_client"
FORBIDDEN = ("torch", "numpy", "common", "models", "proxies", "ensemble", "search", "study", "service", "optuna")
PROGRAM = f"""
import sys

class Forbidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {FORBIDDEN}:
            raise ImportError(f"{{name}} is not installed")

sys.meta_path.insert(0, Forbidden())
sys.path.insert(0, sys.argv[1])
import archrank_client
assert archrank_client.__file__.startswith(sys.argv[1])
with archrank_client.Client("http://127.0.0.1:9", max_retry_time=0) as client:
    try:
        client.predict([{{}}])
    except archrank_client.APIConnectionError:
        print("not reached")
"""


def test_it_is_imported_and_used_without_the_other_packages(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "archrank_client", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-I", "-W", "error", "-c", PROGRAM, str(tmp_path)]
    process = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=dict(os.environ), timeout=PATIENCE_S
    )
    assert (process.stdout, process.stderr) == ("not reached\n", "")


@pytest.mark.parametrize("file", sorted(PACKAGE.glob("*.py")), ids=lambda file: file.name)
def test_every_import_is_a_dependency(file: Path) -> None:
    project = tomllib.loads((ROOT / "client" / "pyproject.toml").read_text())["project"]
    requirements = project["dependencies"] + project["optional-dependencies"].get(file.stem, [])
    dependencies = {requirement.partition(">")[0].replace("-", "_") for requirement in requirements}
    assert imported_packages(file) - sys.stdlib_module_names - {"archrank_client"} <= dependencies


def test_it_is_typed() -> None:
    assert (PACKAGE / "py.typed").exists()
