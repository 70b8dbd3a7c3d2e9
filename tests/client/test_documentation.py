"""The examples of the client's README and documentation run, and the documentation names every method and error."""

import re
from pathlib import Path

import archrank_client
import pytest
from archrank_client import ArchrankError, Client, Job

from tests.client.conftest import SharedServer

ROOT = Path(__file__).resolve().parents[2]
FILES = [ROOT / "client" / "README.md", ROOT / "docs" / "client.md"]
EXAMPLES = [
    pytest.param(file, code, id=f"{file.name}-{i}")
    for file in FILES
    for i, code in enumerate(re.findall(r"^```python\n(.*?)^```", file.read_text(), flags=re.DOTALL | re.MULTILINE))
]
TEXT = FILES[1].read_text()


@pytest.mark.parametrize(("file", "code"), EXAMPLES)
def test_examples_run(file: Path, code: str, server: SharedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHRANK_URL", server.url)
    exec(compile(code.replace("http://127.0.0.1:8000", server.url), file.name, "exec"), {})


def test_every_method_and_every_error_is_documented() -> None:
    methods = [name for cls in (Client, Job) for name in vars(cls) if not name.startswith("_")]
    assert [name for name in methods if not re.search(rf"\b{name}\b", TEXT)] == []
    exported = {getattr(archrank_client, name) for name in archrank_client.__all__}
    errors = {cls for cls in exported if isinstance(cls, type) and issubclass(cls, Exception)} - {ArchrankError}
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| ", TEXT, re.M)
    documented = {name for row in rows for name in re.findall(r"\w+", row)}
    assert {cls.__name__ for cls in errors} <= documented
