"""Logs are read as they were written, wherever they were cut off; malformed logs and other searches' are unchanged."""

import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from models import InputError, get_space
from search import Interval, SearchLog, TrialResult

SPACE = get_space("gcn-nas")
HEADER: dict[str, Any] = {"space": "gcn-nas", "strategy": "random", "seed": 0, "depth": None, "proxies": ["zen"]}
ARCHS = [SPACE.sample(np.random.default_rng(i)) for i in range(3)]
TRIALS = [
    TrialResult(ARCHS[0], 0.9431, 10, 20, Interval(0.94, 0.95, 0.9)),
    TrialResult(ARCHS[1], 0.1 + 0.2, 11, 21, Interval(0.94, 0.95, 0.9), ("unlike the others", "ü")),
    TrialResult(ARCHS[2], None, 12, 22, error="the deadline has passed"),
]


def opened(path: Path, **changed: Any) -> AbstractContextManager[SearchLog]:
    return SearchLog.open(path, {**HEADER, **changed}, SPACE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Log of three trials, in a folder that it creates."""
    path = tmp_path / "runs" / "search.jsonl"
    with opened(path) as log:
        log.add(TRIALS[:2], 1.25)
        log.add(TRIALS[2:], 2.5)
        assert log.trials == TRIALS
    return path


def test_it_is_read_as_it_was_written(path: Path) -> None:
    with opened(path) as log:
        assert log.trials == TRIALS
        assert log.seconds == 2.5
    assert [json.loads(line).get("seconds") for line in path.read_text().splitlines()] == [None, 1.25, 1.25, 2.5]


def test_wherever_it_was_cut_off_the_whole_lines_are_kept(path: Path) -> None:
    content = path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(content) if byte == ord("\n")]
    for cut in range(len(content)):
        path.write_bytes(content[:cut])
        whole = sum(end <= cut for end in ends)
        with opened(path) as log:
            assert log.trials == TRIALS[: max(0, whole - 1)]
            assert path.read_bytes() == content[: ends[max(0, whole - 1)]]
    with opened(path) as log:
        log.add(TRIALS[2:], 2.5)
    assert path.read_bytes() == content


@pytest.mark.parametrize("field", HEADER)
def test_the_log_of_another_search_is_refused_and_left_alone(path: Path, field: str) -> None:
    content = path.read_bytes()
    with pytest.raises(InputError, match=f"{field}: got .*; allowed: 'other', as in this search") as error:
        opened(path, **{field: "other"}).__enter__()
    assert error.value.field == f"{path}, {field}"
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("line", "changed", "complaint"),
    [
        (1, "[1]", "line 1, header"),
        (1, "{", "line 1: got .*; allowed: JSON"),
        (2, "{", "line 2: got .*; allowed: JSON"),
        (2, {"accuracy": "high"}, "line 2, accuracy: got 'high'"),
        (3, {"flops": None}, "line 3, flops: got None"),
        (3, {"new": 1}, "line 3, new: got 1"),
        (3, {"interval": {"low": 0.9, "high": 0.95}}, "line 3, interval.level: got"),
        (3, {"interval": {"low": 0.9, "high": 0.95, "level": 0.9, "new": 1}}, "line 3, interval.new: got 1"),
        (
            4,
            {"architecture": {"layers": [["S"]]}},
            r"line 4, layers \(number of layers\): got 1; allowed: 4, 6, 8 or 10",
        ),
    ],
)
def test_what_is_wrong_with_a_line_is_said(path: Path, line: int, changed: Any, complaint: str) -> None:
    lines = path.read_text().splitlines(keepends=True)
    text = changed if isinstance(changed, str) else json.dumps(json.loads(lines[line - 1]) | changed)
    lines[line - 1] = text + "\n"
    path.write_text("".join(lines))
    with pytest.raises(InputError, match=complaint):
        opened(path).__enter__()
    assert path.read_text() == "".join(lines)


def test_two_at_a_time_are_refused(path: Path) -> None:
    with opened(path), pytest.raises(InputError, match=r"search\.jsonl: got 'in use'; allowed: .* no other process"):
        opened(path).__enter__()
    with opened(path) as log:
        assert log.trials == TRIALS


def test_a_number_that_is_not_finite_is_not_written(path: Path) -> None:
    content = path.read_bytes()
    with opened(path) as log, pytest.raises(ValidationError, match="finite"):
        log.add([TrialResult(ARCHS[0], float("nan"), 1, 1)], 3.0)
    assert log.trials == TRIALS
    assert path.read_bytes() == content
