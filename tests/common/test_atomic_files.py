"""Atomic writes, their permissions, and checks of paths before any work."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from common.atomic_files import check_new_file, check_new_folder, write_atomically, write_folder
from models import InputError


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    write_atomically(tmp_path / "file", b"x")
    write_folder(tmp_path / "folder", {"file": b"x"})
    modes = {path: stat.S_IMODE((tmp_path / path).stat().st_mode) for path in ("file", "folder", "folder/file")}
    assert modes == {"file": 0o640, "folder": 0o750, "folder/file": 0o640}


@pytest.mark.parametrize("name", ["short", "x" * 255])
def test_no_temporary_files_remain(name: str, tmp_path: Path) -> None:
    check_new_file(tmp_path / name)
    write_atomically(tmp_path / name, b"1")
    write_atomically(tmp_path / name, b"2")
    (tmp_path / name).unlink()
    check_new_folder(tmp_path / name)
    write_folder(tmp_path / name, {"a": b"1"})
    write_folder(tmp_path / name, {"b": b"2"})
    with pytest.raises(IsADirectoryError):
        write_atomically(tmp_path / name, b"3")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert [path.name for path in (tmp_path / name).iterdir()] == ["b"]


PATHS: list[Callable[[Path], Path]] = [
    lambda folder: folder / "file" / "below",
    lambda folder: Path("/proc/archrank"),
    lambda folder: folder / "x\0y",
    lambda folder: folder / ("x" * 300),
    lambda folder: folder / "cycle" / "x",
]


@pytest.mark.parametrize("check", [check_new_file, check_new_folder])
@pytest.mark.parametrize("make", PATHS, ids=["below a file", "proc", "null byte", "long", "cycle"])
def test_paths_that_cannot_be_written(
    check: Callable[[Path], None], make: Callable[[Path], Path], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "cycle").symlink_to("cycle")
    with pytest.raises(InputError, match="out: got"):
        check(make(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"file", "cycle"}


def test_a_file_where_a_folder_is_and_the_reverse(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="a folder"):
        check_new_folder(tmp_path / "file")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(InputError, match="a regular file"):
            check_new_file(path)
    check_new_file(tmp_path / "new" / "folders" / "file")
    assert not (tmp_path / "new").exists()
