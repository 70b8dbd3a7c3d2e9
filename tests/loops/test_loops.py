"""Each loop of `examples/loops`, run as users run it, against a real server."""

import ast
import io
import re
import tokenize
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.imports import imported_packages
from tests.loops.conftest import LOOPS, ROOT, Found, Run
from tests.loops.wider import TOO_DEEP, wider
from tests.real_server import Server
from tests.test_unsafe_imports import PACKAGES

MOST = 15
"""Lines of code; blank lines, comments, the docstring and imports are not counted."""


def lines_of_code(text: str) -> int:
    """How many physical lines hold code, other than imports and the docstring."""
    tree = ast.parse(text)
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    others = {line for node in (tree.body[0], *imports) for line in range(node.lineno, (node.end_lineno or 0) + 1)}
    silent = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    tokens = [token for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type not in silent]
    return len({line for token in tokens for line in range(token.start[0], token.end[0] + 1)} - others)


def predicted(server: Server, architectures: list[Any]) -> list[float]:
    """Accuracies from structure, asked for without the client."""
    found: list[float] = []
    for start in range(0, len(architectures), 64):
        body = {"architectures": architectures[start : start + 64], "proxies": []}
        items = server.client.post("/v1/predictions", json=body).raise_for_status().json()["predictions"]
        found += [item["accuracy"] for item in items]
    return found


def assert_worth_it(server: Server, found: list[Found]) -> None:
    """The server says the same of them, and the best is better than three of four random ones."""
    accuracies = predicted(server, [one.architecture for one in found])
    assert [one.accuracy for one in found] == pytest.approx(accuracies, abs=1e-9)
    query = {"n": 200, "seed": 1}
    drawn = server.client.get("/v1/spaces/gcn-nas/sample", params=query).raise_for_status().json()["architectures"]
    assert max(accuracies) > np.quantile(predicted(server, drawn), 0.75)


@pytest.mark.parametrize("file", LOOPS.values(), ids=LOOPS)
def test_loop_is_short(file: Path) -> None:
    assert lines_of_code(file.read_text()) <= MOST


def test_lines_are_counted() -> None:
    unseen = '"""A docstring,\nof two lines."""\nimport os\n\n# A comment\n'
    assert lines_of_code(unseen + 'x = [\n    os,  # one\n]\n\ndef f():\n    """Two\n    lines."""\n') == 6


def test_requirements_are_whole_and_without_torch() -> None:
    lines = (ROOT / "examples" / "loops" / "requirements.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert {"optuna", "pymoo", "ray", "syne-tune", "nni", "httpx", "pydantic", "stamina"} <= set(pins)
    assert "torch" not in pins


@pytest.mark.parametrize("file", LOOPS.values(), ids=LOOPS)
def test_loop_needs_the_client_and_nothing_else_of_ours(file: Path) -> None:
    names = imported_packages(file)
    assert "archrank_client" in names
    assert not names & {*PACKAGES, "torch"}


@pytest.mark.parametrize("loop", LOOPS)
def test_loop_finds_good_architectures(loop: str, run: Run, server: Server) -> None:
    found = run(loop, server.url)
    assert found
    assert_worth_it(server, found)
    if loop == "pymoo":
        assert_front(server, found)
    else:
        assert len(found) == 1


def assert_front(server: Server, found: list[Found]) -> None:
    """More than one, best first, operations as the server counts them, and none worse than another in both."""
    body = {"architectures": [one.architecture for one in found]}
    known = server.client.post("/v1/validations", json=body).raise_for_status().json()["validations"]
    assert [one.flops for one in found] == [one["flops"] for one in known]
    assert len(found) > 1
    assert all(a.accuracy > b.accuracy and a.flops > b.flops for a, b in pairwise(found))


@pytest.mark.parametrize("loop", ["plain", "optuna", "pymoo"])
def test_loop_survives_architectures_that_fail(loop: str, run: Run, server: Server) -> None:
    with wider(server.url) as (url, refused):
        found = run(loop, url)
    assert refused
    assert all(f"{TOO_DEEP}" in problem["detail"] and "4, 6, 8 or 10" in problem["detail"] for problem in refused)
    assert_worth_it(server, found)


def test_documentation_shows_the_loops_as_they_are() -> None:
    shown = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "loops.md").read_text(), re.DOTALL)
    loops = [dedented(file.read_text()) for file in LOOPS.values()]
    assert len(shown) == len(loops)
    assert [snippet for snippet in shown if not any(dedented(snippet) in loop for loop in loops)] == []


def dedented(text: str) -> str:
    """Without indents and empty lines."""
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())
