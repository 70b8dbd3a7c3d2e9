"""Commands in restricted environments: ASCII terminals, closed or full streams, no home directory."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from service.cli import app, streams
from tests.conftest import ROOT
from tests.service.conftest import SMALL

pytestmark = pytest.mark.usefixtures("default_ensemble_alone")
BODY = json.dumps({"architectures": [SMALL], "proxies": []})


def archrank(*arguments: str | Path, **options: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], **options)  # type: ignore[arg-type]


def shell(script: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a shell script in which `$A` is the command."""
    command = f'A="{sys.executable} -m service.cli"\n{script}'
    return subprocess.run(["sh", "-c", command], cwd=ROOT, env={**os.environ, **environment}, capture_output=True)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_tables_use_the_characters_of_the_terminal(encoding: str) -> None:
    result = CliRunner(charset=encoding).invoke(app, ["ensembles"])
    assert result.exit_code == 0, result.exception
    shown = result.stdout_bytes.decode(encoding)
    assert "rho" in shown
    assert {"ascii": "+-", "latin-1": "±"}[encoding] in shown
    assert "?" not in shown


def test_json_is_utf_8_on_any_terminal() -> None:
    result = CliRunner(charset="ascii").invoke(app, ["ensembles", "gcn-nas-ntu", "--json"])
    assert "ρ" in " ".join(json.loads(result.stdout_bytes.decode("utf-8"))["limitations"])


def test_every_character_has_a_replacement(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    streams.prepare()
    stream.write("ρ ≥ 0.5 ± 0.1: é \udcff \ud800")
    stream.flush()
    assert stream.buffer.getvalue() == b"rho ? 0.5 +- 0.1: ? \xff ?"


def test_closed_and_full_streams() -> None:
    """One shell script for all cases, as each start takes seconds."""
    script = """
    $A ensembles missing <&- >&-; echo "closed: $?" >&2
    $A predict - <&-; echo "no input: $?" >&2
    $A spaces list >/dev/full; echo "full: $?" >&2
    { $A spaces list; echo "seen enough: $?" >&2; } | true
    env -u HOME $A keys create --name a --settings >&-; echo "no output: $?" >&2
    """
    errors = shell(script).stderr.decode().splitlines()
    assert "Traceback" not in " ".join(errors)
    assert [line for line in errors if ": " in line and line.rsplit(": ")[1].isdecimal()] == [
        "closed: 2",
        "no input: 2",
        "full: 2",
        "seen enough: 1",
        "no output: 0",
    ]
    assert "FILE: got '-'; allowed: a file, or standard input that is open" in errors
    assert "system: No space left on device" in errors


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_bytes(BODY.encode("utf-8-sig"))
    from_file = archrank("predict", tmp_path / "one.json", "--json")
    from_input = archrank("predict", "-", "--json", input=BODY.encode("utf-8-sig"))
    assert from_file.exit_code == from_input.exit_code == 0, from_file.stderr
    assert json.loads(from_file.stdout)["predictions"][0]["rank"] == 1


def test_an_unexpected_error_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("unexpected")

    monkeypatch.setattr("service.inference.registry.EnsembleRegistry.load", broken)
    assert isinstance(archrank("ensembles").exception, ZeroDivisionError)


def _page(folder: Path) -> Path:
    (folder / "page").mkdir()
    (folder / "page" / "manifest.json").write_text("{}")
    return folder / "page"


def _fifo(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def _search(folder: Path) -> Path:
    (folder / "search.svg").mkdir()
    return folder


OUTPUTS: list[tuple[list[str], Callable[[Path], Path]]] = [
    (["fit", "--benchmark", "never-read"], _page),
    (["fit", "--benchmark", "never-read"], lambda folder: Path("/proc/archrank")),
    (["report", "--benchmark", "never-read"], _page),
    (["report", "--benchmark", "never-read"], lambda folder: Path(__file__) / "below"),
    (["benchmark", "score", "never-read"], _fifo),
    (["benchmark", "score", "never-read"], lambda folder: folder),
    (["search", "--budget", "1", "--ensemble", "never-looked-for"], _search),
]


@pytest.mark.parametrize(("command", "make"), OUTPUTS, ids=[f"{case[0][0]}-{i}" for i, case in enumerate(OUTPUTS)])
def test_outputs_are_checked_first(command: list[str], make: Callable[[Path], Path], tmp_path: Path) -> None:
    out = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    result = archrank(*command, "--out", out)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert "never" not in result.stderr
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("seed", ["-1", "4294967296", "1" + "0" * 30])
@pytest.mark.parametrize("command", ["evaluate", "fit", "search", "benchmark score"])
def test_invalid_seeds(command: str, seed: str, tmp_path: Path) -> None:
    table = tmp_path / "table.jsonl"
    rows = [{"architecture": {"layers": [["S"], ["T"], ["S"], ["ST", name]]}, "accuracy": 0.9} for name in ("L", "L2")]
    table.write_text("\n".join(map(json.dumps, rows)))
    tables: dict[str, list[str | Path]] = {"search": [], "benchmark score": [table]}
    where = tables.get(command, ["--benchmark", table])
    out: list[str | Path] = [] if command == "evaluate" else ["--out", tmp_path / "out"]
    result = archrank(*command.split(), *where, *out, "--seed", seed)
    assert result.exit_code == 2
    assert result.stderr.strip() == f"seed: got {seed}; allowed: a whole number from 0 to 2**32 - 1"
    assert not (tmp_path / "out").exists()
