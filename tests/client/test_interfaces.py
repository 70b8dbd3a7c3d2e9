"""Both clients have the same methods, with the same arguments and results."""

import inspect
from collections.abc import Callable
from typing import Any

import archrank_client
import pytest
from archrank_client import AsyncClient, AsyncJob, AsyncStudy, Client, Job, Study, errors

PAIRS = ((Client, AsyncClient), (Job, AsyncJob), (Study, AsyncStudy))
ITERATORS = ("iter", "observations")


def methods(cls: type) -> dict[str, Callable[..., Any]]:
    """Return the public methods and the constructor."""
    members = inspect.getmembers(cls, inspect.isfunction)
    return {name: method for name, method in members if not name.startswith("_") or name == "__init__"}


CASES = [(blocking, asynchronous, name) for blocking, asynchronous in PAIRS for name in methods(blocking)]
by_case = pytest.mark.parametrize(
    ("blocking", "asynchronous", "name"), CASES, ids=lambda value: getattr(value, "__name__", value)
)


@pytest.mark.parametrize(("blocking", "asynchronous"), PAIRS)
def test_same_methods(blocking: type, asynchronous: type) -> None:
    assert set(methods(blocking)) == set(methods(asynchronous))


@by_case
def test_same_signatures(blocking: type, asynchronous: type, name: str) -> None:
    def signature(cls: type) -> str:
        text = str(inspect.signature(methods(cls)[name]))
        return text.replace("Async", "").replace("Iterator", "Generator")

    assert signature(blocking) == signature(asynchronous)


@by_case
def test_one_blocks_and_the_other_is_awaited(blocking: type, asynchronous: type, name: str) -> None:
    assert not inspect.iscoroutinefunction(methods(blocking)[name])
    is_async = inspect.iscoroutinefunction if name not in ITERATORS else inspect.isasyncgenfunction
    assert is_async(methods(asynchronous)[name]) == (name != "__init__")


@by_case
def test_every_method_has_a_docstring(blocking: type, asynchronous: type, name: str) -> None:
    if name != "__init__":
        assert inspect.getdoc(methods(blocking)[name])
        assert inspect.getdoc(methods(asynchronous)[name]) == f"As `{blocking.__name__}.{name}`."


def test_exported_names_exist() -> None:
    assert sorted(archrank_client.__all__) == archrank_client.__all__
    assert all(hasattr(archrank_client, name) for name in archrank_client.__all__)


def test_all_errors_are_archrank_errors_and_are_exported() -> None:
    classes = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]
    assert all(issubclass(cls, archrank_client.ArchrankError) for cls in classes)
    assert {cls.__name__ for cls in classes} <= set(archrank_client.__all__)
