"""The loops of `examples/loops`, run as users run them, against a real server."""

import ast
import io
import re
import tokenize
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.imports import imported_packages
from tests.loops.conftest import FILES, LOOPS, ROOT, STUDIES, LoopResult, RunLoop
from tests.loops.wider import TOO_DEEP, wider
from tests.test_unsafe_imports import PACKAGES

MAX_LINES = 15
"""Lines of code, without blank lines, comments, the docstring and imports."""


def lines_of_code(text: str) -> int:
    """Return the number of physical lines with code, without imports and the docstring."""
    tree = ast.parse(text)
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    uncounted = {line for node in (tree.body[0], *imports) for line in range(node.lineno, (node.end_lineno or 0) + 1)}
    ignored = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    tokens = [token for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type not in ignored]
    return len({line for token in tokens for line in range(token.start[0], token.end[0] + 1)} - uncounted)


def predict(api: httpx.Client, architectures: list[Any]) -> list[float]:
    """Return the accuracies predicted from structure, requested without the client."""
    accuracies: list[float] = []
    for start in range(0, len(architectures), 64):
        body = {"architectures": architectures[start : start + 64], "proxies": []}
        items = api.post("/v1/predictions", json=body).raise_for_status().json()["predictions"]
        accuracies += [item["accuracy"] for item in items]
    return accuracies


def assert_good(api: httpx.Client, results: list[LoopResult]) -> None:
    """The printed accuracies are the server's, and the best exceeds the upper quartile of a random sample."""
    accuracies = predict(api, [result.architecture for result in results])
    assert [result.accuracy for result in results] == pytest.approx(accuracies, abs=1e-9)
    body = {"number": 200, "seed": 1}
    sample = api.post("/v1/spaces/gcn-nas/sample", json=body).raise_for_status().json()["architectures"]
    assert max(accuracies) > np.quantile(predict(api, sample), 0.75)


@pytest.mark.parametrize("file", FILES.values(), ids=FILES)
def test_loop_is_short(file: Path) -> None:
    assert lines_of_code(file.read_text()) <= MAX_LINES


def test_lines_are_counted() -> None:
    uncounted = '"""A docstring,\nof two lines."""\nimport os\n\n# A comment\n'
    assert lines_of_code(uncounted + 'x = [\n    os,  # one\n]\n\ndef f():\n    """Two\n    lines."""\n') == 6


def test_requirements_are_complete_and_without_torch() -> None:
    lines = (ROOT / "examples" / "loops" / "requirements.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert {"optuna", "pymoo", "ray", "syne-tune", "nni", "httpx", "httpx-sse", "pydantic", "stamina"} <= set(pins)
    assert "torch" not in pins


@pytest.mark.parametrize("file", FILES.values(), ids=FILES)
def test_loop_imports_the_client_and_no_other_package_of_archrank(file: Path) -> None:
    names = imported_packages(file)
    assert "archrank_client" in names
    assert not names & {*PACKAGES, "torch"}


@pytest.mark.parametrize("loop", LOOPS)
def test_loop_finds_good_architectures(loop: str, run_loop: RunLoop, url: str, api: httpx.Client) -> None:
    results = run_loop(loop, url)
    assert results
    assert_good(api, results)
    if loop == "pymoo":
        assert_pareto_front(api, results)
    else:
        assert len(results) == 1


def assert_pareto_front(api: httpx.Client, results: list[LoopResult]) -> None:
    """Several results, best first, none dominated, with the server's FLOPs."""
    body = {"architectures": [result.architecture for result in results]}
    validations = api.post("/v1/architectures/validate", json=body).raise_for_status().json()["validations"]
    flops = [validation["flops"] for validation in validations]
    assert [result.flops for result in results] == flops
    assert len(results) > 1
    assert all(a.accuracy > b.accuracy for a, b in pairwise(results))
    assert all(a > b for a, b in pairwise(flops))


@pytest.mark.parametrize("loop", STUDIES)
def test_study_loop_finds_good_architectures(loop: str, run_loop: RunLoop, url: str, api: httpx.Client) -> None:
    results = run_loop(loop, url)
    (study,) = api.get("/v1/studies", params={"name": loop}).raise_for_status().json()["studies"]
    assert (study["observations"]["total"], study["observations"]["failed"]) == (30, 0)
    page = api.get(f"/v1/studies/{study['id']}/observations").raise_for_status().json()
    values = sorted((item["value"] for item in page["observations"]), reverse=True)
    assert [result.accuracy for result in results] == pytest.approx(values[: len(results)])
    assert len(results) == (10 if loop == "pymoo_study" else 1)
    body = {"number": 200, "seed": 1}
    sample = api.post("/v1/spaces/gcn-nas/sample", json=body).raise_for_status().json()["architectures"]
    random = [0.2 + 0.7 * sum(map(len, each["layers"])) / (8 * len(each["layers"])) for each in sample]
    assert values[0] > np.quantile(random, 0.75)


@pytest.mark.parametrize("loop", ["plain", "optuna", "pymoo"])
def test_loop_survives_architectures_that_fail(loop: str, run_loop: RunLoop, url: str, api: httpx.Client) -> None:
    with wider(url) as (wider_url, problems):
        results = run_loop(loop, wider_url)
    assert problems
    assert all(f"{TOO_DEEP}" in problem["detail"] and "4, 6, 8 or 10" in problem["detail"] for problem in problems)
    assert_good(api, results)


def test_documentation_shows_the_loops_as_they_are() -> None:
    snippets = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "loops.md").read_text(), re.DOTALL)
    loops = [dedent(file.read_text()) for file in FILES.values()]
    assert len(snippets) == len(loops)
    assert [snippet for snippet in snippets if not any(dedent(snippet) in loop for loop in loops)] == []


def dedent(text: str) -> str:
    """Return the text without indentation and empty lines."""
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())
