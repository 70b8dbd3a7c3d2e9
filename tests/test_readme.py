"""README and docs are current: commands exist, examples run, and generated files and tables equal the program's."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from service.api import markdown as api_page
from service.app import create_app
from service.cli import app
from service.settings import Settings
from tests.waiting import PATIENCE_S

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
OWN_BENCHMARK = (ROOT / "docs" / "own-benchmark.md").read_text()
OTHERS = ("deploy.md", "own-space.md", "results.md")
PAGES = "\n".join((README, OWN_BENCHMARK, *((ROOT / "docs" / name).read_text() for name in OTHERS)))
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", PAGES, flags=re.DOTALL | re.MULTILINE)


def lines(pattern: str) -> list[str]:
    """Return the commands of the code blocks that match, continued lines joined, without variable assignments."""
    matches = re.findall(
        rf"^(?:[A-Z_]+=\S+ )*({pattern}.*)$",
        "\n".join(text for _, text in BLOCKS).replace("\\\n", " "),
        flags=re.MULTILINE,
    )
    assert matches
    return matches


@pytest.mark.parametrize("command", lines("archrank "))
def test_commands_and_their_options_exist(command: str) -> None:
    words = shlex.split(command, comments=True)[1:]
    names = [word for word in words if re.fullmatch("[a-z]+", word)][
        : 2 if words[0] in ("benchmark", "keys", "spaces", "study") else 1
    ]
    result = CliRunner().invoke(app, [*names, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert result.exit_code == 0
    for option in (word for word in words if word.startswith("--")):
        assert option in result.output


@pytest.mark.parametrize("command", lines("make "))
def test_make_targets_exist(command: str) -> None:
    assert re.search(rf"^{shlex.split(command)[1]}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)


@pytest.mark.parametrize("code", [text for language, text in BLOCKS if language == "python"])
def test_python_examples_run(code: str, url: str) -> None:
    exec(compile(code.replace("http://127.0.0.1:8000", url), "README.md", "exec"), {})


def test_curl_example_is_answered(url: str) -> None:
    (command,) = re.findall(r"^curl .*?^\}'", README, flags=re.DOTALL | re.MULTILINE)
    words = shlex.split(command)
    body = words[words.index("-d") + 1]
    headers = {"Content-Type": "application/json"}
    response = httpx.post(f"{url}/v1/predictions", content=body, headers=headers, timeout=PATIENCE_S)
    first, second = response.raise_for_status().json()["predictions"]
    assert first["fingerprint"] == second["fingerprint"]
    assert first["accuracy"] == second["accuracy"]
    assert (first["rank"], second["rank"]) == (1, 1)


def test_own_benchmark_example_is_a_valid_row(tmp_path: Path) -> None:
    from ensemble import load_benchmark

    (row,) = re.findall(r'^\{"architecture".*$', OWN_BENCHMARK, flags=re.MULTILINE)
    (tmp_path / "table.jsonl").write_text(row)
    assert len(load_benchmark(tmp_path / "table.jsonl")) == 1


def test_committed_openapi_is_current() -> None:
    committed = json.loads((ROOT / "docs" / "openapi.json").read_text())
    current = json.loads(json.dumps(create_app(Settings()).openapi()))
    current["info"]["version"] = committed["info"]["version"]
    assert current == committed, "run `make openapi`"


def test_committed_api_page_is_current() -> None:
    current = api_page.render_markdown(create_app(Settings()).openapi())
    assert (ROOT / "docs" / "api.md").read_text() == current, "run `make openapi`"


def test_every_setting_is_documented() -> None:
    text = (ROOT / "docs" / "service.md").read_text()
    rows = dict(re.findall(r"^\| `ARCHRANK_(\w+)` \| ([^|]*) \|", text, flags=re.MULTILINE))
    fields: dict[str, Any] = Settings.model_fields
    assert set(rows) == {name.upper() for name in fields}


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


def test_links_have_a_target() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists() or target.startswith("https://"), f"{page.name}: {target}"
