"""Journal of a search or a build: a header line that identifies it, then JSON lines that are appended durably."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Self

from filelock import FileLock, Timeout

from common.files import check_file, parse_json
from models import InputError


class Journal:
    """Header and lines of a file that is open in one process at a time. Use `open` to construct it.

    Attributes:
        path: path of the file.
        activity: name of the logged activity, for errors.
        lines: lines after the header, at the time it was opened.
    """

    def __init__(self, path: Path, file: BinaryIO, activity: str) -> None:
        self.path, self.activity = path, activity
        self.lines: list[bytes] = []
        self._file = file

    @classmethod
    @contextmanager
    def open(cls, path: Path, header: Mapping[str, Any], activity: str = "search") -> Iterator[Self]:
        """Open a journal, or create it if there is none. An incomplete last line is removed.

        Args:
            path: path of the file; missing parent folders are created. A lock file is kept beside it.
            header: identity of the activity, as plain data.
            activity: its name, for errors.

        Yields:
            The journal.

        Raises:
            InputError: the file has another header, or is open in another process.
        """
        header = json.loads(json.dumps(header))
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            check_file(path, "log")
        try:
            lock = FileLock(f"{path}.lock", blocking=False).acquire()
        except Timeout as error:
            raise InputError(str(path), "in use", f"the log of a {activity} that no other process runs") from error
        with lock, path.open("a+b") as file:
            journal = cls(path, file, activity)
            lines = journal._read_complete_lines()
            if lines:
                journal._check_header(lines[0], header)
                journal.lines = lines[1:]
            else:
                journal.append([json.dumps(header)])
            yield journal

    def append(self, lines: Sequence[str]) -> None:
        """Append lines and wait until they are on the disk."""
        self._file.write("".join(line + "\n" for line in lines).encode())
        self._file.flush()
        os.fsync(self._file.fileno())

    def place(self, index: int) -> str:
        """Name of a line in errors."""
        return f"{self.path} line {index + 2}"

    def _read_complete_lines(self) -> list[bytes]:
        self._file.seek(0)
        *lines, rest = self._file.read().split(b"\n")
        if rest:
            self._file.truncate(sum(len(line) + 1 for line in lines))
        return lines

    def _check_header(self, line: bytes, expected: Mapping[str, Any]) -> None:
        header = parse_json(line, f"{self.path} line 1")
        if not isinstance(header, dict):
            raise InputError(f"{self.path} line 1, header", header, "a JSON object")
        for field, value in expected.items():
            if header.get(field) != value:
                allowed = f"{value!r}, as in this {self.activity}; another {self.activity} needs another folder"
                raise InputError(f"{self.path}, {field}", header.get(field), allowed)
