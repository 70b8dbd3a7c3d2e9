"""Untrusted files: other kinds of files are refused before they are opened, and JSON is read strictly."""

import os
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from pydantic import BaseModel

from common.documents import check_fields
from common.files import parse_json, read_file, read_json
from models import InputError


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: folder / "missing",
        lambda folder: folder,
        lambda folder: Path("/dev/zero"),
        lambda folder: folder / "x\0y",
        lambda folder: folder / ("x" * 300),
        lambda folder: folder / "file" / "below",
    ],
    ids=["missing", "folder", "device", "null byte", "long", "below a file"],
)
def test_other_kinds_of_files_are_refused(make: Callable[[Path], Path], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"^table: got .*file"):
        read_file(make(tmp_path), "table", pipe=True)


def test_pipes_are_read_only_if_allowed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="a regular file"):
        read_file(tmp_path / "pipe", "part")
    writer = Thread(target=(tmp_path / "pipe").write_bytes, args=(b"[1]",))
    writer.start()
    assert read_file(tmp_path / "pipe", "table", pipe=True) == b"[1]"
    writer.join()


def test_size_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert read_file(tmp_path / "file", "x", max_bytes=5) == b"12345"
    with pytest.raises(InputError, match="at most 4 bytes"):
        read_file(tmp_path / "file", "x", max_bytes=4)


def test_byte_order_marks_are_removed(tmp_path: Path) -> None:
    (tmp_path / "windows.json").write_bytes('{"a": "é"}'.encode("utf-8-sig"))
    assert read_json(tmp_path / "windows.json", "x") == {"a": "é"}


@pytest.mark.parametrize(
    "text",
    [b"[" * 100_000, b'{"a": 1, "a": 2}', b"[NaN]", b"[1e999]", "[1]".encode("utf-16"), b"1" * 5000, b"\xff", b""],
)
def test_json_is_read_strictly(text: bytes) -> None:
    with pytest.raises(InputError) as error:
        parse_json(text, "line 1")
    assert error.value.field == "line 1"
    assert len(str(error.value)) < 300


def test_numbers_that_are_not_finite_where_files_may_hold_them() -> None:
    assert str(parse_json(b"[NaN, Infinity, 1e999, 0.5]", "x", finite=False)) == "[nan, inf, inf, 0.5]"


class Point(BaseModel):
    x: int
    y: list[int]


@pytest.mark.parametrize(
    ("value", "place"), [({"x": 1}, "file, y"), ({"x": 1, "y": [0, "a"]}, "file, y.1"), ([], "file"), (None, "file")]
)
def test_fields_are_named(value: Any, place: str) -> None:
    assert check_fields(Point, {"x": 1, "y": [2]}, "file") == Point(x=1, y=[2])
    with pytest.raises(InputError) as error:
        check_fields(Point, value, "file")
    assert error.value.field == place
