"""The log of a search: a header line, then one JSON line a trial, appended as they are evaluated.

{"format": 1, "space": "gcn-nas", "settings": …, "strategy": "random", "seed": 0, "batch": 16, …}
{"architecture": …, "accuracy": 0.9431, "flops": …, "params": …, "low": …, "high": …, "warnings": [], …, "seconds": 0.2}
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import BaseModel, ConfigDict, Field

from common.documents import check_fields
from common.files import check_file, parse_json
from models import Architecture, InputError, SearchSpace
from search.base import Trial

FORMAT = 1


@dataclass(frozen=True)
class TrialResult(Trial):
    """A trial with all that its evaluator said.

    Attributes:
        low, high: what holds the accuracy with a probability of 90 %; None where it failed.
        warnings: what should make one trust the accuracy less.
        error: why there is none; None where there is.
    """

    low: float | None = None
    high: float | None = None
    warnings: tuple[str, ...] = ()
    error: str | None = None


class _Row(BaseModel):
    """A finding as a line of the log, with the seconds that the search had taken by then."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    architecture: dict[str, Any]
    accuracy: float | None
    flops: int = Field(ge=0, lt=2**63)
    params: int = Field(ge=0, lt=2**63)
    low: float | None
    high: float | None
    warnings: tuple[str, ...]
    error: str | None
    seconds: float


class SearchLog:
    """What is on the disk of one search, for one process at a time. `open` makes one.

    Attributes:
        trials: in the order in which they were asked for.
        seconds: that the search had taken when the last of them was written, in all its runs together.
    """

    def __init__(self, path: Path, file: BinaryIO, space: SearchSpace[Architecture]) -> None:
        self.path = path
        self.trials: list[TrialResult] = []
        self.seconds = 0.0
        self._file, self._space = file, space

    @classmethod
    @contextmanager
    def open(
        cls, path: str | Path, header: Mapping[str, Any], space: SearchSpace[Architecture]
    ) -> Iterator["SearchLog"]:
        """Read the log, or start it where there is none. A last line that was cut off is dropped.

        Args:
            path: of the log; its folder is made.
            header: what makes this search this one, as plain data.
            space: of the architectures.

        Raises:
            InputError: the log is of another search, is malformed, or another process has it open.
        """
        path, header = Path(path), json.loads(json.dumps({"format": FORMAT, **header}))
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            check_file(path, "log")
        with path.open("a+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise InputError(str(path), "in use", "the log of a search that no other process runs") from error
            log = cls(path, file, space)
            lines = log._whole_lines()
            if lines:
                log._check(lines[0], header)
                for number, line in enumerate(lines[1:], start=2):
                    log._read(line, f"{path} line {number}")
            else:
                log._write([json.dumps(header)])
            yield log

    def add(self, trials: Sequence[TrialResult], seconds: float) -> None:
        """Append, and wait until it is on the disk: whoever is killed loses at most what was not added."""
        self._write([self._row(trial, seconds).model_dump_json() for trial in trials])
        self.trials += trials
        self.seconds = seconds

    def _whole_lines(self) -> list[bytes]:
        self._file.seek(0)
        *lines, rest = self._file.read().split(b"\n")
        if rest:
            self._file.truncate(sum(len(line) + 1 for line in lines))
        return lines

    def _check(self, line: bytes, header: Mapping[str, Any]) -> None:
        written = parse_json(line, f"{self.path} line 1")
        if not isinstance(written, dict):
            raise InputError(f"{self.path} line 1, header", written, "a JSON object")
        for field, value in header.items():
            if written.get(field) != value:
                allowed = f"{value!r}, as asked for now; another search needs another folder"
                raise InputError(f"{self.path}, {field}", written.get(field), allowed)

    def _read(self, line: bytes, place: str) -> None:
        row = check_fields(_Row, parse_json(line, place), place)
        facts = row.model_dump(exclude={"architecture", "seconds"})
        try:
            self.trials.append(TrialResult(architecture=self._space.parse(row.architecture), **facts))
        except InputError as error:
            raise error.renamed(f"{place}, {error.field}", InputError) from error
        self.seconds = row.seconds

    def _row(self, trial: TrialResult, seconds: float) -> _Row:
        facts = {name: getattr(trial, name) for name in _Row.model_fields.keys() - {"architecture", "seconds"}}
        return _Row(architecture=self._space.to_json(trial.architecture), **facts, seconds=round(seconds, 3))

    def _write(self, lines: Sequence[str]) -> None:
        self._file.write("".join(line + "\n" for line in lines).encode())
        self._file.flush()
        os.fsync(self._file.fileno())
