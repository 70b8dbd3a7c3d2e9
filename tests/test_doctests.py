"""Examples in docstrings run and print the documented output."""

import doctest
from collections.abc import Callable
from typing import Any

import pytest

from ensemble import Ensemble
from models import get_space
from models.gcn_nas.batches import synthetic_batch
from proxies import score
from search import run_search

FUNCTIONS: list[Callable[..., Any]] = [
    Ensemble.explain,
    Ensemble.fit,
    Ensemble.load,
    Ensemble.predict,
    get_space,
    synthetic_batch,
    score,
    run_search,
]
"""Functions and methods with an example in their docstring."""


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: f"{function.__module__}.{function.__qualname__}")
def test_docstring_example_prints_its_documented_output(function: Callable[..., Any]) -> None:
    finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner()
    examples = finder.find(function, function.__qualname__, globs={})
    assert sum(len(test.examples) for test in examples) > 0, "no example"
    for test in examples:
        assert runner.run(test).failed == 0
