"""Scoring in a process of one's own needs neither the server's packages nor those for pictures."""

import subprocess
import sys

import pytest

SERVER = ("service", "fastapi", "starlette", "uvicorn", "sqlalchemy", "typer", "httpx")
PLOTTING = ("matplotlib", "jinja2")
OTHER = ("ensemble", "search", "sklearn", "xgboost")


@pytest.mark.parametrize("package", ["models", "models.gcn_nas.batches", "proxies"])
def test_an_import_loads_no_server_and_no_plotting_library(package: str) -> None:
    code = f"import sys, {package}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {*SERVER, *PLOTTING, *OTHER}
