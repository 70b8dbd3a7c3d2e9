"""The two clients are one: same methods, same arguments, same answers' types."""

import inspect
from collections.abc import Callable
from typing import Any

import archrank_client
import pytest
from archrank_client import AsyncClient, AsyncJob, Client, Job

PAIRS = ((Client, AsyncClient), (Job, AsyncJob))


def methods(kind: type) -> dict[str, Callable[..., Any]]:
    """The public ones, and how it is made."""
    found = inspect.getmembers(kind, inspect.isfunction)
    return {name: method for name, method in found if not name.startswith("_") or name == "__init__"}


CASES = [(one, other, name) for one, other in PAIRS for name in methods(one)]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_same_methods(one: type, other: type) -> None:
    assert set(methods(one)) == set(methods(other))


@pytest.mark.parametrize(("one", "other", "name"), CASES, ids=lambda case: getattr(case, "__name__", case))
def test_same_signatures(one: type, other: type, name: str) -> None:
    def said(kind: type) -> str:
        text = str(inspect.signature(methods(kind)[name]))
        return text.replace("Async", "").replace("Iterator", "Generator")

    assert said(one) == said(other)


@pytest.mark.parametrize(("one", "other", "name"), CASES, ids=lambda case: getattr(case, "__name__", case))
def test_one_blocks_and_the_other_is_awaited(one: type, other: type, name: str) -> None:
    assert not inspect.iscoroutinefunction(methods(one)[name])
    waits = inspect.iscoroutinefunction if name != "iter" else inspect.isasyncgenfunction
    assert waits(methods(other)[name]) == (name != "__init__")


@pytest.mark.parametrize(("one", "other", "name"), CASES, ids=lambda case: getattr(case, "__name__", case))
def test_every_method_says_what_it_is(one: type, other: type, name: str) -> None:
    if name != "__init__":
        assert inspect.getdoc(methods(one)[name])
        assert inspect.getdoc(methods(other)[name]) == f"As `{one.__name__}.{name}`."


def test_all_that_is_named_is_there() -> None:
    assert sorted(archrank_client.__all__) == archrank_client.__all__
    assert all(hasattr(archrank_client, name) for name in archrank_client.__all__)


def test_all_errors_are_one_tree_and_are_named() -> None:
    from archrank_client import errors

    kinds = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, Exception)]
    assert all(issubclass(one, archrank_client.ArchrankError) for one in kinds)
    assert {one.__name__ for one in kinds} <= set(archrank_client.__all__)
