"""What the client's README and its page say is run, and said of what there is."""

import re
from pathlib import Path

import archrank_client
import pytest
from archrank_client import ArchrankError, Client, Job

from tests.real_server import Server

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "client" / "README.md", ROOT / "docs" / "client.md"]
CODE = [
    pytest.param(page, code, id=f"{page.name}-{i}")
    for page in PAGES
    for i, code in enumerate(re.findall(r"^```python\n(.*?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE))
]
PAGE = PAGES[1].read_text()


@pytest.mark.parametrize(("page", "code"), CODE)
def test_examples_run(page: Path, code: str, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHRANK_URL", server.url)
    exec(compile(code.replace("http://127.0.0.1:8000", server.url), page.name, "exec"), {})


def test_every_method_and_every_error_is_there() -> None:
    methods = [name for kind in (Client, Job) for name in vars(kind) if not name.startswith("_")]
    assert [name for name in methods if not re.search(rf"\b{name}\b", PAGE)] == []
    named = {getattr(archrank_client, name) for name in archrank_client.__all__}
    errors = {one for one in named if isinstance(one, type) and issubclass(one, Exception) and one is not ArchrankError}
    rows = {name for row in re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| ", PAGE, re.M) for name in re.findall(r"\w+", row)}
    assert {one.__name__ for one in errors} <= rows
