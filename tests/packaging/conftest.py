"""Environments with the distribution."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Environment with the distribution and no extra."""
    folder = tmp_path_factory.mktemp("base") / "venv"
    subprocess.run([sys.executable, "-m", "uv", "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    install(folder, str(ROOT))
    subprocess.run([str(folder / "bin" / "python"), "-I", "-c", "import service.app"], check=True)  # compiles
    return folder


def install(folder: Path, *requirements: str) -> None:
    """Install requirements into an environment, packages of this repository from their sources as they are now."""
    uv, python = str(Path(sys.executable).with_name("uv")), folder / "bin" / "python"
    constraints = ["--constraint", str(ROOT / "constraints.txt")]
    sources = ["--refresh-package", "archrank", "--refresh-package", "archrank-tiny-gcn"]  # uv keeps what it built
    variables = os.environ | {"UV_FIND_LINKS": os.environ.get("PIP_FIND_LINKS", "")}
    command = [uv, "pip", "install", "--quiet", "--python", str(python), *constraints, *sources, *requirements]
    completed = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=variables)
    assert completed.returncode == 0, completed.stderr


def copy_environment(base: Path, folder: Path, *requirements: str) -> Path:
    """Copy an environment, install requirements into the copy, and return its folder."""
    shutil.copytree(base, folder, symlinks=True, copy_function=os.link)
    install(folder, *requirements)
    return folder
