"""Who may import whom: models ← proxies, models ← ensemble, and the service imports all."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("models", "proxies", "ensemble", "service")
ALLOWED = {"models": set(), "proxies": {"models"}, "ensemble": {"models"}, "service": {"models", "proxies", "ensemble"}}


def imported(file: Path) -> set[str]:
    """Top-level names of everything that a file imports, inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module)
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("package", PACKAGES)
def test_package_imports_only_the_layers_below(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    forbidden = set(PACKAGES) - ALLOWED[package] - {package}
    found = {str(file.relative_to(ROOT)): imported(file) & forbidden for file in files}
    assert {file: names for file, names in found.items() if names} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_file_is_longer_than_400_lines(package: str) -> None:
    lengths = {str(file): len(file.read_text().splitlines()) for file in (ROOT / package).rglob("*.py")}
    assert {file: length for file, length in lengths.items() if length > 400} == {}
