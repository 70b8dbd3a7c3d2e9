"""Optional dependencies of the ensemble package."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from common.extras import MissingExtraError
from service.cli import app

OPTIONAL = ("matplotlib", "jinja2", "markdown_it", "fastapi", "starlette", "uvicorn", "sqlalchemy", "typer")


def test_the_package_imports_neither_plotting_nor_a_web_server() -> None:
    code = "import sys, ensemble; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    packages = {module.partition(".")[0] for module in result.stdout.split()}
    assert "ensemble" in packages
    assert packages.isdisjoint(OPTIONAL)


@pytest.fixture
def without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[:2] == ["ensemble", "report"]]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("ensemble.report", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)


@pytest.mark.usefixtures("without_matplotlib")
def test_the_report_names_its_extra() -> None:
    with pytest.raises(MissingExtraError, match=r"^matplotlib is not installed: pip install 'archrank\[report\]'$"):
        import ensemble.report  # noqa: F401


@pytest.mark.usefixtures("without_matplotlib")
def test_the_command_prints_one_sentence(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["report", "--benchmark", str(tmp_path), "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert result.stderr.strip() == "matplotlib is not installed: pip install 'archrank[report]'"
