"""Observations of users: each mistake is one error that names field, value and what is allowed."""

import json
from pathlib import Path
from typing import Any

import pytest

from common.errors import InputError
from models import get_space
from study import StudyDefinition, StudyMetric, parse_observations, read_observations

SPACE = get_space("nas-bench-graph", dataset="cora")
GOOD: dict[str, Any] = {"architecture": {"link": [0, 0, 1, 1], "ops": ["gcn", "gat", "fc", "skip"]}, "value": 0.8}
METRIC = StudyMetric()


def test_all_fields_are_read() -> None:
    row = GOOD | {"value": 1, "seconds": 71, "epochs": 20, "curve": [0.5, 1, 0.8]}
    (item,) = parse_observations(SPACE, METRIC, [row])
    assert (item.value, item.error, item.seconds, item.epochs, item.curve) == (1.0, None, 71.0, 20, (0.5, 1.0, 0.8))
    (failed,) = parse_observations(SPACE, METRIC, [GOOD | {"value": None, "error": "out of memory"}])
    assert (failed.value, failed.error) == (None, "out of memory")


def test_equal_numbers_are_the_same_observation() -> None:
    rows = [GOOD | {"value": value, "seconds": seconds} for value, seconds in ((0, 1), (0.0, 1.0), (-0.0, 1))]
    assert len({item.id for item in parse_observations(SPACE, METRIC, rows)}) == 1


WRONG: list[tuple[Any, str]] = [
    ({}, "observations: got {}; allowed: a list of observations"),
    ([1], "observations[0]: got 1; allowed: an object with the fields architecture, value"),
    ([GOOD, {"value": 1}], "observations[1].architecture: got None; allowed: an architecture: the field is missing"),
    ([{"architecture": GOOD["architecture"]}], "observations[0].value: got None; allowed: a number, or null"),
    ([GOOD | {"accuracy": 1}], "observations[0].accuracy: got 1; allowed: only the fields architecture, value"),
    ([GOOD | {"architecture": 3}], "observations[0].architecture: got 3; allowed: "),
    (
        [GOOD | {"architecture": {"link": [0, 0, 1, 1], "ops": ["gcn", "x", "fc", "fc"]}}],
        "observations[0].architecture.ops[1]: got 'x'",
    ),
    ([GOOD | {"value": 93}], "observations[0].value: got 93; allowed: 0 to 1, as the unit is fraction; write 0.93"),
    ([GOOD | {"value": -0.1}], "observations[0].value: got -0.1; allowed: 0 to 1, as the unit is fraction"),
    ([GOOD | {"value": True}], "observations[0].value: got True; allowed: a finite number"),
    ([GOOD | {"value": "0.8"}], "observations[0].value: got '0.8'; allowed: a finite number"),
    ([GOOD | {"value": float("nan")}], "observations[0].value: got nan; allowed: a finite number"),
    ([GOOD | {"value": 10**400}], "observations[0].value: got "),
    ([GOOD | {"error": "x"}], "observations[0].error: got 'x'; allowed: null for a training with a value"),
    ([GOOD | {"value": None, "error": ""}], "observations[0].error: got ''; allowed: a printable text of 1 to 2000"),
    ([GOOD | {"value": None, "error": "\x1b[0m"}], "observations[0].error: got '\\x1b[0m'; allowed: a printable text"),
    ([GOOD | {"value": None, "error": 5}], "observations[0].error: got 5; allowed: a printable text"),
    ([GOOD | {"seconds": -1}], "observations[0].seconds: got -1; allowed: a number of seconds from 0 on"),
    ([GOOD | {"epochs": 1.5}], "observations[0].epochs: got 1.5; allowed: a whole number from 0"),
    ([GOOD | {"curve": 0.5}], "observations[0].curve: got 0.5; allowed: a list of at most 10000"),
    ([GOOD | {"curve": [0.5, 2]}], "observations[0].curve[1]: got 2; allowed: 0 to 1"),
]


