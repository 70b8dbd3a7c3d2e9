"""Log of a search: a header line, then one JSON line per trial, appended as trials are evaluated.

{"format": 2, "space": "gcn-nas", "settings": …, "strategy": "random", "seed": 0, "batch_size": 16, …}
{"architecture": …, "accuracy": 0.9431, "flops": …, "params": …, "interval": …, "warnings": [], "error": null, …}
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, Field

from common.documents import check_fields
from common.files import check_file, parse_json
from models import CostedSpace, InputError, SearchSpace
from search.trials import Interval, TrialResult

FORMAT = 2


class _LoggedTrial(BaseModel):
    """One line of the log: a trial, and the duration of the search at the time it was logged, in seconds."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    architecture: dict[str, Any]
    accuracy: float | None
    flops: int | None = Field(ge=0, lt=2**63)
    params: int | None = Field(ge=0, lt=2**63)
    interval: Interval | None
    warnings: tuple[str, ...]
    error: str | None
    seconds: float


class SearchLog:
    """Durable log of one search, open in one process at a time. Use `open` to construct it.

    Attributes:
        path: path of the log.
        trials: logged trials, in the order in which they were proposed.
        seconds: duration of the search when the last trial was logged, summed over all its runs.
    """

    def __init__(self, path: Path, file: BinaryIO, space: SearchSpace[Any]) -> None:
        self.path = path
        self.trials: list[TrialResult] = []
        self.seconds = 0.0
        self._file, self._space = file, space

    @classmethod
    @contextmanager
    def open(cls, path: str | Path, header: Mapping[str, Any], space: SearchSpace[Any]) -> Iterator["SearchLog"]:
        """Open a log, or create it if there is none. An incomplete last line is removed.

        Args:
            path: path of the log; missing parent folders are created. A lock file is kept beside it.
            header: identity of the search, as plain data.
            space: search space of the architectures.

        Yields:
            The log with its trials.

        Raises:
            InputError: the log has another header, is malformed, or is open in another process.
        """
        path, header = Path(path), json.loads(json.dumps({"format": FORMAT, **header}))
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            check_file(path, "log")
        try:
            lock = FileLock(f"{path}.lock", blocking=False).acquire()
        except Timeout as error:
            raise InputError(str(path), "in use", "the log of a search that no other process runs") from error
        with lock, path.open("a+b") as file:
            log = cls(path, file, space)
            lines = log._read_complete_lines()
            if lines:
                log._check_header(lines[0], header)
                for number, line in enumerate(lines[1:], start=2):
                    log._read_trial(line, f"{path} line {number}")
            else:
                log._write([json.dumps(header)])
            yield log

    def add(self, trials: Sequence[TrialResult], seconds: float) -> None:
        """Append trials and wait until they are on the disk.

        Args:
            trials: trials to log.
            seconds: duration of the search so far.
        """
        self._write([self._row(trial, seconds).model_dump_json() for trial in trials])
        self.trials += trials
        self.seconds = seconds

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
                allowed = f"{value!r}, as in this search; another search needs another folder"
                raise InputError(f"{self.path}, {field}", header.get(field), allowed)

    def _read_trial(self, line: bytes, place: str) -> None:
        row = check_fields(_LoggedTrial, parse_json(line, place), place)
        fields = {name: getattr(row, name) for name in _LoggedTrial.model_fields.keys() - {"architecture", "seconds"}}
        for name in ("flops", "params"):
            if (fields[name] is None) == isinstance(self._space, CostedSpace):
                allowed = "a whole number" if fields[name] is None else f"null: {self._space.name} has no costs"
                raise InputError(f"{place}, {name}", fields[name], allowed)
        try:
            self.trials.append(TrialResult(architecture=self._space.parse(row.architecture), **fields))
        except InputError as error:
            raise error.renamed(f"{place}, {error.field}", InputError) from error
        self.seconds = row.seconds

    def _row(self, trial: TrialResult, seconds: float) -> _LoggedTrial:
        fields = {name: getattr(trial, name) for name in _LoggedTrial.model_fields.keys() - {"architecture", "seconds"}}
        return _LoggedTrial(architecture=self._space.to_json(trial.architecture), **fields, seconds=round(seconds, 3))

    def _write(self, lines: Sequence[str]) -> None:
        self._file.write("".join(line + "\n" for line in lines).encode())
        self._file.flush()
        os.fsync(self._file.fileno())
