"""Commands: the same JSON as over HTTP, and errors in one line."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from common.errors import InputError
from service.cli import app
from service.cli.demo import read_examples
from tests.conftest import ROOT
from tests.service.conftest import CHEAP, SIX, SMALL, without_costs
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.usefixtures("default_ensemble_alone")
EXAMPLES = ROOT / "examples"


def archrank(*arguments: str, text: str | None = None) -> Result:
    return CliRunner().invoke(app, arguments, input=text)


@pytest.mark.parametrize(("command", "path"), [("predict", "/v1/predictions"), ("score", "/v1/scores")])
def test_same_json_as_http(command: str, path: str, client: httpx.Client, tmp_path: Path) -> None:
    body = json.dumps({"architectures": [SMALL, {"layers": []}, SIX], "proxies": CHEAP})
    file = tmp_path / "request.json"
    file.write_text(body)
    http_response = client.post(path, content=body, headers={"Content-Type": "application/json"}).json()
    file_result = archrank(command, str(file), "--json")
    assert file_result.exit_code == 0
    assert without_costs(json.loads(file_result.stdout)) == without_costs(http_response)
    stdin_result = archrank(command, "-", "--json", text=body)
    assert without_costs(json.loads(stdin_result.stdout)) == without_costs(http_response)


def test_tables() -> None:
    body = json.dumps({"architectures": [SMALL, {"layers": []}], "proxies": ["params"]})
    assert "accuracy" in archrank("predict", "-", text=body).stdout
    assert "params" in archrank("score", "-", text=body).stdout


def test_options_override_the_proxies_of_the_file() -> None:
    body = json.dumps({"architectures": [SMALL], "proxies": ["params"]})
    (item,) = json.loads(archrank("score", "-", "--proxies", "flops, sed", "--json", text=body).stdout)["scores"]
    assert set(item["scores"]) == {"flops", "sed"}


WRONG: list[tuple[list[str], str, str]] = [
    (["predict", "missing.json"], "", "missing.json"),
    (["predict", "-"], "{", "body: got"),
    (["predict", "-"], '{"architectures": []}', "architectures: got []; allowed: at least one"),
    (
        ["predict", "-"],
        '{"architectures": [1]}',
        'architectures[0].architecture: got 1; allowed: a JSON object with "layers"',
    ),
    (["predict", "-"], '{"architectures": [NaN]}', "finite"),
    (["predict", "-"], '{"architectures": [1], "ensemble": "x"}', "ensemble: got 'x'; allowed: one of"),
    (["score", "-"], '{"architectures": [1], "proxies": ["x"]}', "proxies[0]: got 'x'; allowed: one of"),
    (["score", "-", "--proxies", "x"], '{"architectures": [1]}', "proxies[0]: got 'x'; allowed: one of"),
    (["predict", "-", "--device", "abacus"], '{"architectures": []}', "device: got 'abacus'; allowed:"),
    (["serve", "--host", "0.0.0.0"], "", "host: got '0.0.0.0'; allowed: a loopback address"),
    (["serve", "--port", "99999"], "", "port: got 99999; allowed: less than or equal to 65535"),
    (["benchmark", "validate", "missing"], "", "benchmark: got 'missing'; allowed:"),
    (["benchmark", "score", "missing", "--out", "x", "--batch", "batch_size=0"], "", "batch_size: got 0; allowed:"),
    (["fit", "--benchmark", "missing", "--out", "x"], "", "benchmark: got 'missing'; allowed:"),
    (["evaluate", "--benchmark", "missing"], "", "benchmark: got 'missing'; allowed:"),
    (["report", "--benchmark", "missing", "--out", "x"], "", "benchmark: got 'missing'; allowed:"),
    (["ensembles", "missing"], "", "ensemble: got 'missing'; allowed: one of"),
    (["demo", "--examples", "missing"], "", "missing"),
]


@pytest.mark.parametrize(("arguments", "text", "line"), WRONG, ids=[" ".join(case[0]) + case[1] for case in WRONG])
def test_bad_input_is_one_line_and_exit_code_2(arguments: list[str], text: str, line: str) -> None:
    result = archrank(*arguments, text=text)
    assert result.exit_code == 2
    assert line in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""


@pytest.mark.parametrize("modules", ["service.cli", "service.cli, service.api_keys, service.storage.opening"])
def test_help_and_keys_are_quick(modules: str) -> None:
    heavy = "any(name in sys.modules for name in ('torch', 'sklearn', 'fastapi'))"
    code = f"import sys, {modules}; sys.exit({heavy})"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_openapi_is_what_the_server_says(client: httpx.Client) -> None:
    assert json.loads(archrank("openapi").stdout) == client.get("/openapi.json").json()


def test_port_in_use(url: str) -> None:
    result = archrank("serve", "--port", url.rsplit(":", 1)[1])
    assert result.exit_code == 2
    assert "host, port: got" in result.stderr


def test_demo() -> None:
    command = [sys.executable, "-m", "service.cli", "demo"]
    shown = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, env={**os.environ, "COLUMNS": "120"}
    )
    assert shown.returncode == 0, shown.stderr
    body, names = read_examples(EXAMPLES)
    assert len(body["architectures"]) == len(names) == 9
    assert all(name in shown.stdout for name in names)
    winner = (
        next(line for line in shown.stdout.splitlines() if "random" in line or "Peng" in line).split("  ")[0].strip()
    )
    assert f"explanation of {winner}" in shown.stdout
    assert re.search(r"0\.9\d+–0\.9\d+", shown.stdout)


def test_example_of_a_remote_search(url: str) -> None:
    command = [sys.executable, str(EXAMPLES / "predict.py"), url]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout.splitlines()[-1])["space"] == "gcn-nas"


def test_names_and_examples_have_to_fit(tmp_path: Path) -> None:
    body: dict[str, Any] = {"architectures": [SMALL]}
    (tmp_path / "architectures.json").write_text(json.dumps(body))
    (tmp_path / "names.json").write_text("[]")
    with pytest.raises(InputError, match="1 names"):
        read_examples(tmp_path)