@pytest.mark.parametrize(("rows", "message"), WRONG, ids=[message[:60] for _, message in WRONG])
def test_mistakes(rows: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_observations(SPACE, METRIC, rows)
    assert str(caught.value).startswith(message)


def test_the_error_of_a_failed_training_is_a_traceback() -> None:
    error = "Traceback (most recent call last):\n\tCUDA error: out of memory\r\n"
    assert parse_observations(SPACE, METRIC, [GOOD | {"value": None, "error": error}])[0].error == error


@pytest.mark.parametrize(
    ("unit", "value", "valid"),
    [
        ("percent", 93, True),
        ("percent", 101, False),
        ("number", -7, True),
        ("number", 1e100, True),
        ("number", -1e101, False),
    ],
)
def test_units(unit: Any, value: float, valid: bool) -> None:
    metric = StudyMetric("loss", "minimize", unit)
    if valid:
        assert parse_observations(SPACE, metric, [GOOD | {"value": value}])[0].value == value
    else:
        with pytest.raises(InputError, match=f"to 1(00|e\\+100), as the unit is {unit}"):
            parse_observations(SPACE, metric, [GOOD | {"value": value}])


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "../up"}, "name"),
        ({"task": "\n"}, "task"),
        ({"sources": ("a", "a")}, "sources[1]"),
    ],
)
def test_definitions(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError) as caught:
        StudyDefinition(**{"name": "a", "space": "gcn-nas", **fields})
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("fields", "field"), [({"direction": "up"}, "metric.direction"), ({"unit": "%"}, "metric.unit")]
)
def test_metrics(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError) as caught:
        StudyMetric(**fields)
    assert caught.value.field == field


def test_tables_and_json_lines_hold_the_same_observations(tmp_path: Path) -> None:
    failed = GOOD | {"value": None, "error": "out of memory, twice"}
    rows = [GOOD | {"seconds": 3.5, "epochs": 20}, failed]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    cell = json.dumps(GOOD["architecture"]).replace('"', '""')
    table = f'architecture,value,seconds,epochs,error\n"{cell}",0.8,3.5,20,\n"{cell}",,,,"out of memory, twice"\n'
    (tmp_path / "a.csv").write_text(table)
    assert read_observations(tmp_path / "a.jsonl") == rows
    assert parse_observations(SPACE, METRIC, read_observations(tmp_path / "a.csv")) == parse_observations(
        SPACE, METRIC, rows
    )


def test_accuracies_of_a_benchmark_are_converted_to_the_unit(tmp_path: Path) -> None:
    curves = [{"accuracy": [0.25, 0.5]}, {"accuracy": [0.25, 0.75], "training_loss": [2.0, 1.0]}]
    trainings = [{"seed": i, "accuracy": curve["accuracy"][-1], "curve": curve} for i, curve in enumerate(curves)]
    row = {"architecture": GOOD["architecture"], "accuracy": 0.625, "epochs": 2, "trainings": trainings}
    path = tmp_path / "table.jsonl"
    path.write_text(json.dumps(row) + "\n")
    for metric, factor in ((StudyMetric(unit="fraction"), 1), (StudyMetric(unit="percent"), 100)):
        observations = parse_observations(SPACE, metric, read_observations(path, metric.unit))
        assert [item.value for item in observations] == [0.5 * factor, 0.75 * factor]
        assert [item.curve for item in observations] == [(0.25 * factor, 0.5 * factor), (0.25 * factor, 0.75 * factor)]
    with pytest.raises(InputError, match=r"accuracy: got 0\.625; allowed: observations with a value"):
        read_observations(path, "number")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b"{", "a.jsonl line 1: got 'line 1, column 2'"),
        ("a.csv", b"architecture,accuracy\n", "a.csv line 1: got 'accuracy'; allowed: each of the columns once"),
        ("a.csv", b"architecture,value\n1\n", "a.csv row 1: got '1 cells'; allowed: one for each of the 2 columns"),
        ("a.csv", b"architecture,value\n1,x\n", "a.csv row 1, value: got 'line 1, column 1'"),
        ("a.csv", b"architecture,value\n\xff,1\n", "a.csv: got 'byte 0xff at 19'; allowed: UTF-8 text"),
        ("a.csv", b'architecture,value\n"1"2,1\n', "a.csv line 2: got "),
    ],
)
def test_malformed_files(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_observations(tmp_path / name)
    assert str(caught.value).startswith(message)
