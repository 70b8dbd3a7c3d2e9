"""Errors name field, value and allowed values, also after pickling."""

import pickle

import pytest

from common.errors import describe_error
from ensemble.errors import ArtifactError, BenchmarkError
from models import ArchitectureError, ArchrankError, InputError, UnknownNameError
from service.api.problems import ProblemError
from service.inference.scheduler import QueueFullError


@pytest.mark.parametrize(
    "error",
    [
        ArchrankError("a message"),
        InputError("seed", -1, "0 or more"),
        UnknownNameError("space", "resnet", ["gcn-nas"]),
        ArchitectureError("mask[0]", [1], "8 entries").within("architectures[3]"),
        BenchmarkError("table.jsonl line 3, accuracy", 93, "a fraction"),
        ArtifactError("broken"),
        ProblemError(413, "too large", headers={"Connection": "close"}),
        QueueFullError("come again", 7),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_can_be_pickled(error: ArchrankError) -> None:
    unpickled = pickle.loads(pickle.dumps(error))
    assert type(unpickled) is type(error)
    assert str(unpickled) == str(error)
    assert unpickled.__dict__ == error.__dict__


def test_the_value_is_shortened() -> None:
    error = InputError("mask", [[1] * 1000] * 1000, "a mask")
    assert len(str(error)) < 300
    assert error.within("architectures[0]").field == "architectures[0].mask"


class UnorderedName(str):
    """Name without an order."""

    def __lt__(self, other: str) -> bool:
        raise AssertionError("names were compared")


def test_a_large_object_is_shortened_before_it_is_sorted() -> None:
    many = {UnorderedName(number) if number > 10 else str(number): number for number in range(100_000)}
    assert InputError("mask", many, "a mask").value == "{'0': 0, '1': 1, '2': 2, '3': 3, ...}"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (InputError("seed", -1, "0 or more"), "seed: got -1; allowed: 0 or more"),
        (RuntimeError("CUDA error\n  see above"), "RuntimeError: CUDA error see above"),
        (MemoryError(), "MemoryError"),
        (ValueError("x" * 5000), "ValueError: " + "x" * 1000),
    ],
)
def test_description_is_one_line(error: Exception, line: str) -> None:
    assert describe_error(error) == line
