"""The examples of the README, the documentation and the docstrings run; every method and error is documented."""

import doctest
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import archrank_client
import pytest
from archrank_client import ArchrankError, Client, Job, Study

from tests.client.conftest import SharedServer

ROOT = Path(__file__).resolve().parents[2]
FILES = [ROOT / "client" / "README.md", ROOT / "docs" / "client.md", ROOT / "docs" / "studies.md"]
EXAMPLES = [
    pytest.param(file, code, id=f"{file.name}-{i}")
    for file in FILES
    for i, code in enumerate(re.findall(r"^```python\n(.*?)^```", file.read_text(), flags=re.DOTALL | re.MULTILINE))
    if "archrank_client" in code
]
TEXT = FILES[1].read_text()


@pytest.mark.parametrize(("file", "code"), EXAMPLES)
def test_examples_run(file: Path, code: str, server: SharedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHRANK_URL", server.url)
    exec(compile(code.replace("http://127.0.0.1:8000", server.url), file.name, "exec"), {})


@pytest.mark.parametrize("method", [Client.predict, Client.rank, Client.submit, Client.study])
def test_examples_of_docstrings(
    method: Callable[..., Any], server: SharedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARCHRANK_URL", server.url)
    (example,) = doctest.DocTestFinder(recurse=False).find(method, globs={"Client": Client})
    assert example.examples
    assert doctest.DocTestRunner().run(example).failed == 0


def test_every_method_and_every_error_is_documented() -> None:
    methods = [name for cls in (Client, Job, Study) for name in vars(cls) if not name.startswith("_")]
    assert [name for name in methods if not re.search(rf"\b{name}\b", TEXT)] == []
    exported = {getattr(archrank_client, name) for name in archrank_client.__all__}
    errors = {cls for cls in exported if isinstance(cls, type) and issubclass(cls, Exception)} - {ArchrankError}
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| ", TEXT, re.M)
    documented = {name for row in rows for name in re.findall(r"\w+", row)}
    assert {cls.__name__ for cls in errors} <= documented
