"""What can be checked of the container without an engine: its build steps name things that exist and are let in."""

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
LET_IN = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]


@pytest.mark.parametrize("source", re.findall(r"^COPY (?!--from)(\S+) ", DOCKERFILE, flags=re.MULTILINE))
def test_copied_files_exist_and_are_not_ignored(source: str) -> None:
    assert (ROOT / source).exists()
    assert source == "." or any(fnmatch(source, pattern) for pattern in LET_IN)


def test_everything_that_is_installed_is_let_in() -> None:
    for name in ("pyproject.toml", "README.md", "LICENSE", "models", "proxies", "ensemble", "service"):
        assert name in LET_IN


def test_health_check_is_python_and_asks_for_readiness() -> None:
    (command,) = re.findall(r'CMD \["python", "-c", "(.*)"\]', DOCKERFILE)
    code = command.replace('\\"', '"')
    compile(code, "HEALTHCHECK", "exec")
    assert "/health/ready" in code


def test_it_runs_as_somebody_without_rights() -> None:
    assert re.search(r"^USER (?!root|0)", DOCKERFILE, flags=re.MULTILINE)
